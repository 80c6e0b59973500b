-- one_step.lua: the network's estimate of the clean picture, in one step:  x_0 = (x_t - sigma_t eps(x_t, t)) / alpha_t
-- (or what the process makes of its prediction).
--
--   local clean = drift.edit.one_step { generator = g, image = noisy, t = 251, condition = "a high quality photo" }
--
-- image: noised pictures, as drift.edit.noised gives them; t, or start (an index on the grid): their time.
local drift = require "drift"
local arguments = require "drift.edit_arguments"

return function(o)
  local a = arguments("edit.one_step", o, { "image" }, { "t", "start" })
  if (o.t == nil) == (o.start == nil) then drift.fail "edit.one_step: say t, or start (an index on the grid)" end
  local t, g = o.t or a.grid[a:check_start(o.start) + 1], a.generator
  local clip = o.clip
  if clip == nil then clip = g.clip end
  local model = a:model { clip = clip or nil }
  return drift.in_eval_mode({ drift.instance(g.net, "net") }, function()
    return drift.scope(function()
      return drift.no_grad(function() return g:to_picture(model:x0(a:images(o.image), t)) end)
    end)
  end)
end
