-- Question: does the falling learning rate matter? AdamW at a constant 1e-4 with weight decay 1e-4, against Adam from
-- 1e-3 down to 1e-4, on the same batches, noise and initial weights: class-conditional flow matching, or DDPM
-- (process=ddpm).   (spec B4)
local drift = require "drift"
local run = drift.experiment {
  process = "flow", hidden = 64, epochs = 10, batch = 128, lr = 1e-3, constant_lr = 1e-4, weight_decay = 1e-4,
  p_uncond = 0.1, gamma = 5.0, sample_steps = 50, samples = 40, at_epochs = { 1, 5, 10 }, judged = 2000, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 32, epochs = 2, judged = 500 },      -- the decay shows from the second epoch on
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16, sample_steps = 4, samples = 10, judged = 20 } } }

local method = run:choice("process", drift.methods { steps = run.sample_steps })

drift.side_by_side {
  run = run, title = method.title,
  variants = {
    { name = "decay", label = ("Adam, lr %g falling to a tenth"):format(run.lr),
      optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 } },
    { name = "constant", label = ("AdamW, lr %g constant, weight decay %g"):format(run.constant_lr, run.weight_decay),
      optim = drift.optim.adamw { lr = run.constant_lr, weight_decay = run.weight_decay } } },
  train = { data = drift.dataset.mnist {}, process = method.process, p_uncond = run.p_uncond,
            model = drift.models.cs180_unet { hidden = run.hidden, time = "add", class = "scale" } },
  sample = { sampler = method.sampler, shape = { 1, 28, 28 }, guidance = drift.guidance.cfg { scale = run.gamma } },
  classes = 10, n = run.samples, at_epochs = run.at_epochs, judged = run.judged }
run:finish()
