-- Question: over how much of the training should the weights be averaged? One training, judged at every width after it,
-- from snapshots of two averages.   (Karras et al. 2024)
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, epochs = 10, batch = 128, lr = 1e-3, widths = { 0.03, 0.05, 0.08, 0.12, 0.18, 0.25 }, ema_every = 500,
  sample_steps = 50, samples = 10, judged = 2000, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 16, epochs = 3, ema_every = 100, judged = 500 },
              smoke = { hidden = 8, epochs = 1, steps = 12, batch = 16, ema_every = 2, widths = { 0.05, 0.15 },
                        sample_steps = 4, samples = 4, judged = 20 } } }

local data    = drift.dataset.mnist {}
local process = drift.process.flow_matching {}
local net = drift.train {
  run = run, data = data, process = process, model = drift.models.cs180_unet { hidden = run.hidden, time = "add" },
  optim = drift.optim.adam { lr = run.lr },
  ema = { drift.ema.power { sigma_rel = 0.05 }, drift.ema.power { sigma_rel = 0.1 } }, ema_every = run.ema_every }

local rows, images, results = {}, {}, drift.json.array {}
local function judge(label, name)
  local report = drift.evaluate {
    run = run, name = "evaluation_" .. name, model = net, process = process, data = data, n = run.judged,
    sampler = drift.sampler.euler { steps = run.sample_steps }, metrics = { drift.metric.frechet {} } }
  rows[#rows + 1], images[#images + 1] = label, report.images
  results[#results + 1] = { width = label, frechet = report[1].value, low = report[1].low, high = report[1].high }
end

judge("last weights", "last")
for _, width in ipairs(run.widths) do
  drift.post_hoc_ema(run, { sigma_rel = width, net = net })       -- into the network
  judge(("width %g"):format(width), ("width_%g"):format(width))
end
run:describe("widths", results)

local picture = drift.grid { title = "each column from the same noise", rows = rows, cols = run.samples,
                             cell = function(_, _, i, j) return images[i][j] end }
run:figure("ema_width", picture)
drift.show(picture)
run:finish()
