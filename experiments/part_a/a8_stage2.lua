-- Question: what does stage II make of a sample, image to image, inpainting, an anagram, a hybrid?   (spec A8)
-- An anagram is enlarged as an anagram and a hybrid as a hybrid: under the same guidance, with both prompts.
local drift = require "drift"
local run, g, stage2 = drift.editing_experiment {
  image = "", mask = "", prompt = "a high quality photo",
  anagram = "an oil painting of people around a campfire | an oil painting of an old man",
  hybrid = "a lithograph of a skull | a lithograph of waterfalls", view = "flip", start = 10, gamma = 7.0, gamma2 = 4.0,
  steps2 = 50, level = 250, needs_stage2 = true, stride = 30, preset = "paper",
  presets = { quick = { steps2 = 20 }, smoke = { stride = 250, start = 2, steps2 = 2 } } }

local what = drift.prompts(run.prompt, g, 1)[1]
local pair, two = drift.prompts(run.anagram, g, 2), drift.prompts(run.hybrid, g, 2)
local path, mask = drift.editing_images(run, 1)[1], run.mask ~= "" and run.mask or drift.centre_mask(g.shape)
local views = { drift.view.identity {}, drift.named_view(run.view, g) }
local edit = drift.edit

local RESULTS = {                                                 -- label, edit, what is particular to it
  { "sample", edit.iterative, { condition = what } },
  { "image to image", edit.image_to_image, { condition = what, image = path, start = run.start } },
  { "inpainting", edit.inpaint, { condition = what, image = path, mask = mask } },
  { "anagram", edit.anagram, { conditions = pair, views = views } },
  { "hybrid", edit.hybrid, { conditions = two } } }

local rows, small, large = {}, {}, {}
for i, result in ipairs(RESULTS) do
  local label, make, particular = table.unpack(result)
  local function with(shared)
    local o = {}
    for key, value in pairs(particular) do o[key] = value end
    for key, value in pairs(shared) do o[key] = value end
    return o
  end
  rows[i] = label
  small[i] = make(with { generator = g, guidance = drift.guidance.cfg { scale = run.gamma }, stride = run.stride })
  local enlarge = (make == edit.anagram or make == edit.hybrid) and make or edit.upscale
  local o = with { generator = stage2, image = small[i], guidance = drift.guidance.cfg { scale = run.gamma2 },
                   steps = run.steps2, level = run.level, quiet = false }
  o.start, o.mask, o.edit = nil, nil, enlarge ~= edit.upscale and edit.upscale or nil
  large[i] = enlarge(o)
end

local shown = { small, large }
local picture = drift.grid { title = "stage I, and stage II of it", rows = rows, cols = { "stage I", "stage II" },
                             scale = 1, cell = function(_, _, i, j) return shown[j][i] end }
run:figure("stage2", picture)
drift.show(picture)
drift.save_tensors(run:path "samples.safetensors", { stage1 = drift.concat(small, 0), stage2 = drift.concat(large, 0) })
run:finish()
