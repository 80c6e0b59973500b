-- Question: can one picture be two, each seen in its own view?   (spec A6; Geng, Park & Owens 2024)
--   prompt="upright | seen in the view", view = flip, mirror, rotate_90, rotate_180, negate, jigsaw
local drift = require "drift"
local run, g = drift.editing_experiment {
  prompt = "an oil painting of people around a campfire | an oil painting of an old man", view = "flip",
  combine = "mean", gamma = 7.0, stride = 30, samples = 4, preset = "paper",
  presets = { quick = {}, smoke = { samples = 2, stride = 250 } } }

local view = drift.named_view(run.view, g)
local prompts = drift.prompts(run.prompt, g, 2)
local images = drift.edit.anagram {
  generator = g, conditions = prompts, views = { drift.view.identity {}, view }, combine = run.combine,
  guidance = drift.guidance.cfg { scale = run.gamma }, stride = run.stride, n = run.samples, quiet = false }
local seen = { images, g:to_picture(drift.instance(view, "view"):apply(g:from_picture(images))) }

local title = ("the same pictures, as they are and in the view %s"):format(run.view)
local picture = drift.grid { title = title, rows = prompts, cols = run.samples,
                             cell = function(_, _, i, j) return seen[i][j] end }
run:figure("anagrams", picture)
drift.show(picture)
drift.save_tensors(run:path "samples.safetensors", { images = images })
run:finish()
