-- bootstrap.lua: the means of resamples of a few values, drawn with repeats, and their quantiles.     Efron 1979
--   local means = bootstrap.means(values, { seed = 0, resamples = 4000 })     means[i] = { value, weight }, ascending
--   local low, high = bootstrap.ends(means, tail)
-- Up to EXACT values every resample is counted, with its probability n! / (c_1! .. c_n! n^n): no draws, no seed. Above
-- that, resamples are drawn from a Philox stream of its own (seed, resample, position), so that the same values always
-- have the same interval, whatever else a script drew.
local drift = require "drift"

local bootstrap = { EXACT = 8 }

local function factorial(n) return n < 2 and 1 or n * factorial(n - 1) end

-- All ways to choose how often each value appears, times n in all.
local function all_means(values)
  local n, means = #values, {}
  local every = factorial(n) / n ^ n
  local function choose(i, left, sum, weight)
    if i == n then
      means[#means + 1] = { (sum + left * values[n]) / n, weight / factorial(left) }
      return
    end
    for count = 0, left do choose(i + 1, left - count, sum + count * values[i], weight / factorial(count)) end
  end
  choose(1, n, 0, every)
  return means
end

local function drawn_means(values, seed, resamples)
  local n, means = #values, {}
  for r = 1, resamples do
    local rng, sum = { purpose = "seeds bootstrap", seed = seed, step = r - 1, sample = 0 }, 0
    for i = 1, n do sum = sum + values[math.floor(drift.uniform(rng, i - 1) * n) + 1] end
    means[r] = { sum / n, 1 / resamples }
  end
  return means
end

function bootstrap.means(values, o)
  o = o or {}
  local means = #values <= bootstrap.EXACT and all_means(values) or drawn_means(values, o.seed or 0, o.resamples or 4000)
  table.sort(means, function(a, b) return a[1] < b[1] end)
  return means
end

-- The outermost mean at or beyond which lies a share `tail` of all: of the lower end, of the upper end.
function bootstrap.ends(means, tail)
  local function outer(first, last, by)
    local sum = 0
    for i = first, last, by do
      sum = sum + means[i][2]
      if sum >= tail then return means[i][1] end
    end
    return means[last][1]
  end
  return outer(1, #means, 1), outer(#means, 1, -1)
end

return bootstrap
