-- progress.lua: how far a long piece of work is. On a terminal one line that is rewritten, elsewhere (a log, CI) a plain
-- line every ten seconds. (A training has more to show: drift.dashboard.)
--   local p = drift.progress { label = "epoch 1/10", total = 468, unit = "images", per_step = 128 }
--   p:update(step, "loss 0.1234");  p:finish()
local drift = require "drift"
local block = require "drift.dashboard.block"
local duration = require "drift.dashboard.duration"

local methods = {}
local meta = { __index = methods }

local function bar(fraction, width)
  local full = math.floor(fraction * width)
  return ("█"):rep(full) .. ("░"):rep(width - full)
end

function methods:line(step, text)
  local elapsed = drift.clock() - self.start
  local done = step - self.first
  local rate = done > 0 and elapsed > 0 and done / elapsed or 0
  local parts = { self.label, ("%d/%d"):format(step, self.total) }
  if text then parts[#parts + 1] = text end
  if rate > 0 then
    parts[#parts + 1] = ("%.0f %s/s"):format(rate * self.per_step, self.unit)
    parts[#parts + 1] = "ETA " .. duration((self.total - step) / rate)
  end
  return table.concat(parts, "  ")
end

function methods:update(step, text)
  local now = drift.clock()
  local last = step == self.total
  if now - self.shown < (self.block and 0.1 or 10) and not last then return end
  self.shown = now
  local line = self:line(step, text)
  if not self.block then
    io.stderr:write(line, "\n")
    return
  end
  local room = math.min(30, (drift.terminal_size() or 80) - (utf8.len(line) or #line) - 3)
  if room >= 8 then line = line .. "  " .. bar(step / self.total, room) end
  self.block:draw { line }
end

function methods:finish()
  if self.block then self.block:leave() end
end

return function(o)
  return setmetatable({
    label = o.label, total = o.total, unit = o.unit or "steps", per_step = o.per_step or 1, first = o.first or 0,
    block = block.possible() and block.new() or nil, start = drift.clock(), shown = -math.huge,
  }, meta)
end
