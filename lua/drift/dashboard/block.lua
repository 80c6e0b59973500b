-- block.lua: a few lines at the bottom of the terminal (stderr) that are drawn again and again in their place.
--   if block.possible() then local b = block.new() end
--   b:draw { "a line", { text = "a line in colour", colour = "36" }, { raw = "with escapes of its own", width = 20 } }
--   b:erase()    as if nothing had been drawn;   b:leave()    what is drawn stays, and the cursor is below it
--
-- Between two draws the cursor is at the start of the line below, and no mode of the terminal is changed: whatever ends
-- the program, nothing has to be put right. Each draw is one write, of the lines that changed. Notes, print and io.write
-- that come in between scroll above the lines. The terminal is asked for its size each time; lines are cut to it. In the
-- background nothing is drawn; after Ctrl-Z and fg the lines begin anew below those of the shell.
local core = require "drift.core"
local drift = require "drift"

local block = {}
local methods = {}
local meta = { __index = methods }
local current                                   -- the one that is on the terminal

local BEGIN, END = "\27[?2026h", "\27[?2026l"    -- shown as a whole, by terminals that know it; the others pass it over

-- That the terminal understands sequences of control characters at all.
function block.knows_sequences()
  local term = os.getenv "TERM" or ""
  return term ~= "" and term ~= "dumb"
end

function block.possible()
  return drift.isatty "stderr" and block.knows_sequences() and drift.terminal_size() ~= nil
end

-- https://no-color.org: any value but the empty one.
function block.colours()
  return (os.getenv "NO_COLOR" or "") == ""
end

-- ---- text of a known width ------------------------------------------------------------------------------------------
local function width_of(code)                   -- of one character: letters of East Asia and pictures take two columns
  if code < 0x1100 then return code >= 0x300 and code < 0x370 and 0 or 1 end
  local wide = code <= 0x115f or (code >= 0x2e80 and code <= 0xa4cf) or (code >= 0xac00 and code <= 0xd7a3) or
    (code >= 0xf900 and code <= 0xfaff) or (code >= 0xfe30 and code <= 0xfe6f) or (code >= 0xff00 and code <= 0xff60) or
    code >= 0x1f300
  return wide and 2 or 1
end

-- The text as far as it fits into `room` columns, without control characters; and how many columns it takes.
function block.fit(text, room)
  if not text:find "[^\32-\126]" then return text:sub(1, room), math.min(#text, room) end
  local list, width = {}, 0
  if not utf8.len(text) then text = text:gsub("[\128-\255]", "?") end
  for _, code in utf8.codes(text) do
    local w = width_of(code)
    if width + w > room then break end
    if code >= 32 and (code < 127 or code >= 160) then list[#list + 1], width = utf8.char(code), width + w end
  end
  return table.concat(list), width
end

local function fitted(line, room, colours)
  if type(line) == "string" then return block.fit(line, room) end
  if line.raw then
    if line.width > room then return "", 0 end
    return line.raw, line.width
  end
  local text, width = block.fit(line.text, room)
  return colours and ("\27[%sm%s\27[0m"):format(line.colour, text) or text, width
end

-- ---- what others print ----------------------------------------------------------------------------------------------
local function hook(self)
  local function note(line)
    self:erase()
    if self.note_before then self.note_before(line) else io.stderr:write(line, "\n") end
  end
  self.note, self.note_before = note, drift.on_note(note)
  if not drift.isatty "stdout" then return end
  for _, at in ipairs { { _G, "print" }, { io, "write" } } do
    local before = at[1][at[2]]
    local function instead(...)
      self:erase()
      self.line_open = at[2] == "write" and select("#", ...) > 0 and
        not tostring((select(select("#", ...), ...))):find "\n$"
      return before(...)
    end
    rawset(at[1], at[2], instead)
    self.printing[#self.printing + 1] = { at[1], at[2], before, instead }
  end
end

local function unhook(self)
  local now = drift.on_note(self.note_before)
  if now ~= self.note then drift.on_note(now) end             -- somebody else's by now
  for _, p in ipairs(self.printing) do
    if p[1][p[2]] == p[4] then rawset(p[1], p[2], p[3]) end
  end
  self.note, self.note_before, self.printing = nil, nil, {}
end

-- ---- drawing --------------------------------------------------------------------------------------------------------
-- How many lines the terminal has made of ours: most wrap those that a narrower window no longer holds.
local function height_now(self, columns)
  local height = 0
  for _, width in ipairs(self.widths) do height = height + math.max(1, (width + columns - 1) // columns) end
  return height
end

local function up(self, columns)
  local height = height_now(self, columns)
  return height > 0 and ("\27[%dA\r"):format(height) or "\r"
end

-- Lines that do not fit below each other are left out, the last ones first. Not after Ctrl-C: its message is below.
function methods:draw(lines)
  local columns, rows = drift.terminal_size()
  local ours, continued = core.terminal_state()
  if not columns or not ours or drift.interrupted() then return end
  if continued ~= self.continued then self.shown, self.widths, self.continued = {}, {}, continued end
  if current and current ~= self then current:erase() end
  current = self
  if not self.note then hook(self) end
  local colours = block.colours()
  local anew = columns ~= self.columns
  local out = { BEGIN, #self.shown == 0 and self.line_open and "\r\n" or "", up(self, columns), anew and "\27[J" or "" }
  local shown, widths = {}, {}
  for i = 1, math.min(#lines, rows - 1) do
    shown[i], widths[i] = fitted(lines[i], columns - 1, colours)
    if not anew and shown[i] == self.shown[i] then
      out[#out + 1] = "\r\n"
    else
      out[#out + 1] = shown[i] .. "\27[K\r\n"
    end
  end
  if #shown < #self.shown then out[#out + 1] = "\27[J" end
  out[#out + 1] = END
  self.shown, self.widths, self.columns, self.line_open = shown, widths, columns, false
  io.stdout:flush()
  io.stderr:write(table.concat(out))
  io.stderr:flush()
end

function methods:erase()
  if #self.shown == 0 then return end
  local ours, continued = core.terminal_state()
  if ours and continued == self.continued and not drift.interrupted() then
    io.stderr:write(BEGIN, up(self, drift.terminal_size() or self.columns), "\27[J", END)
    io.stderr:flush()
  end
  self.shown, self.widths = {}, {}
end

function methods:leave()
  if self.note then unhook(self) end
  if current == self then current = nil end
  self.shown, self.widths = {}, {}
end

function block.new()
  return setmetatable({ shown = {}, widths = {}, columns = 0, printing = {}, line_open = false, continued = 0 }, meta)
end

return block
