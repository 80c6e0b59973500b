-- results.lua: what a cell's folder holds, whoever made it: a cell of drift.compare, or a run of any script.
--   local r = results.read(folder)
--     r.config (flat), r.parameters, r.seed, r.params, r.train = { images_per_second, peak_bytes, seconds }
--     r.metrics = list of { name =, value =, low =, high =, better =, unit = }
--                 those of evaluation.json, held-out loss, final_loss
local drift = require "drift"
local config = require "drift.compare.config"

local results = {}

local function read(path)
  if not drift.exists(path) then return nil end
  local ok, value = pcall(drift.json.decode, drift.read_file(path))
  if not ok then drift.fail("%s: %s", path, (tostring(value):gsub("^[^:]*:%d+: ", ""))) end
  return type(value) == "table" and value or nil
end

local function number(x) return type(x) == "number" and x or nil end

local directions                                                  -- of metrics' values, for files that do not say

local function better_of(name)
  if not directions then
    directions = {}
    for _, component in ipairs(drift.components "metric") do
      local made, metric = pcall(function() return drift.build(drift.metric[component.name] {}) end)
      for _, row in ipairs(made and metric:result { resamples = 0 } or {}) do directions[row.name] = row.better end
    end
  end
  return directions[name]
end

local function add_evaluation(list, folder)
  local evaluation = read(folder .. "/evaluation.json")
  for _, row in ipairs(evaluation and evaluation.metrics or {}) do
    list[#list + 1] = { name = row.name, value = number(row.value), low = number(row.low), high = number(row.high),
                        better = row.better or better_of(row.name) }
  end
end

-- The mean loss of the last whole epoch, images a second (the median epoch's), and seconds of all epochs.
local function training_of(folder, batch)
  if not drift.exists(folder .. "/metrics.jsonl") then return nil end
  local records, loss, rates, steps, total = drift.read_metrics(folder), nil, {}, 0, 0
  for _, record in ipairs(records) do
    if record.epoch_loss then
      loss = record.epoch_loss
      if number(record.seconds) and record.seconds > 0 and batch then
        rates[#rates + 1] = (record.step - steps) * batch / record.seconds
      end
      steps, total = record.step, total + (number(record.seconds) or 0)
    end
  end
  table.sort(rates)
  return loss, rates[(#rates + 1) // 2], total > 0 and total or nil
end

function results.read(folder)
  local about, cell = read(folder .. "/config.json"), read(folder .. "/cell.json") or {}
  if not about then return nil end
  local training = type(about.training) == "table" and about.training or {}
  local r = { config = cell.config or config.of_run(about), parameters = about.parameters, seed = about.seed,
              metrics = {},
              params = cell.params or (type(about.network) == "table" and about.network.weights or nil),
              train = type(cell.train) == "table" and cell.train or {}, flops_per_image = cell.flops_per_image,
              plan_bytes = cell.plan_bytes, script = type(about.script) == "table" and about.script.path or nil }
  local loss, rate, seconds = training_of(folder, number(training.batch))
  r.train.images_per_second, r.train.seconds = r.train.images_per_second or rate, r.train.seconds or seconds
  add_evaluation(r.metrics, folder)
  local held_out = cell.held_out_loss
  if type(held_out) == "table" then
    r.metrics[#r.metrics + 1] = { name = "held-out loss", value = number(held_out.value), low = number(held_out.low),
                                  high = number(held_out.high), better = "lower" }
  end
  if loss then r.metrics[#r.metrics + 1] = { name = "final_loss", value = number(loss), better = "lower" } end
  return r
end

return results
