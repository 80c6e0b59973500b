-- The training loop that all experiments share: it learns, its randomness is keyed and not ordered, and what it leaves
-- in its folder is complete.
local drift = require "drift"
local run_directory = require "drift.run"

local function subset() return drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" } end

local function train(name, o)
  local run = run_directory.open { name = name, parameters = { epochs = 1, batch = o.batch or 20, steps = o.steps or 10 } }
  local net = drift.train {
    run = run, data = subset(), model = o.model or drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" },
    process = drift.process.flow_matching {}, optim = o.optim or drift.optim.adam { lr = o.lr or 1e-3 }, p_uncond = 0.1, label = "test",
    after_epoch = o.after_epoch }
  local losses = {}
  for _, record in ipairs(run.records) do losses[#losses + 1] = record.loss end
  return losses, net, run
end

describe("drift.train", function()
  setup(function() drift.on_note(function() end) end)
  teardown(function() drift.on_note(nil) end)

  it("lowers the loss", function()
    local losses = train("learns", { steps = 50, lr = 3e-3 })
    local function mean(first, last)
      local sum = 0
      for i = first, last do sum = sum + losses[i] end
      return sum / (last - first + 1)
    end
    assert.equal(50, #losses)
    assert.is_true(mean(41, 50) < 0.5 * mean(1, 5))
  end)

  it("gives the same losses for the same seed, whatever else draws numbers", function()
    local first = train("same", { steps = 5 })
    drift.randn { 100, purpose = "something else" }
    assert.same(first, (train("same", { steps = 5 })))
    drift.seed(1)
    assert.not_same(first, (train("same", { steps = 5 })))
    drift.seed(0)
  end)

  it("refuses counts and shares that are none", function()
    local function refuses(o, message)
      local run = run_directory.open { name = "refuses", parameters = {} }
      o.run, o.data, o.process, o.optim = run, subset(), drift.process.flow_matching {}, drift.optim.adam {}
      o.model = drift.models.cs180_unet { hidden = 4, time = "add" }
      assert.error_matches(function() drift.train(o) end, message)
    end
    refuses({ epochs = -1 }, "train: epochs = %-1 should be a whole number of at least 0")
    refuses({ batch = 0 }, "train: batch = 0 should be a whole number of at least 1")
    refuses({ steps = 1.5 }, "train: steps = 1.5 should be")
    refuses({ p_uncond = 2 }, "train: p_uncond = 2 is outside %[0, 1%]")
  end)

  it("goes on where the limit of steps ended it, with the same losses", function()
    local whole = train("limit", { steps = 6 })
    local _, _, first = train("limit", { steps = 4 })
    drift.options.resume = first.dir
    local ok, rest = pcall(train, "limit", { steps = 6 })
    drift.options.resume = nil
    assert.is_true(ok, rest)
    local losses = {}
    for _, loss in ipairs(rest) do losses[#losses + 1] = loss end
    assert.same(whole, losses)
  end)

  it("leaves the run as it was when its checkpoint does not fit", function()
    local _, _, run = train("unfit", { steps = 2 })
    local config, metrics = drift.read_file(run:path "config.json"), drift.read_file(run:path "metrics.jsonl")
    drift.options.resume = run.dir
    local ok, message = pcall(train, "unfit", { steps = 9, model = drift.models.cs180_unet { hidden = 5, time = "add", class = "scale" } })
    drift.options.resume = nil
    assert.is_false(ok)
    assert.is_truthy(message:find("does not fit", 1, true), message)
    assert.equal(config, drift.read_file(run:path "config.json"))
    assert.equal(metrics, drift.read_file(run:path "metrics.jsonl"))
  end)

  it("draws a curve of losses that are all 0", function()
    local run = run_directory.open { name = "flat", parameters = {} }
    for step = 1, 5 do run:log { step = step, epoch = 1, loss = 0.0 } end
    drift.loss_curve(run)
    assert.is_true(drift.exists(run:path "loss.svg"))
  end)

  it("starts two variants from equal weights where their paths are equal", function()
    local narrow = drift.build(drift.models.cs180_unet { hidden = 4 })
    local with_time = drift.build(drift.models.cs180_unet { hidden = 4, time = "add" })
    local a, b = narrow:state_dict(), with_time:state_dict()
    for path, tensor in pairs(a) do assert.same(tensor:totable(), b[path]:totable()) end
    assert.is_not_nil(b["t1.net.0.weight"])
    assert.is_nil(a["t1.net.0.weight"])
  end)

  it("leaves a checkpoint, the losses and a curve", function()
    local losses, net, run = train("leaves", { steps = 6 })
    assert.is_true(drift.exists(run:path "checkpoint.safetensors"))
    local lines = 0
    for line in drift.read_file(run:path "metrics.jsonl"):gmatch "[^\n]+" do
      assert.is_table(drift.json.decode(line))
      lines = lines + 1
    end
    assert.equal(#losses + 1, lines)                              -- and one for the epoch
    assert.truthy(drift.read_file(run:path "loss.svg"):find("<polyline", 1, true))
    local file = drift.open(run:path "checkpoint.safetensors")
    assert.equal("6", file.metadata.step)
    assert.same(file:tensor "net.out.bias":totable(), net:state_dict()["out.bias"]:totable())
    assert.is_true(file:has "optim.exp_avg.out.bias")
  end)

  it("calls after_epoch with the network in evaluation mode", function()
    local seen
    train("after", { steps = 2, after_epoch = function(net, epoch) seen = { epoch, net:training() } end })
    assert.same({ 1, false }, seen)
  end)

  it("refuses an option that it does not know, and a batch larger than the data", function()
    assert.error_matches(function() drift.train { proces = 1 } end, "no option 'proces'; did you mean 'process'")
    assert.error_matches(function() train("large", { batch = 2000 }) end, "1000 samples do not fill a batch of 2000")
  end)

  it("stops at a loss that is not a number", function()
    assert.error_matches(function() train("wild", { steps = 40, optim = drift.optim.sgd { lr = 1000 } }) end, "the loss is .*smaller learning rate")
  end)
end)

describe("drift.sample", function()
  local process, sampler = drift.process.flow_matching {}, drift.sampler.euler { steps = 3 }
  local net = drift.build(drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" })
  local function draw(o)
    o.model, o.process, o.sampler, o.shape, o.quiet = net, process, sampler, { 1, 28, 28 }, true
    return drift.sample(o)
  end

  it("gives image i the same noise whatever the batch", function()
    local labels = { 3, 1, 4, 1, 5, 9, 2 }
    local a, b = draw { labels = labels, batch = 7 }, draw { labels = labels, batch = 3 }
    assert.same({ 7, 1, 28, 28 }, a.shape)
    assert.is_true((a - b):abs():amax():item() < 1e-4)
    local last = draw { labels = { 2 }, first = 6 }
    assert.is_true((a[7] - last[1]):abs():amax():item() < 1e-4)
  end)

  it("leaves the network's mode as it was, and no gradients", function()
    net:train()
    local images = draw { n = 2 }
    assert.is_true(net:training())
    assert.is_false(images:requires_grad())
  end)

  it("guides: scale 0 forgets the class, scale 1 is the plain model, more goes further", function()
    local _, trained = train("guided", { steps = 10 })
    local function at(label, scale)
      return drift.sample { model = trained, process = process, sampler = sampler, shape = { 1, 28, 28 }, quiet = true,
                            labels = { label }, guidance = scale and drift.guidance.cfg { scale = scale } or nil }
    end
    local function distance(a, b) return (a - b):abs():amax():item() end
    assert.is_true(distance(at(7, 0), at(2, 0)) < 1e-5)
    assert.is_true(distance(at(7, 1), at(7)) < 1e-4)
    local near, far = distance(at(7, 1), at(7, 0)), distance(at(7, 5), at(7, 0))
    assert.is_true(near > 1e-6)                                   -- ten steps make a small difference between classes ...
    assert.is_true(far > 3 * near and far < 7 * near)             -- ... which the scale multiplies
  end)

  it("refuses what it does not know", function()
    assert.error_matches(function() draw { lables = { 1 } } end, "no option 'lables'; did you mean 'labels'")
    assert.error_matches(function() draw {} end, "give labels, or n")
    assert.error_matches(function() draw { n = 0 } end, "n = 0 should be a whole number of at least 1")
    assert.error_matches(function() draw { labels = {} } end, "n = 0 should be")
    assert.error_matches(function() draw { n = 2, batch = 0 } end, "batch = 0 should be")
    assert.error_matches(function() draw { labels = 3 } end, "labels is a list of whole numbers, not a number")
    assert.error_matches(function() draw { labels = { 1, 1.5 } } end, "label 2 is 1.5, not a whole number")
    assert.error_matches(function() draw { labels = { 1 }, n = 2 } end, "n = 2, but there are 1 labels")
    assert.error_matches(function()
      drift.sample { model = net, process = process, sampler = sampler, n = 1, shape = { 28, 28 } }
    end, "shape is { channels, height, width }")
  end)
end)
