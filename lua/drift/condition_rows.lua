-- condition_rows.lua: the conditions of n images, checked, and those of some of the images.
--
--   local conditions = drift.condition_rows("sample", { { label = { 0, 1, 2 } }, { tokens = t, image = x } })
--   conditions.n                      the images that their rows tell of; nil where each has one row for all
--   conditions:check(n)               an error where a tensor has neither n rows nor one
--   conditions:rows(first, count)     the list for drift.model, of images first .. first + count - 1
--
-- A condition is { label, tokens [N,L,D], tokens_mask [N,L], image [N,C,H,W], image_level [N],
-- null = { tokens, tokens_mask } }, any of them; label may be a list or one number, image_level too.
local drift = require "drift"

local FIELDS <const> = { "label", "tokens", "tokens_mask", "image", "image_level", "null" }
local NULL_FIELDS <const> = { "tokens", "tokens_mask" }
local NUMBERS <const> = { label = "i32", image_level = "f32" }

local function whole_numbers(where, list)
  for i, label in ipairs(list) do
    if not math.tointeger(label) then drift.fail("%s: label %d is %s, not a whole number", where, i, tostring(label)) end
  end
end

local function tensor_of(where, name, value)
  if drift.type(value) == "tensor" then return value end
  if NUMBERS[name] and type(value) == "number" then value = { value } end
  if not NUMBERS[name] or type(value) ~= "table" then
    drift.fail("%s: %s is a %s, not a tensor", where, name, drift.type(value))
  end
  if name == "label" then whole_numbers(where, value) end
  return drift.tensor(value, NUMBERS[name])
end

local function checked(where, given, fields)
  drift.accept(where, given, {}, fields)
  local c = {}
  for name, value in pairs(given) do
    c[name] = name == "null" and checked(where .. ".null", value, NULL_FIELDS) or tensor_of(where, name, value)
  end
  return c
end

-- visit(where, name, tensor) of each tensor of a condition
local function each_tensor(where, c, visit)
  for name, value in pairs(c) do
    if name == "null" then each_tensor(where .. ".null", value, visit) else visit(where, name, value) end
  end
end

local function some_rows(c, first, count)
  local some = {}
  for name, value in pairs(c) do
    if name == "null" then
      some[name] = some_rows(value, first, count)
    else
      some[name] = value.shape[1] == 1 and value or value:narrow(0, first - 1, count)
    end
  end
  return some
end

local Conditions = {}
Conditions.__index = Conditions

function Conditions:rows(first, count)
  local list = {}
  for i = 1, #self do list[i] = some_rows(self[i], first, count) end
  return list
end

function Conditions:check(n)
  for i = 1, #self do
    each_tensor(self.where[i], self[i], function(where, name, t)
      local rows = t.rank > 0 and t.shape[1] or 0
      if rows == n or rows == 1 then return end
      drift.fail("%s.%s has %d rows; give %d, one for each image, or 1 for all", where, name, rows, n)
    end)
  end
end

return function(where, list)
  local self = setmetatable({ where = {} }, Conditions)
  for i, given in ipairs(list) do
    self.where[i] = #list == 1 and where .. ": condition" or ("%s: condition %d"):format(where, i)
    self[i] = checked(self.where[i], given, FIELDS)
    each_tensor(self.where[i], self[i], function(_, _, t)
      if t.rank > 0 and t.shape[1] > 1 then self.n = math.max(self.n or 0, t.shape[1]) end
    end)
  end
  return self
end
