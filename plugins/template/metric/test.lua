-- test.lua: real images have no gap to themselves, and brighter ones just as much as they are brighter. make test
local drift = require "drift"

local real = drift.rand { 32, 1, 6, 6, purpose = "real" }
local function judge(images)
  local metric = drift.instance(drift.metric.my_metric {}, "metric")
  metric:reset()
  metric:reference(real, "test")
  metric:update(images)
  local values = {}
  for _, v in ipairs(metric:result { resamples = 20 }) do
    values[v.name] = v.value
    assert(v.low <= v.value and v.value <= v.high, v.name)
  end
  return values
end

local same, brighter, doubled = judge(real), judge(real + 0.25), judge(real * 2)
assert(same.mean_gap < 1e-6 and same.spread_gap < 1e-6)
assert(math.abs(brighter.mean_gap - 0.25) < 1e-5 and brighter.spread_gap < 1e-5)
assert(doubled.spread_gap > 0.01)
print "test.lua: all is well"
