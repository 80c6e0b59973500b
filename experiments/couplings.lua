-- Question: does pairing each batch's noise with its images by optimal transport make straighter flows, and better digits
-- in few steps?   (Tong et al. 2024, Pooladian et al. 2023)
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, epochs = 10, batch = 128, lr = 1e-3, few = { 2, 4, 8, 50 }, samples = 20, judged = 2000,
  at_epochs = { 1, 5, 10 }, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 16, epochs = 2, judged = 500 },
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16, few = { 2, 4 }, samples = 10, judged = 20 } } }

local data     = drift.dataset.mnist {}
local process  = drift.process.flow_matching {}
local shape    = { 1, 28, 28 }
local variants = {
  { name = "independent", label = "independent", coupling = drift.coupling.independent {} },
  { name = "ot", label = "optimal transport", coupling = drift.coupling.minibatch_ot {} } }

local nets = drift.side_by_side {
  run = run, title = "flow matching", variants = variants, n = run.samples, at_epochs = run.at_epochs,
  train = { data = data, process = process, model = drift.models.cs180_unet { hidden = run.hidden, time = "add" },
            optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 } },
  sample = { sampler = drift.sampler.euler { steps = run.few[#run.few] }, shape = shape } }

for _, variant in ipairs(variants) do
  local net = nets[variant.name]
  local s = drift.straightness { model = net, process = process, shape = shape, steps = 50, n = math.min(run.judged, 256) }
  run:say("%s: straightness %.4f [%.4f, %.4f] (0: straight; n = %d)", variant.label, s.mean, s.low, s.high, s.n)
  for _, steps in ipairs(run.few) do
    drift.evaluate { run = run, name = ("evaluation_%s_%d"):format(variant.name, steps), model = net, process = process,
                     sampler = drift.sampler.euler { steps = steps }, data = data, n = run.judged,
                     metrics = { drift.metric.frechet {} } }
  end
end
run:finish()
