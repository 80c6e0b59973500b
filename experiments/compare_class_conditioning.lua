-- Question: how should the class enter the UNet of class-conditional flow matching on MNIST: scale its features, be
-- added to them, modulate them by FiLM or AdaGN, or be a token that pixels attend to?
-- preset=quick: 15 trainings with their judging, each about two minutes of one core: some 17 minutes on two idle cores.
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, epochs = 10, batch = 128, lr = 1e-3, p_uncond = 0.1, gamma = 2.0, sample_steps = 50, judged = 2000,
  nfe_steps = { 4, 8, 16, 32 }, nfe_judged = 1000, seeds = { 1, 2, 3 }, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 16, epochs = 2, sample_steps = 20, judged = 1000, nfe_steps = { 4, 8, 16 },
                        nfe_judged = 200 },
              smoke = { hidden = 4, epochs = 1, steps = 3, batch = 16, sample_steps = 3, judged = 20, nfe_steps = { 2 },
                        nfe_judged = 20, seeds = { 1 } } } }

local D = run.hidden
local function fcblock(class) return drift.models.cs180_unet { hidden = D, time = "add", class = class } end
local function vector(scheme)                                     -- time enters by an FCBlock of t here, too
  return drift.models.cs180_unet { hidden = D, conditioning = drift.conditioning[scheme] {
    width = 2 * D, time = drift.block.fc_block { in_features = 1, out_features = 2 * D } } }
end

drift.compare {
  run = run, baseline = "scale", seeds = run.seeds,
  variants = {
    { name = "scale", label = "scaled by the class", model = fcblock "scale" },
    { name = "add", label = "class added", model = fcblock "add" },
    { name = "film", label = "FiLM", model = vector "film" },
    { name = "adagn", label = "AdaGN", model = vector "adagn" },
    { name = "cross_attention", label = "cross-attention", model = vector "cross_attention" } },
  match = { params = 0.05 },                                      -- FiLM and AdaGN have 2.8% more, attention 4.9%
  train = { data = drift.dataset.mnist {}, process = drift.process.flow_matching {}, p_uncond = run.p_uncond,
            optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 } },
  sample = { sampler = drift.sampler.euler { steps = run.sample_steps },
             guidance = drift.guidance.cfg { scale = run.gamma } },
  metrics = { drift.metric.frechet {}, drift.metric.class_accuracy {} }, evaluate = { n = run.judged },
  cost_quality = { samplers = { drift.sampler.euler {}, drift.sampler.heun {} }, steps = run.nfe_steps,
                   n = run.nfe_judged } }
