-- centre_mask.lua: a mask whose middle is to be made: a rectangle of half the picture's height and width.
--   local m = drift.centre_mask { C, H, W }      -- [1,1,H,W]: 1 in the middle
local drift = require "drift"

return function(shape)
  local H, W, rows = shape[2], shape[3], {}
  for y = 0, H - 1 do
    rows[y + 1] = {}
    for x = 0, W - 1 do
      rows[y + 1][x + 1] = y >= H // 4 and y < H - H // 4 and x >= W // 4 and x < W - W // 4 and 1 or 0
    end
  end
  return drift.tensor { { rows } }
end
