-- define.lua: components written in Lua. drift.define.KIND { name, doc, params, ... functions ... } checks what is said
-- and registers a component, which from then on is like any plugin's: drift.KIND.NAME { ... }, `drift help NAME`, specs,
-- hashes (of its code too), checkpoints, plans. See docs/components-in-lua.md.
--   drift.define.schedule { name = "square", doc = "beta grows with the square of the step",
--     params = { { "most", "real", default = 0.02, min = 0, max = 1, doc = "of the last step" } },
--     beta = function(self, i, T) return self.most * ((i + 1) / T) ^ 2 end }
-- Functions have the C interface's names and order of arguments (core/include/drift/kinds.h); what C fills in is
-- returned.
-- A row of params is { name, type, default =, required =, min =, max =, doc = } and, by type, choices = "a|b", kind =,
-- signature =, dtype =.
local core = require "drift.core"

local define = {}
local functions_of = core.define_kinds()      -- { sampler = { step = true, grid = false } }: true: required

local everywhere = { name = "string", doc = "string", params = "table", replace = "boolean" }
local fields_of = {                           -- what is no function
  op = { inputs = "number", optional = "number", outputs = "number", nondiff = "boolean", save_inputs = "table",
         save_outputs = "table", example = "string" },
  block = { example = "string", example_args = "table" },
  sampler = { order = "number", row_by_row = "boolean" },
  filter = { keeps_constants = "boolean" },
  optim = { slots = "table", replay = "boolean" },
  metric = { space = "string", references = "table", values = "table" },
}

-- ---- parameters -----------------------------------------------------------------------------------------------------
local numeric = { int = true, real = true, ints = true, reals = true }
local defaults = { int = "number", real = "number", bool = "boolean", string = "string", enum = "string",
                   component = "string" }
local types = { "int", "real", "bool", "string", "enum", "ints", "reals", "function", "component", "components",
                "tensor" }
local is_type = {}
for _, name in ipairs(types) do is_type[name] = true end
local extra = { enum = { "choices" }, ["function"] = { "signature" }, component = { "kind" }, components = { "kind" },
                tensor = { "dtype" } }

local function hint(name, list)
  local near = core.nearest(tostring(name), list)
  return near and near ~= name and ("; did you mean '%s'?"):format(near) or "; there are " .. table.concat(list, ", ")
end

