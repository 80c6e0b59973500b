-- Question: what digits does a class-conditional UNet draw after 1, 5 and 10 epochs of flow matching, and what does
-- classifier-free guidance do to them?   (spec B4)
local drift = require "drift"
local run = drift.experiment {
  network = "plain", hidden = 64, epochs = 10, batch = 128, lr = 1e-3, p_uncond = 0.1,
  gamma = 5.0, gammas = { 0, 0.01, 1, 2, 5 }, sample_steps = 50, samples = 40, judged = 2000,
  at_epochs = { 1, 5, 10 }, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 32, epochs = 1, judged = 500 },
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16, sample_steps = 4, samples = 10, judged = 20 } } }

local data    = drift.dataset.mnist {}
local process = drift.process.flow_matching {}
local figures = drift.sample_figures {                            -- four of each class, a column each
  run = run, title = "flow matching", at_epochs = run.at_epochs, n = run.samples, classes = 10,
  sample = { process = process, sampler = drift.sampler.euler { steps = run.sample_steps }, shape = { 1, 28, 28 },
             guidance = drift.guidance.cfg { scale = run.gamma } } }

local network = run:choice("network", {                           -- network=improved: the UNet of spec B5
  plain    = drift.models.cs180_unet { hidden = run.hidden, time = "add", class = "scale" },
  improved = drift.models.improved_unet { hidden = run.hidden, classes = 10 } })

local net = drift.train {
  run = run, data = data, process = process, p_uncond = run.p_uncond, model = network,
  optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 },
  after_epoch = figures.after_epoch }

figures:samples(net)
figures:guidance(net, run.gammas)
figures:trajectory(net)
figures:training()
figures:evaluate(net, data, run.judged, { 1, 2 })
run:finish()
