-- verdict.lua: what a comparison found, in the sentences that a careful author would write: who beats whom by how much,
-- with the interval and the number of seeds; what cannot be told apart, and how many seeds would; which is the best, if
-- any is; how many comparisons were looked at.
--   local text, lines, headline = verdict(comparison)      one line for each metric, then the count; and all of it in a
--                                                          sentence: how much is decided, and what; nil where that says no more
-- Each interval against the baseline holds by itself. "The best" was chosen by looking at all variants: it has to beat
-- every other one, each pair counted by Holm's correction over all pairs of that metric.
local statistics = require "drift.compare.statistics"

-- Numbers that go together: as many decimals as show two digits of the interval's half-width.
local function format_of(low, high)
  local half = low and (high - low) / 2 or 0
  if half <= 0 then return function(x) return ("%.4g"):format(x) end end
  local decimals = math.max(0, 1 - math.floor(math.log(half, 10)))
  if decimals > 6 then return function(x) return ("%.3g"):format(x) end end
  return function(x)
    local text = ("%." .. decimals .. "f"):format(x)
    return text:match "^%-0%.?0*$" and text:sub(2) or text
  end
end

local function seeds_text(n, total)
  local paired = n == 1 and "paired seed" or "paired seeds"
  return total and total > n and ("%d of %d paired seeds"):format(n, total) or ("%d %s"):format(n, paired)
end

local function more_seeds(p)
  if p.difference == 0 then return "" end
  if not p.seeds_needed then return "; more than 1000 seeds would be needed" end
  if p.seeds_needed <= p.n then return "; a few more seeds may settle it" end
  return ("; about %d seeds would settle it"):format(p.seeds_needed)
end

-- better: "lower", "higher" or nil. The interval is given in the direction of the sentence.
local function against_baseline(name, baseline, p, metric, total)
  local unit = metric.unit and metric.unit ~= "" and " " .. metric.unit or ""
  if p.n == 0 then return ("%s has no seed in common with %s"):format(name, baseline) end
  local f = format_of(p.low, p.high)
  if not p.low then
    return ("%s - %s is %s%s from one seed, which says nothing about chance"):format(name, baseline, f(p.difference), unit)
  end
  local of = seeds_text(p.n, total)
  if p.difference == 0 and p.low == p.high then return ("%s and %s are equal (%s)"):format(name, baseline, of) end
  if not p.decided then
    return ("%s and %s cannot be told apart: %s%s [%s, %s] (%s)%s"):format(name, baseline, f(p.difference), unit, f(p.low),
      f(p.high), of, more_seeds(p))
  end
  local size = math.abs(p.difference)
  local low, high = math.min(math.abs(p.low), math.abs(p.high)), math.max(math.abs(p.low), math.abs(p.high))
  local is_better = (p.difference < 0) == (metric.better == "lower")
  local verb = metric.better and (is_better and "beats %s by" or "loses to %s by")
    or p.difference < 0 and "is below %s by" or "is above %s by"
  return ("%s %s %s%s [%s, %s] (%s)"):format(name, verb:format(baseline), f(size), unit, f(low), f(high), of)
end

-- Names are the folders'; what is said has the labels, where those are told apart.
local function with_labels(comparison)
  local count, label_of = {}, {}
  for _, variant in ipairs(comparison.variants or {}) do
    if type(variant.label) == "string" then count[variant.label] = (count[variant.label] or 0) + 1 end
  end
  for _, variant in ipairs(comparison.variants or {}) do
    local name, label = variant.name, variant.label
    label_of[name] = count[label] == 1 and label or name
  end
  return label_of
end

-- ---- the best -------------------------------------------------------------------------------------------------------

