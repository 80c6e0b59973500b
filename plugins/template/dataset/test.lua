-- test.lua: images are in range and the same each time, labels take turns, and discs cover pi/4 of their squares. make test
local drift = require "drift"

local data = drift.dataset.my_dataset { n = 800, size = 16 }
local again = drift.dataset.my_dataset { n = 800, size = 16 }
assert(#data.train == 800 and #data.test == 80)
assert(data.train:class_name(0) == "disc" and data.train:class_name(1) == "square")

local sum = { [0] = 0, [1] = 0 }
for i = 1, #data.train do
  local image, label = data.train[i], data.train:label(i)
  assert(label == (i - 1) % 2)
  assert(image:amax():item() <= 1 and (-image):amax():item() <= 0)
  if i % 100 == 1 then assert((image - again.train[i]):abs():amax():item() == 0, "drawn differently") end
  sum[label] = sum[label] + image:mean():item()
end
local ratio = sum[0] / sum[1]
assert(math.abs(ratio - math.pi / 4) < 0.06, ("discs cover %.3f of squares"):format(ratio))
assert((data.train[1] - data.test[1]):abs():amax():item() > 0, "a test image is a training image")
print "test.lua: all is well"
