-- test.lua: times are the process's own of u^power: within its range, and whole steps of a chain. make test
local drift = require "drift"

local times = drift.time_sampling.my_time_sampling { power = 2 }
assert(math.abs(times:draw(drift.process.flow_matching {}, 0.5) - 0.25) < 1e-12)

local chain = drift.process.ddpm { T = 100 }
local small = 0
for i = 0, 99 do
  local t = times:draw(chain, i / 100)
  assert(t >= 1 and t <= 100 and t == math.floor(t), t)
  if t <= 25 then small = small + 1 end
end
assert(small == 50, ("%d of 100 times are among the first quarter, not a half"):format(small))
print "test.lua: all is well"
