-- test.lua: an image in range stays, another is scaled as a whole, and neither knows of the other. make test
local drift = require "drift"

local inside = drift.rand { 1, 3, 4, 4, purpose = "inside" }
local outside = drift.randn { 1, 3, 4, 4, purpose = "outside" } * 5
local made = drift.clip.my_clip { limit = 1 }:apply(drift.concat({ inside, outside }, 0))
assert((made:narrow(0, 0, 1) - inside):abs():amax():item() == 0, "an image in range has changed")

local largest = outside:abs():amax():item()
local scaled = made:narrow(0, 1, 1)
assert(math.abs(scaled:abs():amax():item() - 1) < 1e-6)
assert((scaled * largest - outside):abs():amax():item() < 1e-4, "it is not the same image, scaled")
print "test.lua: all is well"
