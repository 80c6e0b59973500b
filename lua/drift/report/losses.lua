-- losses.lua: the losses of cells' steps for the page, in bins of equal numbers of steps: at most 1200 points a curve.
--   losses(cells) -> { every = k, unit = "step", curves = { { variant, seed, status, values = "0.5 0.25 nan ..." }, ... } }
-- cells: { { variant =, seed =, status =, records = metrics.jsonl's } }. Value i (from 0) is the mean of the losses of
-- steps i k + 1 .. (i + 1) k that are numbers; with k = 1 it is the step's loss. Runs that only have epochs' means
-- have those. Values are text with 6 digits: a tenth of what JSON with all digits would take.
local core = require "drift.core"

local MOST <const> = 1200

local function is_number(x) return type(x) == "number" and x == x and math.abs(x) < math.huge end

local function points_of(records, x, y)
  local points, last = {}, 0
  for _, r in ipairs(records) do
    local at, value = r[x], r[y]
    if math.type(at) == "integer" and at >= 1 and value ~= nil then
      points[#points + 1] = { at, is_number(value) and value or nil }
      last = math.max(last, at)
    end
  end
  return points, last
end

local function in_bins(points, last, every)
  local sum, count = {}, {}
  for _, p in ipairs(points) do
    if p[2] then
      local bin = (p[1] - 1) // every
      sum[bin], count[bin] = (sum[bin] or 0) + p[2], (count[bin] or 0) + 1
    end
  end
  local texts = {}
  for bin = 0, (last + every - 1) // every - 1 do
    texts[bin + 1] = count[bin] and ("%.6g"):format(sum[bin] / count[bin]) or "nan"
  end
  return table.concat(texts, " ")
end

return function(cells)
  local list, longest, x, y = {}, 0, "step", "loss"
  local function gather()
    list, longest = {}, 0
    for _, cell in ipairs(cells) do
      local points, last = points_of(cell.records, x, y)
      longest = math.max(longest, last)
      if last > 0 then list[#list + 1] = { cell = cell, points = points, last = last } end
    end
  end
  gather()
  if #list == 0 then
    x, y = "epoch", "epoch_loss"
    gather()
  end
  local every, curves = math.max(1, (longest + MOST - 1) // MOST), core.json.array {}
  for i, c in ipairs(list) do
    curves[i] = { variant = c.cell.variant, seed = c.cell.seed, status = c.cell.status,
                  values = in_bins(c.points, c.last, every) }
  end
  return { every = every, unit = x, last = longest, curves = curves }
end
