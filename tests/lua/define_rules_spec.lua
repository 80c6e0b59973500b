-- What a definition in Lua must be, and what becomes of its name, its code and its file; the docs and the editor know all of it.
local drift = require "drift"
local shared = require "lua_components"
local define = drift.define
local x0, same, refused, fresh, block = shared.x0, shared.same, shared.refused, shared.fresh, shared.block

describe("a definition", function()
  local function definition(o)
    local d = { name = fresh "decay", doc = "one line", factor = function() return 1 end }
    for key, value in pairs(o) do if value == "absent" then d[key] = nil else d[key] = value end end
    return function() return define.decay(d) end
  end
  local function row(...) return definition { params = { { ... } } } end

  it("says what is wrong with it", function()
    refused(function() return define.sampeler {} end, "no kind 'sampeler'; did you mean 'sampler'?")
    refused(function() return define.backend {} end, "a backend cannot be written in Lua", "other threads")
    refused(function() return define.decay(3) end, "takes one table")
    refused(definition { name = "absent" }, "needs a name")
    refused(definition { name = "two words" }, "a name is letters, digits and _")
    refused(definition { doc = "absent" }, "needs doc")
    refused(definition { factor = "absent" }, "needs the function factor")
    refused(definition { facter = function() end }, "no field 'facter'; did you mean 'factor'?")
    refused(definition { factor = 3 }, "factor must be a function, not a number")
    refused(definition { params = 3 }, "params must be a table")
    refused(function() define.optim { name = fresh "optim", doc = "no rate", step = function() end } end, 'needs a parameter { "lr", "real", ... }')
    refused(function() define.conditioning { name = fresh "c", doc = "no sites", embed = function() end, modulate = function() end } end, '{ "channels", "ints"')
    refused(function() define.metric { name = fresh "m", doc = "no values", reset = print, update = print, samples = print, evaluate = print } end, "values names 1 to 4 numbers")
    refused(function() define.metric { name = fresh "m", doc = "no images", references = { "train" }, values = { { "v" } }, reset = print, update = print, samples = print, evaluate = print } end, "needs the function reference")
    refused(function() define.metric { name = fresh "m", doc = "no space", space = "pixel", values = { { "v" } }, reset = print, update = print, samples = print, evaluate = print } end, 'space = "pixel"')
  end)

  it("says what is wrong with its parameters", function()
    refused(definition { params = { "width" } }, "params[1] must be a row")
    refused(definition { params = { width = { "int" } } }, "params is a list of rows")
    refused(row(3), "params[1] has no name")
    refused(row("a", "integer"), "no type 'integer'", "int")
    refused(definition { params = { { "a", "int", default = 1, mni = 2 } } }, "has no field 'mni'; did you mean 'min'?")
    refused(definition { params = { { "a", "int" } } }, "it needs default = ... or required = true")
    refused(definition { params = { { "a", "int", default = 1.5 } } }, "a whole number, not 1.5")
    refused(definition { params = { { "a", "int", default = "x" } } }, "its default must be a number, not a string")
    refused(definition { params = { { "a", "int", default = 9, min = 0, max = 8 } } }, "its default 9 is outside [0, 8]")
    refused(definition { params = { { "a", "real", default = 0, min = 2, max = 1 } } }, "min = 2 is above max = 1")
    refused(definition { params = { { "a", "real", default = 0 / 0 } } }, "outside")
    refused(definition { params = { { "a", "enum", default = "z", choices = "x|y" } } }, "'z' is not one of x|y")
    refused(definition { params = { { "a", "enum" } } }, 'choices = "a|b"')
    refused(definition { params = { { "a", "component", kind = "schedul" } } }, "no kind 'schedul'")
    refused(definition { params = { { "a", "component", kind = "schedule", default = "liner" } } }, "did you mean 'linear'?")
    refused(definition { params = { { "a", "tensor" } } }, "dtype")
    refused(definition { params = { { "a", "int", default = 1 }, { "a", "int", default = 1 } } }, "parameter a is there twice")
    refused(definition { params = { { "a", "int", default = 1, required = true } } }, "it is required, and has a default")
    refused(function() define.op { name = fresh "op", doc = "text", params = { { "a", "string" } }, compose = print } end, "an op's parameters")
  end)

  it("has its parameters checked like any other", function()
    local spec = drift.block.lua_linear { in_features = 4, out_features = 2 }
    assert.equal("block.lua_linear{in_features=4, out_features=2}", tostring(spec))
    refused(function() return drift.block.lua_linear { in_feature = 4 } end, "block lua_linear: no parameter 'in_feature'; did you mean 'in_features'?")
    refused(function() return drift.block.lua_linear {} end, "in_features is required")
    refused(function() return drift.block.lua_linear { in_features = 0, out_features = 1 } end, "in_features = 0 is outside [1, 65536]")
    refused(function() return drift.block.lua_linar {} end, "did you mean")
    assert.is_truthy(drift.help "lua_conv_block":find("two Convs, residual", 1, true))
    assert.is_truthy(drift.help "lua_conv_block":find("without its second input", 1, true), "the comment above it is its documentation")
    assert.is_truthy(drift.list "block":find("lua_linear", 1, true))
    local found
    for _, p in ipairs(drift.plugins()) do if p.id == "lua_components" then found = p end end
    assert.equal(drift.sha256(drift.read_file(found.path)), found.sha256)
  end)

  it("has a name that is free, or replaces what was defined here before", function()
    refused(function() define.block { name = "linear", doc = "mine", forward = function(_, x) return x end } end,
            "block linear: there is a block of that name already, of plugin blocks; choose another")
    local name = fresh "block"
    local first = block(function(_, x) return x + 1 end, { name = name })
    refused(function() block(function(_, x) return x end, { name = name }) end, "defined already", "replace = true")
    local old = drift.build(first {})
    block(function(_, x) return x + 2 end, { name = name, replace = true })
    same(x0 + 1, old(x0))
    same(x0 + 2, drift.build(drift.block[name] {})(x0))
  end)

  it("counts with its code in the hash of what is made of it", function()
    local name, k = fresh "block", 1
    local first, outer, spec, inside
    for i = 1, 2 do                           -- the same lines: a function's place in its file is part of its code
      block(function(_, x) return x + 1 end, { name = name, replace = i > 1 })
      spec = spec or drift.block[name] {}
      inside = inside or drift.net { name = "n", children = { b = spec } }
      assert.equal(first or spec:hash(), spec:hash())
      first, outer = spec:hash(), inside:hash()
    end
    block(function(_, x) return x + 2 end, { name = name, replace = true })
    local second = spec:hash()
    assert.not_equal(first, second)
    assert.not_equal(outer, inside:hash())
    block(function(_, x) return x + k end, { name = name, replace = true })
    assert.not_equal(second, spec:hash())
  end)

  it("lies in a file that can be required, and be run again: weights stay, the code is new", function()
    local name = fresh "block"
    local text = ([[
-- The file's own words.
local drift = require "drift"
drift.define.block { name = "%s", doc = "scaled", create = function(self, b) self.w = b:weight("w", { 1 }, 3) end,
  forward = function(self, x) return x * self.w + %%d end }
return "loaded"
]]):format(name)
    drift.write_file("my_definitions.lua", text:format(1))
    package.path = "./?.lua;" .. package.path
    assert.equal("loaded", require "my_definitions")
    local net = drift.build(drift.block[name] {})
    same(x0 * 3 + 1, net(x0))
    assert.equal("./my_definitions.lua", define.file_of("block", name))
    assert.is_truthy(drift.help(name):find("The file's own words.", 1, true))
    net:named()[1].tensor:fill(5)
    drift.write_file("my_definitions.lua", text:format(2))
    assert.same({ { kind = "block", name = name, swapped = true } }, define.rerun "./my_definitions.lua")
    same(x0 * 5 + 2, net(x0))
    same(x0 * 3 + 2, drift.build(drift.block[name] {})(x0))
    for _, wrong in ipairs { "drift.define.block {", 'error "half way"', 'drift.define.block { name = "%s", doc = "no forward" }' } do
      drift.write_file("my_definitions.lua", text:format(7) .. wrong:format(name))
      assert.is_false((pcall(define.rerun, "./my_definitions.lua")))
      same(x0 * 5 + 2, net(x0))
    end
    drift.write_file("my_definitions.lua", text:format(8))
    define.rerun "./my_definitions.lua"
    same(x0 * 5 + 8, net(x0))
  end)

  it("whose own file was run again is replayed anew", function()
    local name = fresh "block"
    local text = 'require "drift".define.block { name = "' .. name .. '", doc = "adds", forward = function(_, x) return x + %d end }'
    drift.write_file("adds.lua", text:format(1))
    dofile "adds.lua"
    local net = drift.build(drift.block[name] {})
    local step = drift.plan(function(b) return net(b.x) end, { name = "adds" })
    drift.on_note(function() end)
    for _ = 1, 6 do same(x0 + 1, step { x = x0 }) end
    assert.is_true(step:state().replays)
    drift.write_file("adds.lua", text:format(2))
    define.rerun "adds.lua"
    for _ = 1, 6 do same(x0 + 2, step { x = x0 }) end
    drift.on_note(nil)
  end)
end)

