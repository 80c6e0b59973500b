-- my_process.lua: data and noise mixed along a quarter of a circle; the network predicts the velocity.
--   x_t = cos(t) x0 + sin(t) eps,  dx/dt = -sin(t) x0 + cos(t) eps;   t = 0 is data, t = pi/2 is noise
-- With data of variance 1 x_t has variance 1 at every t.     Albergo & Vanden-Eijnden 2023; Lu & Song 2025 (TrigFlow)
local drift = require "drift"
local half_pi <const> = math.pi / 2

drift.define.process {
  name = "my_process", doc = "x_t = cos(t) x0 + sin(t) eps, velocity predicted",
  params = { { "t_min", "real", default = 0.001, min = 0, max = 0.1, doc = "nearest time to the data that is trained on" } },
  -- A training time from a uniform u in [0,1): monotone in u.
  draw_t = function(self, u) return self.t_min + (half_pi - self.t_min) * u end,
  -- The numbers from which the host makes x_t, the target p x0 + q eps, the loss and every sampler's estimates.
  coef = function(self, t)
    local a, s = t < half_pi and math.cos(t) or 0, math.sin(t)
    return { alpha = a, sigma = s, dalpha = -s, dsigma = a, p = -s, q = a, time = t / half_pi }
  end,
  range = function(self) return half_pi, 0 end,                               -- t_noise, t_data; third: steps of a chain
  time = function(self, noise_to_signal) return math.atan(noise_to_signal) end,
}
