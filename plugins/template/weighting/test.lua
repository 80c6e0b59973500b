-- test.lua: for a network that predicts the data the weight is SNR gamma/(SNR + gamma). make test
local drift = require "drift"

local process, gamma = drift.process.flow_matching { predict = "x0" }, 4
local weighting = drift.weighting.my_weighting { gamma = gamma }
for _, t in ipairs { 0.01, 0.3, 0.5, 0.9, 0.999 } do
  local snr = (t / (1 - t)) ^ 2
  local wanted, got = snr * gamma / (snr + gamma), weighting:weight(process, t)
  assert(math.abs(got - wanted) < 1e-9 * wanted, ("at t = %g: %g, not %g"):format(t, got, wanted))
end
print "test.lua: all is well"
