-- Metrics as scripts see them, the classifier that ships, and drift.evaluate: real images are judged good, noise bad,
-- and every row says how many images it is of and how sure it is.
local drift = require "drift"
local run_directory = require "drift.run"

local data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }     -- 1000 training, 300 test images
local metric = drift.metric

local function rows_of(report)
  local rows = {}
  for _, row in ipairs(report) do rows[row.name] = row end
  return rows
end

local function training_images(first, n)
  local indices = {}
  for i = 1, n do indices[i] = (first + i - 2) * 7 % 1000 + 1 end            -- of all classes
  return data.train:batch(indices)
end

local function all_metrics()
  return { metric.class_accuracy {}, metric.frechet {}, metric.kid {}, metric.precision_recall {}, metric.density_coverage {},
           metric.nearest_neighbour {} }
end

describe("a metric", function()
  it("gives values with intervals, the same for the same seed", function()
    local m = drift.build(metric.class_accuracy {})
    m:update(drift.tensor { { 0, 1 }, { 1, 0 }, { 3, 2 }, { 0, 9 } }, drift.tensor({ 1, 0, 1, 0 }, "i32"))
    assert.equal(4, m:samples())
    local a = m:result { seed = 3 }[1]
    assert.equal("class_accuracy", a.name)
    assert.equal(0.5, a.value)
    assert.is_true(a.low < 0.5 and a.high > 0.5)
    assert.same(a, m:result({ seed = 3 })[1])
    local narrow = m:result({ seed = 3, confidence = 0.5 })[1]
    assert.is_true(narrow.high - narrow.low < a.high - a.low)
    m:reset()
    assert.equal(0, m:samples())
    assert.is_true(m:result()[1].value ~= m:result()[1].value)
  end)

  it("says what it needs", function()
    assert.same({ space = "logits", train = false, test = false }, metric.class_accuracy {}:instance():needs())
    assert.same({ space = "features", train = false, test = true }, metric.frechet {}:instance():needs())
    assert.same({ space = "pixels", train = true, test = true }, metric.nearest_neighbour {}:instance():needs())
    assert.error_matches(function() metric.frechet {}:instance():reference(drift.zeros(2, 2), "both") end, "both")
  end)

  it("says of each value which direction is better", function()
    local found = {}
    for _, spec in ipairs(all_metrics()) do
      local m = drift.build(spec)
      local needs = m:needs()
      local rows = needs.space == "pixels" and drift.rand { 8, 1, 4, 4, purpose = "x" } or drift.rand { 8, 3, purpose = "x" }
      if needs.test then m:reference(rows, "test") end
      if needs.train then m:reference(rows, "train") end
      m:update(rows, drift.tensor({ 0, 1, 2, 0, 1, 2, 0, 1 }, "i32"))
      for _, row in ipairs(m:result { resamples = 0 }) do found[row.name] = row.better or "neither" end
    end
    assert.same({ class_accuracy = "higher", frechet = "lower", kid = "lower", precision = "higher", recall = "higher",
                  density = "higher", coverage = "higher", copied = "neither", closer = "neither" }, found)
  end)

  it("has a bootstrap for plain numbers, too", function()
    local b = drift.bootstrap({ 1, 2, 3, 4 }, { seed = 1 })
    assert.equal(2.5, b.value)
    assert.is_true(b.low < 2.5 and b.high > 2.5)
    assert.error_matches(function() drift.bootstrap { 1, "two" } end, "bootstrap: element 2 is a string")
  end)
end)

describe("the classifier that ships", function()
  it("reads the test digits as well as its file says", function()
    local net, metadata = drift.digit_classifier(), drift.open(drift.home .. "/lua/drift/models/digit_classifier.safetensors").metadata
    assert.is_false(net:training())
    local said = tonumber(metadata.test_accuracy:match "^[%d.]+")
    assert.is_true(said >= 0.992)
    local all = {}
    for i = 1, #data.test do all[i] = i end
    local images, labels = data.test:batch(all)
    local report = drift.evaluate { data = data, images = images, labels = labels, metrics = { metric.class_accuracy {} } }
    assert.equal(300, report[1].n)
    assert.is_true(report[1].value >= 0.98, report.text)                  -- 294 of 300 would be 3.5 deviations below 0.9947
  end)

  it("gives features and logits of one pass", function()
    local net = drift.digit_classifier()
    local images = data.test:batch { 1, 2, 3 }
    local logits, features = net:read(images)
    assert.same({ 3, 10 }, logits.shape)
    assert.same({ 3, 128 }, features.shape)
    assert.same(features:totable(), net:features(images):totable())
    assert.same(logits:totable(), net(images):totable())
  end)
end)

