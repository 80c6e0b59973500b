-- test.lua: it computes what ref computes, and the first NaN is an error that names its op. make test
local drift = require "drift"

local function product()
  local a = drift.randn { 2, 3, 8, 8, purpose = "a" }
  return a:conv2d(drift.randn { 4, 3, 3, 3, purpose = "b" }, { padding = 1 }):silu():mean():item()
end
drift.use "ref"
local wanted = product()
drift.use "my_backend"
assert(product() == wanted, "another device, another number")

local ok, message = pcall(function() return (drift.zeros(2) - 1):log() end)
assert(not ok and message:find "log: element 0 of output 0 is", message)
drift.use "cpu"
print "test.lua: all is well"
