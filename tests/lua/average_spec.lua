-- Averages of weights: what each decay says, what is averaged and what is copied, that evaluation with them leaves the
-- training as it was, and that averages of any width come out of the snapshots of two.
local drift = require "drift"
local run_directory = require "drift.run"

local function subset() return drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" } end

-- A network of one number.
local function one(value)
  return drift.build(drift.net { name = "one", weights = { w = { shape = { 1 }, init = value } },
                                 forward = function(net, x) return x * net.w end })
end

local function near(a, b, tolerance) assert.is_true(math.abs(a - b) <= tolerance * (1 + math.abs(b)), ("%.17g, expected %.17g"):format(a, b)) end

local function set(net, value) drift.no_grad(function() net.w:assign(drift.full({ 1 }, value)) end) end

-- The weight follows w(1), .., w(steps); f(step, average) is called after each update.
local function follow(spec, steps, w, f)
  local net = one(0)
  local average = drift.average(net, spec)
  for step = 1, steps do
    set(net, w(step))
    average:update(step)
    if f then f(step, average) end
  end
  return average:state_dict()["w"]:item(), average
end

-- Steps of a network with a weight that has no gradient; averages moved apart, or in the optimizer's own pass.
local function stepped(optim, joined)
  local net = drift.build(drift.net { name = "n", children = { { "conv", drift.block.conv { in_channels = 1, out_channels = 65 } } },
    weights = { idle = { shape = { 7 }, init = 1 } }, forward = function(net, x) return net.conv(x) end })
  local averages = { drift.average(net, drift.ema.power { sigma_rel = 0.1 }), drift.average(net, drift.ema.fixed { decay = 0.7 }) }
  local optimizer = drift.optimizer(optim, net)
  if joined then
    local lists = { averages[1]:of(net:parameters()), averages[2]:of(net:parameters()) }
    for k, decay in ipairs(optimizer:averages(lists)) do averages[k]:leave(net:parameters(), decay) end
  end
  for step = 1, 7 do
    net(drift.rand { 2, 1, 6, 6, purpose = "x", step = step }):square():mean():backward()
    for _, average in ipairs(averages) do average:advance(step) end
    if step == 4 then drift.no_grad(function() net.idle:assign(drift.full({ 7 }, 2)) end) end
    optimizer:step(1 / step)
    for _, average in ipairs(averages) do average:update(step) end
  end
  local bytes = {}
  for k, average in ipairs(averages) do
    for path, tensor in pairs(average:state_dict(k .. ".")) do bytes[path] = tensor:tostring_bytes() end
  end
  for _, w in ipairs(net:named()) do bytes[w.path] = w.tensor:tostring_bytes() end
  return bytes, averages[2]:state_dict().idle:totable()[1]
end

describe("averages that an optimizer moves", function()
  it("have the bits of those that are moved apart, whatever the optimizer", function()
    for _, optim in ipairs { drift.optim.adam { lr = 0.01 }, drift.optim.adamw { lr = 0.01 }, drift.optim.sgd { lr = 0.1, momentum = 0.9 } } do
      local apart, joined = stepped(optim, false), stepped(optim, true)
      for path, bytes in pairs(apart) do assert.is_true(bytes == joined[path], tostring(optim) .. " " .. path) end
    end
    local _, idle = stepped(drift.optim.adam {}, true)
    near(idle, 2 - 0.7 ^ 4, 1e-6)                                    -- also of a weight that has no gradient
  end)

  it("are refused where they are not one for each weight", function()
    local net = one(0)
    local optimizer = drift.optimizer(drift.optim.adam {}, net)
    assert.error_matches(function() optimizer:averages { {} } end, "a list of 1 tensors, one for each weight")
    local w = drift.zeros(1)
    assert.error_matches(function() optimizer:averages { { w }, { w }, { w }, { w }, { w } } end, "at most 4 averages, not 5")
  end)
end)

