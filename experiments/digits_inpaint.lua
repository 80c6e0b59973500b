-- Question: half of a digit is hidden. Does the model complete it to the digit that it is told, and to which without
-- being told? And is it the better for known pixels that are noised as the rest is (RePaint) than for clean ones?
-- (spec A5; Lugmayr et al. 2022)
local drift = require "drift"
local run = drift.experiment {
  model = "", process = "flow", hidden = 64, images = 600000, half = "lower", jump = 10, resamples = 3,
  gamma = 5.0, sample_steps = 50, judged = 100, shown = 8, samples = 4,
  preset = "quick",
  presets = { quick = { hidden = 32, images = 120000 },
              smoke = { hidden = 8, images = 48, sample_steps = 4, judged = 4, shown = 4, samples = 2, jump = 2,
                        resamples = 2 } } }

local g = drift.generators.digits { run = run.model, process = run.process, hidden = run.hidden, images = run.images,
                                    steps = run.sample_steps }
local cfg = drift.guidance.cfg { scale = run.gamma }

-- [1,28,28], 1 where pixels are to be made
local mask = drift.zeros(1, 28, 28)
local hidden = run:choice("half", { upper = { 1, 0 }, lower = { 1, 14 }, left = { 2, 0 }, right = { 2, 14 } })
mask:narrow(hidden[1], hidden[2], 14):fill(1)

local image, label = drift.evaluation_images({ data = drift.dataset.mnist {} }, run.judged)      -- [N,1,28,28]
local n, class = image.shape[1], label:totable()
local known = image * (1 - mask)

local function inpaint(o)
  local all = { generator = g, image = image, mask = mask, guidance = cfg }
  for key, value in pairs(o) do all[key] = value end
  return drift.edit.inpaint(all)
end

-- ---- judged ---------------------------------------------------------------------------------------------------------
local WAYS = {
  { "class", "class given", { condition = class } },
  { "class_clean", "class given, known pixels clean", { condition = class, known = "clean" } },
  { "class_resampled", ("class given, %d times over"):format(run.resamples),
    { condition = class, jump = run.jump, resamples = run.resamples } },
  { "no_class", "no class", {} },
  { "no_class_clean", "no class, known pixels clean", { known = "clean" } },
  { "no_class_resampled", ("no class, %d times over"):format(run.resamples),
    { jump = run.jump, resamples = run.resamples } } }

local judged, results = {}, {}
local function judge(key, name, x)
  local read, off = drift.read_digits(x), ((x - image) * (1 - mask)):abs():amax():item()
  local share = drift.share(n, function(i) return read[i] == class[i] end)
  run:say("%-32s right class %s; known pixels at most %g off", name, share.text, off)
  judged[key], results[key] = { right = share, known_off = off }, x
end

judge("original", "whole", image)
judge("known", "the known half alone", known)
for _, way in ipairs(WAYS) do judge(way[1], way[2], inpaint(way[3])) end

-- ---- pictures ------------------------------------------------------------------------------------------------------
local other = {}
for i = 1, n do other[i] = (class[i] + 1 + i % 9) % 10 end                        -- another digit than it is
local rows, pictures, cols = { "whole", "known" }, { image, known + mask * 0.5 }, {}
local function add(name, x) rows[#rows + 1], pictures[#pictures + 1] = name, x end

add("class given", results.class)
for s = 2, run.samples do add("class given", inpaint { condition = class, first = s * n }) end
add("clean", results.class_clean)
add("resampled", results.class_resampled)
add("no class", results.no_class)
add("other class", inpaint { condition = other })
for i = 1, math.min(run.shown, n) do cols[i] = ("%d, %d"):format(class[i], other[i]) end
local picture = drift.grid {
  title = ("the %s half hidden; above: its class, and the other class"):format(run.half), rows = rows, cols = cols,
  cell = function(_, _, i, j) return pictures[i][j] end }
run:figure("inpainting", picture)
drift.show(picture)

run:describe("judged", judged)
drift.save_tensors(run:path "inpainting.safetensors",
  { original = image, class_given = results.class, no_class = results.no_class })
run:finish()
