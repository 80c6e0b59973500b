-- Question: what does the model draw for a prompt, and how much do more steps help?   (spec A0)
--   --set model=IF-I-M-v1.0 --set stage2=IF-II-M-v1.0 --set prompt="a dog | a cat"
local drift = require "drift"
local run, stage1, stage2 = drift.editing_experiment {
  prompt = "an oil painting of a snowy mountain village | a man wearing a hat | a rocket ship",
  steps = { 20, 50, 100 }, steps2 = 50, threshold = true, preset = "paper",
  presets = { quick = { steps = { 20 }, steps2 = 20 }, smoke = { steps = { 2, 3 }, steps2 = 2 } } }

local prompts = drift.prompts(run.prompt, stage1)
local small, large, cols = {}, {}, {}
for j, steps in ipairs(run.steps) do
  cols[j] = ("%d steps"):format(steps)
  small[j] = drift.edit.iterative { generator = stage1, condition = prompts, steps = steps, quiet = false }
  large[j] = stage2 and drift.edit.upscale { generator = stage2, image = small[j], condition = prompts,
                                             steps = run.steps2, quiet = false }
  drift.save_tensors(run:path(("steps_%d.safetensors"):format(steps)), { images = small[j], stage2 = large[j] })
end

local function grid(name, title, images, scale)
  local picture = drift.grid { title = title, rows = prompts, cols = cols, scale = scale,
                               cell = function(_, _, i, j) return images[j][i] end }
  run:figure(name, picture)
  drift.show(picture)
end
grid("samples", "each row from the same noise", small)
if stage2 then grid("samples_stage2", ("stage II, %d steps"):format(run.steps2), large, 1) end
run:finish()
