-- docs/editor: what editors are told of drift is what the registry and the program say.
local drift = require "drift"
local core = require "drift.core"

local folder = drift.home .. "/docs/editor/"
local WANTED = { int = "integer", real = "number", bool = "boolean", string = "string", ints = "integer[]",
                 reals = "number[]", tensor = "drift.tensor|number[]" }

-- { name = { optional =, rest = } } of the fields that follow an annotated class
local function fields_of(text, class)
  local fields, _, stop = {}, text:find("---@class " .. class .. "\n", 1, true)
  for line in text:sub((stop or #text) + 1):gmatch "([^\n]*)\n" do
    local name, optional, rest = line:match "^%-%-%-@field ([%w_]+)(%??) (.*)$"
    if not name then break end
    fields[name] = { optional = optional == "?", rest = rest }
  end
  return fields
end

local function has_cuda()
  for _, c in ipairs(drift.components "backend") do
    if c.name == "cuda" then return true end
  end
  return false
end

describe("docs/editor/drift.lua", function()
  it("is what the registry makes of it", function()
    local written = drift.read_file(folder .. "drift.lua")
    if not has_cuda() then                                        -- built without a CUDA toolkit
      written = written:gsub("%-%-%-@class drift%.backend%.cuda%.params\n.-\nfunction [^\n]*\n\n", "")
    end
    local message = "out of date; write it again with: ./drift run docs/editor.lua"
    assert.is_true(written == drift.editor_annotations(), message)
  end)

  it("has a function for each component and no other, and does nothing where it is loaded", function()
    local world = {}
    local known = assert(load(drift.editor_annotations(), "drift.lua", "t", world))()
    assert.is_nil(next(world))
    local count = 0
    for _, c in ipairs(drift.components()) do
      assert.equal("function", type((known[c.kind] or {})[c.name]), c.kind .. " " .. c.name)
      count = count + 1
    end
    for kind, list in pairs(known) do
      assert.equal("table", type(list), kind)
      for _ in pairs(list) do count = count - 1 end
    end
    assert.equal(0, count)
  end)

  it("has every parameter of every component with its type", function()
    local text = drift.editor_annotations()
    for _, c in ipairs(drift.components()) do
      local class = ("drift.%s.%s.params"):format(c.kind, c.name)
      local fields, count = fields_of(text, class), 0
      for _, p in ipairs(c.params) do
        local field, where = fields[p.name], class .. " " .. p.name
        assert.truthy(field, where)
        assert.equal(not p.required, field.optional, where)
        local kind = field.rest:match "^(.-) # "
        if WANTED[p.type] then assert.equal(WANTED[p.type], kind, where) end
        for choice in (p.type == "enum" and p.choices or ""):gmatch "[^|]+" do
          assert.truthy(("|" .. kind .. "|"):find(('|"%s"|'):format(choice), 1, true), where)
        end
        if p.type:find "component" then
          assert.truthy(kind:find("drift.spec." .. p.choices:match "^[%w_]+", 1, true), where)
        end
        if p.type == "function" then assert.truthy(kind:find "^fun%(.*%): [%w.]+$", where) end
        assert.truthy(field.rest:find(p.doc, 1, true), where)
        count = count + 1
      end
      for _ in pairs(fields) do count = count - 1 end
      assert.equal(0, count, class)
    end
  end)
end)

describe("docs/editor/by_hand.lua", function()
  local text = drift.read_file(folder .. "by_hand.lua")

  it("does nothing where it is loaded", function()
    local world = {}
    assert(load(text, "by_hand.lua", "t", setmetatable({}, { __newindex = world, __index = world })))()
    assert.is_nil(next(world))
  end)

  it("names only what there is", function()
    local fc = drift.block.linear { in_features = 1, out_features = 1 }
    local net = drift.build(drift.net { name = "net", children = { fc = fc } })
    local run = drift.read_file(drift.home .. "/lua/drift/run.lua")
    local owners = { drift = drift, spec = drift.sampler.heun {}, module = net, tensor = drift.tensor { 1, 2 } }
    local count = 0
    for owner, name in text:gmatch "\nfunction (%w+)[.:]([%w_]+)%(" do
      if owner == "run" then
        assert.truthy(run:find("function methods:" .. name .. "(", 1, true), "run:" .. name)
      else
        assert.truthy(core.type(owners[owner][name]) == "function", owner .. "." .. name)
      end
      count = count + 1
    end
    assert.is_true(count > 40)
    local fields = fields_of(text, "drift.library")
    assert.truthy(fields.models)
    for name in pairs(fields) do assert.truthy(drift[name] ~= nil, name) end
  end)

  it("knows the arguments of train, sample, grid and compare, and which of them must be given", function()
    for name, file in pairs { train = "train", sample = "sample", grid = "grid", compare = "compare/options" } do
      local source = drift.read_file(("%s/lua/drift/%s.lua"):format(drift.home, file))
      local required, optional = source:match(('drift%%.accept%%("%s", %%w+, (%%b{}),%%s*(%%b{})'):format(name))
      local fields, count = fields_of(text, ("drift.%s.arguments"):format(name)), 0
      for is_optional, list in pairs { [false] = required, [true] = optional } do
        for word in list:gmatch '"([%w_]+)"' do
          assert.equal(is_optional, fields[word] and fields[word].optional, name .. ": " .. word)
          count = count + 1
        end
      end
      for _ in pairs(fields) do count = count - 1 end
      assert.equal(0, count, name)
    end
  end)

  it("knows the fields of drift.net", function()
    local fields = fields_of(text, "drift.net.arguments")
    assert.is_false(fields.name.optional)
    for name in pairs(fields) do
      local _, message = pcall(drift.net, { [name] = coroutine.create(print) })
      assert.is_nil(tostring(message):find "has no field", name)
    end
  end)
end)

describe("docs/editor/instances.lua", function()
  it("names only what instances of the kind can do", function()
    local text, count = drift.read_file(folder .. "instances.lua"), 0
    assert.is_true(pcall(load(text, "instances.lua", "t", {})))
    for kind in text:gmatch "%-%-%-@class drift%.spec%.([%w_]+)\n" do
      for name in pairs(fields_of(text, "drift.spec." .. kind)) do
        assert.truthy(core.instance_method(kind, name), kind .. ":" .. name)
        count = count + 1
      end
    end
    assert.is_true(count > 20)
  end)
end)
