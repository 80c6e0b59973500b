-- test.lua: halving the step quarters the error, as of a second-order method. make test
local drift = require "drift"

-- dx/dt = -x from t = 0 to 1, whose solution is x(0)/e.
local model = drift.model(drift.process.flow_matching {}, function(x) return -x end)
local x = drift.ones(1, 1, 2, 2)

local function error_of(steps)
  local y = model:sample { sampler = drift.sampler.my_sampler { steps = steps }, x = x, rng = { purpose = "test" } }
  return math.abs(y:mean():item() - math.exp(-1))
end

local ratio = error_of(8) / error_of(16)
assert(ratio > 3.5 and ratio < 5, ("the error falls by %.2f, not by 4"):format(ratio))
print "test.lua: all is well"
