-- Question: does a model of digits find pictures that read as one digit when blurred and as another by what the blur
-- takes away?     (spec A7; Geng, Park & Owens 2024, factorized diffusion)
-- The blur is a Gaussian of 1.75 pixels. The 2 pixels at 64 of the larger models would be 0.875 here, but digits of 28
-- pixels have no detail that fine: the classifier names 97% of real ones after such a blur, and what it takes away is
-- an outline of the same digit. The classifier is shown, of a picture x in [0,1],
--   blurred:  F x                  as it is
--   detail:   2 (x - F x)          and of that what lies in [0,1]
-- How often it names real test digits so is printed beside the result.
local drift = require "drift"
local run = drift.experiment {
  model = "", process = "flow", hidden = 64, images = 600000, far = 6, near = 5, sigma = 1.75,
  gamma = 8.0, sample_steps = 50, judged = 100, shown = 10, real = 10000, each = 4,
  preset = "quick",
  presets = { quick = { hidden = 32, images = 120000, each = 2, real = 2000 },
              smoke = { hidden = 8, images = 48, sample_steps = 4, judged = 4, shown = 4, real = 100, each = 1 } } }

local g = drift.generators.digits { run = run.model, process = run.process, hidden = run.hidden, images = run.images,
                                    steps = run.sample_steps }
local blur = drift.filter.gaussian_blur { sigma = run.sigma, kernel = 2 * math.ceil(4 * run.sigma) + 1,
                                          reference_size = 0 }
local cfg = drift.guidance.cfg { scale = run.gamma }

local function blurred(x) return blur:apply(x) end
local function detail(x) return ((x - blur:apply(x)) * 2):clamp(0, 1) end

-- far, near: lists of N digits -> pictures [N,1,28,28] in [0,1]. Estimates are not held in [0,1] on the way: a part of
-- a picture need not lie there.
local function hybrids(far, near)
  return drift.edit.hybrid { generator = g, conditions = { far, near }, n = #far, filters = { blur }, guidance = cfg,
                             clip = false }:clamp(0, 1)
end

local function repeated(digit, n)
  local list = {}
  for i = 1, n do list[i] = digit end
  return list
end

-- ---- real digits: what there is to reach ---------------------------------------------------------------------------
local real, label = drift.evaluation_images({ data = drift.dataset.mnist {} }, run.real)
label = label:totable()
local judged = { real = {} }
for _, way in ipairs { { "as they are", function(x) return x end }, { "blurred", blurred }, { "detail", detail } } do
  local read = drift.read_digits(way[2](real))
  local function share(digit)
    local at = {}
    for i, class in ipairs(label) do
      if digit == nil or class == digit then at[#at + 1] = i end
    end
    return drift.share(#at, function(k) return read[at[k]] == label[at[k]] end)
  end
  local all, far, near = share(), share(run.far), share(run.near)
  run:say("real digits, %s: named rightly %s; of the %ds %s, of the %ds %s", way[1], all.text, run.far, far.text,
    run.near, near.text)
  judged.real[way[1]:gsub(" ", "_")] = { all = all, far = far, near = near }
end

-- ---- hybrids of the two, and the digits alone ----------------------------------------------------------------------
local function judge(name, x)
  local n, far, near = x.shape[1], drift.read_digits(blurred(x)), drift.read_digits(detail(x))
  local shares = {
    far = drift.share(n, function(i) return far[i] == run.far end),
    near = drift.share(n, function(i) return near[i] == run.near end),
    both = drift.share(n, function(i) return far[i] == run.far and near[i] == run.near end) }
  run:say("%s: blurred read as %d: %s; detail as %d: %s; both: %s", name, run.far, shares.far.text, run.near,
    shares.near.text, shares.both.text)
  return shares, far, near
end

local x = hybrids(repeated(run.far, run.judged), repeated(run.near, run.judged))
local far, near
judged.hybrid, far, near = judge("hybrids", x)
for _, digit in ipairs { run.far, run.near } do
  local alone = drift.edit.iterative { generator = g, condition = digit, n = run.judged, guidance = cfg }
  judged["plain_" .. digit] = judge(("plain %d"):format(digit), alone)
end

local cols, rows = {}, { "hybrid", "blurred", "detail" }
for i = 1, math.min(run.shown, run.judged) do cols[i] = ("%d/%d"):format(far[i], near[i]) end
local shown = { x, blurred(x), detail(x) }
local picture = drift.grid {
  title = ("%d from afar, %d near by; above, what is read"):format(run.far, run.near), rows = rows, cols = cols,
  cell = function(_, _, i, j) return shown[i][j] end }
run:figure("hybrid", picture)
drift.show(picture)

-- ---- every pair -----------------------------------------------------------------------------------------------------
local fars, nears = {}, {}
for far = 0, 9 do
  for near = 0, 9 do
    for _ = 1, far ~= near and run.each or 0 do fars[#fars + 1], nears[#nears + 1] = far, near end
  end
end
local all = hybrids(fars, nears)
local read_far, read_near = drift.read_digits(blurred(all)), drift.read_digits(detail(all))
judged.every_pair = drift.share(#fars, function(i)
  return read_far[i] == fars[i] and read_near[i] == nears[i]
end)
run:say("every pair of two digits, %d of each: both read: %s", run.each, judged.every_pair.text)

local digits, first = {}, {}
for digit = 0, 9 do digits[digit + 1] = tostring(digit) end
for i = #fars, 1, -1 do first[fars[i] * 10 + nears[i]] = i end
run:figure("every_pair", drift.grid {
  title = "by rows: from afar; by columns: near by", rows = digits, cols = digits,
  cell = function(_, _, i, j) local at = first[(i - 1) * 10 + j - 1] return at and all[at] end })

run:describe("judged", judged)
drift.save_tensors(run:path "hybrid.safetensors", { images = x })
run:finish()
