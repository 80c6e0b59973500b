-- Question: which sampler draws the better digits from one DDPM, for the same number of model calls?
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, epochs = 20, batch = 128, lr = 1e-3, T = 300, calls = { 4, 8, 16, 48 }, judged = 2000, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 32, epochs = 2, judged = 500 },
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16, calls = { 4, 8 }, judged = 20 } } }

local data    = drift.dataset.mnist {}
local process = drift.process.ddpm { T = run.T }
local net = drift.train {
  run = run, data = data, process = process, model = drift.models.cs180_unet { hidden = run.hidden, time = "add" },
  optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 } }

local levels = drift.timesteps.karras {}                          -- where steps are few, they should lie near the data
local SAMPLERS = {                                                -- name, model calls a step, parameters
  { "ddpm", 1, {} }, { "ddim", 1, {} }, { "ddim", 1, { timesteps = levels } },
  { "euler_ancestral", 1, { timesteps = levels } }, { "dpmpp_2m", 1, { timesteps = levels } },
  { "dpmpp_2m_sde", 1, { timesteps = levels } }, { "edm", 2, { timesteps = levels } },
  { "edm", 2, { timesteps = levels, s_churn = 10 } }, { "heun", 2, { timesteps = levels } },
  { "midpoint", 2, { timesteps = levels } }, { "rk4", 4, { timesteps = levels } } }

local rows, cols, pictures, results = {}, {}, {}, drift.json.array {}
for j, calls in ipairs(run.calls) do cols[j] = ("%d calls"):format(calls) end
for i, s in ipairs(SAMPLERS) do
  local name, each, parameters = s[1], s[2], s[3]
  pictures[i] = {}
  for j, calls in ipairs(run.calls) do
    local sampler = drift.sampler[name](parameters):with { steps = calls // each }
    rows[i] = tostring(sampler:with { steps = 1 }):gsub("^sampler%.", ""):gsub("steps=1,? ?", "")
    local report = drift.evaluate { model = net, process = process, sampler = sampler, data = data, n = run.judged,
                                    quiet = true, metrics = { drift.metric.frechet {} } }
    local frechet = report[1]
    pictures[i][j] = report.images[1]
    results[#results + 1] = { sampler = rows[i], calls = calls, frechet = frechet.value, low = frechet.low,
                              high = frechet.high, n = frechet.n }
    run:say("%-62s %3d calls: Frechet %8.1f [%.1f, %.1f] of %d", rows[i], calls, frechet.value, frechet.low,
      frechet.high, frechet.n)
  end
end
run:describe("samplers", results)

local picture = drift.grid { title = "one image, by sampler and number of model calls", rows = rows, cols = cols,
                             cell = function(_, _, i, j) return pictures[i][j] end }
run:figure("samplers", picture)
drift.show(picture)
run:finish()
