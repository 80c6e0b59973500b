-- init.lua: what one sees in the terminal while a network is trained: bars of the epoch and of all, the loss and its
-- curve, learning rate, images per second, the time that is left, and the last samples. drift.train draws it.
--   local board <close> = drift.dashboard { run = run, label = "epoch", epochs = 10, steps = 4680, batch = 128 }
--   board:epoch(3, 936, 0, 468)          epoch 3 begins, after 936 steps in all, at batch 0 of 468 (or where steps end)
--   board:update(batch, loss, mean, lr)  after each step: the mean is the epoch's so far
--   board:pause()                        what follows may print: the lines are gone until the next update
--   run:last_samples(images)             shown below, until others come: [N,C,H,W] in [0,1]
-- Where stderr is no terminal, or one without a movable cursor (TERM=dumb), it is a line now and then: drift.progress.
local drift = require "drift"
local block = require "drift.dashboard.block"
local duration = require "drift.dashboard.duration"
local sparkline = require "drift.dashboard.sparkline"
local thumbnails = require "drift.dashboard.thumbnails"

local REDRAW <const> = 0.2                      -- seconds
local RATE_OVER <const> = 8                     -- seconds that images per second are counted over
local methods = {}
local meta = { __index = methods }

function methods:epoch(number, step, first, last)
  self.number, self.first, self.last = number, first, last
  self.step0 = step - first                     -- steps before this epoch's first batch
  self.marks = { { drift.clock(), step } }
  if self.block then return end
  local label = ("%s %d/%d"):format(self.label, number, self.epochs)
  self.progress = drift.progress { label = label, total = last, unit = "images", per_step = self.batch, first = first }
end

-- Images per second of the last few seconds; the ones before a pause do not count.
local function rate(self, now, step)
  local marks = self.marks
  if step == marks[#marks][2] then return self.rate end       -- since when is not known
  marks[#marks + 1] = { now, step }
  while #marks > 2 and now - marks[2][1] > RATE_OVER do table.remove(marks, 1) end
  local seconds = now - marks[1][1]
  if seconds > 0 then self.rate = (step - marks[1][2]) / seconds end
  return self.rate
end

-- ---- the lines ------------------------------------------------------------------------------------------------------
local function bar(fraction, width)
  local full = math.floor(math.max(0, math.min(1, fraction)) * width + 0.5)
  return ("█"):rep(full) .. ("░"):rep(width - full)
end

-- Bar of the epoch, and of all where there is room and more than one.
local function bars(self, columns, batch, step)
  local text = ("%s %d/%d "):format(self.label, self.number, self.epochs)
  local after = (" %d/%d"):format(batch, self.last)
  local room = columns - select(2, block.fit(text, columns)) - #after
  local all = self.epochs > 1 and columns >= 60
  if all then room = room - 12 end
  local width = math.min(40, all and room // 2 or room)
  if width < 4 then return text .. after:sub(2) end
  text = text .. bar(batch / self.last, width) .. after
  if all then text = ("%s   all %s %3d%%"):format(text, bar(step / self.steps, width), 100 * step // self.steps) end
  return text
end

-- The parts that fit into a line, two spaces apart; the others go into the next, of at most `lines`.
local function flow(parts, columns, lines)
  local list = { "" }
  for _, part in ipairs(parts) do
    local longer = list[#list] == "" and part or list[#list] .. "  " .. part
    if #longer <= columns then
      list[#list] = longer
    elseif #list < lines then
      list[#list + 1] = part
    end
  end
  return list
end

local function numbers(self, columns, now, step)
  local per_second = rate(self, now, step)
  local parts = { ("loss %.4f"):format(self.loss), ("epoch's mean %.4f"):format(self.mean), }
  if per_second then
    parts[#parts + 1] = ("%.0f images/s"):format(per_second * self.batch)
    parts[#parts + 1] = "ETA " .. duration((self.steps - step) / per_second)
  end
  parts[#parts + 1] = ("lr %.3g"):format(self.lr)
  return flow(parts, columns, 2)
end

local function curve(self, columns, rows)
  local values = self.history:values()
  if #values < 2 or columns < 24 then return {} end
  local lines, low, high, log = sparkline.draw(values, columns - 9, rows)
  local side = { [1] = ("%.3g"):format(high), [rows] = ("%.3g"):format(low) }
  if log and rows > 2 then side[2] = "log" end
  for i, line in ipairs(lines) do lines[i] = { text = ("%8s "):format(side[i] or "") .. line, colour = "36" } end
  return lines
end

local function lines_of(self, columns, rows, now)
  local step, room = self.step0 + self.at, columns - 1
  local lines = { bars(self, room, self.at, step) }
  local function add(more)
    if #lines + #more > rows - 2 then return end -- whole, or not at all
    for _, line in ipairs(more) do lines[#lines + 1] = line end
  end
  add(numbers(self, room, now, step))
  add(curve(self, math.min(room, 110), (rows >= 20 and columns >= 60) and 4 or 2))
  local samples = rawget(self.run, "samples_shown")
  if samples then add(samples:lines(room, block.colours())) end
  return lines
end

local function draw(self, now)
  local columns, rows = drift.terminal_size()
  self.drawn = now
  if columns and self.at then self.block:draw(lines_of(self, columns, rows, now)) end
end

-- ---- from outside ---------------------------------------------------------------------------------------------------
function methods:update(batch, loss, mean, lr)
  if not self.block then return self.progress:update(batch, ("loss %.4f"):format(mean)) end
  self.history:add(loss)
  self.at, self.loss, self.mean, self.lr = batch, loss, mean, lr
  local now = drift.clock()
  if now - self.drawn >= REDRAW then draw(self, now) end
end

function methods:pause()
  if not self.block then return self.progress and self.progress:finish() end
  self.block:erase()
  self.block:leave()
  self.drawn = -math.huge
end

-- The last state stays to be read.
function methods:finish()
  if not self.block then return self.progress and self.progress:finish() end
  draw(self, drift.clock())
  self.block:leave()
end

meta.__close = function(self) self:finish() end

return function(o)
  drift.accept("dashboard", o, { "run", "epochs", "steps", "batch" }, { "label" })
  local history = sparkline.history()
  for _, record in ipairs(o.run.records) do
    if record.loss then history:add(record.loss) end            -- of a run that is resumed
  end
  return setmetatable({ run = o.run, label = o.label or "epoch", epochs = o.epochs, steps = math.max(1, o.steps), batch = o.batch,
                        block = block.possible() and block.new() or nil, history = history,
                        drawn = -math.huge }, meta)
end
