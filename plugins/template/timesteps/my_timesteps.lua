-- my_timesteps.lua: steps that grow shorter toward the data.
--   t_i = t_data + (t_noise - t_data) (1 - i/n)^power,  i = 0..n
local drift = require "drift"

drift.define.timesteps {
  name = "my_timesteps", doc = "Steps that grow shorter toward the data",
  params = { { "power", "real", default = 2, min = 0.2, max = 10, doc = "1: even steps; above 1: more of them near the data" } },
  -- t[1] is t_noise, t[n + 1] is t_data, each strictly nearer to the data than the one before; whole numbers on a chain.
  lay = function(self, f, n)
    local t_noise, t_data, chain = f:range()
    if chain > 0 and chain < n then
      drift.fail("timesteps my_timesteps: %d steps cannot be chosen from a chain of %d", n, chain)
    end
    local t = { t_noise }
    for i = 1, n - 1 do
      local at = t_data + (t_noise - t_data) * (1 - i / n) ^ self.power
      if chain > 0 then at = math.max(math.min(math.floor(at + 0.5), t[i] - 1), n - i) end
      t[i + 1] = at
    end
    t[n + 1] = t_data
    return t
  end,
}
