-- iterative.lua: denoising step by step, from any index on the grid, by the generator's sampler.
--
--   local pictures = drift.edit.iterative { generator = g, condition = "a lighthouse", n = 4 }             -- from noise
--   local pictures, strip = drift.edit.iterative { generator = g, image = noisy, start = 10, stride = 30, every = 5 }
--
-- image: pictures noised to grid[start + 1] (drift.edit.noised { start = ... }); start counts from 0, so it is the
-- number of steps left out. With `every`, strip is a list of { index =, t =, image = [n,C,H,W] }: where it began,
-- every k-th step, and the end. `each(index, t, x, first)` sees every step, x in the model's range.
local drift = require "drift"
local arguments = require "drift.edit_arguments"

-- Rows of later batches go behind those of the first.
local function gather(strip, index, t, picture)
  local at
  for _, s in ipairs(strip) do if s.index == index then at = s end end
  if not at then
    at = { index = index, t = t, parts = {} }
    strip[#strip + 1] = at
  end
  at.parts[#at.parts + 1] = picture
end

return function(o)
  local a = arguments("edit.iterative", o, {}, { "image", "start", "every", "each" })
  local g, start = a.generator, a:check_start(o.start or 0)
  if start > 0 and o.image == nil then
    drift.fail("edit.iterative: start = %d needs image, noised to that step", start)
  end
  if o.every ~= nil and (math.type(o.every) ~= "integer" or o.every < 1) then
    drift.fail("edit.iterative: every = %s should be a whole number of at least 1", tostring(o.every))
  end
  local x = o.image ~= nil and a:images(o.image) or nil
  local grid, strip = a:from(start), {}
  if #grid == 1 then return g:to_picture(x), { { index = start, t = grid[1], image = g:to_picture(x) } } end
  local images = a:sample {
    x = x, grid = grid, step = start,                             -- the noise of each step is that of the whole run
    each = (o.every or o.each) and function(step, steps, t, x_t, first)
      if o.every and (step % o.every == 0 or step == steps) then
        gather(strip, start + step, t, g:to_picture(x_t):clone():keep())
      end
      if o.each then o.each(start + step, t, x_t, first) end
    end }
  for _, s in ipairs(strip) do
    s.image, s.parts = #s.parts == 1 and s.parts[1] or drift.concat(s.parts, 0), nil
  end
  return g:to_picture(images), strip
end
