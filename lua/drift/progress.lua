-- progress.lua: how far a long piece of work is. On a terminal one line that is rewritten, elsewhere (a log, CI) a plain
-- line every ten seconds.
--   local p = drift.progress { label = "epoch 1/10", total = 468, unit = "images", per_step = 128 }
--   p:update(step, "loss 0.1234");  p:finish()
local drift = require "drift"

local methods = {}
local meta = { __index = methods }

local function duration(seconds)
  if seconds ~= seconds or seconds > 1e7 then return "?" end
  local s = math.ceil(seconds)
  if s < 60 then return ("%ds"):format(s) end
  if s < 3600 then return ("%dm%02ds"):format(s // 60, s % 60) end
  return ("%dh%02dm"):format(s // 3600, s % 3600 // 60)
end

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
  if now - self.shown < (self.terminal and 0.1 or 10) and not last then return end
  self.shown = now
  if not self.terminal then
    io.stderr:write(self:line(step, text), "\n")
    return
  end
  local columns = drift.terminal_size() or 80
  local line = self:line(step, text)
  local room = math.min(30, columns - #line - 3)
  if room >= 8 then line = line .. "  " .. bar(step / self.total, room) end
  io.stderr:write("\r\27[K", line)
  io.stderr:flush()
  self.open = true
end

function methods:finish()
  if self.open then io.stderr:write "\n" end
  self.open = false
end

return function(o)
  return setmetatable({
    label = o.label, total = o.total, unit = o.unit or "steps", per_step = o.per_step or 1, first = o.first or 0,
    terminal = drift.isatty "stderr", start = drift.clock(), shown = -math.huge, open = false,
  }, meta)
end
