-- over_seeds.lua: curves of one quantity over its seeds: loss against noise level, quality against function evaluations.
--   noise_levels(cells) -> { x = "ratio" or "t", quantities = { "loss", ... },
--                            series = { { variant, quantity, points = { { x, mean, low, high, n } } } } }
--   cost_quality(cells) -> { metrics = { "frechet", ... }, series = { { variant, sampler, metric, points = { { x = nfe,
--                            steps, mean, low, high, n } } } } }
-- cells: { { variant =, seed =, levels = noise_levels.json's, costs = cost_quality.json's }, ... }.
-- Of two seeds or more, [low, high] is the interval of their mean (drift.compare.statistics); of one seed, its own, of
-- bootstraps over images.
local core = require "drift.core"
local statistics = require "drift.compare.statistics"

local over_seeds = {}

local function finite(x) return type(x) == "number" and x == x and math.abs(x) < math.huge and x or nil end

-- A number, or { value =, low =, high = }
local function estimate(v)
  if finite(v) then return { value = v } end
  if type(v) == "table" and finite(v.value) then
    return { value = v.value, low = finite(v.low), high = finite(v.high) }
  end
end

local function joined(point, confidence)
  local values, sum = {}, 0
  for i, e in ipairs(point.estimates) do
    values[i] = e.value
    sum = sum + e.value
  end
  local n = #values
  local out = { x = point.x, steps = point.steps, n = n, mean = sum / n }
  if n == 1 then
    out.low, out.high = point.estimates[1].low, point.estimates[1].high
  else
    local interval = statistics.mean_interval(values, { confidence = confidence })
    out.mean, out.low, out.high = interval.mean, finite(interval.low), finite(interval.high)
  end
  return out
end

-- Series by key, points by x, in the order in which they come first; points are then sorted by x.
local function collector()
  local self, list, by_key = {}, {}, {}
  function self.add(key, about, x, steps, e)
    local series = by_key[key]
    if not series then
      series = { about = about, points = {}, at = {} }
      by_key[key], list[#list + 1] = series, series
    end
    local point = series.at[x]
    if not point then
      point = { x = x, steps = steps, estimates = {} }
      series.at[x], series.points[#series.points + 1] = point, point
    end
    point.estimates[#point.estimates + 1] = e
  end
  function self.finish(confidence)
    local out = core.json.array {}
    for i, series in ipairs(list) do
      table.sort(series.points, function(a, b) return a.x < b.x end)
      local points = core.json.array {}
      for k, point in ipairs(series.points) do points[k] = joined(point, confidence) end
      series.about.points, out[i] = points, series.about
    end
    return out
  end
  return self
end

local function names_in_order(order, into, name)
  if not into[name] then into[name], order[#order + 1] = true, name end
end

local NOT_QUANTITIES <const> = { t = true, ratio = true, n = true, level = true, low = true, high = true }

-- A level's quantity: a number, whose ends for `loss` stand beside it in the row, or { value =, low =, high = }.
local function quantity(row, name)
  if name == "loss" and finite(row.loss) then return estimate { value = row.loss, low = row.low, high = row.high } end
  return not NOT_QUANTITIES[name] and estimate(row[name])
end

-- noise_levels.json: a list of levels, or drift.noise_levels' table, which has them in `levels`.
local function levels_of(cell)
  local list = cell.levels
  if type(list) == "table" and type(list.levels) == "table" then list = list.levels end
  return type(list) == "table" and list or {}
end

function over_seeds.noise_levels(cells, confidence)
  local into, quantities, seen, x_name = collector(), core.json.array {}, {}, "ratio"
  for _, cell in ipairs(cells) do
    for _, row in ipairs(levels_of(cell)) do
      if type(row) == "table" and not finite(row.ratio) then x_name = "t" end
    end
  end
  for _, cell in ipairs(cells) do
    for _, row in ipairs(levels_of(cell)) do
      local names, x = {}, type(row) == "table" and finite(row[x_name])
      for name in pairs(x and row or {}) do names[#names + 1] = name end
      table.sort(names)
      for _, name in ipairs(names) do
        local e = quantity(row, name)
        if e then
          names_in_order(quantities, seen, name)
          into.add(cell.variant .. "\0" .. name, { variant = cell.variant, quantity = name }, x, nil, e)
        end
      end
    end
  end
  table.sort(quantities, function(a, b) return (a == "loss" and "" or a) < (b == "loss" and "" or b) end)
  return { x = x_name, quantities = quantities, series = into.finish(confidence) }
end

function over_seeds.cost_quality(cells, confidence)
  local into, metrics, seen = collector(), core.json.array {}, {}
  for _, cell in ipairs(cells) do
    for _, row in ipairs(type(cell.costs) == "table" and cell.costs or {}) do
      local nfe = type(row) == "table" and (finite(row.nfe) or finite(row.steps))
      for _, m in ipairs(nfe and type(row.metrics) == "table" and row.metrics or {}) do
        local e, name, sampler = estimate(m), tostring(m.name), tostring(row.sampler)
        if e then
          names_in_order(metrics, seen, name)
          into.add(table.concat({ cell.variant, sampler, name }, "\0"),
            { variant = cell.variant, sampler = sampler, metric = name }, nfe, finite(row.steps), e)
        end
      end
    end
  end
  return { metrics = metrics, series = into.finish(confidence) }
end

return over_seeds
