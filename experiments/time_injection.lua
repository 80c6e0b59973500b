-- Question: should the time be added to the UNet's features or scale them? Both, on the same batches, noise and initial
-- weights, for flow matching or as a DDPM (process=ddpm).   (spec B0, B2, B3)
local drift = require "drift"
local run = drift.experiment {
  process = "flow", hidden = 64, epochs = 10, batch = 128, lr = 1e-3,
  sample_steps = 50, samples = 40, at_epochs = { 1, 5, 10 }, judged = 2000, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 32, epochs = 1, judged = 500 },
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16, sample_steps = 4, samples = 10, judged = 20 } } }

local method = run:choice("process", drift.methods { steps = run.sample_steps })

local function unet(time) return drift.models.cs180_unet { hidden = run.hidden, time = time } end

drift.side_by_side {
  run = run, title = method.title,
  variants = { { name = "add", label = "time added", model = unet "add" },
               { name = "scale", label = "time scales", model = unet "scale" } },
  train = { data = drift.dataset.mnist {}, process = method.process,
            optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 } },
  sample = { sampler = method.sampler, shape = { 1, 28, 28 } },
  n = run.samples, at_epochs = run.at_epochs, judged = run.judged }
run:finish()
