-- my_op.lua: softsign, an activation that saturates slowly.     Bergstra et al. 2009
--   y = x/(1 + k |x|),   dx = dy/(1 + k |x|)^2
local drift = require "drift"

drift.define.op {
  name = "my_op", doc = "my_op(x) = x / (1 + k |x|)",
  params = { { "k", "real", default = 1, min = 1e-6, max = 1e6, doc = "the larger, the sooner it saturates, at 1/k" } },
  save_inputs = { 1 }, save_outputs = {},       -- what backward is to see
  compose = function(x, attr) return x / (x:abs() * attr.k + 1) end,
  -- May be left out: then it is the gradient of compose, whose ops keep more.
  backward = function(b)
    return b.grad[1] / (b.input[1]:abs() * b.attr.k + 1):square()
  end,
}
