-- test.lua: noise only changes places, and brighter images get brighter noise. make test
local drift = require "drift"

local B = 16
local x0 = drift.rand { B, 1, 4, 4, purpose = "images" }
local eps = drift.randn { B, 1, 4, 4, purpose = "noise" }
local paired = drift.coupling.my_coupling {}:pair(x0, eps)

local function means(x) return x:mean { 1, 2, 3 }:totable() end
local image, noise, before = means(x0), means(paired), means(eps)
for i = 1, B do
  for j = 1, B do
    if image[i] < image[j] then assert(noise[i] <= noise[j], "a brighter image has darker noise") end
  end
end
table.sort(noise)
table.sort(before)
for i = 1, B do assert(noise[i] == before[i], "the rows are not those that were drawn") end
print "test.lua: all is well"
