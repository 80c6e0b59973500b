-- Question: how much of a picture is left when it is noised and denoised again, from ever later steps?   (spec A4)
-- Photographs, pictures from the web, drawings: image = "a.jpg | sketch.png"; with the neutral prompt or any other.
local drift = require "drift"
local run, g = drift.editing_experiment {
  image = "", prompt = "a high quality photo", starts = { 1, 3, 5, 7, 10, 20 }, gamma = 7.0, stride = 30, samples = 1,
  preset = "paper", presets = { quick = {}, smoke = { starts = { 1, 3 }, stride = 250 } } }

local what = drift.prompts(run.prompt, g, 1)[1]
local rows, shown, kept = {}, {}, {}
for _, path in ipairs(drift.editing_images(run)) do
  local original = g:pictures(path, "image")
  for k = 1, run.samples do
    local row = {}
    for j, start in ipairs(run.starts) do
      row[j] = drift.edit.image_to_image {
        generator = g, image = original, start = start, stride = run.stride, condition = what,
        guidance = drift.guidance.cfg { scale = run.gamma }, first = k - 1 }
      kept[#kept + 1] = row[j]
    end
    row[#row + 1] = original
    rows[#rows + 1], shown[#shown + 1] = path:match "[^/]*$", row
  end
end
local cols = {}
for j, start in ipairs(run.starts) do cols[j] = ("start %d"):format(start) end
cols[#cols + 1] = "original"

local picture = drift.grid { title = ('"%s", gamma = %g'):format(what, run.gamma), rows = rows, cols = cols,
                             cell = function(_, _, i, j) return shown[i][j] end }
run:figure("image_to_image", picture)
drift.show(picture)
drift.save_tensors(run:path "samples.safetensors", { images = drift.concat(kept, 0) })
run:finish()
