-- test.lua: the first step moves every weight by lr against its gradient, whatever that is. make test
local drift = require "drift"

local w = drift.tensor { 1, 2, 3 }:requires_grad(true)
local slope = drift.tensor { 5, -0.001, 0 }
local opt = drift.optimizer(drift.optim.my_optim { lr = 0.1 }, { { path = "w", tensor = w } })

local loss = (w * slope):sum()
loss:backward()
opt:step()
for i, wanted in ipairs { 0.9, 2.1, 3 } do assert(math.abs(w:totable()[i] - wanted) < 1e-6, w:totable()[i]) end

-- It finds the least of (w - 1)^2.
for _ = 1, 100 do
  loss = (w - 1):square():sum()
  loss:backward()
  opt:step(0.5)
end
assert((w - 1):abs():amax():item() < 0.2, tostring(w))
print "test.lua: all is well"
