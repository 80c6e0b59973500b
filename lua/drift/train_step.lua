-- train_step.lua: one step of training, as drift.train takes it and drift bench measures it.
--
--   local step = drift.train_step { net = net, optimizer = optimizer, process = process, p_uncond = 0.1, averages = {},
--                                   time_sampling = nil, weighting = nil, coupling = nil }
--   local loss = drift.scope(step, batch, factor, number)                -- factor: of the learning rate; number: from 1
--
-- batch: image [B,C,H,W], label [B] or nil, noise or nil, size and first (the number of its first sample), as a loader
-- reads it. Instead of a process, loss = function(net, batch) ... return tensor end.
local drift = require "drift"

-- Row i keeps its condition with probability 1 - p; keyed by the sample, so variants drop the same ones. [B]
local function condition_mask(p, batch)
  if p <= 0 or not batch.label then return nil end
  local u = drift.rand { batch.size, purpose = "condition dropout", sample = batch.first }
  return u:greater(p)
end

local function diffusion_loss(o, batch)
  local images = batch.image                                                             -- [B,C,H,W]
  local eps = batch.noise or drift.randn { purpose = "noise", sample = batch.first, table.unpack(images.shape) }
  if o.coupling and not batch.noise then eps = drift.instance(o.coupling, "coupling"):pair(images, eps, batch.label) end
  local t = drift.draw_times(o.process, { purpose = "time", sample = batch.first }, batch.size, o.time_sampling)
  local noised = drift.noising(o.process, images, eps, t, { weighting = o.weighting })
  local prediction = o.net(noised.input, { time = noised.time, label = batch.label, mask = condition_mask(o.p_uncond, batch) })
  return drift.op.mse(prediction, noised.target, noised.weight)
end

return function(o)
  return function(batch, factor, number)
    o.net:stream(drift.seed(), 0, batch.first)
    local loss = o.loss and o.loss(o.net, batch) or diffusion_loss(o, batch)
    loss:backward()
    o.optimizer:step(factor)
    for _, average in ipairs(o.averages or {}) do average:update(number) end
    return loss:item()
  end
end
