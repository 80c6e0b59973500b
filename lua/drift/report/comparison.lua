-- comparison.lua: comparison.json as the report's files take it, whatever is missing or null in it:
--   comparison(value, where) -> { name, title, question, script, baseline = index, seeds, confidence, made, match,
--     verdict = list of sentences, headline = all of it in one, or nil, differences, metrics, variants }
-- Variants are numbered: fields that comparison.json has by variant's name are lists here, by number. Values that are
-- no numbers (null, as NaN is written) are nil. cells[k] of a variant is that of seeds[k], or nil.
local core = require "drift.core"
local number = require "drift.report.number"

local null = core.json.null

local function given(v) if v ~= null then return v end end
local function finite(v) return number.is_finite(v) and v or nil end
local function list(v) return type(v) == "table" and v or {} end
local function text(v) return (type(v) == "string" or type(v) == "number") and tostring(v) or nil end

-- A text, a list of texts, or nothing; each line is a sentence of its own.
local function sentences(v)
  local out = core.json.array {}
  for _, s in ipairs(type(v) == "table" and v or { v }) do
    for line in (text(s) or ""):gmatch "[^\n]+" do out[#out + 1] = line end
  end
  return out
end

local function copied(t, keys)
  local out = {}
  for _, key in ipairs(keys) do out[key] = finite(t[key]) end
  return out
end

local function variant_of(v, i, seeds, where)
  if type(v) ~= "table" or not text(v.name) then core.fail("%s: variant %d has no name", where, i) end
  local cells = {}
  for _, cell in ipairs(list(v.cells)) do
    for k, seed in ipairs(seeds) do
      if cell.seed == seed then
        cells[k] = { seed = seed, dir = text(cell.dir), status = text(cell.status) or "running",
                     error = text(given(cell.error)) }
      end
    end
  end
  local rate = v.images_per_second
  return {
    name = text(v.name), label = text(v.label) or text(v.name), params = finite(v.params),
    flops_per_image = finite(v.flops_per_image), plan_bytes = finite(v.plan_bytes), peak_bytes = finite(v.peak_bytes),
    images_per_second = type(rate) == "table" and copied(rate, { "mean", "low", "high" })
      or finite(rate) and { mean = rate } or nil,
    tree = list(v.tree), cells = cells,
  }
end

local function paired_of(p)
  if type(p) ~= "table" then return nil end
  local out = copied(p, { "difference", "low", "high", "n", "seeds_needed", "variance_removed" })
  out.decided = p.decided == true
  return out
end

-- What decides how many decimals a metric's numbers have.
local function widths_of(metric)
  local values, widths = {}, {}
  local function add(x, low, high)
    values[#values + 1] = x
    if low and high then widths[#widths + 1] = (high - low) / 2 end
  end
  for _, s in pairs(metric.summary) do add(s.mean, s.low, s.high) end
  for _, p in pairs(metric.paired) do add(nil, p.low, p.high) end
  for _, of_seeds in pairs(metric.values) do
    for _, x in pairs(of_seeds) do add(x) end
  end
  return values, widths
end

local function metric_of(m, variants, seeds)
  local metric = { name = text(m.name) or "unnamed", better = text(given(m.better)), unit = text(given(m.unit)),
                   values = {}, intervals = {}, summary = {}, paired = {} }
  for i, v in ipairs(variants) do
    local values, intervals = list(list(m.values)[v.name]), list(list(m.intervals)[v.name])
    metric.values[i], metric.intervals[i] = {}, {}
    for k = 1, #seeds do
      local interval = list(intervals[k])
      metric.values[i][k] = finite(values[k])
      metric.intervals[i][k] = { finite(interval[1]), finite(interval[2]) }
    end
    metric.summary[i] = copied(list(list(m.summary)[v.name]), { "mean", "low", "high", "n" })
    metric.paired[i] = paired_of(list(m.paired)[v.name])
  end
  metric.decimals = number.decimals(widths_of(metric))
  return metric
end

local function confidence_of(x) return finite(x) and x > 0 and x < 1 and x or 0.95 end

local function baseline_of(name, variants)
  for i, v in ipairs(variants) do
    if v.name == name then return i end
  end
  return 1
end

return function(value, where)
  if type(value) ~= "table" or type(value.variants) ~= "table" or #value.variants == 0 then
    core.fail("%s: not a comparison: it has no variants", where)
  end
  local c = { name = text(value.name) or "comparison", question = text(given(value.question)),
              script = text(given(value.script)), plain = value.plain or false, seeds = core.json.array {},
              confidence = confidence_of(value.confidence),
              made = list(value.made), match = type(value.match) == "table" and value.match or nil,
              headline = text(given(value.headline)), verdict = sentences(value.verdict), differences = {}, variants = {}, metrics = {} }
  c.title = text(given(value.title)) or c.name
  for _, seed in ipairs(list(value.seeds)) do
    if finite(seed) then c.seeds[#c.seeds + 1] = seed end
  end
  for i, v in ipairs(value.variants) do c.variants[i] = variant_of(v, i, c.seeds, where) end
  c.baseline = baseline_of(value.baseline, c.variants)
  for i, m in ipairs(list(value.metrics)) do c.metrics[i] = metric_of(list(m), c.variants, c.seeds) end
  for _, d in ipairs(list(value.differences)) do
    if text(d.key) then c.differences[#c.differences + 1] = { key = d.key, values = list(d.values) } end
  end
  return c
end
