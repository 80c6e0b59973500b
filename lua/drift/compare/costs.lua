-- costs.lua: what a variant's training costs, counted before it begins, as budget.lua compares it.
--   local costs = costs_of { model =, data =, optim =, ..., shape =, classes =, epochs = 1, batch = 128, steps = 0 }
--   costs.flops_per_image (a step's, forward and backward), .flops_forward, .plan_bytes, .memory; .batch, .steps (in
--     all), .epoch_steps. Where a step cannot be counted (it reads a file, ...) the former are nil and .not_counted says
--     why: the variant can be trained all the same, and only a match that asks for them is refused.
local drift = require "drift"

return function(o)
  local batch, limit = o.batch or 128, o.steps or 0
  local epoch_steps = #drift.instance(o.data, "dataset").train // batch
  local steps = (o.epochs or 1) * epoch_steps
  local costs = { batch = batch, epoch_steps = epoch_steps, steps = limit > 0 and math.min(limit, steps) or steps }
  local counted, cost = pcall(drift.cost, {
    model = o.model, process = o.process, loss = o.loss, optim = o.optim, p_uncond = o.p_uncond, ema = o.ema,
    time_sampling = o.time_sampling, weighting = o.weighting, coupling = o.coupling, batch = batch, shape = o.shape,
    classes = o.classes })
  if not counted then
    costs.not_counted = tostring(cost)
    return costs
  end
  costs.flops_per_image, costs.flops_forward, costs.plan_bytes = cost.flops_step, cost.flops_forward, cost.plan_bytes
  costs.memory = cost.memory
  return costs
end
