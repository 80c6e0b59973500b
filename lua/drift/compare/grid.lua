-- grid.lua: the points of a grid over a script's parameters, from key=value texts.
--   local points = grid(order, { lr = "1e-3,3e-4", hidden = "32,64", at_epochs = "{1,5}" })
--   points[i] = { name = "lr_1e-3_hidden_32", label = "lr=1e-3 hidden=32",
--                 set = { "lr=1e-3", "hidden=32", "at_epochs={1,5}" } }
-- Commas divide, a..b counts; what stands in braces is one value, a list: at_epochs={1,5},{2,4}. Keys with one value
-- are in every point, and in no name.
local drift = require "drift"

local function values_of(key, text)
  local values, depth, item = {}, 0, ""
  local function take()
    item = item:match "^%s*(.-)%s*$"
    if item == "" then drift.fail("%s=%s: a value is missing", key, text) end
    local first, last = item:match "^(%-?%d+)%.%.(%-?%d+)$"
    first, last = math.tointeger(tonumber(first)), math.tointeger(tonumber(last))
    if first and last and last >= first and last - first < 10000 then
      for n = first, last do values[#values + 1] = tostring(n) end
    else
      values[#values + 1] = item
    end
    item = ""
  end
  for c in text:gmatch "." do
    if c == "," and depth == 0 then
      take()
    else
      depth = depth + (c == "{" and 1 or c == "}" and -1 or 0)
      if depth < 0 then break end
      item = item .. c
    end
  end
  if depth ~= 0 then drift.fail("%s=%s: braces do not match", key, text) end
  take()
  local seen = {}
  for _, value in ipairs(values) do
    if seen[value] then drift.fail("%s=%s: %s is there twice", key, text, value) end
    seen[value] = true
  end
  return values
end

local function file_name(text) return (text:gsub("[^%w_%-%.]+", "_"):gsub("^[_%.]+", ""):gsub("_+$", "")) end

local MOST = 1000

return function(order, set)
  local points = { { parts = {}, set = {} } }
  for _, key in ipairs(order) do
    local values, next_points = values_of(key, set[key]), {}
    if #points * #values > MOST then drift.fail("the grid has more than %d points", MOST) end
    for _, point in ipairs(points) do
      for _, value in ipairs(values) do
        local parts, all = { table.unpack(point.parts) }, { table.unpack(point.set) }
        if #values > 1 then parts[#parts + 1] = { key, value } end
        all[#all + 1] = key .. "=" .. value
        next_points[#next_points + 1] = { parts = parts, set = all }
      end
    end
    points = next_points
  end
  local taken = {}
  for _, point in ipairs(points) do
    local labels, names = {}, {}
    for i, part in ipairs(point.parts) do
      labels[i], names[i] = part[1] .. "=" .. part[2], file_name(part[1] .. "_" .. part[2])
    end
    point.label = #labels > 0 and table.concat(labels, " ") or "all"
    local name, n = #names > 0 and table.concat(names, "_") or "all", 1
    point.name = name
    while taken[point.name] do n, point.name = n + 1, ("%s-%d"):format(name, n + 1) end
    taken[point.name], point.parts = true, nil
  end
  return points
end
