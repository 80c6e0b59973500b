-- bench/work.lua: what drift bench measures: drift.train's step and drift.sample, on the class's UNet and random images
-- (no data set is needed). Each function sets up and returns { run = function(i) ... end }, i counting from 1; warm is
-- what to run instead while warming up. A step's loss is read when the next one has been queued, so that devices stay busy.
--   train    class-conditional flow matching: noise, time, dropped classes, forward, MSE, backward, Adam
--   denoise  unconditional denoiser at sigma 0.5: noise, forward, MSE, backward, Adam
--   sample   guided Euler sampling, gamma 5, of a batch of images
local drift = require "drift"

local work = {}

local function network(s, conditional)
  return drift.build(drift.models.cs180_unet {
    hidden = s.hidden, time = conditional and "add" or nil, class = conditional and "scale" or nil })
end

local function classes(n)
  local list = {}
  for i = 1, n do list[i] = (i - 1) % 10 end
  return list
end

local function training(s, process, conditional)
  local net = network(s, conditional)
  local step = drift.train_step {
    net = net, optimizer = drift.optimizer(drift.optim.adam { lr = 1e-3 }, net),
    process = drift.instance(process, "process"), p_uncond = conditional and 0.1 or 0 }
  local batch = { image = drift.rand { s.batch, 1, 28, 28, purpose = "bench" }:keep(), size = s.batch, first = 0 }
  if conditional then batch.label = drift.tensor(classes(s.batch), "i32"):keep() end
  net:train()
  local before
  return { run = function(i)
    batch.first = (i - 1) * s.batch
    local loss = drift.scope(step, batch, 1, i)
    local value = (before or loss):item()
    before = loss
    if not (math.abs(value) < math.huge) then drift.fail("bench: before step %d: the loss is %s", i + 1, tostring(value)) end
  end }
end

function work.train(s) return training(s, drift.process.flow_matching {}, true) end

function work.denoise(s) return training(s, drift.process.fixed_noise { sigma = 0.5, predict = "x0" }, false) end

function work.sample(s)
  local net, process, labels = network(s, true), drift.process.flow_matching {}, classes(s.batch)
  local function sampling(euler)
    return function(i)
      drift.scope(drift.sample, {
        model = net, process = process, sampler = drift.sampler.euler { steps = euler },
        guidance = drift.guidance.cfg { scale = 5 }, labels = labels, shape = { 1, 28, 28 }, batch = s.sample_batch,
        first = (i - 1) * s.batch, quiet = true })
    end
  end
  return { run = sampling(s.euler), warm = s.warmup_euler > 0 and sampling(s.warmup_euler) or nil }
end

return work
