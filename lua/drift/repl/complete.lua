-- complete.lua: what Tab offers at the prompt: names behind dots and colons, components of a kind, and inside the braces
-- of a component or model its parameters; behind "parameter =" the choices of an enum, the components of a kind.
--   complete(environment)(line, first, last) -> list of what may stand in place of line[first + 1 .. last]
local core = require "drift.core"
local drift = require "drift"
local names = require "drift.repl.names"

local function beginning_with(list, start, before)
  local found = {}
  for _, name in ipairs(list) do
    if name:sub(1, #start) == start then found[#found + 1] = before .. name end
  end
  return found
end

-- The value of "a.b.c" without calling anything; nil where a part is missing.
local function value_of(path, environment)
  local value
  for name in path:gmatch "[^.]+" do
    local ok, found = pcall(function()
      if value == nil then return environment[name] end
      return value[name]
    end)
    if not ok or found == nil then return nil end
    value = found
  end
  return value
end

-- ---- inside braces --------------------------------------------------------------------------------------------------
-- The text before the innermost brace that is open at the end, and what stands in it. Strings are skipped.
local function open_brace(text)
  local open, quote = {}, nil
  local i = 1
  while i <= #text do
    local c = text:sub(i, i)
    if quote then
      if c == "\\" then i = i + 1 elseif c == quote then quote = nil end
    elseif c == '"' or c == "'" then
      quote = c
    elseif c == "{" or c == "(" then
      open[#open + 1] = { i, c }
    elseif c == "}" or c == ")" then
      open[#open] = nil
    end
    i = i + 1
  end
  local last = open[#open]
  if not last or last[2] ~= "{" then return nil end
  return text:sub(1, last[1] - 1), text:sub(last[1] + 1), quote
end

-- Parameters of "drift.sampler.heun": a list of { name, row }.
local function parameters_of(path)
  local kind, name = path:match "^drift%.([%w_]+)%.([%w_]+)$"
  if kind and core.kinds()[kind] then
    local ok, component = pcall(core.component, kind, name)
    return ok and component.params or {}
  end
  local file = path:match "^drift%.([%w_.]+)$"                     -- its opening comment shows them: { hidden = 64, ... }
  file = file and core.home .. "/lua/drift/" .. file:gsub("%.", "/") .. ".lua"
  if not file or not core.exists(file) then return {} end
  local rows, seen = {}, {}
  for line in core.read_file(file):gmatch "[^\n]*" do
    if line:sub(1, 2) ~= "--" then break end
    for word in line:gmatch "[{,]%s*([%a_][%w_]*)%s*=" do
      if not seen[word] then seen[word], rows[#rows + 1] = true, { name = word } end
    end
  end
  return rows
end

local function choices_of(row)
  local list = {}
  if row.type == "enum" then
    for choice in row.choices:gmatch "[^|]+" do list[#list + 1] = ("%q"):format(choice) end
  elseif row.type == "bool" then
    list = { "true", "false" }
  elseif row.type == "component" then
    local kind = row.choices:match "^[^:]*"
    for _, c in ipairs(core.components(kind)) do list[#list + 1] = ("drift.%s.%s {}"):format(kind, c.name) end
  end
  return list
end

local function of_parameter(rows, key, word, quote)
  for _, row in ipairs(rows) do
    if row.name == key then
      local found = {}
      for _, choice in ipairs(choices_of(row)) do
        if quote then choice = choice:sub(2, -2) end              -- the quotation mark is there
        if choice:sub(1, #word) == word then found[#found + 1] = choice end
      end
      return found
    end
  end
end

local function in_braces(line, word)
  local before, inside, quote = open_brace(line)
  local path = before and before:match "([%a_][%w_.]*)%s*%(?%s*$"
  local rows = path and parameters_of(path) or {}
  if #rows == 0 then return nil end
  local item = inside:match "([^,]*)$"
  local key = item:match "^%s*([%a_][%w_]*)%s*=%s*[\"']?[%w_.]*$"
  if key then return of_parameter(rows, key, word, quote) end
  if not item:find "^%s*[%w_]*$" then return nil end
  local list = {}
  for _, row in ipairs(rows) do
    if not inside:find("%f[%w_]" .. row.name .. "%s*=") then list[#list + 1] = row.name .. " = " end
  end
  return beginning_with(list, word, "")
end

-- ---- names ----------------------------------------------------------------------------------------------------------
local function globals(environment)
  local set, list = {}, {}
  for _, t in ipairs { environment, _G } do
    for name in next, t do set[name] = true end
  end
  for _, name in ipairs { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil",
                          "not", "or", "repeat", "return", "then", "true", "until", "while" } do
    set[name] = true
  end
  for name in next, set do list[#list + 1] = type(name) == "string" and name or nil end
  table.sort(list)
  return list
end

-- A component or model is called with a table, a function with arguments: what follows is typed for the user.
local function with_call(list, container)
  local kind = rawequal(container, rawget(drift, "models")) or names.kind_of(container)
  if not kind or #list ~= 1 then return list end
  return { list[1] .. " { " }
end

local function of_path(word, environment)
  local path, mark, start = word:match "^(.*)([.:])([%w_]*)$"
  if not path then return beginning_with(globals(environment), word, "") end
  local value = value_of(path, environment)
  if value == nil then return {} end
  local found = beginning_with(names.inside(value), start, path .. mark)
  return type(value) == "table" and with_call(found, value) or found
end

return function(environment)
  return function(line, first, last)
    local word = line:sub(first + 1, last)
    return in_braces(line:sub(1, last), word) or of_path(word, environment)
  end
end
