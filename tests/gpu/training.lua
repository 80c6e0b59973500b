-- training.lua: class-conditional flow matching as in experiments/mnist_flow.lua, and nothing after it: what the checks
-- of plans, of determinism and of CPU against CUDA train.
local drift = require "drift"
local run = drift.experiment { hidden = 16, epochs = 2, batch = 32, lr = 1e-3, p_uncond = 0.1, steps = 50 }

drift.train {
  run = run, data = drift.dataset.mnist {}, process = drift.process.flow_matching {}, p_uncond = run.p_uncond,
  model = drift.models.cs180_unet { hidden = run.hidden, time = "add", class = "scale" },
  optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 } }
run:finish()
