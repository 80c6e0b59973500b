-- Question: what does classifier-free guidance, eps = eps_u + gamma (eps_c - eps_u), do to samples?   (spec A3)
local drift = require "drift"
local run, g = drift.editing_experiment {
  prompt = "a high quality photo", gammas = { 1, 3, 7 }, samples = 5, stride = 30, preset = "paper",
  presets = { quick = {}, smoke = { samples = 2, stride = 250, gammas = { 1, 7 } } } }

local what = drift.prompts(run.prompt, g, 1)[1]
local rows, images = {}, {}
for i, gamma in ipairs(run.gammas) do
  rows[i] = ("gamma = %g"):format(gamma)
  images[i] = drift.edit.iterative { generator = g, condition = what, guidance = drift.guidance.cfg { scale = gamma },
                                     stride = run.stride, n = run.samples, quiet = false }
end
local title = ('"%s", each column from the same noise'):format(what)
local picture = drift.grid { title = title, rows = rows, cols = run.samples,
                             cell = function(_, _, i, j) return images[i][j] end }
run:figure("guidance", picture)
drift.show(picture)
drift.save_tensors(run:path "samples.safetensors", { images = images[#images] })
run:finish()
