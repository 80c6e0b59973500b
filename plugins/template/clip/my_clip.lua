-- my_clip.lua: an estimate of the data that leaves the data's range is scaled down as a whole: nothing saturates.
--   x0' = x0 / max(1, max |x0|/limit),  the largest value of each image alone
local drift = require "drift"

drift.define.clip {
  name = "my_clip", doc = "Scaled down as a whole until it fits",
  params = { { "limit", "real", default = 1, min = 1e-6, max = 1e6, doc = "largest value of the data; it must lie around 0" } },
  -- [B,C,H,W] -> the same shape; an image must not depend on the others of its batch.
  apply = function(self, x0) return x0 / (x0:abs():amax({ 1, 2, 3 }, true) * (1 / self.limit)):clamp(1, 1e30) end,
}
