-- Question: how far back from noise do a blur, one step of the network, and many steps bring a picture?   (spec A1)
-- The forward process at three times; a Gaussian blur; the estimate of x0 in one step; iterative denoising on every
-- 30th time from there.
local drift = require "drift"
local run, g = drift.editing_experiment {
  image = "", prompt = "a high quality photo", gamma = 1.0, times = { 250, 500, 750 }, stride = 30, every = 5,
  start = 10, kernel = 5, sigma = 2.0, preset = "paper",
  presets = { quick = {}, smoke = { stride = 200, start = 1, every = 2 } } }

local what, guidance = drift.prompts(run.prompt, g, 1)[1], drift.guidance.cfg { scale = run.gamma }
local image = g:pictures(drift.editing_images(run, 1)[1], "image")[1]
local grid = g:times { stride = run.stride }

-- The index from which strided denoising of a picture noised to t begins: the first time that is no noisier.
local function start_at(t)
  for i, at in ipairs(grid) do
    if math.abs(at - grid[#grid]) <= math.abs(t - grid[#grid]) then return i - 1 end
  end
end

local cols, noisy, blurred, one_step, iterative = {}, {}, {}, {}, {}
for j, index in ipairs(run.times) do
  local t = g:time_at(index)
  cols[j] = ("t = %d"):format(index)
  noisy[j] = drift.edit.noised { generator = g, image = image, t = t }[1]
  blurred[j] = drift.edit.blurred { image = noisy[j], kernel = run.kernel, sigma = run.sigma }
  one_step[j] = drift.edit.one_step { generator = g, image = noisy[j], t = t, condition = what, guidance = guidance }[1]
  local start = start_at(t)
  iterative[j] = drift.edit.iterative {
    generator = g, image = drift.edit.noised { generator = g, image = image, t = grid[start + 1] }, start = start,
    grid = grid, condition = what, guidance = guidance }[1]
end

local rows = { "original", "noised", "Gaussian blur", "one step", "iterative" }
local shown = { { image, image, image }, noisy, blurred, one_step, iterative }
local picture = drift.grid { title = "the same noise at each t", rows = rows, cols = cols,
                             cell = function(_, _, i, j) return shown[i][j] end }
run:figure("denoisers", picture)
drift.show(picture)

local clean, strip = drift.edit.image_to_image {
  generator = g, image = image, start = run.start, grid = grid, every = run.every, condition = what,
  guidance = guidance }
local labels = {}
for k, s in ipairs(strip) do labels[k] = ("t = %g"):format(s.t) end
run:figure("iterative", drift.grid {
  title = ("iterative denoising from index %d, every %d steps"):format(run.start, run.every), rows = 1, cols = labels,
  cell = function(_, _, _, j) return strip[j].image end })
drift.save_tensors(run:path "samples.safetensors", { images = clean })
run:finish()