describe("the page on components in Lua", function()
  local page = drift.read_file(drift.home .. "/docs/components-in-lua.md")

  it("runs as it stands", function()
    local chunks = 0
    for chunk in page:gmatch "```lua\n(.-)```" do
      chunks = chunks + 1
      assert(load(chunk, "=page"))()
    end
    assert.equal(1, chunks)
    assert.equal("block.my_gate{channels=3}", tostring(drift.block.my_gate { channels = 3 }))
  end)

  it("has every function of every kind, in brackets where it may be left out", function()
    local kinds = 0
    for kind, functions in pairs(require "drift.core".define_kinds()) do
      local row
      for names, text in page:gmatch "\n| ([%w_, ]+) | ([^\n]*)" do
        if (", " .. names .. ","):find(", " .. kind .. ",", 1, true) then row = text end
      end
      assert.is_truthy(row, kind)
      for name, required in pairs(functions) do
        local left_out = row:find("`%[" .. name .. "[%( ]")
        assert.equal(required, not left_out and row:find("`" .. name .. "[%( ]") ~= nil, kind .. "." .. name)
        assert.is_truthy(left_out or row:find("`" .. name .. "[%( ]"), kind .. "." .. name)
      end
      kinds = kinds + 1
    end
    assert.equal(20, kinds)
  end)

  it("has every method of what is lent", function()
    local lent = { ["drift.builder"] = "b", ["drift.context"] = "ctx", ["drift.stream"] = "rng", ["drift.inner_model"] = "f",
                   ["drift.inner_process"] = "process", ["drift.part"] = "part" }
    for class, variable in pairs(lent) do
      for method in pairs(debug.getregistry()[class].__index) do
        assert.is_truthy(page:find(variable .. ":" .. method .. "(", 1, true), variable .. ":" .. method)
      end
    end
  end)
end)

