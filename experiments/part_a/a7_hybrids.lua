-- Question: can one picture be one thing from afar and another near by?   (spec A7; Geng, Park & Owens 2024)
-- Low frequencies (Gaussian, kernel 33, sigma 2) of the estimate for the first prompt, high ones of that for the
-- second.
local drift = require "drift"
local run, g = drift.editing_experiment {
  prompt = "a lithograph of a skull | a lithograph of waterfalls", sigma = 2.0, kernel = 33, gamma = 7.0, stride = 30,
  samples = 4, preset = "paper", presets = { quick = {}, smoke = { samples = 2, stride = 250 } } }

local prompts = drift.prompts(run.prompt, g, 2)
local low = drift.filter.gaussian_blur { sigma = run.sigma, kernel = run.kernel }
local images = drift.edit.hybrid { generator = g, conditions = prompts, filters = { low }, stride = run.stride,
                                   n = run.samples, guidance = drift.guidance.cfg { scale = run.gamma }, quiet = false }
local far = drift.instance(low, "filter"):apply(images)
local rows = { "as it is", "low: " .. prompts[1], "high: " .. prompts[2] }
local seen = { images, far, images - far + 0.5 }

local picture = drift.grid { title = "hybrids, and their two parts", rows = rows, cols = run.samples,
                             cell = function(_, _, i, j) return seen[i][j] end }
run:figure("hybrids", picture)
drift.show(picture)
drift.save_tensors(run:path "samples.safetensors", { images = images })
run:finish()
