-- test.lua: the values are the equation's on every device, and the gradient is that of finite differences. make test
local drift = require "drift"

drift.use "ref"                                 -- which computes in f64 as well
local k = 3
local x = drift.tensor({ -4, -0.5, 0.25, 2 }, { dtype = "f64" }):requires_grad(true)
local function f(v) return v / (1 + k * math.abs(v)) end

local y = drift.op.my_op(x, { k = k })
for i, v in ipairs(x:totable()) do assert(math.abs(y:totable()[i] - f(v)) < 1e-12) end
assert(drift.op.my_op(x, { k = k }):abs():amax():item() < 1 / k, "it goes beyond 1/k")

y:sum():backward()
local h = 1e-6
for i, v in ipairs(x:totable()) do
  assert(math.abs(x.grad:totable()[i] - (f(v + h) - f(v - h)) / (2 * h)) < 1e-6, "the gradient is another one")
end

-- On cpu by its kernel, or composed: the same to the last bits of f32.
local there = drift.randn { 2, 3, 4, 5, purpose = "x" }
local made = drift.op.my_op(there:cast "f64", { k = k })
drift.use "cpu"
local on_cpu = drift.op.my_op(there:to "cpu", { k = k })
for i, v in ipairs(made:flatten(0):totable()) do assert(math.abs(on_cpu:flatten(0):totable()[i] - v) < 1e-6) end
print "test.lua: all is well"
