-- Question: what digits does a time-conditioned UNet draw after 1, 5 and 10 epochs of flow matching, and how likely are
-- the test digits to it? The rows of each grid start from noise of seeds 100, 101 and 102.   (spec B3)
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, epochs = 10, batch = 128, lr = 1e-3, time = "add",
  sample_steps = 50, samples = 30, seeds = { 100, 101, 102 }, judged = 2000, likelihoods = 500,
  at_epochs = { 1, 5, 10 }, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 32, epochs = 1, judged = 500, likelihoods = 100 },
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16, sample_steps = 4, samples = 15, judged = 20,
                        likelihoods = 2 } } }

local data    = drift.dataset.mnist {}
local process = drift.process.flow_matching {}
local figures = drift.sample_figures {
  run = run, title = ("flow matching, time %s"):format(run.time), at_epochs = run.at_epochs,
  n = run.samples, seeds = run.seeds,
  sample = { process = process, sampler = drift.sampler.euler { steps = run.sample_steps }, shape = { 1, 28, 28 } } }

local net = drift.train {
  run = run, data = data, process = process,
  model = drift.models.cs180_unet { hidden = run.hidden, time = run.time },
  optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 },
  after_epoch = figures.after_epoch }

figures:samples(net)
figures:trajectory(net)
figures:training()
figures:evaluate(net, data, run.judged)
drift.likelihood { run = run, model = net, process = process, data = data, n = run.likelihoods }
run:finish()
