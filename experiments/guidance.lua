-- Question: what do the rules of guidance do to a class-conditional flow: classifier-free guidance at all noise levels,
-- in an interval, rescaled; and guidance by a weaker network?
-- (Ho & Salimans 2022, Kynkaanniemi et al. 2024, Lin et al. 2024, Karras et al. 2024)
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, weak_hidden = 16, epochs = 10, batch = 128, lr = 1e-3, p_uncond = 0.1, gamma = 5.0, weak_scale = 2.0,
  sample_steps = 50, samples = 20, judged = 2000, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 32, weak_hidden = 8, epochs = 1, judged = 500 },
              smoke = { hidden = 8, weak_hidden = 4, epochs = 1, steps = 3, batch = 16, sample_steps = 4, samples = 10,
                        judged = 20 } } }

local data    = drift.dataset.mnist {}
local process = drift.process.flow_matching {}

local function train(name, hidden)
  return drift.train {
    run = run:part(name), data = data, process = process, p_uncond = run.p_uncond, label = name .. " epoch",
    model = drift.models.cs180_unet { hidden = hidden, time = "add", class = "scale" },
    optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 } }
end
local net, weak = train("net", run.hidden), train("weak", run.weak_hidden)

local g, rules = drift.guidance, {}
rules[1] = { name = "none", guidance = nil }
rules[2] = { name = ("cfg, %g"):format(run.gamma), guidance = g.cfg { scale = run.gamma } }
rules[3] = { name = "cfg in an interval", guidance = g.cfg_interval { scale = run.gamma } }
rules[4] = { name = "cfg, rescaled", guidance = g.cfg_rescale { scale = run.gamma } }
rules[5] = { name = ("autoguidance, %g"):format(run.weak_scale), guidance = g.autoguidance { scale = run.weak_scale } }

local rows, images = {}, {}
for i, rule in ipairs(rules) do
  local report = drift.evaluate {
    run = run, name = ("evaluation_%d"):format(i), model = net, process = process, guidance = rule.guidance,
    networks = { weak = weak }, sampler = drift.sampler.euler { steps = run.sample_steps },
    data = data, n = run.judged, classes = 10 }
  rows[i], images[i] = rule.name, report.images
end

local cols = {}
for k = 1, run.samples do cols[k] = tostring((k - 1) % 10) end
local picture = drift.grid { title = "each column from the same noise and class", rows = rows, cols = cols,
                             cell = function(_, _, i, j) return images[i][j] end }
run:figure("guidance", picture)
drift.show(picture)
run:finish()
