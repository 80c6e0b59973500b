-- evaluate.lua: how good generated images are, as a table of metrics with intervals.
--
--   local report = drift.evaluate { model = net, process = process, sampler = drift.sampler.euler { steps = 50 },
--                                   guidance = ..., n = 2000, classes = 10, data = data, run = run,
--                                   metrics = { drift.metric.frechet {}, drift.metric.class_accuracy {} } }
--   report.text          the table;  report[i] = { name =, value =, low =, high =, n = }
--
-- Or of images that are there: { images = [N,C,H,W], labels = [N] or list or nil, data = data }. Images are clamped to
-- [0,1]; metrics see the classifier's logits or features of them, or their pixels, as each metric says. Real images are
-- the data set's test split and, where a metric asks for them, its training split: all, or the first `real` (`train`).
-- classes = K draws with the labels 0..K-1 in turn. With run=, the table is said and saved as evaluation.json.
local drift = require "drift"
local hot_reload = require "drift.hot_reload"

local BATCH = 500

local function counted(o, name)
  if o[name] ~= nil and (math.type(o[name]) ~= "integer" or o[name] < 1) then
    drift.fail("evaluate: %s = %s should be a whole number of at least 1", name, tostring(o[name]))
  end
end

local function check(o)
  drift.accept("evaluate", o, { "data" }, { "model", "process", "sampler", "guidance", "networks", "labels", "n", "classes",
    "shape", "images", "classifier", "metrics", "seed", "first", "batch", "grid", "real", "train", "run", "name", "resamples",
    "confidence", "quiet", "clip" })
  for _, name in ipairs { "n", "classes", "batch", "real", "train" } do counted(o, name) end
  if o.images and (o.model or o.n or o.classes) then
    drift.fail "evaluate: give images, or a model to draw them with"
  end
  if not o.images and not (o.model and o.process and o.sampler and (o.n or o.labels)) then
    drift.fail "evaluate: needs images, or model, process, sampler and n or labels"
  end
end

-- ---- the generated images ------------------------------------------------------------------------------------------
local function labels_of(o)
  if o.labels or not o.classes then return o.labels end
  local labels = {}
  for i = 1, o.n do labels[i] = (i - 1) % o.classes end
  return labels
end

-- images [N,C,H,W], labels [N] or nil, seconds of sampling or nil
local function generated(o, info)
  if o.images then
    local labels = type(o.labels) == "table" and drift.tensor(o.labels, "i32") or o.labels
    return o.images, labels and labels:cast "i32"
  end
  local labels, start = labels_of(o), drift.clock()
  local images, given = drift.sample {
    model = o.model, process = o.process, sampler = o.sampler, guidance = o.guidance, networks = o.networks, labels = labels,
    n = not labels and o.n or nil, shape = o.shape or { info.channels, info.height, info.width }, seed = o.seed,
    first = o.first, batch = o.batch, grid = o.grid, quiet = o.quiet,
    clip = o.clip }
  return images, given, drift.clock() - start
end

-- ---- what metrics see of images ------------------------------------------------------------------------------------
local function default_metrics(labels)
  local m = drift.metric
  local list = { m.frechet {}, m.kid {}, m.precision_recall {}, m.density_coverage {} }
  if labels then table.insert(list, 1, m.class_accuracy {}) end
  return list
end

local function judges(metrics)
  local list = {}
  for i, metric in ipairs(metrics) do
    local instance = drift.is_spec(metric) and drift.build(metric) or drift.instance(metric, "metric")
    instance:reset()
    list[i] = { metric = instance, needs = instance:needs() }
  end
  return list
end

local function is_needed(list, condition)
  for _, judge in ipairs(list) do
    if condition(judge.needs) then return true end
  end
  return false
end

-- Calls use(judge, seen) for each judge that is meant, `seen` being the images [B,C,H,W] in its space.
local function show(classifier, list, images, meant, use)
  drift.scope(function()
    drift.no_grad(function()
      local seen = { pixels = images }
      if is_needed(list, function(needs) return needs.space ~= "pixels" and meant(needs) end) then
        seen.logits, seen.features = classifier():read(images)
      end
      for _, judge in ipairs(list) do
        if meant(judge.needs) then use(judge.metric, seen[judge.needs.space]) end
      end
    end)
  end)
