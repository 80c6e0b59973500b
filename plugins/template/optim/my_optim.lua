-- my_optim.lua: Lion: the sign of a mean of gradients is the step.     Chen et al. 2023
--   p -= lr (sign(beta1 m + (1-beta1) g) + weight_decay p);  m = beta2 m + (1-beta2) g  (m starts at 0)
local drift = require "drift"

local function sign(x)
  local zero = x * 0
  return drift.op.greater(x, zero) - drift.op.greater(zero, x)
end

drift.define.optim {
  name = "my_optim", doc = "Lion: the sign of a mean of gradients",
  slots = { "exp_avg" },                        -- the host owns, saves and resumes it
  replay = true,                                -- the rate comes from s.lr_and_step, so that a step can be replayed
  params = {
    { "lr", "real", default = 1e-4, min = 0, max = 1e3, doc = "learning rate: what a step moves each weight by" },
    { "beta1", "real", default = 0.9, min = 0, max = 1, doc = "share of the old mean in the step's direction" },
    { "beta2", "real", default = 0.99, min = 0, max = 1, doc = "decay of the mean of gradients" },
    { "weight_decay", "real", default = 0, min = 0, max = 1e3, doc = "times lr: the share of each weight that a step takes away" },
  },
  step = function(self, s)
    local rate = s.lr_and_step:narrow(0, 0, 1):cast "f32"
    for i = 1, s.n do
      local p, g, m = s.param[i], s.grad[i], s.slot.exp_avg[i]
      local direction = sign(m * self.beta1 + g * (1 - self.beta1))
      p:assign(p - (p * self.weight_decay + direction) * rate)
      m:assign(m * self.beta2 + g * (1 - self.beta2))
    end
  end,
}
