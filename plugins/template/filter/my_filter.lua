-- my_filter.lua: the binomial filter, the narrowest of smooth blurs.
--   y = (x[i-1] + 2 x[i] + x[i+1])/4 along rows, then along columns, `times` times, with reflection at the edges
local drift = require "drift"

-- Along axis 2 (rows) or 3 (columns) of a padded image, back to n.
local function along(wide, dim, n)
  return (wide:narrow(dim, 0, n) + wide:narrow(dim, 2, n)) * 0.25 + wide:narrow(dim, 1, n) * 0.5
end

drift.define.filter {
  name = "my_filter", doc = "The binomial filter",
  keeps_constants = true,                       -- a promise that `drift check` tests
  params = { { "times", "int", default = 4, min = 1, max = 1000, doc = "how often: sqrt(times/2) pixels wide" } },
  -- [B,C,H,W] -> the same shape; linear.
  apply = function(self, x)
    local H, W = x.shape[3], x.shape[4]
    for _ = 1, self.times do x = along(along(x:pad { mode = "reflect", pads = { 1, 1, 1, 1 } }, 2, H), 3, W) end
    return x
  end,
}