end

local function show_real(classifier, list, data, split, limit)
  local function meant(needs) return needs[split] end
  if not is_needed(list, meant) then return 0 end
  local loader = data:loader { split = split, batch = BATCH, shuffle = false, drop_last = false, limit = limit or 0 }
  for i = 1, loader:batches() do
    drift.scope(function()
      show(classifier, list, loader:read(1, i).image, meant, function(metric, real) metric:reference(real, split) end)
    end)
  end
  return loader:samples()
end

local function show_generated(classifier, list, images, labels)
  local n = images.shape[1]
  for first = 0, n - 1, BATCH do
    local count = math.min(BATCH, n - first)
    drift.scope(function()
      local label = labels and labels:narrow(0, first, count)
      show(classifier, list, images:narrow(0, first, count):clamp(0, 1), function() return true end,
        function(metric, output) metric:update(output, label) end)
    end)
  end
end

-- A training that diverged draws images that are no numbers; metrics' own words for that would be of their matrices.
local function check_finite(images)
  local n, broken = images.shape[1], 0
  for first = 0, n - 1, BATCH do
    drift.scope(function()
      local batch = images:narrow(0, first, math.min(BATCH, n - first)):clamp(0, 1)
      for _, mean in ipairs(batch:flatten(1):mean({ 1 }):totable()) do
        if mean ~= mean then broken = broken + 1 end
      end
    end)
  end
  if broken > 0 then
    drift.fail("evaluate: %d of %d images have values that are no numbers (NaN): the training, or the sampling, diverged",
      broken, n)
  end
end

-- ---- the report ----------------------------------------------------------------------------------------------------
local function number(x)
  if x ~= x then return "-" end
  return ("%.4g"):format(x)
end

local function as_text(report)
  local lines = { { "metric", "value", ("%g%% interval"):format(100 * report.confidence), "n" } }
  for _, row in ipairs(report) do
    local interval = ("[%s, %s]"):format(number(row.low), number(row.high))
    lines[#lines + 1] = { row.name, number(row.value), interval, tostring(row.n) }
  end
  local width = { 0, 0, 0, 0 }
  for _, line in ipairs(lines) do
    for k = 1, 4 do width[k] = math.max(width[k], #line[k]) end
  end
  local text, form = {}, ("%%-%ds  %%%ds  %%-%ds  %%%ds"):format(table.unpack(width))
  for i, line in ipairs(lines) do text[i] = form:format(table.unpack(line)) end
  if report.images_per_second then text[#text + 1] = ("sampled at %.4g images/s"):format(report.images_per_second) end
  return table.concat(text, "\n")
end

local function save(report, run, name)
  local rows = drift.json.array {}
  for i, row in ipairs(report) do rows[i] = row end
  drift.write_file(run:path(name .. ".json"), drift.json.encode({
    metrics = rows, n = report.n, real = report.real, train = report.train, confidence = report.confidence,
    images_per_second = report.images_per_second, seed = report.seed }, { indent = 2 }) .. "\n")
  for line in report.text:gmatch "[^\n]+" do run:say("%s", line) end
end

local function evaluate(o)
  check(o)
  local data = drift.instance(o.data, "dataset")
  local images, labels, seconds = generated(o, data.test.info)
  check_finite(images)
  local list = judges(o.metrics or default_metrics(labels))
  local function classifier() return o.classifier or drift.digit_classifier() end
  local report = { n = images.shape[1], confidence = o.confidence or 0.95, seed = o.seed or drift.seed() }
  report.train = show_real(classifier, list, data, "train", o.train)
  report.real = show_real(classifier, list, data, "test", o.real)
  show_generated(classifier, list, images, labels)
  for _, judge in ipairs(list) do
    local how = { resamples = o.resamples, confidence = report.confidence, seed = report.seed }
    for _, row in ipairs(judge.metric:result(how)) do
      row.n = judge.metric:samples()
      report[#report + 1] = row
    end
  end
  if seconds then report.images_per_second = report.n / seconds end
  report.text = as_text(report)
  report.images, report.labels = images, labels
  if o.run then save(report, o.run, o.name or "evaluation") end
  return report
end

return function(o)
  hot_reload.between_calls()
  return drift.trace("evaluate", evaluate, o)
end
