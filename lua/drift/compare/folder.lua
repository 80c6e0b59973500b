-- folder.lua: comparison.json, made of what the cells' folders hold at that moment.
--   local comparison = folder.gather(plan)         the table; a list of values has NaN (null) where there is none
--   folder.write(plan) -> comparison               and its file in plan.dir
--   plan: dir, name, title, question, script, baseline, seeds, confidence, match, made,
--         variants = { { name =, label = }, ... }, cells = { { variant =, seed =, dir (relative), status, error } },
--         described = { NAME = { config, tree, params, ... } } or nil
local drift = require "drift"
local results = require "drift.compare.results"
local config = require "drift.compare.config"
local statistics = require "drift.compare.statistics"

local folder = {}
local NAN = 0 / 0

local function path_of(plan, cell) return cell.dir:sub(1, 1) == "/" and cell.dir or plan.dir .. "/" .. cell.dir end

folder.path_of = path_of

local function cells_of(plan, name)
  local by_seed = {}
  for _, cell in ipairs(plan.cells) do
    if cell.variant == name then by_seed[cell.seed] = cell end
  end
  return by_seed
end

-- Of cells that are done: the results of their folders.
local function read_done(plan)
  local done = {}
  for _, cell in ipairs(plan.cells) do
    if cell.status == "done" then done[cell] = results.read(path_of(plan, cell)) end
  end
  return done
end

local function all_of(cells, done, seeds, value)
  local list = {}
  for i, seed in ipairs(seeds) do
    local r = cells[seed] and done[cells[seed]]
    list[i] = r and value(r) or NAN
  end
  return list
end

local function largest(list)
  local most
  for _, value in ipairs(list) do
    if value == value and (not most or value > most) then most = value end
  end
  return most
end

local function first(cells, done, seeds, value)
  for _, seed in ipairs(seeds) do
    local r = cells[seed] and done[cells[seed]]
    if r and value(r) ~= nil then return value(r) end
  end
end

local function variant_of(plan, variant, done)
  local cells, seeds = cells_of(plan, variant.name), plan.seeds
  local described = plan.described and plan.described[variant.name] or {}
  local rates = statistics.mean_interval(all_of(cells, done, seeds, function(r) return r.train.images_per_second end),
    { confidence = plan.confidence })
  local list = drift.json.array {}
  for _, seed in ipairs(seeds) do
    local cell = cells[seed]
    if cell then
      list[#list + 1] = { seed = seed, dir = cell.dir, status = cell.status, error = cell.error,
                          seconds = cell.seconds }
    end
  end
  return {
    name = variant.name, label = variant.label, script = variant.script, cells = list,
    params = described.params or first(cells, done, seeds, function(r) return r.params end),
    flops_per_image = described.flops_per_image or first(cells, done, seeds, function(r) return r.flops_per_image end),
    plan_bytes = described.plan_bytes or first(cells, done, seeds, function(r) return r.plan_bytes end),
    images_per_second = rates.mean and { mean = rates.mean, low = rates.low and math.max(0, rates.low),
                                         high = rates.high } or nil,
    peak_bytes = largest(all_of(cells, done, seeds, function(r) return r.train.peak_bytes end)),
    config = described.config or first(cells, done, seeds, function(r) return r.config end) or {},
    tree = drift.json.array(described.tree or {}),
  }
end

-- Metrics in the order in which cells have them.
local function metrics_of(plan, done)
  local list, by_name, row_of = drift.json.array {}, {}, {}
  for _, cell in ipairs(plan.cells) do
    for _, row in ipairs(done[cell] and done[cell].metrics or {}) do
      if not by_name[row.name] then
        by_name[row.name] = { name = row.name, better = row.better, unit = row.unit, values = {}, intervals = {} }
        list[#list + 1] = by_name[row.name]
      end
      row_of[cell] = row_of[cell] or {}
      row_of[cell][row.name] = row
    end
  end
  for _, variant in ipairs(plan.variants) do
    local cells = cells_of(plan, variant.name)
    for _, metric in ipairs(list) do
      local values, intervals = drift.json.array {}, drift.json.array {}
      for i, seed in ipairs(plan.seeds) do
        local row = cells[seed] and row_of[cells[seed]] and row_of[cells[seed]][metric.name]
        values[i] = row and row.value or NAN
        intervals[i] = row and row.low and row.high and drift.json.array { row.low, row.high } or drift.json.null
      end
      metric.values[variant.name], metric.intervals[variant.name] = values, intervals
    end
  end
  return list
end

-- What a loss measures: between variants that differ in one of these, the lower loss is not the better one.
local MEASURED <const> = { "^process$", "^process%.", "^loss", "^weighting", "^time_sampling", "^data$", "^data%." }
local NOT_MEASURED <const> = { ["process.time"] = true, ["data.path"] = true, ["data.fetch"] = true }

-- Losses of a comparison whose variants have losses of different quantities have no direction, and the verdict says why.
function folder.mark_losses(comparison)
  local keys = drift.json.array {}
  for _, difference in ipairs(comparison.differences) do
    for _, pattern in ipairs(MEASURED) do
      if difference.key:find(pattern) and not NOT_MEASURED[difference.key] then
        keys[#keys + 1] = difference.key
        break
      end
    end
  end
  if #keys == 0 then return comparison end
  for _, metric in ipairs(comparison.metrics) do
    if metric.name == "final_loss" or metric.name == "held-out loss" then
      metric.better, comparison.losses_differ_in = nil, keys
    end
  end
  return comparison
end

function folder.gather(plan)
  local done = read_done(plan)
  if plan.count_time then plan.count_time() end
  local comparison = {
    format = "drift.comparison/1", name = plan.name, title = plan.title or plan.name, question = plan.question,
    script = plan.script, baseline = plan.baseline, seeds = plan.seeds, made = plan.made, confidence = plan.confidence,
    match = plan.match, unmatched = plan.unmatched and drift.json.array(plan.unmatched), variants = drift.json.array {},
    metrics = metrics_of(plan, done),
  }
  for i, variant in ipairs(plan.variants) do comparison.variants[i] = variant_of(plan, variant, done) end
  comparison.differences = drift.json.array(config.differences(comparison.variants))
  return statistics.complete(folder.mark_losses(comparison))
end

function folder.write(plan)
  local comparison = folder.gather(plan)
  drift.write_file(plan.dir .. "/comparison.json", drift.json.encode(comparison, { indent = 2 }) .. "\n")
  return comparison
end

return folder
