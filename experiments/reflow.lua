-- Question: does training again on the model's own pairs of noise and image straighten its paths, so that 1, 2 or 4
-- steps of sampling are enough?   (spec B5; Liu, Gong & Liu 2023)
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, epochs = 10, reflow_epochs = 10, batch = 128, lr = 1e-3, pairs = 50000, pair_steps = 50,
  few = { 1, 2, 4, 50 }, samples = 10, judged = 2000, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 32, epochs = 2, reflow_epochs = 6, pairs = 10000, pair_steps = 20, judged = 1000 },
              smoke = { hidden = 8, epochs = 1, reflow_epochs = 1, steps = 3, batch = 16, pairs = 50, pair_steps = 2,
                        few = { 1, 2 }, samples = 4, judged = 20 } } }

local data    = drift.dataset.mnist {}
local process = drift.process.flow_matching {}
local shape   = { 1, 28, 28 }

local function train(name, net, images, epochs)
  return drift.train { run = run:part(name), data = images, model = net, process = process, epochs = epochs,
                       label = name .. " epoch", optim = drift.optim.adam { lr = run.lr },
                       decay = drift.decay.exponential { to = 0.1 } }
end

local function unet() return drift.build(drift.models.cs180_unet { hidden = run.hidden, time = "add" }) end
local first = train("first", unet(), data, run.epochs)
local pairs_of_first = drift.reflow_pairs {
  model = first, process = process, sampler = drift.sampler.euler { steps = run.pair_steps }, n = run.pairs,
  shape = shape, path = run:path "pairs.safetensors" }
local second = unet()
second:load_state_dict(first:state_dict())                        -- reflow goes on from the weights that made the pairs
train("reflow", second, pairs_of_first, run.reflow_epochs)

local rows, images, results = {}, {}, {}
for _, model in ipairs { { name = "first", net = first }, { name = "reflow", net = second } } do
  local s = drift.straightness { model = model.net, process = process, shape = shape, steps = 50,
                                 n = math.min(run.judged, 256) }
  run:say("%s: straightness %.4f [%.4f, %.4f] (0: straight; n = %d)", model.name, s.mean, s.low, s.high, s.n)
  results[model.name] = { straightness = { value = s.mean, low = s.low, high = s.high, n = s.n } }
  for _, steps in ipairs(run.few) do
    local report = drift.evaluate {
      run = run, name = ("evaluation_%s_%d"):format(model.name, steps), model = model.net, process = process,
      sampler = drift.sampler.euler { steps = steps }, data = data, n = run.judged,
      metrics = { drift.metric.frechet {} } }
    rows[#rows + 1] = ("%s, %d step%s"):format(model.name, steps, steps == 1 and "" or "s")
    images[#images + 1] = report.images
  end
end
run:describe("straightness", results)

local picture = drift.grid { title = "each column from the same noise", rows = rows, cols = run.samples,
                             cell = function(_, _, i, j) return images[i][j] end }
run:figure("few_steps", picture)
drift.show(picture)
run:finish()
