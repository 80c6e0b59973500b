-- setup.lua: all that one variant trains and samples with: the comparison's train and sample, with the variant's own
-- fields in their places.
--   local setup = setup_of(o, variant)      setup.train, setup.sample: tables as drift.train and drift.sample take them
-- A variant that is a function is called here, with a copy of both tables' fields in one.
local drift = require "drift"
local options = require "drift.compare.options"

local function copy(from, into)
  for key, value in pairs(from) do into[key] = value end
  return into
end

local function value_of(o, variant)
  local value = variant.value
  if type(value) == "function" then
    value = drift.within("variant " .. variant.name, value, copy(o.train, copy(o.sample, {})))
    if not drift.is_spec(value, "net") and type(value) ~= "table" then
      drift.fail("compare: variant %s returned a %s; a network's spec, or a table of what differs, was expected",
        variant.name, drift.type(value))
    end
  end
  return drift.is_spec(value, "net") and { model = value } or value
end

-- Whether anything in the network takes classes: then images are drawn of each class in turn.
local function is_conditional(description)
  if description.kind == "conditioning" and (description.params.classes or 0) > 0 then return true end
  for _, child in pairs(description.children or {}) do
    if is_conditional(child) then return true end
  end
  return false
end

local function check(name, setup, judged)
  local train = setup.train
  if not drift.is_spec(train.model, "net") then
    drift.fail("compare: variant %s: model is a network's description (drift.models.NAME or drift.net), not a %s", name,
      drift.type(train.model))
  end
  for _, key in ipairs { "data", "optim" } do
    if train[key] == nil then drift.fail("compare: variant %s: train has no %s", name, key) end
  end
  if (train.process == nil) == (train.loss == nil) then
    drift.fail("compare: variant %s: train needs a process, or a loss of its own", name)
  end
  if judged and not setup.sample.sampler then
    drift.fail("compare: variant %s: metrics are of samples: give it a sampler, or all: sample = { sampler = ... }", name)
  end
  if setup.sample.sampler and not train.process then
    drift.fail("compare: variant %s: samples need train.process", name)
  end
end

-- Whether a metric takes images only with their classes: it refuses outputs without, and takes them with.
local function needs_labels(metric, info)
  local shapes = { logits = { 1, 10 }, features = { 1, 64 }, pixels = { 1, info.channels, info.height, info.width } }
  local function takes(label)
    local instance = drift.instance(metric, "metric")
    return pcall(instance.update, instance, drift.zeros(shapes[instance:needs().space]), label)
  end
  return not takes(nil) and takes(drift.tensor({ 0 }, "i32"))
end

-- Found here, before anything is trained, and not when the first cell is judged.
local function check_metrics(name, metrics, info)
  for _, metric in ipairs(metrics or {}) do
    if drift.is_spec(metric, "metric") and needs_labels(metric, info) then
      drift.fail("compare: variant %s: metric %s needs the classes of images, and this network is drawn from without any; "
        .. "leave the metric out, or give the network classes (class = \"add\")", name, metric.name)
    end
  end
end

return function(o, variant)
  local changes = value_of(o, variant)
  local names = { "label", table.unpack(options.TRAIN) }
  table.move(options.SAMPLE, 1, #options.SAMPLE, #names + 1, names)
  drift.accept("compare: variant " .. variant.name, changes, {}, names)
  local setup = { train = copy(o.train, {}), sample = copy(o.sample, {}) }
  for _, key in ipairs(options.TRAIN) do
    if changes[key] ~= nil then setup.train[key] = changes[key] end
  end
  for _, key in ipairs(options.SAMPLE) do
    if changes[key] ~= nil then setup.sample[key] = changes[key] end
  end
  if changes.loss ~= nil then setup.train.process = changes.process end     -- one stands for the other
  if changes.process ~= nil then setup.train.loss = changes.loss end
  check(variant.name, setup, o.metrics or o.cost_quality)
  local info = drift.instance(setup.train.data, "dataset").test.info
  setup.sample.shape = setup.sample.shape or { info.channels, info.height, info.width }
  setup.sample.process = setup.train.process
  setup.classes = setup.sample.classes or (is_conditional(setup.train.model:table()) and info.classes or nil)
  if setup.classes == 0 then setup.classes = nil end
  if setup.sample.sampler and not setup.classes then check_metrics(variant.name, o.metrics, info) end
  setup.sample.classes = nil
  return setup
end
