-- tables.lua: the report's tables, as text, so that the page and Markdown show the same.
--   tables(comparison) -> { results =, costs =, differences =, seeds =, config = }, each
--     { columns = { { title =, note =, left = bool }, ... }, rows = { { cells... }, ... } }
-- A cell: { text =, interval = "[low, high]" or nil, n = a remark or nil, value = full digits or nil,
-- variant = index from 0 or nil; low, high: a difference's interval as numbers }.
-- results: metrics, a row for each variant; costs: parameters, FLOPs, speed and memory alike. differences: paired ones
-- from the baseline, a row for each metric and variant.
-- seeds: every cell's value of every metric. config: the keys in which variants differ.
local core = require "drift.core"
local number = require "drift.report.number"

local finite = number.is_finite

local function cell_of(x, d, low, high)
  local cell = { text = number.fixed(x, d), interval = number.interval(low, high, d) }
  if finite(x) then cell.value = number.full(x) end
  return cell
end

local function label_cell(v, i) return { text = v.label, variant = i - 1 } end

local ARROW <const> = { lower = "↓", higher = "↑" }

local function title_of(metric)
  local arrow = ARROW[metric.better]
  return metric.name .. (metric.unit and (" [%s]"):format(metric.unit) or "") .. (arrow and " " .. arrow or "")
end

-- ---- results --------------------------------------------------------------------------------------------------------
local function quantity(name, format, note, low_high)
  return { name = name, format = format, note = note, low_high = low_high }
end

local COSTS <const> = {
  quantity("parameters", number.count, nil),
  quantity("FLOPs / image", number.si, "one training step"),
  quantity("images / s", number.text, "training", true),
  quantity("memory", number.bytes, "plan"),
  quantity("peak memory", number.bytes, "process"),
}

local function cost_of(v, q)
  if q.name == "parameters" then return v.params end
  if q.name == "FLOPs / image" then return v.flops_per_image end
  if q.name == "memory" then return v.plan_bytes end
  if q.name == "peak memory" then return v.peak_bytes end
  local rate = v.images_per_second
  return type(rate) == "table" and rate.mean or rate
end

local function cost_cell(v, q)
  local x, cell = cost_of(v, q), nil
  cell = { text = q.format(x) }
  if finite(x) then cell.value = number.full(x) end
  local rate = v.images_per_second
  if q.low_high and type(rate) == "table" and finite(rate.low) and finite(rate.high) then
    cell.interval = ("[%s, %s]"):format(number.text(rate.low), number.text(rate.high))
  end
  return cell
end

-- Costs that no variant has are left out.
local function costs_there(c)
  local there = {}
  for _, q in ipairs(COSTS) do
    for _, v in ipairs(c.variants) do
      if finite(cost_of(v, q)) then
        there[#there + 1] = q
        break
      end
    end
  end
  return there
end

local function results(c)
  local columns, rows = core.json.array { { title = "variant", left = true } }, core.json.array {}
  for _, m in ipairs(c.metrics) do columns[#columns + 1] = { title = title_of(m), metric = m.name } end
  for i, v in ipairs(c.variants) do
    local row = core.json.array { label_cell(v, i) }
    for k, m in ipairs(c.metrics) do
      local s = m.summary[i] or {}
      local cell = cell_of(s.mean, m.decimals, s.low, s.high)
      if s.n and s.n ~= #c.seeds then cell.n = ("%d of %d seeds"):format(s.n, #c.seeds) end
      row[k + 1] = cell
    end
    rows[i] = row
  end
  return { columns = columns, rows = rows }
end

local function costs(c)
  local columns, rows, there = core.json.array { { title = "variant", left = true } }, core.json.array {}, costs_there(c)
  for k, q in ipairs(there) do columns[k + 1] = { title = q.name, note = q.note } end
  for i, v in ipairs(c.variants) do
    local row = core.json.array { label_cell(v, i) }
    for k, q in ipairs(there) do row[k + 1] = cost_cell(v, q) end
    rows[i] = row
  end
  return { columns = columns, rows = rows }
end

-- ---- paired differences ---------------------------------------------------------------------------------------------
local function outcome(metric, p)
  if not finite(p.difference) then return "no pair of seeds" end
  if p.difference == 0 and p.low == 0 and p.high == 0 then return "equal" end
  if p.decided then
    if not metric.better then return "differs" end
    local better = (p.difference < 0) == (metric.better == "lower")
    return better and "better" or "worse"
  end
  return "undecided"
end

local function needed(p)
  if finite(p.difference) and not finite(p.low) then return "one seed has no interval" end
  if p.decided or not finite(p.seeds_needed) then return nil end
  return ("%s seeds would settle it"):format(number.count(p.seeds_needed))
end

local function differences(c)
  local columns = core.json.array {
    { title = "metric", left = true }, { title = "variant", left = true },
    { title = "difference", note = "from " .. c.variants[c.baseline].label },
    { title = "pairs" }, { title = "outcome", left = true }, { title = "variance", note = "removed by pairing" } }
  local rows = core.json.array {}
  for _, m in ipairs(c.metrics) do
    for i, v in ipairs(c.variants) do
      local p = i ~= c.baseline and m.paired[i]
      if p then
        local difference = cell_of(p.difference, number.decimals_of_interval(p.low, p.high, m.decimals), p.low, p.high)
        difference.low, difference.high = p.low, p.high
        local removed = finite(p.variance_removed) and number.fixed(100 * p.variance_removed, 0) .. " %" or number.none
        rows[#rows + 1] = core.json.array { { text = title_of(m) }, label_cell(v, i), difference,
          { text = number.count(p.n) }, { text = outcome(m, p), outcome = outcome(m, p), n = needed(p) },
          { text = removed } }
      end
    end
  end
  return { columns = columns, rows = rows }
end

-- ---- every seed, and what differs -----------------------------------------------------------------------------------
local function seeds(c)
  local columns = core.json.array { { title = "variant", left = true }, { title = "seed" }, { title = "cell", left = true } }
  for _, m in ipairs(c.metrics) do columns[#columns + 1] = { title = title_of(m), metric = m.name } end
  local rows = core.json.array {}
  for i, v in ipairs(c.variants) do
    for k, seed in ipairs(c.seeds) do
      local cell = v.cells[k]
      local row = core.json.array { label_cell(v, i), { text = tostring(seed) }, { text = cell and cell.status or "not run" } }
      for _, m in ipairs(c.metrics) do
        local interval = m.intervals[i] and m.intervals[i][k] or {}
        row[#row + 1] = cell_of(m.values[i] and m.values[i][k], m.decimals, interval[1], interval[2])
      end
      rows[#rows + 1] = row
    end
  end
  return { columns = columns, rows = rows }
end

local function value_text(value)
  if value == nil or value == core.json.null then return number.none end
  if type(value) == "string" then return value end
  if math.type(value) == "float" then return number.full(value) end
  return core.json.encode(value)
end

local function config(c)
  local columns, rows = core.json.array { { title = "key", left = true } }, core.json.array {}
  for i, v in ipairs(c.variants) do columns[i + 1] = { title = v.label, left = true, variant = i - 1 } end
  for r, difference in ipairs(c.differences) do
    local base = value_text(difference.values[c.variants[c.baseline].name])
    local row = core.json.array { { text = difference.key } }
    for i, v in ipairs(c.variants) do
      local text = value_text(difference.values[v.name])
      row[i + 1] = { text = text, same = i ~= c.baseline and text == base or nil }
    end
    rows[r] = row
  end
  return { columns = columns, rows = rows }
end

return function(c)
  return { results = results(c), costs = costs(c), differences = differences(c), seeds = seeds(c), config = config(c) }
end
