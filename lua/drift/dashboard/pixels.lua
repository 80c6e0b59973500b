-- pixels.lua: two pixels, one above the other, as a character of the terminal.
--   local character, ending = pixels(colours)        colours: false where the user wants none (NO_COLOR)
--   character({ r, g, b }, { r, g, b })  above, below, in [0,1];  ending: what a line of them ends with
-- With colours it is "▀", in 24 bits where the terminal says that it has them (COLORTERM), else of its 256. Without, one
-- of five shades by their brightness.
local SHADES <const> = { " ", "░", "▒", "▓", "█" }

local function byte(v) return math.floor(255 * math.max(0, math.min(1, v)) + 0.5) end

local function colour_24(c) return ("2;%d;%d;%d"):format(byte(c[1]), byte(c[2]), byte(c[3])) end

-- The 24 grays where there is no colour, else the cube of 6 x 6 x 6.
local function colour_256(c)
  local r, g, b = byte(c[1]), byte(c[2]), byte(c[3])
  if math.max(r, g, b) - math.min(r, g, b) < 8 then
    local gray = (r + g + b) // 3
    return ("5;%d"):format(gray < 5 and 16 or gray > 246 and 231 or 232 + math.min(23, (gray - 3) // 10))
  end
  local function six(v) return math.floor(v / 255 * 5 + 0.5) end
  return ("5;%d"):format(16 + 36 * six(r) + 6 * six(g) + six(b))
end

local function shade(above, below)
  local v = (above[1] + above[2] + above[3] + below[1] + below[2] + below[3]) / 6
  return SHADES[1 + math.floor(4 * math.max(0, math.min(1, v)) + 0.5)]
end

local function has_24_bits()
  local colorterm = os.getenv "COLORTERM"
  return colorterm == "truecolor" or colorterm == "24bit" or (os.getenv "TERM" or ""):find "direct" ~= nil
end

return function(colours)
  if not colours then return shade, "" end
  local code = has_24_bits() and colour_24 or colour_256
  return function(above, below) return ("\27[38;%s;48;%sm▀"):format(code(above), code(below)) end, "\27[0m"
end
