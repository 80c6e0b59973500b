-- train_step.lua: one step of training, as drift.train takes it and drift bench measures it.
--
--   local step = drift.train_step { net = net, optimizer = optimizer, process = process, p_uncond = 0.1, averages = {},
--                                   time_sampling = nil, weighting = nil, coupling = nil }
--   local loss = drift.scope(step, batch, factor, number)                -- factor: of the learning rate; number: from 1
--   loss:item()                                   -- waits for the step where the device works on its own
--   step:check()                                  -- the next call runs as written and is compared; see drift.plan
--   step.plan                                     -- what it replays: step.plan:state(), step.plan:ops()
--
-- batch: image [B,C,H,W], label [B] or nil, noise or nil, size and first (the number of its first sample), as a loader
-- reads it. Instead of a process, loss = function(net, batch) ... return tensor end.
--
-- What the host does for a step (the batch, its times and their coefficients, a coupling, the learning rate) is apart
-- from what the device does, which is a plan (drift.plan): after three steps it is replayed, with the same numbers.
local drift = require "drift"

-- Row i keeps its condition with probability 1 - p; keyed by the sample, so variants drop the same ones. [B]
local function condition_mask(p, batch)
  if p <= 0 or not batch.label then return nil end
  local u = drift.rand { batch.size, purpose = "condition dropout", sample = batch.first }
  return u:greater(p)
end

-- What the step's plan is called with: the batch, and what only the host can say of it.
local function inputs_of(o, batch)
  local inputs = { image = batch.image, label = batch.label, noise = batch.noise, size = batch.size,
                   sample = batch.first }
  if o.loss then return inputs end
  local t = drift.draw_times(o.process, { purpose = "time", sample = batch.first }, batch.size, o.time_sampling)
  local levels = drift.batch_levels(o.process, batch.image, t, { weighting = o.weighting })
  for name, tensor in pairs(levels) do inputs[name] = tensor end
  if o.coupling and not batch.noise then
    local eps = drift.randn { purpose = "noise", sample = batch.first, table.unpack(batch.image.shape) }
    inputs.noise = drift.instance(o.coupling, "coupling"):pair(batch.image, eps, batch.label)
  end
  return inputs
end

local function diffusion_loss(o, batch)
  local images = batch.image                                                             -- [B,C,H,W]
  local eps = batch.noise or drift.randn { purpose = "noise", sample = batch.first, table.unpack(images.shape) }
  local noised = drift.noise_batch(o.process, images, eps, batch)
  local cond = { time = noised.time, label = batch.label, mask = condition_mask(o.p_uncond, batch) }
  return drift.op.mse(o.net(noised.input, cond), noised.target, noised.weight)
end

return function(o)
  local averages, number = o.averages or {}, nil
  local plan = drift.plan(function(batch)
    batch.first = batch.sample
    local loss = o.loss and o.loss(o.net, batch) or diffusion_loss(o, batch)
    loss:backward()
    o.optimizer:step()
    for _, average in ipairs(averages) do average:update(number) end
    return loss
  end, { name = "the training step" })

  local function step(_, batch, factor, this)
    number = this
    o.net:stream(drift.seed(), 0, batch.first)
    o.optimizer:advance(factor)
    for _, average in ipairs(averages) do average:advance(number) end
    return plan(drift.trace("inputs", inputs_of, o, batch)):later()
  end
  return setmetatable({ plan = plan, check = function() plan:check() end }, { __call = step })
end
