-- Question: what does the model draw from noise alone, without guidance?   (spec A2)
local drift = require "drift"
local run, g = drift.editing_experiment {
  prompt = "a high quality photo", samples = 5, stride = 30, preset = "paper",
  presets = { quick = {}, smoke = { samples = 2, stride = 250 } } }

local what = drift.prompts(run.prompt, g, 1)[1]
local images = drift.edit.iterative { generator = g, condition = what, guidance = false, stride = run.stride,
                                      n = run.samples, quiet = false }
local picture = drift.grid { title = ('"%s", no guidance'):format(what), rows = 1, cols = run.samples,
                             cell = function(_, _, _, j) return images[j] end }
run:figure("samples", picture)
drift.show(picture)
drift.save_tensors(run:path "samples.safetensors", { images = images })
run:finish()
