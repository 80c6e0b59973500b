-- sparkline.lua: a curve of braille dots, two by four to a character, and the short memory that it is drawn from.
--   local history = sparkline.history();  history:add(loss)          at any number of steps: a few hundred means
--   local lines, low, high, log = sparkline.draw(history:values(), columns, rows)
-- The axis is logarithmic where the values are positive and the largest is ten times the smallest or more.
local sparkline = {}

local MOST = 512
local history = {}
history.__index = history

-- Means of `per` values each; when there are too many, neighbours are joined.
function history:add(value)
  self.sum, self.count = self.sum + value, self.count + 1
  if self.count < self.per then return end
  local bins = self.bins
  bins[#bins + 1] = self.sum / self.count
  self.sum, self.count = 0, 0
  if #bins < MOST then return end
  for i = 1, MOST // 2 do bins[i] = (bins[2 * i - 1] + bins[2 * i]) / 2 end
  for i = MOST // 2 + 1, MOST do bins[i] = nil end
  self.per = 2 * self.per
end

function history:values() return self.bins end

function sparkline.history()
  return setmetatable({ bins = {}, per = 1, sum = 0, count = 0 }, history)
end

-- n values of as many means of the list, or of the nearest where it has fewer.
local function resampled(values, n)
  local list = {}
  for i = 1, n do
    local first = math.floor((i - 1) * #values / n) + 1
    local last = math.max(first, math.floor(i * #values / n))
    local sum = 0
    for k = first, last do sum = sum + values[k] end
    list[i] = sum / (last - first + 1)
  end
  return list
end

local LEFT <const>, RIGHT <const> = { 0x01, 0x02, 0x04, 0x40 }, { 0x08, 0x10, 0x20, 0x80 }   -- from the top

local function range(values)
  local low, high = math.huge, -math.huge
  for _, v in ipairs(values) do low, high = math.min(low, v), math.max(high, v) end
  return low, high, low > 0 and high >= 10 * low
end

-- The dot's height of each value, from 0 at the bottom.
local function heights(values, low, high, log, dots)
  local function of(v) return log and math.log(v) or v end
  local list, span = {}, of(high) - of(low)
  for i, v in ipairs(values) do
    list[i] = span > 0 and math.floor((of(v) - of(low)) / span * (dots - 1) + 0.5) or dots // 2
  end
  return list
end

function sparkline.draw(values, columns, rows)
  if #values == 0 or columns < 1 then return {}, nil end
  local points = resampled(values, 2 * columns)
  local low, high, log = range(points)
  local at, cells = heights(points, low, high, log, 4 * rows), {}
  for i = 1, columns * rows do cells[i] = 0 end
  for x = 1, #at do
    local from, to = at[x], at[x - 1] or at[x]    -- joined to the one before
    if to > from then to = to - 1 elseif to < from then to = to + 1 end
    for y = math.min(from, to), math.max(from, to) do
      local down = 4 * rows - 1 - y
      local cell = (down // 4) * columns + (x + 1) // 2
      cells[cell] = cells[cell] | (x % 2 == 1 and LEFT or RIGHT)[down % 4 + 1]
    end
  end
  local lines = {}
  for r = 1, rows do
    local row = {}
    for c = 1, columns do row[c] = utf8.char(0x2800 + cells[(r - 1) * columns + c]) end
    lines[r] = table.concat(row)
  end
  return lines, low, high, log
end

return sparkline
