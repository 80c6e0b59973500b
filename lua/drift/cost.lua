-- cost.lua: what a training step of a network costs, counted from its plan (core/plan_cost.c) before it is trained.
--
--   local cost = drift.cost { model = net_spec, shape = { 1, 28, 28 }, classes = 10, batch = 128, process =, optim = }
--   cost.params                      weights
--   cost.flops_forward, .flops_step  FLOP of an image: forward; a whole training step (forward, backward)
--   cost.memory = .plan_bytes + .weights_bytes + .state_bytes + .batch_bytes
--     plan_bytes: the arena of the plan, in which activations and gradients (.gradient_bytes, if none were shared) lie;
--     weights_bytes: weights and buffers; state_bytes: optimizer's and averages'; batch_bytes: the plan's inputs
--   cost.launches, cost.ops          kernels of a step; list of { op, launches, flop, bytes } of a batch
--   cost.text                        all that in a line
--
-- The step is drift.train_step's, recorded on the device "null", which knows shapes and computes nothing; other devices
-- run the same plan. (A CUDA device keeps memory a little longer, so that kernels may run side by side: device = "cuda"
-- counts there, by taking six steps.) FLOPs are those of convolutions and products in their direct form: additions,
-- activations, normalisation and the optimizer, which wait for memory, count 0. The first three steps, before there is
-- a plan, need more memory than the plan (about a quarter for a UNet), and kernels may need workspace: neither is in it.
local drift = require "drift"

local STEPS = 6                                                    -- the fourth is replayed

local function spec_of(model)
  local spec = drift.type(model) == "module" and model.spec or model
  if drift.is_spec(spec, "net") then return spec end
  drift.fail("cost: model is a network or its description (drift.models.NAME or drift.net), not a %s",
    drift.type(model))
end

local function options_of(o)
  drift.accept("cost", o, { "model", "shape" },
    { "batch", "classes", "process", "optim", "loss", "p_uncond", "ema", "time_sampling", "weighting", "coupling",
      "device" })
  local shape = o.shape
  local whole = type(shape) == "table" and #shape == 3
  for i = 1, whole and 3 or 0 do whole = whole and math.type(shape[i]) == "integer" and shape[i] > 0 end
  if not whole then drift.fail "cost: shape is that of an image, { channels, height, width }" end
  for _, name in ipairs { "batch", "classes" } do
    if o[name] ~= nil and (math.type(o[name]) ~= "integer" or o[name] < 1) then
      drift.fail("cost: %s = %s should be a whole number of at least 1", name, tostring(o[name]))
    end
  end
  if o.process and o.loss then drift.fail "cost: give a process, or a loss of your own" end
  return { spec = spec_of(o.model), shape = shape, batch = o.batch or 128, classes = o.classes, loss = o.loss,
           process = not o.loss and (o.process or drift.process.flow_matching {}) or nil,
           optim = o.optim or drift.optim.adam {}, p_uncond = o.p_uncond or (o.classes and 0.1 or 0),
           ema = drift.is_spec(o.ema) and { o.ema } or o.ema or {}, device = o.device or "null",
           time_sampling = o.time_sampling, weighting = o.weighting, coupling = o.coupling }
end

local function batch_of(o)
  local labels = {}
  for i = 1, o.batch do labels[i] = (i - 1) % (o.classes or 1) end
  return { image = drift.zeros { o.batch, o.shape[1], o.shape[2], o.shape[3] }:keep(), size = o.batch, first = 0,
           label = o.classes and drift.tensor(labels, "i32"):keep() or nil }
end

local function bytes_of(tensor)
  local size = { f64 = 8, i64 = 8, f32 = 4, i32 = 4, bf16 = 2, u8 = 1, bool = 1 }
  return tensor:numel() * (size[tensor.dtype] or 4)
end

-- plan -> FLOP of a replay, and its ops
local function counted(plan)
  local ops, flop = plan:ops(), 0
  for _, row in ipairs(ops) do flop = flop + row.flop end
  return flop, ops
