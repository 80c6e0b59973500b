-- What one step of the training loop gives to the network and the optimizer: images, noise, times and masks that are
-- keyed by the sample, the learning rate after decay, and the network in the mode that the moment asks for.
local drift = require "drift"
local run_directory = require "drift.run"

drift.load_plugin(os.getenv "DRIFT_TEST_PLUGIN_DIR" .. "/draws_noise.so")
drift.load_plugin(os.getenv "DRIFT_TEST_PLUGIN_DIR" .. "/weighs_loss.so")

local data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }

-- A network of one convolution and a BatchNorm that shows each call to `watch`, with numbers that a block drew, as
-- dropout would.
local function watched(watch)
  return drift.net {
    name = "watched",
    children = { { "conv", drift.block.conv { in_channels = 1, out_channels = 1 } },
                 { "drop", drift.block.draws_noise {} } },
    forward = function(net, x, cond)
      watch(net, x, cond, net.drop(x))
      return net.conv(x)
    end,
  }
end

local function train(o)
  local run = o.run or run_directory.open { name = "step", parameters = {} }
  return drift.train {
    run = run, data = data, loss = o.loss,
    process = not o.loss and (o.process or drift.process.flow_matching {}) or nil,
    optim = drift.optim.sgd { lr = o.lr or 1e-3 },
    model = o.model or watched(o.watch or function() end), decay = o.decay,
    p_uncond = o.p_uncond, epochs = o.epochs or 1,
    batch = o.batch or 20, steps = o.steps or 0, after_epoch = o.after_epoch,
    time_sampling = o.time_sampling, weighting = o.weighting, coupling = o.coupling,
  }
end