local function check_keys(where, row, type_name)
  local known = { "doc", "required" }
  if defaults[type_name] then known[#known + 1] = "default" end
  if numeric[type_name] then known[#known + 1], known[#known + 2] = "min", "max" end
  for _, key in ipairs(extra[type_name] or {}) do known[#known + 1] = key end
  local is_known = { [1] = true, [2] = true }
  for _, key in ipairs(known) do is_known[key] = true end
  for key in next, row do
    if not is_known[key] then
      core.fail("%s: a parameter of type %s has no field '%s'%s", where, type_name, tostring(key), hint(key, known))
    end
  end
end

local function index_of(choices, wanted)
  local i = 0
  for name in choices:gmatch "[^|]+" do
    if name == wanted then return i end
    i = i + 1
  end
end

local function bounds(where, row, type_name)
  local whole = type_name == "int" or type_name == "ints"
  local low, high = row.min, row.max
  if low == nil then low = whole and -2 ^ 53 or -math.huge end
  if high == nil then high = whole and 2 ^ 53 or math.huge end
  if type(low) ~= "number" or type(high) ~= "number" then core.fail("%s: min and max are numbers", where) end
  if not (low <= high) then core.fail("%s: min = %s is above max = %s", where, low, high) end
  return low, high
end

local function check_default(where, row, type_name, low, high)
  local default = row.default
  if type(default) ~= defaults[type_name] then
    core.fail("%s: its default must be a %s, not a %s", where, defaults[type_name], core.type(default))
  end
  if not numeric[type_name] then return end
  if type_name == "int" and not math.tointeger(default) then
    core.fail("%s: its default must be a whole number, not %s", where, default)
  end
  if not (default >= low and default <= high) then
    core.fail("%s: its default %s is outside [%s, %s]", where, default, low, high)
  end
end

local readers = {}                            -- by type: what C wants of the default and the choices
function readers.bool(row, to) to.def = row.default and 1 or 0 end
function readers.string(row, to) to.def_text = row.default end

function readers.enum(row, to, where)
  to.choices = row.choices
  if type(row.choices) ~= "string" or not row.choices:find "^[^|]+|" then
    core.fail("%s: an enum needs choices = \"a|b\"", where)
  end
  if row.default == nil then to.def = 0 return end
  to.def = index_of(row.choices, row.default)
  if not to.def then core.fail("%s: its default '%s' is not one of %s", where, row.default, row.choices) end
end

readers["function"] = function(row, to, where)
  to.choices = row.signature
  if type(row.signature) ~= "string" then
    core.fail("%s: a function needs its signature, such as \"real(real,int)\"", where)
  end
end

local function check_kind(row, where)
  if type(row.kind) ~= "string" or not core.kinds()[row.kind] then
    core.fail("%s: it needs kind = \"schedule\" or another kind; there is no kind '%s'", where, tostring(row.kind))
  end
end

function readers.component(row, to, where)
  check_kind(row, where)
  to.choices = row.default and row.kind .. ":" .. row.default or row.kind
  if row.default then core.component(row.kind, row.default) end
end

function readers.components(row, to, where)
  check_kind(row, where)
  to.choices = row.kind
end

function readers.tensor(row, to, where)
  to.choices = row.dtype
  if row.dtype ~= "f32" and row.dtype ~= "i32" then
    core.fail("%s: a tensor needs dtype = \"f32\" or \"i32\"", where)
  end
end

local function read_row(where, row, i, kind, seen)
  if type(row) ~= "table" then
    core.fail("%s: params[%d] must be a row such as { \"width\", \"int\", default = 8, doc = \"...\" }, not a %s", where,
              i, core.type(row))
  end
  local name, type_name = row[1], row[2]
  if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
    core.fail("%s: params[%d] has no name: { \"width\", \"int\", default = 8 }", where, i)
  end
  where = ("%s: parameter %s"):format(where, name)
  if seen[name] then core.fail("%s is there twice", where) end
  if not is_type[type_name] then core.fail("%s: no type '%s'%s", where, tostring(type_name), hint(type_name, types)) end
  if kind == "op" and (type_name == "string" or extra[type_name] and type_name ~= "enum") then
    core.fail("%s: an op's parameters are numbers, true or false, enums and lists, not a %s", where, type_name)
  end
  seen[name] = true
  check_keys(where, row, type_name)
  local to = { name = name, type = type_name, required = row.required or false, doc = row.doc or "" }
  if type(to.required) ~= "boolean" or type(to.doc) ~= "string" then
    core.fail("%s: required is true or false, doc a text", where)
  end
  if numeric[type_name] then to.min, to.max = bounds(where, row, type_name) end
  if type_name == "bool" then to.max = 1 end
  local optional = type_name == "string" or type_name == "component"
  if row.required then
    if row.default ~= nil then core.fail("%s: it is required, and has a default", where) end
  elseif row.default ~= nil then
    check_default(where, row, type_name, to.min, to.max)
  elseif defaults[type_name] and not optional and type_name ~= "enum" then
    core.fail("%s: it needs default = ... or required = true", where)
  end
  if type_name == "int" or type_name == "real" then to.def = row.default or 0 end
  if readers[type_name] then readers[type_name](row, to, where) end
  return to
end

local function read_params(where, kind, params)
  local rows, seen, n = {}, {}, 0
  for key in next, params or {} do
    if math.type(key) ~= "integer" then
      core.fail("%s: params is a list of rows; '%s' is no place in it", where, tostring(key))
    end
    n = n + 1
  end
  for i = 1, n do rows[i] = read_row(where, params[i], i, kind, seen) end
  return rows, seen
end

-- ---- the definition -------------------------------------------------------------------------------------------------
-- The line of the script, or of the file that it requires, that defines: path, line.
local function defining_place()
  local level = 2
  while true do
    local info = debug.getinfo(level, "Sl")
    if not info then return "", 0 end
    local own = info.source:sub(1, #core.home + 12) == "@" .. core.home .. "/lua/drift/"
    if info.what ~= "C" and not own then
      return info.source:sub(1, 1) == "@" and info.source:sub(2) or "", info.currentline
    end
    level = level + 1
  end
end

-- The comment above the definition, or else the one that opens its file, as a C file's: `drift help` shows it.
local function comment_at(path, line)
  local read, text = pcall(core.read_file, path)
  if path == "" or not read then return nil end
  local lines, comment = {}, {}
  for each in (text .. "\n"):gmatch "([^\n]*)\n" do lines[#lines + 1] = each end
  local last = line - 1
  while last >= 1 and lines[last]:find "^%-%-" do last = last - 1 end
  if last == line - 1 then
    if path == core.settings.options.script then return nil end
    last = 0
  end
  for i = last + 1, #lines do
    local body = lines[i]:match "^%-%- ?(.*)$"
    if not body then break end
    comment[#comment + 1] = (body:gsub("%*/", "* /"))
  end
  if #comment == 0 then return nil end
  comment[1] = comment[1]:gsub("^[%w_]+%.lua: *", "")
  return "/* " .. table.concat(comment, "\n * ") .. " */"
end

local function check_fields(where, kind, given)
  local functions, fields = functions_of[kind], fields_of[kind] or {}
  local known, required = {}, {}
  for name, needed in next, functions do
    known[#known + 1] = name
    if needed then required[#required + 1] = name end
  end
  for name in next, fields do known[#known + 1] = name end
  for name in next, everywhere do known[#known + 1] = name end
  table.sort(known)
  table.sort(required)
  for key, value in next, given do
    local wanted = functions[key] ~= nil and "function" or fields[key] or everywhere[key]
    if not wanted then core.fail("%s has no field '%s'%s", where, tostring(key), hint(key, known)) end
    if type(value) ~= wanted then core.fail("%s: %s must be a %s, not a %s", where, key, wanted, core.type(value)) end
  end
  for _, name in ipairs(required) do
    if given[name] == nil then core.fail("%s needs the function %s", where, name) end
  end
end

local function check_rows(where, kind, rows, given)
  local function needs(name, type_name, why)
    for _, row in ipairs(rows) do
      if row.name == name and row.type == type_name then return end
    end
    core.fail("%s needs a parameter { \"%s\", \"%s\", ... }: %s", where, name, type_name, why)
  end
  if kind == "metric" and given.references and not given.reference then
    core.fail("%s says references, and needs the function reference", where)
  end
  if kind == "optim" then needs("lr", "real", "the learning rate") end
  if kind == "conditioning" then needs("channels", "ints", "the sites' widths") end
end

local pending                                 -- while a file is run again: what it defines, until it is through

local function same_as_first(a) return a end

local function prepare(d)
  if d.kind == "op" and not d.spec.functions.infer then d.spec.functions.infer = same_as_first end
  return core.define_prepare(d.kind, d.spec)
end

local function check_name(where, kind, name, replace)
  if not name:find "^[%a_][%w_]*$" then core.fail("%s: a name is letters, digits and _", where) end
  for _, c in ipairs(core.components(kind)) do
    if c.name == name then
      local mine = core.definition(kind, name)
      if not mine then
        core.fail("%s: there is a %s of that name already, of plugin %s; choose another", where, kind, c.plugin)
      end
      if not replace then
        core.fail("%s: it is defined already, in %s; replace = true lets the new one take its place", where, mine.path)
      end
    end
  end
end

local function define_one(kind, given)
  if type(given) ~= "table" then
    core.fail("drift.define.%s takes one table: { name = ..., doc = ..., params = { ... }, ... }, not a %s", kind,
              core.type(given))
  end
  if type(given.name) ~= "string" then core.fail("drift.define.%s needs a name", kind) end
  local where = ("%s %s"):format(kind, given.name)
  check_fields(where, kind, given)
  if not given.doc or given.doc == "" then core.fail("%s needs doc = \"one line that says what it is\"", where) end
  local path, line = defining_place()
  local replace = given.replace or pending ~= nil
  check_name(where, kind, given.name, replace)
  local spec = { name = given.name, doc = given.doc, path = path, source = comment_at(path, line), functions = {},
                 given = {}, id = path:match "([^/]*)%.lua$" or (path ~= "" and path:match "[^/]*$" or "script") }
  spec.params = read_params(where, kind, given.params)
  check_rows(where, kind, spec.params, given)
  for name in next, functions_of[kind] do spec.functions[name] = given[name] end
  for name in next, fields_of[kind] or {} do spec.given[name] = given[name] end
  local d = { kind = kind, spec = spec }
  if pending then
    for _, other in ipairs(pending) do
      if other.kind == kind and other.spec.name == given.name then core.fail("%s: it is defined twice", where) end
    end
    pending[#pending + 1] = d
    return core.door(function(...) return require "drift"[kind][given.name](...) end)   -- once the file is through
  end
  core.define_commit(prepare(d), replace, false)
  if kind == "op" then return require "drift".op[given.name] end
  return require "drift"[kind][given.name]
end

-- Runs the file of a definition again, such as one that was edited. What it defines takes the place of what it defined
-- before, and nets and other instances that exist run the new functions where their parameters are as they were; weights
-- stay. A file that fails changes nothing. -> list of { kind =, name =, swapped = } (swapped: existing ones run the new
-- code)
local function rerun(path)
  local chunk, reason = loadfile(path, "t")
  if not chunk then error(reason, 0) end
  if pending then core.fail("%s is run again within itself", path) end
  pending = {}
  local ok, message = pcall(chunk)
  local list = pending
  pending = nil
  if not ok then error(message, 0) end
  if #list == 0 then core.fail("%s defines no component", path) end
  local prepared, result = {}, {}
  for i, d in ipairs(list) do prepared[i] = prepare(d) end             -- what may still be refused
  for i, d in ipairs(list) do
    result[i] = { kind = d.kind, name = d.spec.name, swapped = core.define_commit(prepared[i], true, true) }
  end
  return result
end

local kinds = {}
for kind in next, functions_of do kinds[#kinds + 1] = kind end
table.sort(kinds)

function define.rerun(path) return rerun(path) end
function define.file_of(kind, name)           -- of a component written in Lua, or nil
  local d = core.definition(kind, name)
  return d and d.path
end
for name, fn in next, define do define[name] = core.door(fn) end

return setmetatable(define, {
  __index = function(self, kind)
    if kind == "backend" then
      core.fail("a backend cannot be written in Lua: its kernels run on other threads and on devices, where no Lua "
        .. "runs; see plugins/backend_ref")
    end
    if not functions_of[kind] then core.fail("drift.define has no kind '%s'%s", tostring(kind), hint(kind, kinds)) end
    local fn = core.door(function(given) return define_one(kind, given) end)
    rawset(self, kind, fn)
    return fn
  end,
})
