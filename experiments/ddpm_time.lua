-- Question: what digits does a time-conditioned UNet draw that was trained as a DDPM, after 1, 5, 10, 15 and 20 epochs?
-- How the time enters is a parameter: time=add or time=scale.   (spec B2)
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, epochs = 20, batch = 128, lr = 1e-3, time = "add", T = 300,
  sample_steps = 0, samples = 40, judged = 2000, at_epochs = { 1, 5, 10, 15, 20 }, steps = 0,   -- sample_steps 0: all T
  preset = "quick",
  presets = { quick = { hidden = 32, epochs = 1, judged = 500 },
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16, sample_steps = 4, samples = 10, judged = 20 } } }

local betas   = drift.schedule.linear { beta_start = 1e-4, beta_end = 0.02 }
local data    = drift.dataset.mnist {}
local process = drift.process.ddpm { T = run.T, schedule = betas }
local figures = drift.sample_figures {
  run = run, title = ("DDPM, time %s"):format(run.time), at_epochs = run.at_epochs, n = run.samples,
  sample = { process = process, sampler = drift.sampler.ddpm { steps = run.sample_steps }, shape = { 1, 28, 28 } } }

local net = drift.train {
  run = run, data = data, process = process,
  model = drift.models.cs180_unet { hidden = run.hidden, time = run.time },
  optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 },
  after_epoch = figures.after_epoch }

figures:samples(net)
figures:trajectory(net)
figures:training()
figures:evaluate(net, data, run.judged)
run:finish()
