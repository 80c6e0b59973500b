-- held_out_loss.lua: the training's own loss on images that it has not seen, the same for every variant: test images,
-- times and noise of streams of their own, no dropout of conditions, the network in evaluation mode.
--   local loss = held_out_loss { model =, process =, data =, n = 500, time_sampling =, weighting =, seed = 0 }
--   loss = { value =, low =, high =, n = }        a bootstrap over images; the weighted mean, as trained
-- Also of a loss of one's own, loss = function(net, batch): then low and high are of batches, and may be nil.
--   held_out_loss.levels {...} -> list of { t =, ratio =, loss =, low =, high =, n = }: unweighted, at given levels
-- At one t the error of the target is that of x0 times (p - q alpha/sigma)^2, since x_t is known:
--   target = p x0 + q eps,  alpha dx0 + sigma deps = 0
local drift = require "drift"

local held_out_loss = {}
local BATCH = 100

local function each_batch(n, fn)
  for first = 0, n - 1, BATCH do
    drift.scope(function()
      drift.no_grad(function() fn(first, math.min(BATCH, n - first)) end)
    end)
    if drift.interrupted() then drift.fail "stopped while the held-out loss was measured" end
  end
end

local function by_process(o, images, labels, errors)
  each_batch(images.shape[1], function(first, count)
    local x0 = images:narrow(0, first, count)
    local eps = drift.randn { purpose = "held-out noise", seed = o.seed, sample = first, table.unpack(x0.shape) }
    local t = drift.draw_times(o.process, { purpose = "held-out time", seed = o.seed, sample = first }, count,
      o.time_sampling)
    local levels = drift.batch_levels(o.process, x0, t, { weighting = o.weighting })
    local noised = drift.noise_batch(o.process, x0, eps, levels)
    local label = labels and labels:narrow(0, first, count)
    local difference = o.model(noised.input, { time = noised.time, label = label }) - noised.target
    local each = (difference * difference):flatten(1):mean(1):totable()
    local weight = noised.weight and noised.weight:totable()
    for i, e in ipairs(each) do errors[#errors + 1] = e * (weight and weight[i] or 1) end
  end)
end

local function by_loss(o, images, labels, errors)
  each_batch(images.shape[1], function(first, count)
    local batch = { image = images:narrow(0, first, count), size = count,
                    label = labels and labels:narrow(0, first, count),
                    first = first, sample = first }
    errors[#errors + 1] = o.loss(o.model, batch):item()
  end)
end

function held_out_loss.measure(o)
  local images, labels = drift.evaluation_images({ data = o.data, n = o.n }, 500)
  local errors = {}
  drift.in_eval_mode({ o.model }, function() (o.loss and by_loss or by_process)(o, images, labels, errors) end)
  local b = drift.bootstrap(errors, { seed = o.seed, confidence = o.confidence })
  return { value = b.value, low = b.low, high = b.high, n = images.shape[1] }
end

function held_out_loss.levels(o)
  local process = drift.instance(o.process, "process")
  local levels = drift.noise_levels { model = o.model, process = process, data = o.data, n = o.n, seed = o.seed,
                                      confidence = o.confidence, quiet = true }
  local list = drift.json.array {}
  for i, level in ipairs(levels) do
    local c = process:coef(level.t)
    local factor = (c.p - c.q * c.alpha / c.sigma) ^ 2
    list[i] = { t = level.t, ratio = level.ratio, n = level.n, x0 = level.x0.value, eps = level.eps.value,
                loss = factor * level.x0.value, low = factor * level.x0.low, high = factor * level.x0.high }
  end
  return list
end

return held_out_loss