describe("the decay of an average", function()
  it("is what the formula says", function()
    local fixed, warmup, power = drift.ema.fixed { decay = 0.9 }, drift.ema.warmup { decay = 0.5 }, drift.ema.power { gamma = 2 }
    for _, step in ipairs { 1, 2, 7, 8, 1000 } do
      assert.equal(0.9, fixed:instance():decay(step))
      near(warmup:instance():decay(step), math.min(0.5, (1 + step) / (10 + step)), 1e-15)
      near(power:instance():decay(step), (1 - 1 / step) ^ 3, 1e-15)
    end
    assert.equal(0, power:instance():decay(1))
    assert.error_matches(function() power:instance():decay(0) end, "step 0 is before the first")
  end)

  it("has the exponent whose profile has the relative width that is asked for", function()
    -- Karras et al. 2024, section 3.1: sigma_rel 0.05 and 0.10 are gamma 16.97 and 6.94
    near(drift.export.ema_gamma(0.05), 16.97, 1e-3)
    near(drift.export.ema_gamma(0.10), 6.94, 1e-3)
    for _, gamma in ipairs { 0.1, 1, 6.94, 200 } do near(drift.export.ema_gamma(drift.export.ema_sigma_rel(gamma)), gamma, 1e-9) end
    -- the deviation of p(s) = (gamma+1) s^gamma on [0,1], by summing it up
    local gamma, mass, mean, square, n = drift.export.ema_gamma(0.2), 0, 0, 0, 200000
    for i = 1, n do
      local s = (i - 0.5) / n
      local p = (gamma + 1) * s ^ gamma / n
      mass, mean, square = mass + p, mean + p * s, square + p * s * s
    end
    near(mass, 1, 1e-6)
    near(math.sqrt(square - mean ^ 2), 0.2, 1e-6)
    assert.error_matches(function() drift.export.ema_gamma(0.3) end, "sigma_rel = 0.3 is outside")
  end)
end)

describe("an average of weights", function()
  it("starts from the first weights and forgets them as the decay says", function()
    local value = follow(drift.ema.fixed { decay = 0.75 }, 3, function(step) return 4 ^ step end)
    near(value, 0.25 * (64 + 0.75 * 16 + 0.75 ^ 2 * 4), 1e-6)      -- the initial weight is 0
  end)

  it("of a power has the weights of the profile, and nothing of the initial weights", function()
    local gamma, steps = 3, 40
    local expected = 0
    for s = 1, steps do expected = expected + ((s / steps) ^ (gamma + 1) - ((s - 1) / steps) ^ (gamma + 1)) * math.sin(s) end
    near(follow(drift.ema.power { gamma = gamma }, steps, math.sin), expected, 1e-6)
  end)

  it("averages buffers of floats and copies those of integers", function()
    local net = drift.build(drift.net { name = "norm", inline = { bn = drift.block.batch_norm { num_features = 2 } },
                                        forward = function(net, x) return net.bn(x) end })
    local average = drift.average(net, drift.ema.fixed { decay = 0.5 })
    local before = net:state_dict()["running_mean"]:clone()
    net:train()
    net(drift.randn { 4, 2, 3, 3, purpose = "x" } + 5)
    average:update(1)
    local now, averaged = net:state_dict(), average:state_dict()
    for c = 1, 2 do
      near(averaged.running_mean[c]:item(), 0.5 * (before[c]:item() + now.running_mean[c]:item()), 1e-6)
      assert.is_true(now.running_mean[c]:item() > 0.1)
    end
    assert.equal(1, averaged.num_batches_tracked:item())
  end)

  it("is in the network while with() lasts, also when it ends in an error, and the memory is its own", function()
    local net = one(1)
    local average = drift.average(net, drift.ema.fixed { decay = 0.5 })
    set(net, 3)
    average:update(1)
    assert.equal(3, net.w:item())
    assert.equal(2, average:with(function() return net(drift.ones { 1 }):item() end))
    assert.equal(3, net.w:item())
    assert.is_false((pcall(function() average:with(function() error "no" end) end)))
    assert.equal(3, net.w:item())
    average:swap()
    assert.error_matches(function() average:update(2) end, "swap them back")
    assert.equal(2, average:swap():state_dict().w:item())
  end)

  it("is saved and loaded with its prefix, and refuses what does not fit", function()
    local _, average = follow(drift.ema.fixed { decay = 0.5 }, 3, function(step) return step end)
    local w = drift.writer()
    average:save(w, "ema.1.")
    w:commit "average.safetensors"
    local other = drift.average(one(9), drift.ema.fixed { decay = 0.5 })
    other:load(drift.open "average.safetensors", "ema.1.")
    assert.equal(average:state_dict().w:item(), other:state_dict().w:item())
    assert.error_matches(function() other:load(drift.open "average.safetensors", "ema.2.") end, "ema.2.w is missing")
    local wide = drift.build(drift.net { name = "wide", weights = { w = { shape = { 2 }, init = 0 } }, forward = function(_, x) return x end })
    assert.error_matches(function()
      drift.average(wide, drift.ema.fixed {}):load(drift.open "average.safetensors", "ema.1.")
    end, "ema.1.w is %[1%], expected %[2%]")
  end)

  it("leaves channels-last weights and their averages in one order", function()
    local net = drift.build(drift.models.cs180_unet { hidden = 2, time = "add" })
    local average = drift.average(net, drift.ema.fixed { decay = 0 })
    drift.no_grad(function() for _, w in ipairs(net:parameters()) do w.tensor:assign(w.tensor + 1) end end)
    average:update(1)
    local state = average:state_dict()
    for _, w in ipairs(net:named()) do assert.same(w.tensor:totable(), state[w.path]:totable()) end
  end)
end)