describe("drift.evaluate", function()
  setup(function() drift.on_note(function() end) end)
  teardown(function() drift.on_note(nil) end)

  it("tells real images from noise, by every metric", function()
    local images, labels = training_images(1, 300)
    local good = rows_of(drift.evaluate { data = data, images = images, labels = labels, metrics = all_metrics() })
    local noise = drift.rand { 300, 1, 28, 28, purpose = "noise" }
    local bad = rows_of(drift.evaluate { data = data, images = noise, labels = labels, metrics = all_metrics() })
    assert.is_true(good.class_accuracy.value > 0.97 and bad.class_accuracy.value < 0.3)
    assert.is_true(bad.frechet.low > 5 * good.frechet.high)
    assert.is_true(bad.kid.low > 5 * math.abs(good.kid.high))
    assert.is_true(good.precision.value > 0.6 and bad.precision.value < 0.1)
    assert.is_true(good.recall.value > 0.6 and bad.recall.value < 0.1)
    assert.is_true(good.density.value > 0.6 and bad.density.value < 0.1)
    assert.is_true(good.coverage.value > 0.8 and bad.coverage.value < 0.1)
    assert.equal(1, good.copied.value)                                    -- these are training images
    assert.equal(0, bad.copied.value)
    for _, row in pairs(good) do
      assert.equal(300, row.n)
      assert.is_true(row.low <= row.value and row.value <= row.high, row.name)
    end
  end)

  it("has a Frechet distance of a few images that repeat: a covariance of low rank leaves crumbs, not NaN", function()
    local metric, two = drift.build(drift.metric.frechet {}), drift.randn { 2, 64, purpose = "noise", seed = 5 }
    local x = drift.zeros(20, 64)
    for i = 1, 20 do x[i] = two[i % 7 == 0 and 1 or 2] end
    metric:reset()
    metric:reference(drift.randn { 300, 64, purpose = "noise" }:clamp(0, 10))
    metric:update(x)
    local row = metric:result { resamples = 50 }[1]
    assert.is_true(row.low > 0 and row.value > 50 and row.high < 200, tostring(row.value))
  end)

  it("clamps images to [0, 1]", function()
    local images, labels = training_images(1, 60)
    local function judged(x)
      local report = drift.evaluate { data = data, images = x, labels = labels, metrics = all_metrics(), resamples = 0, real = 100, train = 500 }
      local values = {}
      for i, row in ipairs(report) do values[i] = row.value end
      assert.equal(100, report.real)
      assert.equal(500, report.train)
      return values
    end
    local wide = images * 3 - 1
    assert.same(judged(wide:clamp(0, 1)), judged(wide))
  end)

  it("draws the images itself, and leaves a table and a file", function()
    local run = run_directory.open { name = "evaluated", parameters = {} }
    local net = drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" }
    local said = {}
    drift.on_note(function(line) said[#said + 1] = line end)
    local report = drift.evaluate {
      data = data, model = net, process = drift.process.flow_matching {}, sampler = drift.sampler.euler { steps = 2 },
      n = 24, classes = 10, batch = 7, run = run, seed = 5, quiet = true }
    drift.on_note(function() end)
    assert.same({ 24, 1, 28, 28 }, report.images.shape)
    assert.same({ 0, 1, 2 }, { table.unpack(report.labels:totable(), 1, 3) })
    assert.is_true(report.images_per_second > 0)
    local saved = drift.json.decode(drift.read_file(run:path "evaluation.json"))
    assert.equal(24, saved.n)
    assert.equal(300, saved.real)
    assert.equal(5, saved.seed)
    assert.equal(#report, #saved.metrics)
    assert.equal(report[2].value, saved.metrics[2].value)
    assert.is_truthy(table.concat(said, "\n"):find(report.text, 1, true))
    assert.is_truthy(report.text:find "frechet +%d")
    local other = drift.evaluate {
      data = data, model = net, process = drift.process.flow_matching {}, sampler = drift.sampler.euler { steps = 2 },
      n = 24, classes = 10, batch = 24, seed = 5, quiet = true, metrics = { metric.frechet {} } }
    assert.is_true(math.abs(other[1].value - rows_of(report).frechet.value) < 1e-3 * other[1].value)
  end)

  it("refuses what cannot be evaluated", function()
    assert.error_matches(function() drift.evaluate { data = data } end, "evaluate: needs images, or model")
    assert.error_matches(function() drift.evaluate { data = data, images = drift.zeros(2, 1, 28, 28), n = 2 } end, "give images, or a model")
    assert.error_matches(function()
      drift.evaluate { data = data, images = drift.zeros(2, 1, 28, 28), metrics = { metric.class_accuracy {} } }
    end, "needs logits and labels")
    local images = drift.zeros(3, 1, 28, 28)
    images[2] = 0 / 0
    assert.error_matches(function()
      drift.evaluate { data = data, images = images, metrics = { metric.frechet {} } }
    end, "1 of 3 images have values that are no numbers %(NaN%): the training, or the sampling, diverged")
  end)
end)
