-- my_metric.lua: do samples have the brightness of real images, and as much variety of it?
--   mean_gap   = |mean b(samples) - mean b(real)|,     b(image) = mean of its pixels
--   spread_gap = |std b(samples) - std b(real)|        ideal: 0
local drift = require "drift"

local function append(list, x)
  for _, b in ipairs(x:mean { 1, 2, 3 }:totable()) do list[#list + 1] = b end
end

-- Mean and standard deviation of the chosen rows; rows nil: of all.
local function moments(list, rows)
  local n, mean, squares = rows and #rows or #list, 0, 0
  for i = 1, n do mean = mean + list[rows and rows[i] or i] / n end
  for i = 1, n do squares = squares + (list[rows and rows[i] or i] - mean) ^ 2 end
  return mean, math.sqrt(squares / n)
end

drift.define.metric {
  name = "my_metric", doc = "Brightness of samples against that of real images",
  space = "pixels", references = { "test" },
  values = { { "mean_gap", better = "lower" }, { "spread_gap", better = "lower" } },
  reset = function(self) self.real, self.seen = {}, {} end,
  reference = function(self, real) append(self.real, real) end,
  update = function(self, output) append(self.seen, output) end,
  samples = function(self) return #self.seen end,
  -- On any list of the samples, from 1, which may name one repeatedly: so the host makes bootstrap intervals.
  evaluate = function(self, rows)
    if #self.real == 0 then drift.fail "metric my_metric: needs real images first" end
    local real_mean, real_spread = moments(self.real)
    local mean, spread = moments(self.seen, rows)
    return { math.abs(mean - real_mean), math.abs(spread - real_spread) }
  end,
}
