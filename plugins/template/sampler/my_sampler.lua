-- my_sampler.lua: a second-order Runge-Kutta step for the probability-flow ODE.     Ralston 1962
--   d0 = f(x, t),  d1 = f(x + a dt d0, t + a dt),  x' = x + dt ((1 - 1/(2a)) d0 + 1/(2a) d1),   dt = t' - t,  f = dx/dt
-- a = 1/2 is the midpoint rule; a = 2/3 has the least bound on its error.
local drift = require "drift"

drift.define.sampler {
  name = "my_sampler", doc = "A second-order Runge-Kutta step",
  order = 2,                                    -- a promise that `drift check` measures; 0: stochastic
  params = {                                    -- a sampler with `steps` gets its grid laid by the host
    { "steps", "int", default = 25, min = 0, max = 1000000, doc = "steps, two model calls each; 0: all of the process's" },
    { "a", "real", default = 2 / 3, min = 0.1, max = 0.9, doc = "where in the step the second slope is taken" },
    { "timesteps", "component", kind = "timesteps", default = "even", doc = "how the steps are laid" },
  },
  -- f:eval is dx/dt, f:eval_x0 and f:eval_eps are the estimates of data and noise. rng:noise_like(x) draws.
  step = function(self, f, x, t, t_next)
    local dt, w = t_next - t, 1 / (2 * self.a)
    local d0 = f:eval(x, t)                                                   -- [B,C,H,W]
    local d1 = f:eval(x + d0 * (self.a * dt), t + self.a * dt)
    return x + d0 * ((1 - w) * dt) + d1 * (w * dt)
  end,
}
