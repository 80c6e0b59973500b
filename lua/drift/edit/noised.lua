-- noised.lua: the forward process, x_t = alpha_t x_0 + sigma_t eps.
--
--   local x = drift.edit.noised { generator = g, image = "tower.png", t = 251 }
--
-- Pictures [n,C,H,W] in, noised pictures out: values go beyond [0,1], and drift.png clips them. `start` is an index
-- on the grid, from 0. The noise of picture i is keyed by (seed, first + i) alone: the same at every t.
local drift = require "drift"
local arguments = require "drift.edit_arguments"

return function(o)
  local a = arguments("edit.noised", o, { "image" }, { "t", "start" })
  if (o.t == nil) == (o.start == nil) then drift.fail "edit.noised: say t, or start (an index on the grid)" end
  local t = o.t or a.grid[a:check_start(o.start) + 1]
  local process = drift.instance(a.generator.process, "process")
  local t_noise, t_data = process:range()
  if type(t) ~= "number" or t < math.min(t_noise, t_data) or t > math.max(t_noise, t_data) then
    drift.fail("edit.noised: t = %s is outside of this process's [%g, %g]", tostring(t), math.min(t_noise, t_data),
      math.max(t_noise, t_data))
  end
  local at = process:coef(t)
  local x = a:images(o.image) * at.alpha + a:noise "edit noise" * at.sigma             -- [n,C,H,W]
  return a.generator:to_picture(x)
end
