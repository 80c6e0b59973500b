-- my_ema.lua: an average of weights given by its half-life, which is short at first.     Karras et al. 2022 (EDM), table 7
--   d = 2^(-1/h),  h = min(half_life, ramp step):  after h steps half of the average is of older weights
local drift = require "drift"

drift.define.ema {
  name = "my_ema", doc = "Given by its half-life, with a ramp",
  params = {
    { "half_life", "real", default = 1000, min = 1e-3, max = 1e12, doc = "steps after which a half is older weights" },
    { "ramp", "real", default = 0.05, min = 0, max = 1e6, doc = "the half-life is at most this times the steps done; 0: no ramp" },
  },
  -- After optimizer step 1, 2, ... the host does  average = d average + (1-d) weight.
  decay = function(self, step)
    return 2 ^ (-1 / (self.ramp > 0 and math.min(self.half_life, self.ramp * step) or self.half_life))
  end,
}
