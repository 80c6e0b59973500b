-- named_view.lua: the views that a command line can name, for a generator's pictures.
--   drift.named_view("rotate_180", g)   ->  drift.view.rotate { degrees = 180 }
local drift = require "drift"

local VIEWS = {
  identity = function() return drift.view.identity {} end,
  flip = function() return drift.view.flip { axis = "rows" } end,
  mirror = function() return drift.view.flip { axis = "columns" } end,
  rotate_90 = function() return drift.view.rotate { degrees = 90 } end,
  rotate_180 = function() return drift.view.rotate { degrees = 180 } end,
  rotate_270 = function() return drift.view.rotate { degrees = 270 } end,
  negate = function(g) return drift.view.negate { about = (g.range[1] + g.range[2]) / 2 } end,
  jigsaw = function() return drift.view.jigsaw {} end,
}

return function(name, g)
  if VIEWS[name] then return VIEWS[name](g) end
  local names = {}
  for key in pairs(VIEWS) do names[#names + 1] = key end
  table.sort(names)
  local near = drift.nearest(tostring(name), names)
  drift.fail("view = %s is not one of %s%s", tostring(name), table.concat(names, ", "), near and ("; did you mean '" .. near .. "'?") or "")
end
