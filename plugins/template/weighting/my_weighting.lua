-- my_weighting.lua: the signal-to-noise ratio as the weight of the data's error, bent smoothly to stay below gamma.
--   |x0_hat - x0|^2 SNR gamma/(SNR + gamma),  SNR = alpha^2/sigma^2                 Crowson et al. 2024, soft min-SNR
--   as the weight of the network's error:  w = gamma alpha^2 sigma^2/(alpha^2 + gamma sigma^2)/D^2,  D = alpha q - sigma p
local drift = require "drift"

drift.define.weighting {
  name = "my_weighting", doc = "The signal-to-noise ratio, bent to stay below gamma",
  params = { { "gamma", "real", default = 4, min = 1e-6, max = 1e6, doc = "what the weight tends to near the data" } },
  -- Of the squared error of the network's output p x0 + q eps, given the process's numbers c at a time.
  weight = function(self, c)
    local signal, noise, D = c.alpha ^ 2, c.sigma ^ 2, c.alpha * c.q - c.sigma * c.p
    return self.gamma * signal * noise / ((signal + self.gamma * noise) * D * D)
  end,
}
