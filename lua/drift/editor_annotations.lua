-- editor_annotations.lua: docs/editor/drift.lua, made from the registry: every component as a function with LuaLS's
-- annotations, so that an editor completes parameters and shows their types, defaults and docs.
--   ./drift run docs/editor.lua              writes the file again; a test holds it to what the registry says
-- What the registry does not know (drift.train, tensors, specs) is written by hand in docs/editor/by_hand.lua.
local drift = require "drift"

local HEAD = [[
---@meta drift
-- Made from the registry by `./drift run docs/editor.lua`: do not edit. For editors alone: the program never loads it.

]]
local SIMPLE = { int = "integer", real = "number", bool = "boolean", string = "string", ints = "integer[]",
                 reals = "number[]", tensor = "drift.tensor|number[]" }
local NO_PART = { init = true, start = true }     -- the table itself, and the program's start
local IN_SIGNATURE = { int = "integer", real = "number", tensor = "drift.tensor" }

-- ---- parameters -----------------------------------------------------------------------------------------------------
local function quoted(choices)
  local list = {}
  for choice in choices:gmatch "[^|]+" do list[#list + 1] = ('"%s"'):format(choice) end
  return table.concat(list, "|")
end

-- A component, or its name: "block:sinusoidal_embedding" says the kind and the default.
local function component_type(choices)
  local kind = choices:match "^[^:]*"
  return ("drift.spec.%s|drift.%s.name"):format(kind, kind)
end

-- "real(int,int)" -> fun(a: integer, b: integer): number
local function function_type(signature)
  local result, inputs = signature:match "^(%w+)%((.*)%)$"
  local list = {}
  for input in inputs:gmatch "%w+" do
    list[#list + 1] = ("%s: %s"):format(string.char(97 + #list), IN_SIGNATURE[input] or "any")
  end
  return ("fun(%s): %s"):format(table.concat(list, ", "), IN_SIGNATURE[result] or "any")
end

local function type_of(p)
  if p.type == "enum" then return quoted(p.choices) end
  if p.type == "component" then return component_type(p.choices) end
  if p.type == "components" then return ("(%s)[]"):format(component_type(p.choices)) end
  if p.type == "function" then return function_type(p.choices) end
  return SIMPLE[p.type] or "any"
end

local function value_text(v)
  if type(v) == "table" then return "{" .. table.concat(v, ", ") .. "}" end
  return type(v) == "string" and ("%q"):format(v) or type(v) == "number" and ("%.10g"):format(v) or tostring(v)
end

local function comment(p)
  local parts = {}
  if p.default ~= nil then parts[#parts + 1] = "default " .. value_text(p.default) end
  if p.min and p.max and p.type ~= "bool" then parts[#parts + 1] = ("%.10g to %.10g"):format(p.min, p.max) end
  return p.doc .. (#parts > 0 and (" (%s)"):format(table.concat(parts, "; ")) or "")
end

local function add_params(c, add)
  add("---@class drift.%s.%s.params", c.kind, c.name)
  for _, p in ipairs(c.params) do
    add("---@field %s%s %s # %s", p.name, p.required and "" or "?", type_of(p), comment(p))
  end
  add ""
end

local function needs_params(c)
  for _, p in ipairs(c.params) do
    if p.required then return true end
  end
  return false
end

local function add_component(c, add)
  add_params(c, add)
  add("---%s", c.doc)
  add("---@param params%s drift.%s.%s.params", needs_params(c) and "" or "?", c.kind, c.name)
  add("---@return drift.spec.%s", c.kind)
  add("function drift.%s.%s(params) end\n", c.kind, c.name)
end

-- ---- ops: their inputs and results are told by their docs, "conv2d(x, weight, bias): ...; bias may be nil" ---------
local function may_be_nil(doc, names)
  local clause = doc:match "([^;:]*) may be nil" or ""
  local found = {}
  for word in clause:gmatch "[%w_]+" do found[word] = true end
  if found.either then found[names[#names]], found[names[#names - 1]] = true, true end
  for word in doc:gmatch "([%w_]+) or nil" do found[word] = true end
  return found
end

local function inputs_of(c)
  local start = #c.name + 1
  local inside = c.doc:sub(1, start - 1) == c.name and c.doc:match("^%b()", start)
  if not inside then return { { name = "x", type = "drift.tensor" }, { name = "...", type = "any" } } end
  local names, inputs = {}, {}
  inside = inside:sub(2, -2):gsub("%b{}", function(list) return (list:gsub("[%s{}]", ""):gsub(",", "_")) end)
  for word in inside:gmatch "[^,]+" do names[#names + 1] = word:match "%.%.%." or word:match "[%w_]+" end
  local optional, variadic = may_be_nil(c.doc, names), names[#names] == "..."
  for i, name in ipairs(names) do
    local kind = "drift.tensor|number"
    if variadic then kind = i == 1 and "drift.tensor|drift.tensor[]" or "any" end
    if optional[name] then kind = ("drift.tensor|number|drift.op.%s.params|nil"):format(c.name) end
    inputs[i] = { name = name, type = kind }
  end
  return inputs
end

local function results_of(c)
  local text = c.doc:match "%->%s*([^;]*)" or ""
  local _, more = text:gsub(",", "")
  return "drift.tensor" .. (", drift.tensor"):rep(more)
end

-- Behind the inputs attributes, by name in a table or by position; several numbers in a row fill a list.
local function arguments_of(c)
  local list = inputs_of(c)
  if #c.params == 0 or #list > 0 and list[#list].name == "..." then return list end
  local first = c.params[1]
  local positional = type_of(first):gsub("^(%w+)%[%]$", "%1[]|%1")
  list[#list + 1] = { name = first.name == "attributes" and "options" or "attributes",
                      type = ("drift.op.%s.params|%s|nil"):format(c.name, positional) }
  if #c.params > 1 or first.type == "ints" or first.type == "reals" then
    list[#list + 1] = { name = "...", type = "any" }
  end
  return list
end

local function add_op(c, add)
  add_params(c, add)
  add("---%s", c.doc)
  local names = {}
  for i, argument in ipairs(arguments_of(c)) do
    add("---@param %s %s", argument.name, argument.type)
    names[i] = argument.name
  end
  add("---@return %s", results_of(c))
  add("function drift.op.%s(%s) end\n", c.name, table.concat(names, ", "))
end

-- x:conv2d(weight, ...): the ops as methods of their first input
local function add_methods(ops, add)
  add "---@class drift.tensor"
  for _, c in ipairs(ops) do
    local list = { "self: drift.tensor" }
    local arguments = arguments_of(c)
    for i = 2, #arguments do list[i] = ("%s: %s"):format(arguments[i].name, arguments[i].type) end
    local first = arguments[1]
    if first and first.name ~= "attributes" and first.name ~= "..." then
      add("---@field %s fun(%s): %s # %s", c.name, table.concat(list, ", "), results_of(c), c.doc)
    end
  end
  add ""
end

-- ---- everything else in drift: its name, and what its file says first ----------------------
local function first_sentence(path)
  local words = {}
  for line in (drift.read_file(path) .. "\n"):gmatch "([^\n]*)\n" do
    local text = line:match "^%-%- (%S.*)$"
    if not text then break end
    words[#words + 1] = text
  end
  local text = table.concat(words, " "):gsub("^[%w_]+%.lua: *", "")
  return " # " .. (text:match "^(.-)%.%s" or text:match "^(.-)[.:]?$")
end

local function add_names(folder, known, where, add)
  local values = {}
  for name, value in next, known do values[name] = { type = type(value), doc = "" } end
  for _, file in ipairs(drift.files(folder)) do
    local name = file:match "^([%w_]+)%.lua$" or file:match "^[%w_]+$"
    if name and not NO_PART[name] then
      local doc = file ~= name and first_sentence(("%s/%s"):format(folder, file)) or ""
      values[name] = { type = type(where[name]), doc = doc }
    end
  end
  local names = {}
  for name in next, values do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do add("---@field %s %s%s", name, values[name].type, values[name].doc) end
end

local function add_library(kinds, add)
  local root, known = drift.home .. "/lua/drift", {}
  local by_hand = drift.read_file(drift.home .. "/docs/editor/by_hand.lua")
  for _, folder in ipairs { "models", "edit", "generators" } do
    add("---@class drift.%s", folder)
    add_names(("%s/%s"):format(root, folder), {}, drift[folder], add)
    add ""
  end
  local function left_out(name)
    return kinds[name] or name == "op" or by_hand:find(("function drift.%s("):format(name), 1, true)
      or by_hand:find(("---@field %s "):format(name), 1, true)
  end
  for name, value in next, drift do known[name] = value end
  local function add_field(format, ...)
    if not left_out((...)) then add(format, ...) end
  end
  add "---@class drift.library"
  add_names(root, known, drift, add_field)
  add "local drift = {}\n"
end

return function()
  local lines, kinds, list = {}, {}, {}
  local function add(format, ...) lines[#lines + 1] = select("#", ...) > 0 and format:format(...) or format end
  for _, c in ipairs(drift.components()) do
    if not kinds[c.kind] then kinds[c.kind], list[#list + 1] = {}, c.kind end
    table.insert(kinds[c.kind], c)
  end
  table.sort(list)
  add_library(kinds, add)
  for _, kind in ipairs(list) do
    local names = {}
    for i, c in ipairs(kinds[kind]) do names[i] = c.name end
    if kind ~= "op" and kind ~= "backend" then
      add("---@alias drift.%s.name %s", kind, quoted(table.concat(names, "|")))
    end
    if kind ~= "op" then add("---@class drift.spec.%s: drift.spec\n", kind) end
    add("---@class drift.kind.%s", kind)                          -- a class, so that a name that it has not is marked
    add("drift.%s = {}\n", kind)
    for _, c in ipairs(kinds[kind]) do (kind == "op" and add_op or add_component)(c, add) end
  end
  add_methods(kinds.op, add)
  return HEAD .. table.concat(lines, "\n") .. "\nreturn drift\n"
end
