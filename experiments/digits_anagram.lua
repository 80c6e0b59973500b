-- Question: does a model of digits find pictures that read as a 6 and, turned by 180 degrees, as a 9, and how much of
-- that does any 6 give for nothing?     (spec A6; Geng, Park & Owens 2024)
local drift = require "drift"
local run = drift.experiment {
  model = "", process = "flow", hidden = 64, images = 600000, upright = 6, turned = 9, degrees = 180, combine = "mean",
  gamma = 5.0, sample_steps = 50, judged = 100, shown = 10, each = 4,
  preset = "quick",
  presets = { quick = { hidden = 32, images = 120000, each = 2 },
              smoke = { hidden = 8, images = 48, sample_steps = 4, judged = 4, shown = 4, each = 1 } } }

local g = drift.generators.digits { run = run.model, process = run.process, hidden = run.hidden, images = run.images,
                                    steps = run.sample_steps }
local turn = drift.view.rotate { degrees = run.degrees }
local cfg = drift.guidance.cfg { scale = run.gamma }

-- upright, turned: a digit, or a list of n
local function anagrams(upright, turned, n)
  return drift.edit.anagram { generator = g, conditions = { upright, turned }, views = { drift.view.identity {}, turn },
                              combine = run.combine, guidance = cfg, n = n }
end

local function plain(digit)
  return drift.edit.iterative { generator = g, condition = digit, guidance = cfg, n = run.judged }
end

local pictures = {
  { name = "anagram", anagrams(run.upright, run.turned, run.judged) },
  { name = ("plain %d"):format(run.upright), plain(run.upright) },
  { name = ("plain %d"):format(run.turned), plain(run.turned) } }

local judged = {}
for _, kind in ipairs(pictures) do
  local upright, turned = drift.read_digits(kind[1]), drift.read_digits(turn:apply(kind[1]))
  local shares = {
    upright = drift.share(run.judged, function(i) return upright[i] == run.upright end),
    turned = drift.share(run.judged, function(i) return turned[i] == run.turned end),
    both = drift.share(run.judged, function(i) return upright[i] == run.upright and turned[i] == run.turned end) }
  run:say("%-8s read as %d upright: %s; as %d turned: %s; both: %s", kind.name, run.upright, shares.upright.text,
    run.turned, shares.turned.text, shares.both.text)
  judged[kind.name:gsub(" ", "_")] = shares

  local cols = {}
  for i = 1, math.min(run.shown, run.judged) do cols[i] = ("%d/%d"):format(upright[i], turned[i]) end
  local rows = { "upright", ("turned by %d"):format(run.degrees) }
  local picture = drift.grid { title = kind.name .. ", and what it is read as", rows = rows, cols = cols,
                               cell = function(_, _, i, j) return i == 1 and kind[1][j] or turn:apply(kind[1][j]) end }
  run:figure(kind.name:gsub(" ", "_"), picture)
  if kind.name == "anagram" then drift.show(picture) end
end
-- ---- every pair of digits: few of them share a picture as 6 and 9 do -----------------------------------------------
local upright, turned, digits = {}, {}, {}
for digit = 0, 9 do digits[digit + 1] = tostring(digit) end
for a = 0, 9 do
  for b = 0, 9 do
    for _ = 1, run.each do upright[#upright + 1], turned[#turned + 1] = a, b end
  end
end
local all = anagrams(upright, turned, #upright)
local read, read_turned = drift.read_digits(all), drift.read_digits(turn:apply(all))
judged.every_pair = drift.share(#upright, function(i) return read[i] == upright[i] and read_turned[i] == turned[i] end)
run:say("every pair of digits, %d of each: both read: %s", run.each, judged.every_pair.text)
run:figure("every_pair", drift.grid {
  title = ("by rows: upright; by columns: turned by %d"):format(run.degrees), rows = digits, cols = digits,
  cell = function(_, _, i, j) return all[((i - 1) * 10 + j - 1) * run.each + 1] end })

run:describe("judged", judged)
drift.save_tensors(run:path "anagram.safetensors", { images = pictures[1][1] })
run:finish()
