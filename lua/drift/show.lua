-- show.lua: a picture in the terminal, two pixels to a character ("▀" with a foreground and a background colour).
-- Nothing is printed where standard output is not a terminal.
local drift = require "drift"

local function colour(r, g, b)
  local function byte(v) return math.floor(255 * math.max(0, math.min(1, v)) + 0.5) end
  return byte(r), byte(g), byte(b)
end

-- canvas: from drift.grid or drift.canvas; wider ones than the terminal are thinned out.
return function(canvas)
  if not drift.isatty "stdout" then return false end
  local columns = drift.terminal_size() or 80
  local step = math.max(1, math.ceil(canvas.width / columns))
  local lines = {}
  for y = 0, canvas.height - 1, 2 * step do
    local cells = {}
    for x = 0, canvas.width - 1, step do
      local r, g, b = colour(canvas:pixel(x, y))
      local below = math.min(y + step, canvas.height - 1)
      local R, G, B = colour(canvas:pixel(x, below))
      cells[#cells + 1] = ("\27[38;2;%d;%d;%dm\27[48;2;%d;%d;%dm▀"):format(r, g, b, R, G, B)
    end
    lines[#lines + 1] = table.concat(cells) .. "\27[0m"
  end
  io.stdout:write(table.concat(lines, "\n"), "\n")
  return true
end
