-- inpaint.lua: the pixels under a mask are made, those around it are known.
--   after every step to t:  x <- m x + (1 - m) (alpha_t known + sigma_t z)    known = "renoised" (RePaint, the course)
--                           x <- m x + (1 - m) known                          known = "clean" (diffusers' pipelines)
-- and at the end known pixels are the picture's own.        Lugmayr et al. 2022
--
--   drift.edit.inpaint { generator = g, image = "photo.jpg", mask = "mask.png", condition = "a lighthouse", n = 4,
--                        jump = 10, resamples = 10 }
--
-- mask: see drift.read_mask (1, white: to be made); resize, threshold as there. jump, resamples: RePaint's resampling,
-- which goes back `jump` steps and on again, each stretch `resamples` times (1: never back). start: 0 (default) begins
-- from noise; later, the picture noised to that index of the grid is what lies under the mask. each(index, t, x, first)
-- sees every step, x in the model's range.
local drift = require "drift"
local arguments = require "drift.edit_arguments"

-- `count` rows from number `first`, counted from 1, of what has one row or one for each picture.
local function rows_of(t, first, count)
  return t.shape[1] == 1 and t or t:narrow(0, first - 1, count)
end

-- Positions on the grid -> stretches of steps { from =, to = }; between two of them it goes back.
local function stretches(order)
  local list = {}
  for i = 2, #order do
    local last = list[#list]
    if order[i] < order[i - 1] then
      list[#list + 1] = { from = order[i], to = order[i] }
    elseif last then
      last.to = order[i]
    else
      list[1] = { from = order[1], to = order[i] }
    end
  end
  return list
end

return function(o)
  local a = arguments("edit.inpaint", o, { "image", "mask" },
    { "known", "jump", "resamples", "start", "resize", "threshold", "each" })
  local g, known_as = a.generator, o.known or "renoised"
  if known_as ~= "renoised" and known_as ~= "clean" then
    drift.fail("edit.inpaint: known = %s is not renoised or clean", tostring(known_as))
  end
  local process = drift.instance(g.process, "process")
  local image = g:from_picture(g:pictures(o.image, a.where))                               -- [1 or n,C,H,W]
  local mask = drift.read_mask(o.mask, { size = { g.shape[2], g.shape[3] }, resize = o.resize, threshold = o.threshold,
                                         image = type(o.image) == "string" and o.image or nil }):to(drift.device())
  if mask.shape[1] ~= 1 and mask.shape[1] ~= a.n then
    drift.fail("edit.inpaint: %d masks for %d pictures", mask.shape[1], a.n)
  end

  local function with_known(x, t, first, pass)                    -- first: the number of x's first row, from 1
    local count = x.shape[1]
    local y, m = rows_of(image, first, count), rows_of(mask, first, count)
    if known_as == "renoised" then
      local at = process:coef(t)
      local z = g:noise("inpaint known", count, { seed = o.seed, first = (o.first or 0) + first - 1, step = pass })
      y = y * at.alpha + z * at.sigma
    end
    return x * m + y * (1 - m)
  end

  local start = a:check_start(o.start or 0)
  local passes, reached = start, nil                              -- steps that x is past, passes included; its time
  local grid = a:from(start)
  local x
  if start > 0 then
    local at = process:coef(grid[1])
    x = a:rows(image) * at.alpha + a:noise "edit noise" * at.sigma
    if known_as == "clean" then x = with_known(x, grid[1], 1, start) end
  end
  for i, stretch in ipairs(stretches(drift.repaint_schedule(#grid - 1, o.jump or 10, o.resamples or 1))) do
    local from, done = stretch.from, passes
    if i > 1 then
      x = drift.renoise(process, x, reached, grid[from + 1], a:noise("inpaint renoise", i))
    end
    x = a:sample {
      x = x, grid = table.move(grid, from + 1, stretch.to + 1, 1, {}), step = done,
      each = function(step, _, t, x_t, first)
        if step == 0 and not (known_as == "clean" and start == 0 and i == 1) then return nil end
        if o.each and step > 0 then o.each(start + from + step, t, x_t, first) end
        return with_known(x_t, t, first, done + step)
      end }
    passes, reached = passes + stretch.to - from, grid[stretch.to + 1]
  end
  if not x then x = a:noise "edit noise" end                      -- a grid of one time: no step
  return g:to_picture(x * mask + image * (1 - mask))
end
