-- test.lua: a network that says 1 under the condition and 0 without gives the scale itself, at each time. make test
local drift = require "drift"

local function net(x, cond)
  local kept = cond.mask or drift.ones(x.shape[1])                             -- 0 where the condition is dropped
  return x * 0 + kept:reshape(-1, 1, 1, 1)
end
local label = drift.tensor({ 3, 5 }, "i32")
local model = drift.model(drift.process.flow_matching {}, net,
                          { guidance = drift.guidance.my_guidance { at_noise = 2, at_data = 6 }, label = label })
for _, t in ipairs { 0, 0.25, 0.5, 1 } do
  local scale = model:velocity(drift.randn { 2, 1, 3, 3, purpose = "x" }, t)
  assert((scale - (2 + 4 * t)):abs():amax():item() < 1e-5, ("at t = %g"):format(t))
end
print "test.lua: all is well"
