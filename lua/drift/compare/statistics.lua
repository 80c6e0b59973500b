-- statistics.lua: intervals of means and of paired differences over the few seeds that one can afford (3 to 10).
--   local m = statistics.mean_interval(values, { confidence = 0.95 })     m.mean, m.low, m.high, m.n
--   local p = statistics.paired(variant, baseline, { confidence = 0.95 })
--     p.difference (mean of variant - baseline), .low, .high, .n, .decided (0 lies outside), .seeds_needed (in all),
--     .variance_removed (by pairing: 1 - var(d) / (var(a) + var(b))), .p (of |difference| by chance, two-sided)
-- Values are keyed by the seed or its place in the list of seeds; those that are absent, null or not finite on either
-- side are left out of both, and n says how many are left. What cannot be known is nil: an interval of one seed, a
-- variance removed of fewer than three, seeds needed for a difference of 0 or above `limit` (1000).
--
-- The interval: of both methods, at each end, the wider one (docs/decisions/025).
--   Student's t                      m -+ t(n-1) s / sqrt(n)
--   expanded percentile bootstrap    quantiles Phi(-+ t(n-1) sqrt(n/(n-1))) of resampled means     Hesterberg 2015
-- The percentiles follow the data's skew, but lie within the least and the greatest value, between which the mean lies
-- in 75% of cases at n = 3; t is exact there for normal differences. No method knows skew from three values.
local drift = require "drift"
local student_t = require "drift.compare.student_t"
local bootstrap = require "drift.compare.bootstrap"

local statistics = {}
local LIMIT = 1000

local function is_number(x) return type(x) == "number" and x == x and math.abs(x) < math.huge end

local function options_of(where, o)
  o = drift.accept("statistics." .. where, o or {}, {}, { "confidence", "seed", "resamples", "limit" })
  local confidence = o.confidence or 0.95
  if type(confidence) ~= "number" or not (confidence > 0 and confidence < 1) then
    drift.fail("statistics.%s: confidence = %s is outside (0, 1)", where, tostring(confidence))
  end
  return { confidence = confidence, seed = o.seed, resamples = o.resamples, limit = o.limit or LIMIT }
end

-- The keys of a at which all of the tables have a number, in order.
local function common_keys(a, b)
  local keys = {}
  for key, value in pairs(a) do
    if is_number(value) and is_number(b[key]) then keys[#keys + 1] = key end
  end
  table.sort(keys, function(x, y)
    if type(x) == type(y) then return x < y end
    return type(x) == "number"
  end)
  return keys
end

local function at(values, keys)
  local list = {}
  for i, key in ipairs(keys) do list[i] = values[key] end
  return list
end

local function mean_of(x)                                          -- exact where all are equal
  local sum = 0
  for _, v in ipairs(x) do sum = sum + (v - x[1]) end
  return x[1] + sum / #x
end

-- Of the population, from a sample: divided by n - 1.
local function variance_of(x)
  if #x < 2 then return nil end
  local mean, sum = mean_of(x), 0
  for _, v in ipairs(x) do sum = sum + (v - mean) ^ 2 end
  return sum / (#x - 1)
end

local function interval(x, o)
  local n = #x
  if n < 2 then return nil end
  local mean, t = mean_of(x), student_t.quantile((1 + o.confidence) / 2, n - 1)
  local half = t * math.sqrt(variance_of(x) / n)
  local tail = student_t.normal_cdf(-t * math.sqrt(n / (n - 1)))
  local low, high = bootstrap.ends(bootstrap.means(x, o), tail)
  return math.min(mean - half, low), math.max(mean + half, high)
end

-- How many values were left, and their variance (nil below 2).
function statistics.variance(values)
  local x = at(values, common_keys(values, values))
  return variance_of(x), #x
end

function statistics.mean_interval(values, o)
  o = options_of("mean_interval", o)
  local x = at(values, common_keys(values, values))
  if #x == 0 then return { n = 0 } end
  local low, high = interval(x, o)
  return { mean = mean_of(x), low = low, high = high, n = #x }
end

-- Seeds in all at which t's half-width, t(N-1) deviation / sqrt(N), is below |difference|, if the two stay what they are.
function statistics.seeds_needed(difference, deviation, o)
  o = options_of("seeds_needed", o)
  if not is_number(difference) or not is_number(deviation) or difference == 0 then return nil end
  local function settles(n)
    return student_t.quantile((1 + o.confidence) / 2, n - 1) * deviation / math.sqrt(n) < math.abs(difference)
  end
  if not settles(o.limit) then return nil end
  local no, yes = 1, o.limit
  while yes - no > 1 do
    local middle = (no + yes) // 2
    if settles(middle) then yes = middle else no = middle end
  end
  return yes
end

local function removed(a, b, d)
  local apart = #d >= 3 and variance_of(a) + variance_of(b) or 0
  return apart > 0 and 1 - variance_of(d) / apart or nil
end

local function p_value(mean, variance, n)
  if n < 2 then return nil end
  if variance == 0 then return mean == 0 and 1 or 0 end
  return student_t.p_value(mean / math.sqrt(variance / n), n - 1)
end

function statistics.paired(variant, baseline, o)
  o = options_of("paired", o)
  local keys = common_keys(variant, baseline)
  if #keys == 0 then return { n = 0, decided = false } end
  local a, b, d = at(variant, keys), at(baseline, keys), {}
  for i = 1, #a do d[i] = a[i] - b[i] end
  local difference, variance = mean_of(d), variance_of(d)
  local low, high = interval(d, o)
  return {
    difference = difference, low = low, high = high, n = #d, decided = low ~= nil and (low > 0 or high < 0),
    seeds_needed = variance and statistics.seeds_needed(difference, math.sqrt(variance), o),
    variance_removed = removed(a, b, d), p = p_value(difference, variance, #d),
  }
end

-- Which of many claims hold together: p values by name -> { name = true } where the chance that any of them is false is
-- below 1 - confidence.     Holm 1979: the k-th least of m against (1 - confidence) / (m - k + 1), up to the first that fails
function statistics.holm(p_values, confidence)
  local names, holds = {}, {}
  for name in pairs(p_values) do names[#names + 1] = name end
  table.sort(names, function(x, y)
    if p_values[x] ~= p_values[y] then return p_values[x] < p_values[y] end
    return x < y
  end)
  for k, name in ipairs(names) do
    if p_values[name] > (1 - confidence) / (#names - k + 1) then break end
    holds[name] = true
  end
  return holds
end

-- Fills in every metric's summary and paired differences, the verdict and its headline, from its values; gives the comparison back.
function statistics.complete(comparison)
  local o = { confidence = comparison.confidence }
  for _, metric in ipairs(comparison.metrics or {}) do
    metric.summary, metric.paired = {}, {}
    for name, values in pairs(metric.values) do
      metric.summary[name] = statistics.mean_interval(values, o)
      if name ~= comparison.baseline and metric.values[comparison.baseline] then
        metric.paired[name] = statistics.paired(values, metric.values[comparison.baseline], o)
      end
    end
  end
  local _
  comparison.verdict, _, comparison.headline = statistics.verdict(comparison)
  return comparison
end

-- Sentences on what was found, one to a line; also as a list; and all of it in one.
function statistics.verdict(comparison) return require "drift.compare.verdict"(comparison) end

return statistics
