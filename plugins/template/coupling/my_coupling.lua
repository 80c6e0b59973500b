-- my_coupling.lua: the brightest image of a batch goes with the brightest noise, the next with the next, ...
--   order sorts mean(eps) as mean(x0) is sorted: optimal transport of the two means, along one direction of image space
local drift = require "drift"

-- The rows by their mean, darkest first.
local function sorted_rows(x)
  local mean, rows = x:reshape(#x, -1):mean { 1 }:totable(), {}
  for i = 1, #mean do rows[i] = i end
  table.sort(rows, function(a, b)
    if mean[a] ~= mean[b] then return mean[a] < mean[b] end
    return a < b
  end)
  return rows
end

drift.define.coupling {
  name = "my_coupling", doc = "Images and noise paired by their brightness",
  -- order[i]: the row of eps that goes with image i, both from 1; every row once.
  pair = function(self, x0, eps)
    local image, noise, order = sorted_rows(x0), sorted_rows(eps), {}
    for k, i in ipairs(image) do order[i] = noise[k] end
    return order
  end,
}
