-- Hostile plugins: a file that is wrong in any of these ways gives one error of one line, which names the file, what is wrong
-- and what to do; nothing of it stays; and the same process goes on. tests/plugins/hostile is wrong in the way that the
-- copy's name says; files that are no such libraries are made here.
local drift = require "drift"

local folder = assert(os.getenv "DRIFT_TEST_PLUGIN_DIR")

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read "a"
  f:close()
  return text
end

local function write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  return path
end

local plugins = #drift.plugins()
local good = read(folder .. "/hostile.so")
local function patched(at, bytes) return good:sub(1, at) .. bytes .. good:sub(at + #bytes + 1) end

-- One line, which begins with the script's and the plugin's names.
local function refused(path, words)
  local components = #drift.components()
  local ok, message = pcall(drift.load_plugin, path)
  assert.is_false(ok, path .. " was loaded")
  assert.is_nil(message:find("\n", 1, true), message)
  assert.is_truthy(message:find("plugin " .. path .. ": ", 1, true), message)
  for _, part in ipairs(words) do assert.is_truthy(message:find(part, 1, true), message .. "\nlacks: " .. part) end
  assert.are.equal(components, #drift.components())
end

-- ---- plugins whose tables are wrong: name of the case -> what is said ------------------------------------------------
local tables = {
  small_table = { "dr_plugin_entry has 8 bytes" }, huge_table = { "dr_plugin_entry has 4294967295 bytes" },
  short_table = { "dr_plugin_entry has ", "it is no table of DR_PLUGIN" },
  other_major = { "built for ABI 2.0", "rebuild it against these headers" },
  needs_newer_minor = { "needs at least 1.1", "rebuild it against these headers" },
  NULL_id = { "its id is no id" }, odd_id = { "its id 'my plugin/../' is no id" }, empty_id = { "its id '' is no id" },
  long_id = { "its id is no id" }, wild_id = { "its id is no id" }, NULL_version = { "its version is no line of UTF-8" },
  NULL_load = { "lacks the function load" }, latin1_doc = { "its doc is no line of UTF-8" },
  id_of_the_core = { "its id core is that of the program itself" },
  id_of_another = { "its id decay is that of plugin ", "decay.so, which is loaded" },
  components_end_first = { "its list of components ends before it begins" },
  components_without_begin = { "its list of components ends before it begins" },
  wild_components = { "its list of components lies in no memory" },
  endless_components = { "its list of components has 100000 entries" },
  load_fails = { "it refused to load: needs a quantum processor" },
  load_says_nothing = { "it refused to load and did not say why (load returned 4)" },
  load_is_no_status = { "it refused to load and did not say why (load returned 4711)" },
  load_fails_and_says_ok = { "it refused to load: the licence is missing" },

  export_twice = { "two exported functions are called of_hostile" },
  export_bad_signature = { "export of_hostile has the signature \"complex(real)\"; it is RESULT(ARGUMENT,...)" },
  export_many_arguments = { "export of_hostile", "with at most 8 arguments" },
  export_NULL_function = { "export of_hostile has no function" },
  export_NULL_name = { "an exported function has no name" }, export_small = { "one of its exports is no dr_export" },
  NULL_kernel = { "one of the kernels that it brings is no dr_brought_kernel" },
  kernel_without_op = { "one of the kernels that it brings is no dr_brought_kernel" },

  unreadable_component = { "one of its components is no dr_component" },
  NULL_component = { "one of its components is no dr_component" }, wild_component = { "one of its components is no dr_component" },
  small_component = { "one of its components is no dr_component" },
  NULL_name = { "a component's name is no identifier" }, odd_name = { "a component's name 'my decay!' is no identifier" },
  NULL_kind = { "component hostile has no kind" }, NULL_iface = { "decay hostile: it has no table of functions" },
  unknown_kind = { "smell hostile: it is of kind smell/1, which this Drift does not know" },
  newer_kind = { "decay hostile: it is of kind decay/2, and this Drift takes decay/1: rebuild it" },
  small_iface = { "decay hostile: its table of functions has 8 bytes; a decay has 16 at least" },
  huge_iface = { "decay hostile: its table of functions has 1073741824 bytes" },
  no_function = { "decay hostile: its table lacks the function factor" },
  name_of_another = { "decay constant is already registered by plugin decay" },
  name_twice = { "it has two components decay hostile" }, NULL_doc = { "decay hostile: its doc is no line of UTF-8" },
  latin1_component_doc = { "decay hostile: its doc is no line of UTF-8" },
  huge_self = { "decay hostile: its struct has 1099511627776 bytes" },
  endless_source = { "decay hostile: the text of its source has no end within 4194304 bytes" },
  wild_source = { "decay hostile: the text of its source" },
  optim_slots = { "optim hostile: it has 5 slots; 0 to 4" }, op_inputs = { "op hostile: it has 99 inputs" },

  row_without_end = { "decay hostile: its parameters have no end within 256 rows; the last one is DR_END" },
  row_outside_self = { "parameter count lies at byte ", "the rows are another struct's" },
  row_far_outside_self = { "parameter count lies at byte ", "the rows are another struct's" },
  row_between_fields = { "parameter count lies at byte 3, where no field of its type can" },
  row_size = { "its rows of parameters are 8 bytes apart" },
  row_default_outside = { "parameter count has the default 11, outside its bounds [1, 10]" },
  row_default_nan = { "parameter rate has the default ", "nan, outside its bounds [0, 1]" },
  row_bounds_crossed = { "parameter count has the bounds [11, 10]" },
  row_NULL_name = { "parameter number 2 has no name that is an identifier" },
  row_odd_name = { "parameter number 2 has no name that is an identifier" },
  row_twice = { "two parameters are called count" }, row_unknown_type = { "parameter rate has type 77" },
  row_NULL_doc = { "the doc of parameter rate is no line of UTF-8" }, row_latin1_doc = { "the doc of parameter rate is no line of UTF-8" },
  row_enum_without_choices = { "parameter count is an enum without choices" },
  row_enum_empty_choice = { "parameter count has an empty choice in \"one||two\"" },
  row_enum_default = { "parameter count has the default number 3, and 2 choices" },
  row_function_signature = { "parameter rate has the signature" }, row_component_kind = { "takes a component of kind \"smell:sweet\"" },
  row_tensor_dtype = { "takes a tensor of \"i31\", which is no dtype" },
}
tables.row_function_signature = { "parameter f has the signature \"real(\"" }

-- What each kind requires, and nothing else of it is there.
for kind, first in pairs { op = "infer", backend = "alloc", block = "forward", conditioning = "embed", schedule = "beta",
    process = "draw_t", time_sampling = "draw", weighting = "weight", coupling = "pair", timesteps = "lay", sampler = "step",
    guidance = "eval", clip = "apply", view = "apply", filter = "apply", optim = "step", decay = "factor", ema = "decay",
    dataset = "info", metric = "reset", tokenizer = "info" } do
  tables["empty_" .. kind] = { kind .. " hostile: its table lacks the function " .. first }
end

describe("a plugin whose table is wrong is refused:", function()
  local names = {}
  for name in pairs(tables) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it(name, function()
      local path = write("./" .. name .. ".so", good)
      refused(path, tables[name])
      os.remove(path)
    end)
  end
end)

-- ---- files that are no plugins ---------------------------------------------------------------------------------------
local files = {
  text = { "not a library", "it does not begin as an ELF file does" }, empty = { "", "the file is empty" },
  two_bytes = { "\x7FE", "it does not begin as an ELF file does" }, header_only = { good:sub(1, 20), "the file is cut short" },
  other_machine = { patched(18, string.pack("<I2", 183)), "it is built for aarch64, and this is x86-64" },
  class32 = { patched(4, "\1"), "it is built for 32-bit programs" },
  other_byte_order = { patched(5, "\2"), "the other byte order" },
  object_file = { patched(16, string.pack("<I2", 1)), "it is an object file, no shared object; link it with cc -shared" },
  fixed_program = { patched(16, string.pack("<I2", 2)), "it is a program, no shared object" },
  core_dump = { patched(16, string.pack("<I2", 4)), "no shared object" },
  no_program_headers = { patched(56, string.pack("<I2", 0)), "its ELF header is damaged" },
  far_program_headers = { patched(32, string.pack("<I8", 1 << 40)), "the file is cut short" },
  missing_library = { (good:gsub("libc%.so%.6", "libq.so.6")), "libq.so.6", "install that library" },
  missing_symbol = { (good:gsub("\0dladdr\0", "\0dlxddr\0")), "undefined symbol: dlxddr", "link the library that has it" },
  no_entry = { read(folder .. "/no_entry.so"), "no symbol dr_plugin_entry; is it a Drift plugin" },
}

describe("a file that is no plugin is refused:", function()
  local names = {}
  for name in pairs(files) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it(name, function()
      local path = write("./" .. name .. ".so", files[name][1])
      refused(path, { select(2, table.unpack(files[name])) })
      os.remove(path)
    end)
  end

  it("a program", function() refused(os.getenv "DRIFT", {}) end)
  it("a folder", function()
    os.execute "mkdir -p a_folder.so"
    refused("./a_folder.so", { "it is a folder; name the shared object in it" })
  end)
  it("a pipe", function()
    os.execute "mkfifo a_pipe.so"
    refused("./a_pipe.so", { "it is no ordinary file" })
  end)
  it("nothing", function() refused("./not_there.so", { "No such file or directory" }) end)
  it("a link to nothing", function()
    os.execute "ln -sf ./nowhere.so a_link.so"
    refused("./a_link.so", { "it is a link to ./nowhere.so, which is not there" })
  end)
  it("a link to itself", function()
    os.execute "ln -sf a_circle.so a_circle.so"
    refused("./a_circle.so", { "symbolic links" })
  end)
  it("one that may not be read", function()
    write("./locked.so", good)
    os.execute "chmod 000 locked.so"
    if io.open("./locked.so", "rb") then pending "this user may read everything" return end
    refused("./locked.so", { "Permission denied" })
  end)

  it("one that is cut short at any length", function()
    local lengths = { 1, 4, 63, 64, 65, 100, 500, 1000, 4095, 4096, 4097, #good - 64, #good - 1 }
    for i = 1, 40 do lengths[#lengths + 1] = #good * i // 41 end
    for i, n in ipairs(lengths) do
      local path = write(("./cut_%d.so"):format(i), good:sub(1, n))
      refused(path, n < 4 and { "it does not begin as an ELF file does" } or { "the file is cut short: it is still being written" })
      os.remove(path)
    end
  end)
end)

-- ---- and then --------------------------------------------------------------------------------------------------------
describe("after all of these", function()
  it("no plugin more is there", function() assert.are.equal(plugins, #drift.plugins()) end)
  it("one that is right loads, once", function()
    local path = write("./NULL_source.so", good)
    drift.load_plugin "NULL_source.so" -- of this folder, not of the system's
    assert.are.equal(1.0, drift.decay.hostile {}:instance():factor(0, 1))
    assert.is_truthy(drift.help "hostile")
    local ok, message = pcall(drift.load_plugin, write("./again.so", good))
    assert.is_false(ok)
    assert.is_truthy(message:find("plugin ./again.so: its id hostile is that of plugin NULL_source.so, which is loaded", 1, true), message)
    os.remove(path)
  end)

  it("a step is trained", function()
    local net = drift.build(drift.block.linear { in_features = 4, out_features = 4 })
    local opt = drift.optimizer(drift.optim.sgd { lr = 0.1 }, net)
    local x = drift.randn { 3, 4, purpose = "x" }
    local function loss() return net(x):square():mean() end
    local before = loss()
    before:backward()
    opt:step()
    assert.is_true(loss():item() < before:item())
  end)
end)
