-- test.lua: betas lie between 0 and 1, and what is left of the signal is the power that the equation says. make test
local drift = require "drift"

for _, power in ipairs { 1, 2, 3.5 } do
  local schedule, T, left = drift.schedule.my_schedule { power = power }, 1000, 1
  for i = 0, T - 1 do
    local beta = schedule:beta(i, T)
    assert(beta > 0 and beta < 1, beta)
    left = left * (1 - beta)
    if i + 1 == T // 2 then assert(math.abs(left - 0.5 ^ power) < 1e-9, left) end
  end
end
print "test.lua: all is well"
