-- my_schedule.lua: the signal that is left falls as a power of the steps that are left.
--   abar(s) = (1 - s)^power,  beta_i = min(1 - abar((i+1)/T)/abar(i/T), beta_max),  i = 0..T-1
local drift = require "drift"

drift.define.schedule {
  name = "my_schedule", doc = "The signal falls as a power of the steps left",
  params = {
    { "power", "real", default = 2, min = 0.1, max = 10, doc = "1: abar falls evenly; the larger, the sooner it is gone" },
    { "beta_max", "real", default = 0.999, min = 1e-12, max = 0.999999, doc = "cap of beta, which would reach 1 at the end" },
  },
  -- The variance that step i of T adds: above 0 and below 1. The paper's t is i + 1.
  beta = function(self, i, T)
    local left = T - i
    return math.min(1 - ((left - 1) / left) ^ self.power, self.beta_max)
  end,
}
