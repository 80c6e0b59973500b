-- Question: what digits does a small class-conditional UNet draw after an epoch or ten of flow matching?   (spec B4)
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, epochs = 10, batch = 128, lr = 1e-3, p_uncond = 0.1,
  gamma = 5.0, sample_steps = 50, samples = 40, at_epochs = { 1, 5, 10 }, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 32, epochs = 1 },
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16, sample_steps = 4, samples = 10 } } }

local data    = drift.dataset.mnist {}
local process = drift.process.flow_matching {}
local model   = drift.models.cs180_unet { hidden = run.hidden, time = "add", class = "scale" }

local function samples(net, n)                                    -- classes in turn: 0, 1, .., 9, 0, ..
  local labels = {}
  for i = 1, n do labels[i] = (i - 1) % 10 end
  return drift.sample { model = net, process = process, labels = labels, shape = { 1, 28, 28 },
                        sampler = drift.sampler.euler { steps = run.sample_steps },
                        guidance = drift.guidance.cfg { scale = run.gamma } }
end

local function grid(images, epoch)
  return drift.class_grid(images, { classes = 10, rows = 4, title = ("flow matching, epoch %d, guidance %g"):format(epoch, run.gamma) })
end

local net = drift.train {
  run = run, data = data, model = model, process = process, p_uncond = run.p_uncond,
  optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 },
  after_epoch = function(net, epoch)
    for _, e in ipairs(run.at_epochs) do
      if e == epoch then run:figure(("epoch_%02d"):format(epoch), grid(samples(net, 40), epoch)) end
    end
  end }

local images, labels = samples(net, run.samples)
drift.save_tensors(run:path "samples.safetensors", { images = images, labels = labels:cast "i64" })
local picture = grid(images, run.epochs)
run:figure("samples", picture)
drift.show(picture)
run:say("samples, loss curve and checkpoint are in %s", run.dir)
