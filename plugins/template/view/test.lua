-- test.lua: the view moves pixels around the image, and its inverse puts every one of them back. make test
local drift = require "drift"

local view = drift.view.my_view { down = 0.5, right = 0.25 }
for _, shape in ipairs { { 4, 4 }, { 5, 7 }, { 1, 3 } } do
  local x = drift.randn { 2, 3, shape[1], shape[2], purpose = "x" }
  assert((view:invert(view:apply(x)) - x):abs():amax():item() == 0, "the inverse is not exact")
end

local x = drift.arange(16):reshape(1, 1, 4, 4)
local y = view:apply(x):totable()[1][1]
assert(y[1][1] == 2 * 4 + 1, "the first pixel is that of row 2, column 1")
assert(y[4][4] == 1 * 4 + 0, "the last pixel has come around")
print "test.lua: all is well"