-- What the network sees of `samples` samples in batches of `batch`: one list of each, in the order of the samples.
local function seen_in(batch, samples)
  local seen = { mask = {}, time = {}, pixel = {}, drawn = {} }
  train { batch = batch, steps = samples // batch, p_uncond = 0.25, watch = function(_, x, cond, drawn)
    table.move(cond.mask:totable(), 1, batch, #seen.mask + 1, seen.mask)
    table.move(cond.time:totable(), 1, batch, #seen.time + 1, seen.time)
    table.move(x:narrow(2, 14, 1):narrow(3, 14, 1):reshape(batch):totable(), 1, batch, #seen.pixel + 1, seen.pixel)
    table.move(drawn:narrow(2, 0, 1):narrow(3, 0, 1):reshape(batch):totable(), 1, batch, #seen.drawn + 1, seen.drawn)
  end }
  assert.equal(samples, #seen.mask)
  return seen
end

describe("a training step", function()
  setup(function() drift.on_note(function() end) end)
  teardown(function() drift.on_note(nil) end)

  it("drops the condition of the share of samples that is asked for", function()
    local dropped = 0
    for _, keep in ipairs(seen_in(100, 400).mask) do
      assert.is_true(keep == 0 or keep == 1)
      dropped = dropped + 1 - keep
    end
    assert.is_true(dropped > 70 and dropped < 130, dropped .. " of 400 dropped, expected about 100")
  end)

  it("gives a sample the same noise, time, mask and dropout whatever the batch, and each sample its own", function()
    local large, small = seen_in(40, 120), seen_in(10, 120)
    assert.same(large, small)
    for _, what in ipairs { "time", "drawn" } do
      local different, count = {}, 0
      for _, value in ipairs(large[what]) do different[value] = true end
      for _ in pairs(different) do count = count + 1 end
      assert.is_true(count > 115, what)
    end
  end)

  it("takes the learning rate that decay leaves", function()
    local function weight(decay)
      local first
      local net = train { epochs = 2, batch = 500, lr = 0.1, decay = decay, after_epoch = function(net, epoch)
        if epoch == 1 then first = net:state_dict()["conv.conv.0.weight"]:totable() end
      end }
      return net:state_dict()["conv.conv.0.weight"]:totable(), first
    end
    local constant, after_first = weight(drift.decay.constant {})
    local decayed, same_first = weight(drift.decay.exponential { to = 1e-12 })
    assert.same(after_first, same_first)
    local function moved(a, b) return math.abs(a[1][1][1][1] - b[1][1][1][1]) end
    assert.is_true(moved(decayed, same_first) < 1e-3 * moved(constant, after_first))
  end)

  it("trains in training mode in every epoch, also after a picture was made in evaluation mode", function()
    local modes, plans = {}, drift.plans(false)                             -- forward runs in each step
    local net = train { epochs = 2, batch = 500, watch = function(net) modes[#modes + 1] = net:training() end }
    drift.plans(plans)
    assert.same({ true, true, true, true }, modes)
    assert.equal(4, net:state_dict()["conv.conv.1.num_batches_tracked"]:item())
    assert.is_false(net:training())
  end)

  it("weighs the loss as the process says", function()
    local function loss(w)
      local run = run_directory.open { name = "weighed", parameters = {} }
      train { run = run, steps = 1, process = drift.process.weighs_loss { w = w } }
      return run.records[1].loss
    end
    local one = loss(1)
    assert.is_true(one > 0.01)
    assert.is_true(math.abs(loss(3) - 3 * one) < 1e-4 * one)
  end)

  it("takes a loss of the script's own in place of the process's", function()
    local function trained(loss)
      local run = run_directory.open { name = "own_loss", parameters = {} }
      local net = train { run = run, steps = 3, loss = loss }
      return net:state_dict()["conv.conv.0.weight"], run.records
    end
    local by_process, records = trained()
    local by_hand, own_records = trained(function(net, batch)
      local eps = drift.randn { purpose = "noise", sample = batch.first, table.unpack(batch.image.shape) }
      local t = drift.rand { batch.size, purpose = "time", sample = batch.first }:reshape(-1, 1, 1, 1)
      local x_t = batch.image * t + eps * (1 - t)
      return drift.op.mse(net(x_t, { time = t:reshape(-1) }), batch.image - eps)
    end)
    assert.is_true((by_process - by_hand):abs():amax():item() < 1e-6)
    for i = 1, 3 do assert.is_true(math.abs(records[i].loss - own_records[i].loss) < 1e-5) end
    assert.error_matches(function()
      drift.train { run = {}, data = data, model = watched(function() end), optim = drift.optim.sgd {} }
    end, "give a process, or a loss")
  end)

  it("draws times, weighs the loss and pairs the noise as it is told, and records it", function()
    local function first(o)
      local run, seen = run_directory.open { name = "told", parameters = {} }, {}
      o.run, o.steps, o.batch = run, 1, 30
      o.watch = function(_, x, cond) seen.x, seen.time = x:reshape(30, -1):totable(), cond.time:totable() end
      train(o)
      return run.records[1].loss, seen, drift.json.decode(drift.read_file(run:path "config.json")).training
    end
    local still = drift.time_sampling.logit_normal { mean = 0, std = 0 }                    -- t = 1/2
    local loss, plain, record = first { time_sampling = still }
    for _, t in ipairs(plain.time) do assert.equal(0.5, t) end
    assert.same({ kind = "time_sampling", name = "logit_normal", params = { mean = 0, std = 0 } }, record.time_sampling)
    assert.is_nil(record.weighting)

    local weighed, _, weight_record = first { time_sampling = still, weighting = drift.weighting.error { of = "x0" } }
    assert.is_true(math.abs(weighed / loss - 0.25) < 1e-5)                                  -- dx0 = (1-t) dv
    assert.equal("error", weight_record.weighting.name)

    local _, paired, pair_record = first { time_sampling = still, coupling = drift.coupling.minibatch_ot { class_aware = true } }
    assert.is_true(pair_record.coupling.params.class_aware)
    local batch = data:loader { split = "train", batch = 30, seed = drift.seed(), shuffle = true, drop_last = true }:read(1, 1)
    local eps = drift.randn { purpose = "noise", sample = batch.first, table.unpack(batch.image.shape) }
    local want = drift.coupling.minibatch_ot { class_aware = true }:pair(batch.image, eps, batch.label)
    local function x_t(noise) return ((batch.image + noise) * 0.5):reshape(30, -1) end
    local function apart(a, b) return (drift.tensor(a) - b):abs():amax():item() end
    assert.is_true(apart(plain.x, x_t(eps)) < 1e-6)
    assert.is_true(apart(paired.x, x_t(want)) < 1e-6)
    assert.is_true(apart(paired.x, x_t(eps)) > 0.1)

    assert.error_matches(function() first { coupling = still } end, "expected a coupling, got a time_sampling")
  end)

  it("says so when a network goes on from its last training", function()
    local notes, model = {}, watched(function() end)
    drift.on_note(function(line) notes[#notes + 1] = line end)
    local function times()
      local n = 0
      for _, line in ipairs(notes) do n = n + (line:find("goes on from the weights of its last training", 1, true) and 1 or 0) end
      return n
    end
    train { model = model, steps = 1 }
    assert.equal(0, times())
    train { model = model, steps = 1 }
    assert.equal(1, times())
    train { model = drift.build(model), steps = 1 }
    drift.on_note(function() end)
    assert.equal(1, times())
  end)

  it("stops at a loss that is not a number", function()
    local broken = drift.net {
      name = "broken", children = { { "conv", drift.block.conv { in_channels = 1, out_channels = 1 } } },
      forward = function(net, x) return net.conv(x) * (0 / 0) end,
    }
    assert.error_matches(function() train { model = broken, steps = 2 } end,
      "epoch 1, step 1: the loss is .*smaller learning rate")
  end)

  it("returns the network in evaluation mode also when there was nothing to train", function()
    assert.is_false(train { epochs = 0 }:training())
  end)
end)
