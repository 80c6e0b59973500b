-- show.lua: a picture in the terminal, two pixels to a character ("▀" with a foreground and a background colour; shades
-- with NO_COLOR). Nothing is printed where standard output is not a terminal, or one that knows no colours (TERM=dumb).
local drift = require "drift"
local block = require "drift.dashboard.block"
local pixels = require "drift.dashboard.pixels"

-- canvas: from drift.grid or drift.canvas; wider ones than the terminal are thinned out.
return function(canvas)
  if not drift.isatty "stdout" or not block.knows_sequences() then return false end
  local columns = drift.terminal_size() or 80
  local step = math.max(1, math.ceil(canvas.width / columns))
  local character, ending = pixels(block.colours())
  local lines = {}
  for y = 0, canvas.height - 1, 2 * step do
    local cells = {}
    for x = 0, canvas.width - 1, step do
      cells[#cells + 1] = character({ canvas:pixel(x, y) }, { canvas:pixel(x, math.min(y + step, canvas.height - 1)) })
    end
    lines[#lines + 1] = table.concat(cells) .. ending
  end
  io.stdout:write(table.concat(lines, "\n"), "\n")
  return true
end
