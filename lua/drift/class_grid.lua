-- class_grid.lua: samples that were drawn with classes in turn (0, 1, .., K-1, 0, ..), one column a class.
--   drift.class_grid(images, { classes = 10, rows = 4, title = "epoch 1" })        images [N,C,H,W]
local drift = require "drift"

return function(images, o)
  drift.accept("class_grid", o, { "classes" }, { "rows", "title", "scale" })
  local cols = {}
  for k = 1, o.classes do cols[k] = tostring(k - 1) end
  local n = images.shape[1]
  return drift.grid {
    title = o.title, scale = o.scale, cols = cols, rows = math.min(o.rows or 4, (n + o.classes - 1) // o.classes),
    cell = function(_, _, i, j)
      local k = (i - 1) * o.classes + j
      return k <= n and images[k] or nil
    end,
  }
end
