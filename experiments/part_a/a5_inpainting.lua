-- Question: does what is made under a mask fit what is known around it, and does resampling help?   (spec A5)
-- Known pixels re-noised to each step's level (the course); the same with RePaint's resampling; left un-noised
-- (diffusers).
local drift = require "drift"
local run, g = drift.editing_experiment {
  image = "", mask = "", prompt = "a high quality photo", gamma = 7.0, stride = 30, jump = 10, resamples = 5,
  samples = 3, preset = "paper",
  presets = { quick = { resamples = 2 }, smoke = { stride = 250, jump = 1, resamples = 2, samples = 2 } } }

local what = drift.prompts(run.prompt, g, 1)[1]
local path = drift.editing_images(run, 1)[1]
local mask = run.mask ~= "" and run.mask or drift.centre_mask(g.shape)
local WAYS = {
  { "re-noised", {} }, { "resampled", { jump = run.jump, resamples = run.resamples } },
  { "un-noised", { known = "clean" } } }

local rows, images = {}, {}
for i, way in ipairs(WAYS) do
  local o = { generator = g, image = path, mask = mask, condition = what, stride = run.stride, n = run.samples,
              guidance = drift.guidance.cfg { scale = run.gamma }, quiet = false }
  for key, value in pairs(way[2]) do o[key] = value end
  rows[i], images[i] = way[1], drift.edit.inpaint(o)
end
local original = g:pictures(path, "image")[1]
local m = drift.read_mask(mask, { size = { g.shape[2], g.shape[3] }, image = path })[1]
local cols = { "original", "mask", "known" }
local before = { original, m, original * (1 - m) }
for k = 1, run.samples do cols[#cols + 1] = ("sample %d"):format(k) end

local picture = drift.grid { title = ('"%s", gamma = %g'):format(what, run.gamma), rows = rows, cols = cols,
                             cell = function(_, _, i, j) return before[j] or images[i][j - #before] end }
run:figure("inpainting", picture)
drift.show(picture)
drift.save_tensors(run:path "samples.safetensors", { images = drift.concat(images, 0) })
run:finish()
