-- image_to_image.lua: a picture noised to a step of the grid and denoised from there: it keeps what that noise leaves.
--                                                                                  SDEdit, Meng et al. 2022
--   drift.edit.image_to_image { generator = g, image = "sketch.png", start = 7, condition = "a high quality photo" }
--   drift.edit.image_to_image { generator = g, image = "cat.jpg", strength = 0.7, steps = 80, condition = "a tiger" }
--
-- start: index on the grid, from 0 (all noise) on; the larger, the nearer to the picture. strength in [0,1], of N
-- steps, keeps the last floor(N strength) of them, as diffusers counts. Other arguments as those of
-- drift.edit.iterative.
local drift = require "drift"
local arguments = require "drift.edit_arguments"

return function(o)
  local a = arguments("edit.image_to_image", o, { "image" }, { "start", "strength", "every", "each" })
  if (o.start == nil) == (o.strength == nil) then drift.fail "edit.image_to_image: say start, or strength" end
  local start, N = o.start, #a.grid - 1
  if o.strength then
    if type(o.strength) ~= "number" or not (o.strength >= 0 and o.strength <= 1) then
      drift.fail("edit.image_to_image: strength = %s is outside [0, 1]", tostring(o.strength))
    end
    start = N - math.floor(N * o.strength)
  end
  local grid = { grid = a.grid, start = a:check_start(start), n = a.n }
  local function with(changes)
    local all = { generator = o.generator, seed = o.seed, first = o.first }
    for key, value in pairs(grid) do all[key] = value end
    for key, value in pairs(changes) do all[key] = value end
    return all
  end
  local noisy = drift.edit.noised(with { image = o.image })
  return drift.edit.iterative(with {
    image = noisy, condition = o.condition, conditions = o.conditions, guidance = a.guidance or false, clip = o.clip,
    batch = o.batch, quiet = o.quiet, every = o.every, each = o.each })
end
