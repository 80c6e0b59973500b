-- show_value.lua: what the prompt prints of a value: numbers and texts as Lua writes them, tensors with shape and values
-- (those that are images as pictures too), networks as a tree, tables two levels deep.
local drift = require "drift"
local core = require "drift.core"
local names = require "drift.repl.names"

local MOST_VALUES <const>, MOST_ITEMS <const>, MOST_PICTURES <const> = 64, 24, 10

local function number(x)
  if math.type(x) == "integer" then return tostring(x) end
  return ("%.6g"):format(x)
end

-- ---- tensors --------------------------------------------------------------------------------------------------------
local function nested(list, indent)
  if type(list) ~= "table" then return type(list) == "number" and ("%.4g"):format(list) or tostring(list) end
  local parts, deep = {}, type(list[1]) == "table"
  for i, item in ipairs(list) do parts[i] = nested(item, indent .. " ") end
  return "[" .. table.concat(parts, deep and ",\n" .. indent .. " " or ", ") .. "]"
end

local function is_image(t)
  if t.rank ~= 3 and t.rank ~= 4 or t:numel() == 0 then return false end
  local C, H, W = t.shape[t.rank - 2], t.shape[t.rank - 1], t.shape[t.rank]
  local whole = t.dtype == "i32" or t.dtype == "i64" or t.dtype == "bool"
  return not whole and (C == 1 or C == 3) and H >= 8 and W >= 8 and H <= 512 and W <= 512
end

-- Up to ten images side by side; values outside [0,1] are brought there.
local function picture(t, low, high)
  local images = t:detach():cast "f32"
  if images.rank == 3 then images = images:unsqueeze(0) end
  if low < 0 or high > 1 then images = (images - low) * (1 / math.max(high - low, 1e-12)) end
  local n = math.min(images.shape[1], MOST_PICTURES)
  drift.show(drift.grid { rows = 1, cols = n, scale = 1, cell = function(_, _, _, j) return images[j] end })
end

local function show_tensor(t)
  drift.scope(function()
    local head = ("%s[%s]%s"):format(t.dtype, table.concat(t.shape, ","), t.device ~= drift.device().name and " on " .. t.device or "")
    if t:numel() > 0 and t:numel() <= MOST_VALUES and not is_image(t) then
      print(head .. (t.rank > 0 and "\n" or " ") .. nested(t:totable(), ""))
    elseif t:numel() > 0 then
      local values = t:detach():cast "f32"
      local low, high, mean = 0 - (-values):amax():item(), values:amax():item(), values:mean():item()
      print(("%s  least %.4g, mean %.4g, largest %.4g"):format(head, low, mean, high))
      if is_image(t) and low == low and high - low < math.huge then picture(t, low, high) end
    else
      print(head .. " (no elements)")
    end
  end)
end

-- ---- networks -------------------------------------------------------------------------------------------------------
local function show_network(net)
  local lines, seen = {}, {}
  for _, weight in ipairs(net:named()) do
    local top = weight.path:match "^[^.]+"
    if not seen[top] then seen[top], lines[#lines + 1] = { n = 0 }, top end
    seen[top].n = seen[top].n + (weight.buffer and 0 or weight.tensor:numel())
  end
  print(("%s: %d weights"):format(net.name or "network", net:count()))
  for _, top in ipairs(lines) do print(("    %-12s %d"):format(top, seen[top].n)) end
end

-- ---- tables ---------------------------------------------------------------------------------------------------------
local function brief(value, depth)
  local kind = core.type(value)
  if kind == "string" then return ("%q"):format(value) end
  if type(value) == "number" then return number(value) end
  if kind == "tensor" then return ("%s[%s]"):format(value.dtype, table.concat(value.shape, ",")) end
  if kind == "function" then return names.path_of(value) or "function" end
  if kind ~= "table" or getmetatable(value) and rawget(getmetatable(value), "__tostring") then return tostring(value) end
  if depth == 0 then return next(value) == nil and "{}" or "{...}" end
  local parts, count = {}, #value
  for i = 1, math.min(count, MOST_ITEMS) do parts[i] = brief(value[i], depth - 1) end
  local keys = {}
  for key in next, value do
    if not (math.type(key) == "integer" and key >= 1 and key <= count) then keys[#keys + 1] = key end
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i = 1, math.min(#keys, MOST_ITEMS) do
    local key = keys[i]
    local name = type(key) == "string" and key:find "^[%a_][%w_]*$" and key or "[" .. brief(key, 0) .. "]"
    parts[#parts + 1] = name .. " = " .. brief(rawget(value, key), depth - 1)
  end
  if count > MOST_ITEMS or #keys > MOST_ITEMS then parts[#parts + 1] = "..." end
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  return #parts == 0 and "{}" or #line <= 100 and line or "{\n    " .. table.concat(parts, ",\n    ") .. " }"
end

return function(value)
  local kind = core.type(value)
  if kind == "tensor" then return show_tensor(value) end
  if kind == "module" then return show_network(value) end
  if names.kind_of(value) then return print(("drift.%s: %s"):format(names.kind_of(value), table.concat(names.inside(value), ", "))) end
  if rawequal(value, drift) then return print "drift: help(drift) lists what it has" end
  if kind == "function" then
    local path = names.path_of(value)
    return print(path and ("function %s; help(%s) explains it"):format(path, path) or tostring(value))
  end
  print(brief(value, 2))
end