describe("training with averages", function()
  setup(function() drift.on_note(function() end) end)
  teardown(function()
    drift.on_note(nil)
    drift.options.resume = nil
  end)

  -- Small: a convolution with BatchNorm, and one back to an image.
  local function small()
    return drift.net { name = "small", children = { { "conv", drift.block.conv { in_channels = 1, out_channels = 2 } },
                                                    { "out", drift.block.conv { in_channels = 2, out_channels = 1 } } },
                       forward = function(net, x) return net.out(net.conv(x)) end }
  end

  local function train(name, o)
    local run = run_directory.open { name = name, parameters = {} }
    local net, averages = drift.train {
      run = run, data = subset(), model = small(), epochs = o.epochs or 1, batch = 100,
      process = drift.process.flow_matching {}, optim = drift.optim.adam { lr = 1e-3 }, ema = o.ema, ema_every = o.ema_every,
      checkpoint_every = o.checkpoint_every, steps = o.steps or 0, after_epoch = o.after_epoch }
    return run, net, averages
  end

  it("updates them after each step, hands them over, and keeps them in the checkpoint", function()
    local given
    local run, net, averages = train("updates", { ema = drift.ema.fixed { decay = 0 }, steps = 3,
                                                  after_epoch = function(_, _, list) given = list end })
    assert.equal(averages, given)
    assert.equal(1, #averages)
    local file = drift.open(run:path "checkpoint.safetensors")
    for path, tensor in pairs(averages[1]:state_dict()) do
      assert.same(tensor:totable(), net:state_dict()[path]:totable())               -- a decay of 0 is the weight itself
      assert.same(tensor:totable(), file:tensor("ema.1." .. path):totable())
    end
    assert.same({}, (select(3, train("none", { steps = 1 }))))
    net, averages = select(2, train("first", { ema = drift.ema.power { gamma = 3 }, steps = 1 }))
    for path, tensor in pairs(averages[1]:state_dict()) do                          -- its decay is 0 at the first step only
      assert.same(tensor:totable(), net:state_dict()[path]:totable())
    end
  end)

  it("goes on only with the averages that there were", function()
    local run = train("rule", { ema = drift.ema.fixed { decay = 0.5 }, steps = 2 })
    drift.options.resume = run.dir
    assert.error_matches(function() train("rule", { ema = drift.ema.fixed { decay = 0.25 }, steps = 4 }) end,
      "average 1 is ema.fixed{decay=0.5}, this training asks for ema.fixed{decay=0.25}")
    assert.error_matches(function() train("rule", { steps = 4 }) end, "has 1 averages of weights, this training asks for 0")
    drift.options.resume = nil
    assert.error_matches(function() train("every", { ema = drift.ema.fixed {}, ema_every = 5 }) end, "there is none")
  end)

  it("writes a checkpoint every so many steps, with the lines of metrics that belong to it", function()
    local seen = {}
    local run = train("often", { checkpoint_every = 4, epochs = 2, after_epoch = function() end })
    assert.is_true(#run.records == 22)                                                -- 10 steps and one mean, twice
    local file = drift.open(run:path "checkpoint.safetensors")
    assert.same({ "22", "2", "20" }, { file.metadata.lines, file.metadata.ended, file.metadata.step })
    -- what lies there after the checkpoint of step 4 alone: a run that is stopped in step 7
    local stop = run_directory.open { name = "stop", parameters = {} }
    local calls = 0
    local broken = drift.net { name = "broken", children = { { "conv", drift.block.conv { in_channels = 1, out_channels = 1 } } },
      forward = function(net, x)
        calls = calls + 1
        if calls == 7 then error "the power fails" end
        return net.conv(x)
      end }
    local plans = drift.plans(false)                                                 -- forward runs in each step
    pcall(drift.train, { run = stop, data = subset(), model = broken, epochs = 1, batch = 100, checkpoint_every = 4,
                         process = drift.process.flow_matching {}, optim = drift.optim.sgd {} })
    drift.plans(plans)
    seen = drift.open(stop:path "checkpoint.safetensors").metadata
    assert.same({ "4", "4", "4", "0" }, { seen.step, seen.batch, seen.lines, seen.ended })
  end)

  it("has metrics and snapshots on disk before the checkpoint that counts them", function()
    local run = run_directory.open { name = "order", parameters = {} }
    drift.mkdir(run:path "checkpoint.safetensors")                                   -- so that it cannot be written
    local ok, message = pcall(drift.train, { run = run, data = subset(), model = small(), epochs = 1, batch = 100, steps = 3,
      ema = drift.ema.power {}, ema_every = 3, process = drift.process.flow_matching {}, optim = drift.optim.sgd {} })
    assert.is_false(ok)
    assert.is_truthy(message:find("checkpoint.safetensors: it exists and is not a regular file", 1, true), message)
    assert.equal(4, select(2, drift.read_file(run:path "metrics.jsonl"):gsub("\n", "")))
    assert.same({ "step_000000003_average_1.safetensors" }, drift.files(run:path "ema"))
  end)

  it("does again on resuming what follows an epoch, for it may not have been done", function()
    local run = train("again", { epochs = 1 })
    drift.write_file(run:path "loss.svg", "half")
    local epochs = {}
    drift.options.resume = run.dir
    train("again", { epochs = 1, after_epoch = function(_, epoch) epochs[#epochs + 1] = epoch end })
    drift.options.resume = nil
    assert.same({ 1 }, epochs)
    assert.is_truthy(drift.read_file(run:path "loss.svg"):find("<svg", 1, true))
  end)

  it("refuses to go on with metrics that were cut", function()
    local run = train("cut", { steps = 3 })
    drift.write_file(run:path "metrics.jsonl", '{"step": 1}\n')
    drift.options.resume = run.dir
    assert.error_matches(function() train("cut", { steps = 4 }) end, "has 1 lines, but the checkpoint counts 4")
    drift.write_file(run:path "metrics.jsonl", '{"step": 1}\n{"st')
    assert.error_matches(function() train("cut", { steps = 4 }) end, "metrics.jsonl: line 2 is not a record")
    drift.options.resume = nil
  end)

  it("keeps snapshots from which the average of a third width is made, as if it had been kept", function()
    local direct = drift.ema.power { sigma_rel = 0.15 }
    local run, net, averages = train("snapshots", { epochs = 4, ema_every = 5,
      ema = { drift.ema.power { sigma_rel = 0.1 }, drift.ema.power { sigma_rel = 0.25 }, direct } })
    assert.equal(3 * 8, #drift.files(run:path "ema"))
    -- the kept one itself, bit for bit
    local kept, fit = drift.post_hoc_ema(run, { sigma_rel = 0.25 })
    for path, tensor in pairs(averages[2]:state_dict()) do assert.same(tensor:totable(), kept[path]:totable()) end
    assert.equal(0, fit.residual)
    -- the third, without its own snapshots
    for _, name in ipairs(drift.files(run:path "ema")) do
      if name:find "_3%.safetensors$" then os.remove(run:path("ema/" .. name)) end
    end
    local made
    made, fit = drift.post_hoc_ema(run.dir, { sigma_rel = 0.15, net = net })
    assert.is_true(fit.residual < 0.02, fit.residual)
    for _, w in ipairs(net:named()) do
      local expected, got = averages[3]:state_dict()[w.path], made[w.path]
      assert.same(got:totable(), w.tensor:totable())
      if w.path:find "weight$" then
        local error = (got - expected):pow(2):sum():item() / expected:pow(2):sum():item()
        assert.is_true(error < 1e-6, ("%s: relative error %g"):format(w.path, error ^ 0.5))
      end
    end
  end)
end)

describe("drift.post_hoc_ema", function()
  -- The weight w(s) = sin(s/30) + s/100 over 400 steps; snapshots of two widths every 25.
  local folder, w = "trajectory", function(s) return math.sin(s / 30) + s / 100 end
  setup(function()
    drift.mkdir(folder)
    for i, gamma in ipairs { 17, 7 } do
      follow(drift.ema.power { gamma = gamma }, 400, w, function(step, average)
        if step % 25 ~= 0 then return end
        local writer = drift.writer()
        average:save(writer, "")
        writer:metadata("drift.snapshot", "1"):metadata("step", tostring(step)):metadata("gamma", tostring(gamma))
        writer:commit(("%s/%d_%03d.safetensors"):format(folder, i, step))
      end)
    end
  end)

  it("makes averages of other widths and earlier steps", function()
    for _, case in ipairs { { 12, 400 }, { 9, 400 }, { 12, 250 }, { 9, 200 }, { 5, 375 } } do
      local gamma, step = case[1], case[2]
      local got, fit = drift.post_hoc_ema(folder, { gamma = gamma, step = step })
      local expected = follow(drift.ema.power { gamma = gamma }, step, w)
      near(got.w:item(), expected, 5e-4)
      assert.is_true(fit.residual < 0.02)
      -- neither the nearest snapshot nor the last weight is that near
      local plain = follow(drift.ema.power { gamma = gamma == 12 and 7 or 12 }, step, w)
      assert.is_true(math.abs(plain - expected) > 2e-2)
    end
  end)

  it("says how badly it can do a narrow average that ends between snapshots", function()
    local line
    drift.on_note(function(text) line = text end)
    local _, fit = drift.post_hoc_ema(folder, { gamma = 17, step = 310 })
    drift.on_note(nil)
    assert.is_true(fit.residual > 0.3)
    assert.is_truthy(line:find("span this width badly", 1, true))
  end)

  it("names what it cannot do", function()
    assert.error_matches(function() drift.post_hoc_ema(folder, {}) end, "give sigma_rel or gamma")
    assert.error_matches(function() drift.post_hoc_ema(folder, { sigma_rel = 0.1, gamma = 3 }) end, "give sigma_rel or gamma")
    assert.error_matches(function() drift.post_hoc_ema(folder, { gamma = 3, step = 401 }) end, "step = 401 is outside %[1, 400%]")
    assert.error_matches(function() drift.post_hoc_ema(folder, { gamma = -0.7 }) end, "gamma = %-0.7 is not above %-0.5")
    assert.error_matches(function() drift.post_hoc_ema("nowhere", { gamma = 3 }) end, "no such folder")
    drift.mkdir "empty"
    assert.error_matches(function() drift.post_hoc_ema("empty", { gamma = 3 }) end, "holds no snapshots")
    drift.mkdir "other"
    drift.save_tensors("other/a.safetensors", { w = drift.ones { 1 } })
    assert.error_matches(function() drift.post_hoc_ema("other", { gamma = 3 }) end, "is not a snapshot")
  end)
end)
