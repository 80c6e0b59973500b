-- plain_run.lua: a run's folder as a comparison of one variant and one seed, as comparison.json would say it; where the
-- run has parts with losses of their own (drift.side_by_side, run:part), each part is a variant.
--   plain_run(dir) -> what comparison.json of it would hold
local core = require "drift.core"
local read_json = require "drift.read_json"
local read_metrics = require "drift.read_metrics"

local function value_of(v) if v ~= core.json.null then return v end end

-- { model = { hidden = 8 } } as { ["model.hidden"] = 8 }
local function flatten(t, prefix, into)
  for key, value in pairs(t) do
    local name = prefix .. tostring(key)
    if type(value) == "table" and #value == 0 and next(value) then
      flatten(value, name .. ".", into)
    else
      into[name] = value
    end
  end
  return into
end

local function field(t, ...)
  for _, key in ipairs { ... } do t = type(t) == "table" and value_of(t[key]) or nil end
  return t
end

local function records_of(dir) return core.exists(dir .. "/metrics.jsonl") and read_metrics(dir, { unfinished = true }) or {} end

-- The last epoch's mean loss; images per second of all epochs.
local function from_records(records, batch)
  local final, seconds, last = nil, 0, 0
  for _, r in ipairs(records) do
    if value_of(r.epoch_loss) then final = r.epoch_loss end
    if type(r.epoch_loss) ~= "nil" and type(r.seconds) == "number" then seconds, last = seconds + r.seconds, r.step end
  end
  local rate = type(batch) == "number" and type(last) == "number" and seconds > 0 and last * batch / seconds or nil
  return final, rate
end

local function variant_of(dir, name, config)
  local final, rate = from_records(records_of(dir), field(config, "training", "batch"))
  local status = field(config, "results") and "done" or "running"
  return {
    name = name, label = name, params = field(config, "network", "weights"),
    images_per_second = rate and { mean = rate } or nil,
    config = flatten({ parameters = field(config, "parameters") or {}, training = field(config, "training") or {} }, "", {}),
    cells = { { seed = field(config, "seed") or 0, status = status } },
  }, final
end

-- Adds a metric's value of a variant; rows of evaluation.json have intervals.
local function add_metric(metrics, name, better, variant, value, low, high)
  local metric
  for _, m in ipairs(metrics) do if m.name == name then metric = m end end
  if not metric then
    metric = { name = name, better = better, values = {}, intervals = {}, summary = {}, paired = {} }
    metrics[#metrics + 1] = metric
  end
  metric.values[variant] = { value }
  metric.intervals[variant] = low and high and { { low, high } } or nil
  metric.summary[variant] = { mean = value, low = low, high = high, n = 1 }
end

local function folders_of(dir)
  local parts = {}
  if #records_of(dir) > 0 then return parts end
  for _, name in ipairs(core.files(dir)) do
    local part = dir .. "/" .. name
    if core.exists(part .. "/config.json") and core.exists(part .. "/metrics.jsonl") then parts[#parts + 1] = name end
  end
  return parts
end

local function differences_of(variants)
  local keys, list = {}, {}
  for _, v in ipairs(variants) do
    for key in pairs(v.config) do keys[key] = true end
  end
  for key in pairs(keys) do
    local values, first, differs = {}, nil, false
    for i, v in ipairs(variants) do
      local text = v.config[key] == nil and "" or core.json.encode(v.config[key])
      if i == 1 then first = text end
      differs = differs or text ~= first
      values[v.name] = v.config[key]
    end
    if differs then list[#list + 1] = { key = key, values = values } end
  end
  table.sort(list, function(a, b) return a.key < b.key end)
  return list
end

return function(dir)
  if not core.exists(dir .. "/config.json") then
    core.fail("%s: neither comparison.json nor config.json is there, so it is not a comparison's or a run's folder", dir)
  end
  local config = read_json(dir .. "/config.json")
  local name = tostring(field(config, "name") or dir:match "([^/]+)/*$" or dir)
  local variants, metrics, parts = {}, {}, folders_of(dir)
  for _, part in ipairs(#parts > 0 and parts or { false }) do
    local folder = part and dir .. "/" .. part or dir
    local variant, final = variant_of(folder, part or name, part and read_json(folder .. "/config.json") or config)
    if part and field(config, "results") then variant.cells[1].status = "done" end
    variant.cells[1].dir = part or "."
    variants[#variants + 1] = variant
    if final then add_metric(metrics, "final_loss", "lower", variant.name, final) end
    local evaluation = folder .. "/evaluation.json"
    local rows = core.exists(evaluation) and field(read_json(evaluation), "metrics") or {}
    for _, row in ipairs(rows) do
      add_metric(metrics, tostring(row.name), value_of(row.better), variant.name,
        value_of(row.value), value_of(row.low), value_of(row.high))
    end
  end
  return {
    format = "drift.comparison/1", name = name, title = name, script = field(config, "script", "path"), plain = true,
    baseline = variants[1].name, seeds = { field(config, "seed") or 0 }, variants = variants, metrics = metrics,
    made = { drift = field(config, "drift"), device = field(config, "device", "description"),
             seconds = field(config, "results", "seconds") },
    differences = differences_of(variants), confidence = 0.95,
  }
end