-- A variant that failed with every seed has no value, and nothing is said of it here. counts: name -> number of values.
local function names_with_values(comparison, metric)
  local names, counts = {}, {}
  for _, variant in ipairs(comparison.variants) do
    local values = metric.values[variant.name]
    local n = values and select(2, statistics.variance(values)) or 0
    if n > 0 then names[#names + 1], counts[variant.name] = variant.name, n end
  end
  return names, counts
end

-- Those with as many seeds as any has: a mean over fewer is one of other seeds, and may be the best for that alone.
local function with_all_seeds(names, counts)
  local most, full, fewer = 0, {}, {}
  for _, name in ipairs(names) do most = math.max(most, counts[name]) end
  for _, name in ipairs(names) do
    local list = counts[name] == most and full or fewer
    list[#list + 1] = name
  end
  return full, fewer
end

-- Of all pairs of names: their paired differences' p values, keyed "a\0b" both ways round.
local function pairs_of(names, metric, o)
  local p_values, count = {}, 0
  for i = 1, #names do
    for j = i + 1, #names do
      local p = statistics.paired(metric.values[names[i]], metric.values[names[j]], o)
      if p.p then
        p_values[names[i] .. "\0" .. names[j]] = p.decided and p.p or math.max(p.p, 1 - o.confidence + 1e-12)
        count = count + 1
      end
    end
  end
  return p_values, count
end

-- All whose mean is the best.
local function leaders(names, metric, o)
  local best, best_mean = {}, nil
  for _, name in ipairs(names) do
    local mean = statistics.mean_interval(metric.values[name], o).mean
    local sign = metric.better == "lower" and -1 or 1
    if mean == best_mean then
      best[#best + 1] = name
    elseif mean and (not best_mean or sign * mean > sign * best_mean) then
      best, best_mean = { name }, mean
    end
  end
  return best
end

local function listed(names, shown)
  local labels = {}
  for i, name in ipairs(names) do labels[i] = shown[name] end
  return table.concat(labels, ", ")
end

local function the_best(all, counts, metric, o, shown)
  local names, fewer = with_all_seeds(all, counts)
  local aside = #fewer > 0 and (", not counting %s with fewer seeds"):format(listed(fewer, shown)) or ""
  if #names < 2 then return nil end
  local p_values, count = pairs_of(names, metric, o)
  local first = leaders(names, metric, o)
  if count == 0 or #first == #names then return nil end
  if #first > 1 then return ("%s share the best mean%s"):format(listed(first, shown), aside) end
  local best = first[1]
  local holds, near = statistics.holm(p_values, o.confidence), {}
  for _, name in ipairs(names) do
    if name ~= best and not holds[best .. "\0" .. name] and not holds[name .. "\0" .. best] then near[#near + 1] = name end
  end
  if #near == 0 then
    return ("%s is the best of the %d (Holm's correction over %d pairs%s)"):format(shown[best], #names, count, aside)
  end
  return ("%s has the best mean%s, but is not the best beyond chance: with Holm's correction over %d pairs it is not "
    .. "apart from %s"):format(shown[best], aside, count, listed(near, shown))
end

-- ---- the text ---------------------------------------------------------------------------------------------------------

-- What of the metric is compared with the baseline, and how many of those have an interval. What is decided is added to
-- the list `decided`.
local function metric_line(comparison, metric, o, decided)
  local names, counts = names_with_values(comparison, metric)
  local parts, counted, shown = {}, 0, with_labels(comparison)
  local baseline = comparison.baseline
  for _, name in ipairs(names) do
    if name ~= baseline and counts[baseline] then
      local p = metric.paired and metric.paired[name] or statistics.paired(metric.values[name], metric.values[baseline], o)
      parts[#parts + 1] = against_baseline(shown[name], shown[baseline], p, metric, comparison.seeds and #comparison.seeds)
      if p.low then counted = counted + 1 end
      if p.decided then decided[#decided + 1] = ("on %s %s"):format(metric.name, parts[#parts]) end
    end
  end
  if #parts == 0 then return nil, 0 end
  if #names > 2 and metric.better then parts[#parts + 1] = the_best(names, counts, metric, o, shown) end
  local direction = metric.better and (" (%s is better)"):format(metric.better) or ""
  return ("On %s%s %s."):format(metric.name, direction, table.concat(parts, "; ")), counted
end

local MOST_IN_HEADLINE <const> = 4

local function headline_of(comparison, counted, decided)
  local baseline = with_labels(comparison)[comparison.baseline]
  if counted < 2 then return nil end
  if #decided == 0 then
    return ("None of %d comparisons with %s is decided: no difference can be told from chance."):format(counted, baseline)
  end
  local more = #decided > MOST_IN_HEADLINE and ("; and %d more"):format(#decided - MOST_IN_HEADLINE) or ""
  return ("Of %d comparisons with %s %d %s decided: %s%s."):format(counted, baseline, #decided, #decided == 1 and "is" or "are",
    table.concat(decided, "; ", 1, math.min(#decided, MOST_IN_HEADLINE)), more)
end

local function count_line(n, confidence)
  local share = ("%.1f"):format(n * (1 - confidence)):gsub("%.0$", "")
  return ("%d comparisons with the baseline were looked at, each at %g%% confidence by itself: were there no difference "
    .. "anywhere, about %s of them would seem decided."):format(n, 100 * confidence, share)
end

-- Variants of which no metric has a value.
local function missing_line(comparison)
  local has, without = {}, {}
  for _, metric in ipairs(comparison.metrics or {}) do
    for _, name in ipairs((names_with_values(comparison, metric))) do has[name] = true end
  end
  for _, variant in ipairs(comparison.variants or {}) do
    if not has[variant.name] then without[#without + 1] = variant.name end
  end
  if #without == 0 or next(has) == nil then return nil end
  return ("%s %s no result: nothing is said of %s."):format(listed(without, with_labels(comparison)),
    #without == 1 and "has" or "have", #without == 1 and "it" or "them")
end

local function losses_line(comparison)
  local keys = comparison.losses_differ_in
  if not keys then return nil end
  local more = #keys > 3 and (" and %d more"):format(#keys - 3) or ""
  return ("The variants' losses measure different things (%s%s differ%s): a lower one is not a better one."):format(
    table.concat(keys, ", ", 1, math.min(3, #keys)), more, #keys == 1 and "s" or "")
end

return function(comparison)
  local o, lines, counted, decided = { confidence = comparison.confidence or 0.95 }, {}, 0, {}
  for _, metric in ipairs(comparison.metrics or {}) do
    local line, n = metric_line(comparison, metric, o, decided)
    lines[#lines + 1] = line
    counted = counted + n
  end
  if #lines == 0 then
    lines[1] = #(comparison.variants or {}) == 1 and "There is one variant, so nothing is compared." or "Nothing was compared yet."
  end
  if counted > 1 then lines[#lines + 1] = count_line(counted, o.confidence) end
  lines[#lines + 1] = losses_line(comparison)
  lines[#lines + 1] = missing_line(comparison)
  for _, text in ipairs(comparison.unmatched or {}) do lines[#lines + 1] = "The budgets do not match: " .. text .. "." end
  return table.concat(lines, "\n"), lines, headline_of(comparison, counted, decided)
end
