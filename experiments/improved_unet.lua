-- Question: does an improved UNet - residual blocks, GroupNorm, SiLU, attention at 7x7, AdaGN - draw better digits than
-- the plain one on the same budget of steps, at about the same cost of each?   (spec B5)
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, epochs = 10, batch = 128, lr = 1e-3, sample_steps = 50, samples = 40, judged = 2000,
  at_epochs = { 1, 5, 10 }, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 32, epochs = 1, judged = 1000 },
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16, sample_steps = 4, samples = 10, judged = 20 } } }

local data    = drift.dataset.mnist {}
local process = drift.process.flow_matching {}
local sampler = drift.sampler.euler { steps = run.sample_steps }
local plain, improved = drift.models.cs180_unet, drift.models.improved_unet

local nets = drift.side_by_side {
  run = run, title = "flow matching",
  variants = { { name = "plain", label = "plain UNet", model = plain { hidden = run.hidden, time = "add" } },
               { name = "improved", label = "improved UNet", model = improved { hidden = run.hidden } } },
  train = { data = data, process = process,
            optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 } },
  sample = { sampler = sampler, shape = { 1, 28, 28 } }, n = run.samples, at_epochs = run.at_epochs }

local levels = {}
for i, name in ipairs { "plain", "improved" } do
  drift.evaluate { run = run, name = "evaluation_" .. name, model = nets[name], process = process, sampler = sampler,
                   data = data, n = run.judged }
  levels[i] = drift.noise_levels { model = nets[name], process = process, data = data, n = run.judged, label = name }
  run:say("%s", levels[i].text)
end
drift.noise_level_curve(run, levels)
run:finish()
