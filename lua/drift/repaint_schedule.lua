-- repaint_schedule.lua: in which order RePaint walks the steps of a grid.     Lugmayr et al. 2022, algorithm 1, fig. 8
--
--   drift.repaint_schedule(6, 2, 2)  ->  { 0, 1, 2, 3, 1, 2, 3, 4, 5, 3, 4, 5, 6 }
--
-- Positions on the grid: 0 is noise, `steps` the picture. Every `jump` steps, counted from the last but one towards the
-- noise, it goes back by `jump` and on again, until that stretch has been walked `resamples` times: what is new gets
-- time to agree with what is known. The paper's code counts t = steps - 1 - position.
local drift = require "drift"

local function whole(name, value, least)
  if math.type(value) ~= "integer" or value < least then
    drift.fail("repaint_schedule: %s = %s should be a whole number of at least %d", name, tostring(value), least)
  end
end

return function(steps, jump, resamples)
  whole("steps", steps, 0)
  whole("jump", jump, 1)
  whole("resamples", resamples, 1)
  local left = {}                                                 -- how often it still goes back from a position
  for t = 0, steps - jump - 1, jump do left[steps - 1 - t] = resamples - 1 end
  local order, at = { 0 }, 0
  while at < steps do
    at = at + 1
    order[#order + 1] = at
    if (left[at] or 0) > 0 then
      left[at] = left[at] - 1
      at = at - jump
      order[#order + 1] = at
    end
  end
  return order
end