describe("docs/editor/define.lua", function()
  local text = drift.read_file(drift.home .. "/docs/editor/define.lua")

  it("does nothing where it is loaded, and has every kind with its functions", function()
    local said = {}
    local function stranger(_, name) error("it looks for " .. name) end
    assert(load(text, "=define.lua", "t", setmetatable({}, { __index = stranger, __newindex = stranger })))()
    for kind, functions in pairs(require "drift.core".define_kinds()) do
      assert.is_truthy(text:find("\nfunction define." .. kind .. "(arguments) end", 1, true), kind)
      local class = text:match("%-%-%-@class drift%.define%." .. kind .. "%.arguments\n(.-)\n\n")
      for name, required in pairs(functions) do
        assert.is_truthy(class:find("@field " .. name .. (required and " fun(" or "? fun("), 1, true), kind .. "." .. name)
      end
      said[kind] = class
    end
    for name in text:gmatch "\nfunction define%.([%w_]+)" do assert.is_truthy(said[name] or rawget(drift.define, name), name) end
  end)

  it("has every method of what is lent", function()
    local classes = { ["drift.builder"] = "builder", ["drift.context"] = "context", ["drift.stream"] = "stream", ["drift.inner_model"] = "model",
                      ["drift.inner_process"] = "process_seen", ["drift.part"] = "part" }
    for class, name in pairs(classes) do
      local said = text:match("%-%-%-@class drift%.define%." .. name .. "\n(.-)\n\n")
      local n = 0
      for method in pairs(debug.getregistry()[class].__index) do
        n = n + 1
        assert.is_truthy(said:find("@field " .. method .. " fun(self: drift.define." .. name, 1, true), name .. "." .. method)
      end
      assert.equal(n, select(2, said:gsub("@field ", "")), name)
    end
  end)
end)
