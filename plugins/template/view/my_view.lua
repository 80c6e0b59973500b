-- my_view.lua: the image moved along itself: what leaves on one side comes back on the other.
--   (V x)[i,j] = x[(i + a) mod H, (j + b) mod W],  a = round(down H), b = round(right W)
local drift = require "drift"

-- The axis begins at element `first` (0 .. n) and goes around.
local function turned(x, dim, n, first)
  if first % n == 0 then return x end
  return drift.concat({ x:narrow(dim, first, n - first), x:narrow(dim, 0, first) }, dim)
end

local function moved(self, x, back)
  local H, W = x.shape[3], x.shape[4]
  local a, b = math.floor(self.down * H + 0.5), math.floor(self.right * W + 0.5)
  return turned(turned(x, 2, H, back and H - a or a), 3, W, back and W - b or b)
end

drift.define.view {
  name = "my_view", doc = "Moved along itself",
  params = {
    { "down", "real", default = 0.5, min = 0, max = 1, doc = "how far along the rows, as a share of the height" },
    { "right", "real", default = 0.5, min = 0, max = 1, doc = "how far along the columns, as a share of the width" },
  },
  -- Linear, each other's inverse exactly, and orthogonal, so that noise stays noise.
  apply = function(self, x) return moved(self, x, false) end,
  invert = function(self, x) return moved(self, x, true) end,
}
