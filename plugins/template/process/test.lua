-- test.lua: x_t keeps the variance of data and noise, and a perfect network leads from noise to its image. make test
local drift = require "drift"
local process = drift.process.my_process {}

for _, t in ipairs { 0, 0.3, 1, 1.5 } do
  local c = process:coef(t)
  assert(math.abs(c.alpha ^ 2 + c.sigma ^ 2 - 1) < 1e-12)
  local later, h = process:coef(t + 1e-6), 1e-6
  assert(math.abs((later.alpha - c.alpha) / h - c.dalpha) < 1e-4, "dalpha is not alpha's derivative")
end
assert(math.abs(process:time(1) - math.pi / 4) < 1e-12, "noise equals signal in the middle")

-- The network that knows the image: eps follows from x_t, and the velocity from both.
local image = drift.rand { 2, 1, 4, 4, purpose = "image" }
local model = drift.model(process, function(x, cond)
  local t = cond.time[1]:item() * math.pi / 2
  local eps = (x - image * math.cos(t)) / math.sin(t)
  return eps * math.cos(t) - image * math.sin(t)
end)
local noise = drift.randn { 2, 1, 4, 4, purpose = "noise" }
local made = model:sample { sampler = drift.sampler.euler { steps = 400 }, x = noise, rng = { purpose = "test" } }
local off = (made - image):abs():amax():item()
assert(off < 0.02, ("the image is missed by %.3f"):format(off))
print "test.lua: all is well"
