-- share.lua: of how many of n cases something holds, with Wilson's 95% interval, which is not empty at 0% and 100%.
--   local s = drift.share(100, function(i) return read[i] == 6 end)     s.value, s.low, s.high, s.n
--   s.text                                                              "97.0% [91.5, 99.0] of 100"
--   center = (p + z^2/2n) / (1 + z^2/n),  half = z / (1 + z^2/n) sqrt(p (1-p)/n + z^2/4n^2),  z = 1.96      Wilson 1927
local drift = require "drift"

local Z = 1.959964

return function(n, holds)
  if math.type(n) ~= "integer" or n < 1 then
    drift.fail("share: n = %s should be a whole number of at least 1", tostring(n))
  end
  local count = 0
  for i = 1, n do
    if holds(i) then count = count + 1 end
  end
  local p, scale = count / n, 1 + Z * Z / n
  local center, half = (p + Z * Z / (2 * n)) / scale, Z / scale * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
  local low, high = count > 0 and center - half or 0, count < n and center + half or 1
  return { value = p, low = low, high = high, n = n,
           text = ("%.1f%% [%.1f, %.1f] of %d"):format(100 * p, 100 * low, 100 * high, n) }
end
