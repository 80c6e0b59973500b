-- test.lua: with gain 0 nothing happens to x, and otherwise every weight learns. make test
local drift = require "drift"

local x = drift.randn { 2, 8, 6, 6, purpose = "x" }
local closed = drift.build(drift.block.my_block { channels = 8, gain = 0 })
assert((closed(x) - x):abs():amax():item() == 0, "a closed branch changes x")

local block = drift.build(drift.block.my_block { channels = 8 })
local y = block(x)
assert((y - x):abs():amax():item() > 1e-3, "an open branch does nothing")
y:square():mean():backward()
for path, w in pairs(block:state_dict()) do
  assert(w.grad and w.grad:abs():amax():item() > 0, path .. " has no gradient")
end

local ok, message = pcall(function() return block(drift.zeros(2, 5, 6, 6)) end)
assert(not ok and message:find "8", "other channels are refused: " .. tostring(message))
print "test.lua: all is well"
