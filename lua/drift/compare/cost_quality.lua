-- cost_quality.lua: what sampling costs against how good its images are: each sampler at each number of steps.
--   local rows = cost_quality(o, sample, evaluate)
--     o = { samplers = { drift.sampler.euler {}, drift.sampler.heun {} }, steps = { 4, 8 }, n = 500, metrics = {...} }
--   rows[i] = { sampler = "heun", steps = 8, nfe = 16, images_per_second =,
--               metrics = { { name, value, low, high }, ... } }
-- nfe: evaluations of the model by the sampler; one with guidance counts once, though it may ask the network twice.
local drift = require "drift"

local function model_calls(sample, evaluate, sampler)
  local model = drift.model(drift.instance(sample.process, "process"), sample.model,
    { guidance = sample.guidance, networks = sample.networks, clip = sample.clip })
  drift.scope(function()
    drift.no_grad(function()
      local x = drift.randn { 1, sample.shape[1], sample.shape[2], sample.shape[3], purpose = "sample start" }
      model:condition { label = evaluate.classes and drift.tensor({ 0 }, "i32") or nil }
      model:sample { sampler = sampler, x = x, rng = { purpose = "sample noise", sample = 0 } }
    end)
  end)
  return model:calls()
end

local function text_of(sampler)
  return (tostring(sampler):gsub("^sampler%.", ""):gsub("steps=%d+,? ?", ""):gsub("{}$", ""))
end

return function(o, sample, evaluate)
  local rows = drift.json.array {}
  for _, spec in ipairs(o.samplers) do
    for _, steps in ipairs(o.steps) do
      local sampler, arguments = spec:with { steps = steps }, {}
      for key, value in pairs(evaluate) do arguments[key] = value end
      arguments.sampler, arguments.run, arguments.quiet = sampler, nil, true
      arguments.n, arguments.metrics = o.n or evaluate.n, o.metrics or evaluate.metrics
      local report = drift.evaluate(arguments)
      local metrics = drift.json.array {}
      for i, row in ipairs(report) do
        metrics[i] = { name = row.name, value = row.value, low = row.low, high = row.high, better = row.better }
      end
      rows[#rows + 1] = { sampler = text_of(spec), steps = steps, nfe = model_calls(sample, evaluate, sampler),
                          images_per_second = report.images_per_second, metrics = metrics }
      drift.note("%s, %d steps: %s %.4g", text_of(spec), steps, report[1].name, report[1].value)
    end
  end
  return rows
end
