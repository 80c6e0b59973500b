-- my_guidance.lua: classifier-free guidance whose scale changes on the way from noise to data.     Wang et al. 2024
--   y = u + w(s) (c - u),  w(s) = at_noise + s (at_data - at_noise),  s = 0 at pure noise, 1 at the data
--   c = the model's prediction under the condition, u = without it
local drift = require "drift"

drift.define.guidance {
  name = "my_guidance", doc = "Classifier-free guidance that changes on the way",
  params = {
    { "at_noise", "real", default = 1, min = -1000, max = 1000, doc = "scale at pure noise; 1 is the conditional model" },
    { "at_data", "real", default = 9, min = -1000, max = 1000, doc = "scale at the data" },
  },
  -- Returns what the network is asked for. f:predict and f:predict_pair ask what is inside.
  eval = function(self, f, x, t, cond)
    local t_noise, t_data = f:range()
    local w = self.at_noise + (t - t_noise) / (t_data - t_noise) * (self.at_data - self.at_noise)
    if w == 1 then return f:predict(x, t, cond) end
    local c, u = f:predict_pair(x, t, cond)
    return u + (c - u) * w
  end,
}
