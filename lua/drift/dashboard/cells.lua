-- cells.lua: the trainings of a comparison in the terminal, while they run in processes of their own: a line for each,
-- with its epoch, a bar, the loss and the time that is left, read from the files of its folder.
--   local view = cells.new()                            nil where stderr is no terminal that it can be drawn in
--   view:draw({ { label = "add, seed 1", folder = dir, since = clock } , ... }, "3 of 9 done")     as often as one likes
--   view:leave()                                        the lines are gone
-- What they print scrolls above, as notes do (block.lua).
local core = require "drift.core"
local drift = require "drift"
local block = require "drift.dashboard.block"
local duration = require "drift.dashboard.duration"

local REDRAW <const>, TAIL <const> = 0.5, 4096  -- seconds; bytes of metrics.jsonl, which are some dozens of lines
local cells, methods = {}, {}
local meta = { __index = methods }

local function field(t, ...)
  for _, key in ipairs { ... } do t = type(t) == "table" and t[key] or nil end
  return t
end

-- Epochs, and steps in all, as config.json says them once training has begun; nil before.
local function plan_of(folder)
  local ok, config = pcall(function() return drift.json.decode(drift.read_file(folder .. "/config.json")) end)
  local epochs, batch = field(ok and config, "training", "epochs"), field(ok and config, "training", "batch")
  local images, most = field(ok and config, "data", "images"), field(ok and config, "parameters", "steps")
  for _, v in ipairs { epochs or false, batch or false, images or false } do
    if math.type(v) ~= "integer" or v < 1 then return nil end
  end
  local steps = epochs * (images // batch)
  if math.type(most) == "integer" and most > 0 then steps = math.min(steps, most) end
  return steps > 0 and { epochs = epochs, steps = steps } or nil
end

-- The last step that was written, with its loss and epoch.
function cells.last_step(folder)
  local file = io.open(folder .. "/metrics.jsonl", "rb")
  if not file then return nil end
  local size = file:seek "end"
  file:seek("set", math.max(0, size - TAIL))
  local text = file:read "a" or ""
  file:close()
  local last
  for line in text:gmatch "[^\n]+" do
    local ok, record = pcall(drift.json.decode, line)           -- the first may be half a line
    if ok and type(record) == "table" and type(record.loss) == "number" and math.type(record.step) == "integer" then
      last = record
    end
  end
  return last
end

-- What is known of a cell now; the file is read where it has changed.
local function look(self, cell, now)
  local known = self.known[cell.folder]
  if not known then
    known = {}
    self.known[cell.folder] = known
  end
  local stamp = core.file_stamp(cell.folder .. "/metrics.jsonl")
  if stamp and stamp ~= known.stamp then
    known.stamp, known.last = stamp, cells.last_step(cell.folder)
    known.plan = known.plan or plan_of(cell.folder)
    if known.last and not known.first then known.first, known.first_at = known.last.step, now end
    if known.last then known.last_at = now end
  end
  return known
end

local function time_left(known)
  local steps, seconds = known.last.step - known.first, known.last_at - known.first_at
  if steps <= 0 or seconds <= 0 then return nil end
  return seconds * math.max(0, known.plan.steps - known.last.step) / steps
end

local function bar(fraction, width)
  local full = math.floor(math.max(0, math.min(1, fraction)) * width + 0.5)
  return ("█"):rep(full) .. ("░"):rep(width - full)
end

local function padded(text, width)
  local cut, taken = block.fit(text, width)
  return cut .. (" "):rep(width - taken)
end

local function line_of(self, cell, label_width, columns, now)
  local known, parts = look(self, cell, now), { padded(cell.label, label_width) }
  if not known.last or not known.plan then
    parts[2] = "begins"
    parts[3] = duration(now - cell.since)
    return table.concat(parts, "  ")
  end
  local fraction = known.last.step / known.plan.steps
  local left = fraction < 1 and time_left(known)
  if columns >= 60 then
    parts[#parts + 1] = ("epoch %d/%d"):format(known.last.epoch or 0, known.plan.epochs)
    parts[#parts + 1] = bar(fraction, math.min(24, (columns - 40) // 3))
  end
  parts[#parts + 1] = ("%3.0f%%"):format(100 * math.min(1, fraction))
  parts[#parts + 1] = ("loss %.4f"):format(known.last.loss)
  parts[#parts + 1] = fraction >= 1 and "is evaluated" or left and "ETA " .. duration(left) or nil
  return table.concat(parts, "  ")
end

function methods:draw(running, summary)
  local now = drift.clock()
  local columns, rows = drift.terminal_size()
  if now - self.drawn < REDRAW or not columns then return end
  self.drawn = now
  local width, lines, most = 4, {}, columns >= 60 and columns // 3 or columns // 2      -- of labels
  for _, cell in ipairs(running) do width = math.max(width, select(2, block.fit(cell.label, most))) end
  for i = 1, math.min(#running, math.max(1, rows - 4)) do lines[i] = line_of(self, running[i], width, columns, now) end
  lines[#lines + 1] = summary
  self.block:draw(lines)
end

function methods:leave()
  self.block:erase()
  self.block:leave()
end

function cells.new()
  if not block.possible() then return nil end
  return setmetatable({ block = block.new(), known = {}, drawn = -math.huge }, meta)
end

return cells
