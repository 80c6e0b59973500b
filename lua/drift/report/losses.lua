-- losses.lua: the losses of cells' steps for the page, in bins of equal numbers of steps: at most 1200 points a curve.
--   points = losses.points(records)     of metrics.jsonl's: what a curve is made of, a tenth of the records' size
--   losses.curves(cells) -> { every = k, unit = "step", last = number of the last step,
--                             curves = { { variant, seed, status, values = "0.5 0.25 nan ..." }, ... } }
-- cells: { { variant =, seed =, status =, points = }, ... }. Value i (from 0) is the mean of the losses of steps
-- i k + 1 .. (i + 1) k that are numbers; with k = 1 it is the step's loss. Runs that only have epochs' means have those.
-- Values are text with 6 digits: a tenth of what JSON with all digits would take.
local core = require "drift.core"

local losses = {}
local MOST <const> = 1200

local function is_number(x) return type(x) == "number" and x == x and math.abs(x) < math.huge end

-- Two lists: numbers of steps, and losses, NaN where there is none.
local function pairs_of(records, x, y)
  local at, values, last = {}, {}, 0
  for _, r in ipairs(records) do
    if math.type(r[x]) == "integer" and r[x] >= 1 and r[y] ~= nil then
      at[#at + 1], values[#values + 1] = r[x], is_number(r[y]) and r[y] or 0 / 0
      last = math.max(last, r[x])
    end
  end
  return { at = at, values = values, last = last }
end

function losses.points(records)
  return { step = pairs_of(records, "step", "loss"), epoch = pairs_of(records, "epoch", "epoch_loss") }
end

local function in_bins(points, every)
  local sum, count = {}, {}
  for i, at in ipairs(points.at) do
    local value = points.values[i]
    if value == value then
      local bin = (at - 1) // every
      sum[bin], count[bin] = (sum[bin] or 0) + value, (count[bin] or 0) + 1
    end
  end
  local texts = {}
  for bin = 0, (points.last + every - 1) // every - 1 do
    texts[bin + 1] = count[bin] and ("%.6g"):format(sum[bin] / count[bin]) or "nan"
  end
  return table.concat(texts, " ")
end

local function longest(cells, unit)
  local last = 0
  for _, cell in ipairs(cells) do last = math.max(last, cell.points[unit].last) end
  return last
end

function losses.curves(cells)
  local unit = longest(cells, "step") > 0 and "step" or "epoch"
  local last, curves = longest(cells, unit), core.json.array {}
  local every = math.max(1, (last + MOST - 1) // MOST)
  for _, cell in ipairs(cells) do
    local points = cell.points[unit]
    if points.last > 0 then
      curves[#curves + 1] = { variant = cell.variant, seed = cell.seed, status = cell.status,
                              values = in_bins(points, every) }
    end
  end
  return { every = every, unit = unit, last = last, curves = curves }
end

return losses
