-- my_decay.lua: the learning rate falls along half a cosine, after a linear rise.     Loshchilov & Hutter 2017
--   factor = e/warmup while e < warmup, then to + (1 - to) (1 + cos(pi (e - warmup)/(E - warmup)))/2
-- e counts the finished epochs of E. In the first epoch of a rise it is 1/(2 warmup) and not 0, so that it learns.
local drift = require "drift"

drift.define.decay {
  name = "my_decay", doc = "Half a cosine, after a linear rise",
  params = {
    { "to", "real", default = 0.01, min = 0, max = 1, doc = "factor after the last epoch" },
    { "warmup", "real", default = 0, min = 0, max = 1e6, doc = "epochs of the rise; 0: none" },
  },
  factor = function(self, epoch, epochs)
    local left = epochs - self.warmup
    if epoch < self.warmup then return math.max(epoch, 0.5) / math.max(self.warmup, 0.5) end
    if left <= 0 then return 1 end
    return self.to + (1 - self.to) * 0.5 * (1 + math.cos(math.pi * math.min((epoch - self.warmup) / left, 1)))
  end,
}
