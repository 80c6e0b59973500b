-- test.lua: after half_life steps a half is left of what was; the ramp makes it forget sooner at first. make test
local drift = require "drift"

local rule, left = drift.ema.my_ema { half_life = 50, ramp = 0 }, 1
for step = 1, 50 do left = left * rule:decay(step) end
assert(math.abs(left - 0.5) < 1e-12, left)

local ramped = drift.ema.my_ema { half_life = 50, ramp = 0.1 }
assert(ramped:decay(1) < rule:decay(1))
assert(ramped:decay(500) == rule:decay(500) and ramped:decay(10000) == rule:decay(10000))
print "test.lua: all is well"