end

-- A step that is not replayed has launches all the same: those of one step as written.
local function counted_as_written(run)
  if drift.profiling() then drift.fail "cost: the step is not replayed, so a profile counts it; leave out --profile" end
  local flop = 0
  for _, row in ipairs(drift.kernels(run)) do flop = flop + row.flop end
  return flop
end

local function forward(o, net)
  local plan = drift.plan(function(b)
    b.first = b.sample
    if o.loss then return o.loss(net, b) end
    return net(b.image, { time = b.time, label = b.label })
  end, { name = "the forward pass" })
  local batch = batch_of(o)
  local inputs = { image = batch.image, label = batch.label, size = batch.size, sample = 0,
                   time = drift.zeros { o.batch }:keep() }
  local function run() drift.no_grad(drift.scope, function() plan(inputs) end) end
  for _ = 1, STEPS do run() end
  return plan:state().replays and counted(plan) or counted_as_written(run)
end

local function training(o, net)
  local optimizer, averages = drift.optimizer(o.optim, net), {}
  for i, spec in ipairs(o.ema) do averages[i] = drift.average(net, spec) end
  drift.join_averages(optimizer, net, averages)
  local step = drift.train_step {
    net = net, optimizer = optimizer, averages = averages, process = o.process and drift.instance(o.process, "process"),
    loss = o.loss, p_uncond = o.p_uncond, time_sampling = o.time_sampling, weighting = o.weighting, coupling = o.coupling }
  local batch, number = batch_of(o), 0
  local function run()
    number = number + 1
    batch.first = (number - 1) * o.batch
    drift.scope(step, batch, 1, number):item()
  end
  for _ = 1, STEPS do run() end
  local state = step.plan:state()
  if state.replays then return state, counted(step.plan) end
  return state, counted_as_written(run), {}
end

local function measure(o)
  local net = drift.build(o.spec)
  net:train()
  local cost = { params = net:count(), batch = o.batch, device = drift.device().name, weights_bytes = 0,
                 gradient_bytes = 0 }
  for _, w in ipairs(net:named()) do
    cost.weights_bytes = cost.weights_bytes + bytes_of(w.tensor)
    if not w.buffer then cost.gradient_bytes = cost.gradient_bytes + bytes_of(w.tensor) end
  end
  local forward_flop = forward(o, net)
  local state, flop, ops = training(o, net)
  cost.flops_forward, cost.flops_step, cost.ops = forward_flop / o.batch, flop / o.batch, ops
  cost.launches, cost.reason = state.launches, state.reason
  if state.replays then
    cost.plan_bytes, cost.batch_bytes = state.arena, state.inputs
    cost.state_bytes = math.max(0, state.outer - cost.weights_bytes)
    cost.memory = cost.plan_bytes + cost.weights_bytes + cost.state_bytes + cost.batch_bytes
  end
  return cost
end

local function text_of(c)
  local text = ("%d weights, %.4g MFLOP an image and training step (%.4g forward)"):format(c.params, 1e-6 * c.flops_step,
    1e-6 * c.flops_forward)
  if not c.memory then return text .. ", memory unknown: the step is not replayed, " .. c.reason end
  return ("%s, %.4g MiB at batch %d (plan %.4g), %d kernels"):format(text, c.memory / 2 ^ 20, c.batch,
    c.plan_bytes / 2 ^ 20, c.launches)
end

return function(options)
  local o = options_of(options)
  local device, precision, plans, quiet = drift.device(), drift.precision(), drift.plans(true), nil
  drift.use(o.device)
  if precision == "tf32" then drift.precision "f32" end            -- the same launches; null knows no tf32
  local ok, result = pcall(measure, o)
  drift.use(device)
  drift.precision(precision)
  drift.plans(plans)
  if ok then
    result.text = text_of(result)
    return result
  end
  drift.fail("cost: %s%s", tostring(result), o.device == "null"
    and "; a network that holds tensors of its own is counted where they are, with device = drift.device()" or "")
end
