-- Question: a drawn digit is noised to the k-th time of the grid and denoised from there. How far is the result from
-- the drawing, and from what k on does it follow the drawing more than the class that the model is told?
-- (spec A4; SDEdit, Meng et al. 2022)
local drift = require "drift"
local run = drift.experiment {
  model = "", process = "flow", hidden = 64, images = 600000,
  picture = drift.home .. "/experiments/pictures/drawn_three.png",
  class = 3, other = 8, starts = { 1, 3, 5, 7, 10, 20 }, gamma = 5.0, sample_steps = 25, judged = 100, shown = 3,
  preset = "quick",
  presets = { quick = { hidden = 32, images = 120000 }, smoke = { hidden = 8, images = 48, judged = 8, shown = 1 } } }

local g = drift.generators.digits { run = run.model, process = run.process, hidden = run.hidden, images = run.images,
                                    steps = run.sample_steps }
local cfg = drift.guidance.cfg { scale = run.gamma }
local drawing = drift.read_image(run.picture, { size = 28, channels = 1 })                      -- [1,28,28]

-- Of each picture: the root of the mean squared difference from the drawing.
local function distances(x) return (x - drawing):square():mean({ 1, 2, 3 }):sqrt():totable() end

local CONDITIONS = {
  { "class", ("as a %d"):format(run.class), run.class },
  { "no_class", "no class", nil },
  { "other", ("as a %d"):format(run.other), run.other } }

local judged, results = {}, {}
for c, condition in ipairs(CONDITIONS) do
  local key, name, class = table.unpack(condition, 1, 3)
  local list, last, closer = drift.json.array {}, math.huge, true
  results[c] = {}
  for k, start in ipairs(run.starts) do
    local x = drift.edit.image_to_image { generator = g, image = drawing, start = start, condition = class,
                                          guidance = cfg, n = run.judged }
    local distance, read = drift.bootstrap(distances(x), {}), drift.read_digits(x)
    local as_class = drift.share(run.judged, function(i) return read[i] == run.class end)
    local as_other = drift.share(run.judged, function(i) return read[i] == run.other end)
    run:say("%-8s from index %2d: distance %.4f [%.4f, %.4f]; read as %d: %s; as %d: %s", name, start, distance.value,
      distance.low, distance.high, run.class, as_class.text, run.other, as_other.text)
    list[k] = { start = start, distance = distance, class = as_class, other = as_other }
    closer = closer and distance.value < last
    last, results[c][k] = distance.value, x
  end
  run:say("%-8s the mean distance falls with each later index: %s", name, closer and "yes" or "no")
  judged[key] = { closer = closer, starts = list }
end

-- ---- picture: a column for each start index, the drawing last ------------------------------------------------------
local rows, cols, shown = {}, {}, math.min(run.shown, run.judged)
for k, start in ipairs(run.starts) do cols[k] = ("from %d"):format(start) end
cols[#cols + 1] = "drawing"
for c, condition in ipairs(CONDITIONS) do
  for i = 1, shown do rows[(c - 1) * shown + i] = condition[2] end
end
local picture = drift.grid {
  title = ("start index of %d steps"):format(run.sample_steps), rows = rows, cols = cols,
  cell = function(_, _, i, k)
    local of = results[(i - 1) // shown + 1][k]
    return of and of[(i - 1) % shown + 1] or drawing
  end }
run:figure("image_to_image", picture)
drift.show(picture)

run:describe("judged", judged)
run:finish()
