-- Plans: a replayed step gives the bits of the step as written, for all that training is made of; and what cannot be
-- replayed is found, said once, and runs as written with the right numbers.
local drift = require "drift"
local run_directory = require "drift.run"

local function subset() return drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" } end

-- What fn notes, as one text.
local function notes_of(fn)
  local lines = {}
  drift.on_note(function(line) lines[#lines + 1] = line end)
  local ok, message = pcall(fn)
  drift.on_note(nil)
  if not ok then error(message, 0) end
  return table.concat(lines, "\n")
end

-- A blend of networks, drops and averages, n steps of it: losses and everything that lasts, as bytes.
local function trained(planned, o)
  local net = drift.build(o.model or drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" })
  local optimizer = drift.optimizer(o.optim or drift.optim.adam { lr = 1e-3 }, net)
  local averages = { drift.average(net, drift.ema.power { sigma_rel = 0.1 }), drift.average(net, drift.ema.fixed { decay = 0.9 }) }
  local n = 0
  local function fn(b)
    local eps = drift.randn { b.image.shape[1], 1, 28, 28, purpose = "noise", sample = b.sample }
    local u = drift.rand { b.image.shape[1], purpose = "mask", sample = b.sample }
    local x = b.time:view(-1, 1, 1, 1) * b.image + eps
    local loss = net(x, { time = b.time, label = b.label, mask = u:greater(0.3) }):mse(b.image - eps, b.weight)
    loss:backward()
    optimizer:step()
    for _, average in ipairs(averages) do average:update(n) end
    return loss
  end
  local step, losses = planned and drift.plan(fn, { name = "a step" }) or fn, {}
  for i = 1, o.steps or 30 do
    local B = o.batch and o.batch(i) or 6
    n = n + 1
    net:stream(0, 0, 10 * i)
    optimizer:advance(math.cos(i / 30))
    for _, average in ipairs(averages) do average:advance(n) end
    losses[i] = drift.scope(function()
      local inputs = { image = drift.rand { B, 1, 28, 28, purpose = "data", step = i }, sample = 10 * i,
                       label = drift.tensor(table.move({ 3, 1, 4, 1, 5, 9 }, 1, B, 1, {}), "i32"),
                       time = drift.rand { B, purpose = "time", step = i } }
      if o.weight and o.weight(i) then inputs.weight = drift.rand { B, purpose = "weight", step = i } end
      return step(inputs):item()
    end)
    if o.between then o.between(net, averages, i) end
  end
  local state = {}
  for _, w in ipairs(net:named()) do state[w.path] = w.tensor:tostring_bytes() end
  for k, average in ipairs(averages) do
    for path, tensor in pairs(average:state_dict(k .. ".")) do state[path] = tensor:tostring_bytes() end
  end
  return { losses = losses, state = state }, planned and step:state(), optimizer:steps()
end

local function same(a, b)
  assert.same(a.losses, b.losses)
  for name, bytes in pairs(a.state) do assert.is_true(bytes == b.state[name], name) end
end

local function plain(body)
  return drift.net { name = "plain", forward = body,
                     children = { { "conv", drift.block.conv { in_channels = 1, out_channels = 1 } } } }
end

describe("a replayed training step", function()
  it("gives the bits of the step as written: weights, averages, losses", function()
    local replayed, state, steps = trained(true, {})
    same(trained(false, {}), replayed)
    assert.is_true(state.replays)
    assert.equal(30, steps)                                          -- the optimizer's own count goes on
    assert.is_true(state.replayed >= 25, state.replayed .. " replayed")
    assert.is_true(state.checked >= 1 and state.launches > 100)
    assert.is_true(state.arena > 0 and state.arena < state.made)     -- memory is shared by lifetime
  end)

  it("does so with dropout, SGD and AdamW", function()
    local drops = plain(function(net, x) return net.conv(x):dropout { p = 0.3, sample = 0 } end)
    for _, optim in ipairs { drift.optim.sgd { lr = 0.1, momentum = 0.9, nesterov = true }, drift.optim.adamw {} } do
      same(trained(false, { optim = optim, model = drops }), (trained(true, { optim = optim, model = drops })))
    end
  end)

  it("is recorded apart for other shapes and for inputs that come and go", function()
    local o = { batch = function(i) return i % 5 == 0 and 2 or 6 end, weight = function(i) return i % 2 == 0 end, steps = 60 }
    local replayed, state = trained(true, o)
    same(trained(false, o), replayed)
    assert.is_true(state.replayed >= 30, state.replayed .. " replayed")
  end)

  it("is recorded apart with and without gradients, and for each mode of a network", function()
    local net = drift.build(drift.net { name = "modes", forward = function(net, x) return x * (net:training() and 2 or 3) end })
    local step = drift.plan(function(b) return net(b.x) + (drift.grad_enabled() and 10 or 20) end)
    for i = 1, 8 do
      for _, way in ipairs { { true, true }, { true, false }, { false, true }, { false, false } } do
        net:train(way[1])
        local x = { x = drift.full({ 2 }, i) }
        local y = way[2] and step(x) or drift.no_grad(step, x)
        assert.equal((way[1] and 2 or 3) * i + (way[2] and 10 or 20), y:totable()[1])
      end
    end
    assert.equal(4 * (8 - 3), step:state().replayed)
  end)

  it("goes on with the right weights after they were swapped, and in another mode", function()
    local seen = {}
    local o = { between = function(net, averages, i)
      if i % 10 ~= 0 then return end
      net:eval()
      averages[1]:with(function()
        local y = net(drift.ones(1, 1, 28, 28), { time = drift.ones(1), label = drift.tensor({ 1 }, "i32") })
        seen[#seen + 1] = y:tostring_bytes()
      end)
      net:train()
    end, steps = 45 }
    local written = trained(false, o)
    local pictures = seen
    seen = {}
    local replayed, state = trained(true, o)
    same(written, replayed)
    assert.is_true(#seen == 4 and table.concat(seen) == table.concat(pictures))
    assert.is_true(state.replays and state.replayed > 25)
  end)

  it("leaves a result that somebody still has as it is", function()
    local double = drift.plan(function(b) return b.x * 2, b.x end)
    local kept = {}
    for i = 1, 12 do
      local y, x = double { x = drift.full({ 3 }, i) }
      kept[i] = { y, x }
    end
    assert.is_true(double:state().replays)
    for i = 1, 12 do
      assert.same({ 2 * i, 2 * i, 2 * i }, kept[i][1]:totable())
      assert.same({ i, i, i }, kept[i][2]:totable())
    end
  end)

  it("is drift.train's, with the bits of --no-plan, in each kind of training", function()
    local function checkpoint(name, planned, o)
      local plans = drift.plans(planned)
      local run = run_directory.open { name = name .. (planned and "_plan" or "_written"), parameters = {} }
      local all = { run = run, data = subset(), epochs = 2, batch = 100, optim = drift.optim.adam { lr = 1e-2 },
                    model = plain(function(net, x) return net.conv(x) end) }
      for key, value in pairs(o) do all[key] = value end
      if o.unet then all.unet, all.model = nil, drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" } end
      local notes = notes_of(function() drift.train(all) end)
      drift.plans(plans)
      assert.is_nil(notes:find("not replayed", 1, true), notes)
      local file, tensors = drift.open(run:path "checkpoint.safetensors"), {}
      for _, tensor in ipairs(file:names()) do tensors[#tensors + 1] = tensor .. file:tensor(tensor):tostring_bytes() end
      local losses = {}
      for i, record in ipairs(run.records) do losses[i] = record.loss or 0 end
      return table.concat(tensors), losses
    end
    local kinds = {
      flow = { process = drift.process.flow_matching {}, p_uncond = 0.2, decay = drift.decay.exponential { to = 0.1 },
               unet = true, steps = 14 },
      ddpm = { process = drift.process.ddpm { T = 50 }, weighting = drift.weighting.min_snr {},
               ema = { drift.ema.power {}, drift.ema.fixed {} } },
      fixed = { process = drift.process.fixed_noise { sigma = 0.5, predict = "x0" }, ema = drift.ema.warmup {} },
      edm = { process = drift.process.edm {}, optim = drift.optim.adamw {} },
      coupled = { process = drift.process.flow_matching {}, coupling = drift.coupling.minibatch_ot {}, batch = 50 },
      own = { loss = function(net, b)
        return net(b.image + drift.randn { b.size, 1, 28, 28, purpose = "own", sample = b.first }):mse(b.image)
      end },
    }
    for name, o in pairs(kinds) do
      local replayed, replayed_losses = checkpoint(name, true, o)
      local written, losses = checkpoint(name, false, o)
      assert.same(losses, replayed_losses)
      assert.is_true(replayed == written, name)
    end
  end)
end)

describe("a replayed evaluation", function()
  it("computes once what follows from weights alone, and anew when they are written to", function()
    local w, two = drift.full({ 4 }, 3):keep(), drift.full({ 4 }, 2):keep()
    local f = drift.plan(function(b) return b.x * ((w * w):exp() + two) end)
    local function expected(x) return x * (math.exp(w:totable()[1] ^ 2) + 2) end
    drift.no_grad(function()
      for i = 1, 20 do
        if i % 6 == 0 then w:assign(drift.full({ 4 }, i / 10)) end
        local y = f { x = drift.full({ 4 }, i) }:totable()[2]
        assert.is_true(math.abs(y / expected(i) - 1) < 1e-6, ("call %d: %g, expected %g"):format(i, y, expected(i)))
      end
    end)
    local state = f:state()
    assert.is_true(state.replays and state.once == 3, state.once .. " of " .. state.launches)
  end)

  it("follows a weight to other memory", function()
    local w, other = drift.full({ 4 }, 3):keep(), drift.full({ 4 }, 5):keep()
    local f = drift.plan(function(b) return b.x * w end)
    for i = 1, 20 do
      if i == 8 then w:swap(other) end
      assert.equal(i * (i < 8 and 3 or 5), f { x = drift.full({ 4 }, i) }:totable()[1])
    end
    local state = f:state()
    assert.is_true(state.replays and state.replayed >= 12, state.replayed .. " replayed")
  end)

  it("does not run once what is written to again after it was read", function()
    local w = drift.full({ 4 }, 3):keep()
    local f = drift.plan(function(b)
      local c = w * 1
      local before = b.x + c
      c:assign(w * 2)
      return before * c
    end)
    drift.no_grad(function()
      for i = 1, 8 do assert.equal((i + 3) * 6, f { x = drift.full({ 4 }, i) }:totable()[1]) end
    end)
    assert.is_true(f:state().replays)
  end)

  it("gives samplers the images that they get without", function()
    local net = drift.build(drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" })
    local function images(planned, sampler, guidance)
      local plans = drift.plans(planned)
      local x = drift.sample { model = net, process = drift.process.flow_matching {}, sampler = sampler, guidance = guidance,
                               labels = { 0, 1, 2, 3, 4, 5, 6 }, batch = 3, shape = { 1, 28, 28 }, quiet = true }
      drift.plans(plans)
      return x:tostring_bytes()
    end
    local guidances = { false, drift.guidance.cfg { scale = 3 }, drift.guidance.cfg_interval { scale = 3 } }
    for i, sampler in ipairs { drift.sampler.euler { steps = 6 }, drift.sampler.heun { steps = 5 }, drift.sampler.dpmpp_2m { steps = 6 } } do
      local guidance = guidances[i] or nil
      assert.is_true(images(true, sampler, guidance) == images(false, sampler, guidance), tostring(sampler))
    end
  end)
end)

describe("what cannot be replayed", function()
  -- n calls of the plan of fn; each result is that of the function as written. Returns the notes and the state.
  local function refused(fn, inputs, n)
    local step
    local notes = notes_of(function()
      step = drift.plan(fn, { name = "this" })
      for i = 1, n or 12 do step(inputs and inputs(i) or { x = drift.full({ 2 }, i) }) end
    end)
    local state = step:state()
    assert.is_false(state.replays)
    assert.equal(1, select(2, notes:gsub("this is not replayed", "")), notes)                    -- said once
    return notes
  end
  local function says(text, fn, ...)
    local notes = refused(fn, ...)
    assert.is_truthy(notes:find(text, 1, true), notes .. "\n  should have: " .. text)
  end

  it("is a function that reads back, is not the same each time, or leaves something behind", function()
    local calls, total, held = 0, 0, nil
    says("reads a tensor back", function(b) total = total + b.x:sum():item() return b.x * 1 end)
    assert.equal(2 * 78, total)                                                                  -- all calls ran
    says("kernel 1 was exp and is now", function(b) calls = calls + 1 return calls % 2 == 0 and b.x:exp() or b.x:sin() end)
    calls = 0
    says("affine: its scale changes from call to call", function(b) calls = calls + 1 return b.x * calls end)
    calls = 0
    says("it runs 2 kernels and ran 1 before", function(b) calls = calls + 1 return calls < 3 and b.x:exp() or b.x:exp():sin() end)
    calls = 0
    says("sum: its dims changes from call to call", function(b) calls = calls + 1 return b.x:sum({ calls % 2 }) end,
         function() return { x = drift.ones(2, 2) } end)
    calls = 0
    says("a number from the host that mul reads changes", function(b) calls = calls + 1 return b.x * drift.tensor { calls, 1 } end)
    says("its tensor 2 comes from outside and is another one", function(b) return b.x * held end,
         function(i)
           held = drift.full({ 2 }, i):keep()
           return { x = drift.ones(2) }
         end)
  end)

  it("is a random stream that does not go with the declared sample", function()
    local calls = 0
    says("its sample does not move", function(b) calls = calls + 1 return b.x + drift.randn { 2, purpose = "p", sample = calls } end,
         function(i) return { x = drift.ones(2), sample = 2 * i } end)
    calls = 0
    says("its step changes", function(b) calls = calls + 1 return b.x + drift.randn { 2, purpose = "p", step = calls } end)
  end)

  it("is a gradient that is left, a graph that is left open, and what is no tensor", function()
    local w = drift.full({ 2 }, 3):keep()
    w:requires_grad(true)
    says("leaves a tensor behind", function(b) (b.x * w):sum():backward() return b.x * 1 end)
    w:zero_grad()
    says("graph is still open", function(b) return (b.x * w):sum() end)
    says("gives back a number", function(b) return b.x * 1, 5 end)
    says("one of its inputs requires a gradient", function(b) return b.x * 2 end, function() return { x = w } end)
    local last = {}
    says("leaves a tensor behind that affine made", function(b) last[1] = (b.x * 2):keep() return b.x * 1 end)
  end)

  it("is an optimizer's step that was not announced, whose numbers are right all the same", function()
    local function weights(planned)
      local net = drift.build(plain(function(net, x) return net.conv(x) end))
      local optimizer = drift.optimizer(drift.optim.adam { lr = 1e-2 }, net)
      local function fn(b)
        local loss = net(b.x):mse(b.x)
        loss:backward()
        optimizer:step()
        return loss
      end
      local step = planned and drift.plan(fn, { name = "this" }) or fn
      local notes = notes_of(function() for i = 1, 12 do step { x = drift.rand { 4, 1, 8, 8, purpose = "x", step = i } } end end)
      return net:named()[1].tensor:tostring_bytes(), notes
    end
    local replayed, notes = weights(true)
    assert.is_truthy(notes:find("needs optimizer:advance()", 1, true), notes)
    assert.is_true(replayed == weights(false))
  end)

  it("is found also when a function changes later, by the check of every so many calls", function()
    collectgarbage()                                  -- networks of earlier tests: one that goes lets plans begin anew
    collectgarbage()
    local late = false
    local step = drift.plan(function(b) return late and b.x:sin() or b.x:exp() end, { name = "this" })
    for i = 1, 8 do step { x = drift.full({ 2 }, i) } end
    assert.is_true(step:state().replays)
    late = true
    local notes = notes_of(function()
      step:check()
      assert.is_true(math.abs(step { x = drift.full({ 2 }, 1) }:totable()[1] - math.sin(1)) < 1e-6)
    end)
    assert.is_truthy(notes:find("this is not replayed any more", 1, true), notes)
    assert.is_false(step:state().replays)
    assert.is_true(math.abs(step { x = drift.full({ 2 }, 2) }:totable()[1] - math.sin(2)) < 1e-6)
  end)

  it("is an error of the function, which stays the script's own", function()
    local calls = 0
    local step = drift.plan(function(b) calls = calls + 1 if calls == 3 then error "my own" end return b.x * 2 end)
    local x = { x = drift.ones(2) }
    step(x)
    step(x)
    assert.error_matches(function() step(x) end, "my own")
    for _ = 1, 6 do assert.same({ 2, 2 }, step(x):totable()) end
    assert.is_true(step:state().replays)
    assert.error_matches(function() step { [1] = x.x } end, "inputs are given by name")
    assert.error_matches(function() step { x = {} } end, "input x must be a tensor, a number, a string or true or false, not a table")
    assert.error_matches(function() step { x = x.x, sample = 1.5 } end, "whole number")
  end)
end)
