-- Question: at which noise levels is a network better that predicts the noise, the data, or v, and what do min-SNR
-- weights change? The same UNet, batches, noise and times, judged on one fixed set of images and noise.
-- (Salimans & Ho 2022, Hang et al. 2023)
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, epochs = 20, batch = 128, lr = 1e-3, T = 300, samples = 20, judged = 2000,
  at_epochs = { 1, 5, 10, 15, 20 }, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 16, epochs = 2, judged = 500 },
              smoke = { hidden = 8, epochs = 1, steps = 20, batch = 16, samples = 10, judged = 20 } } }

local data = drift.dataset.mnist {}
local function ddpm(predict) return drift.process.ddpm { T = run.T, predict = predict } end

local variants = {
  { name = "eps", label = "predicts the noise", process = ddpm "eps" },
  { name = "x0", label = "predicts the data", process = ddpm "x0" },
  { name = "v", label = "predicts v", process = ddpm "v" },
  { name = "v_min_snr", label = "predicts v, min-SNR weights", process = ddpm "v",
    weighting = drift.weighting.min_snr {} } }

local nets = drift.side_by_side {
  run = run, title = "DDPM", variants = variants, n = run.samples, at_epochs = run.at_epochs, judged = run.judged,
  train = { data = data, model = drift.models.cs180_unet { hidden = run.hidden, time = "add" },
            optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 } },
  sample = { sampler = drift.sampler.ddim { steps = 50 }, shape = { 1, 28, 28 } } }

local levels = {}
for i, variant in ipairs(variants) do
  levels[i] = drift.noise_levels { model = nets[variant.name], process = variant.process, data = data, n = run.judged,
                                   label = variant.label }
  run:say("%s", levels[i].text)
end
drift.noise_level_curve(run, levels)
run:finish()
