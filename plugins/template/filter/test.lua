-- test.lua: one point becomes the binomial weights, and an even image stays as it is. make test
local drift = require "drift"

local point = drift.zeros(1, 1, 5, 5)
point[1][1][3][3] = 1
local y = drift.filter.my_filter { times = 1 }:apply(point):totable()[1][1]
local weight = { 0, 1 / 4, 2 / 4, 1 / 4, 0 }
for i = 1, 5 do
  for j = 1, 5 do assert(math.abs(y[i][j] - weight[i] * weight[j]) < 1e-7, ("pixel %d, %d"):format(i, j)) end
end

local even = drift.full({ 1, 3, 6, 7 }, 0.5)
assert((drift.filter.my_filter { times = 9 }:apply(even) - even):abs():amax():item() < 1e-6)
print "test.lua: all is well"
