-- test.lua: it begins as nothing; then time and class count, but not the class of a row whose condition is dropped. make test
local drift = require "drift"

local cond = drift.build(drift.conditioning.my_conditioning { channels = { 4, 6 }, classes = 10, width = 16 })
local h = drift.randn { 2, 4, 5, 5, purpose = "h" }
local function at(time, label, kept)
  local e = cond:embed { time = drift.tensor { time, time }, label = drift.tensor({ label, label }, "i32"),
                         mask = drift.tensor { kept, kept } }
  return cond:modulate(1, h, e)
end
local function differ(a, b) return (a - b):abs():amax():item() end
assert(differ(at(0.3, 1, 1), h) == 0, "it does not begin as nothing")

for path, w in pairs(cond:state_dict()) do
  w:assign(drift.randn { purpose = path, table.unpack(w.shape) })
end
assert(differ(at(0.3, 1, 1), at(0.8, 1, 1)) > 1e-3, "time does not count")
assert(differ(at(0.3, 1, 1), at(0.3, 7, 1)) > 1e-4, "the class does not count")
assert(differ(at(0.3, 1, 0), at(0.3, 7, 0)) == 0, "a dropped class counts")
print "test.lua: all is well"
