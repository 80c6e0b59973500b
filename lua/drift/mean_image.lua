-- mean_image.lua: the mean of all images of a split: drift.mean_image(data.train) -> [C,H,W]. What a network that sees
-- nothing of the image can answer at best.
local drift = require "drift"

local BATCH = 1000

return function(split)
  local n, sum = #split, nil
  for first = 1, n, BATCH do
    sum = drift.scope(function()
      local indices = {}
      for i = first, math.min(n, first + BATCH - 1) do indices[#indices + 1] = i end
      local part = split:batch(indices):sum { 0 }                                        -- [C,H,W]
      return sum and sum + part or part
    end)
  end
  return sum / n
end
