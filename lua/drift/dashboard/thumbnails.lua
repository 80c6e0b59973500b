-- thumbnails.lua: a few small pictures beside each other as block characters, for the dashboard's last lines.
--   local t = thumbnails.of(images)                    images [N,C,H,W] in [0,1]: the first few are kept, made small
--   local lines = t:lines(columns, colours)            a list of { raw =, width = }
-- With colours "▀" is two pixels, in 24 bits where the terminal says that it has them (COLORTERM), else of the 256. Without,
-- the brightness of two pixels is one of five shades.
local drift = require "drift"

local thumbnails = {}
local methods = {}
local meta = { __index = methods }

local MOST <const>, SIDE <const> = 10, 16       -- pictures; pixels of the longer side
local SHADES <const> = { " ", "░", "▒", "▓", "█" }

-- The mean of at most 3 x 3 points of the canvas's rectangle: r, g, b.
local function mean(canvas, x0, y0, size)
  local step, r, g, b, n = math.max(1, size // 3), 0, 0, 0, 0
  for y = y0, y0 + size - 1, step do
    for x = x0, x0 + size - 1, step do
      if x < canvas.width and y < canvas.height then
        local R, G, B = canvas:pixel(x, y)
        r, g, b, n = r + R, g + G, b + B, n + 1
      end
    end
  end
  return { r / n, g / n, b / n }
end

local function small(image, factor)
  local shape = image.shape
  local height, width = shape[#shape - 1], shape[#shape]
  local canvas = drift.canvas(width, height):blit(image, 0, 0)
  local picture = {}
  for y = 0, height - 1, factor do
    local row = {}
    for x = 0, width - 1, factor do row[#row + 1] = mean(canvas, x, y, factor) end
    picture[#picture + 1] = row
  end
  return picture
end

function thumbnails.of(images)
  local shape = images.shape
  if #shape ~= 4 or (shape[2] ~= 1 and shape[2] ~= 3) or shape[1] < 1 then return nil end
  local factor = math.max(1, math.ceil(math.max(shape[3], shape[4]) / SIDE))
  local pictures = {}
  for i = 1, math.min(MOST, shape[1]) do pictures[i] = small(images[i], factor) end
  return setmetatable({ pictures = pictures, made = {} }, meta)
end

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

local function row_of(picture, y, colours, code)
  local cells = {}
  for x, above in ipairs(picture[y]) do
    local below = (picture[y + 1] or picture[y])[x]
    cells[x] = colours and ("\27[38;%s;48;%sm▀"):format(code(above), code(below)) or shade(above, below)
  end
  return table.concat(cells) .. (colours and "\27[0m" or "")
end

-- As many as fit into `columns`, a column apart. Made once for each width.
function methods:lines(columns, colours)
  local width = #self.pictures[1][1]
  local n = math.min(#self.pictures, (columns + 1) // (width + 1))
  local key = colours and n or -n
  if n < 1 then return {} end
  if self.made[key] then return self.made[key] end
  local code, lines = has_24_bits() and colour_24 or colour_256, {}
  for y = 1, #self.pictures[1], 2 do
    local parts = {}
    for i = 1, n do parts[i] = row_of(self.pictures[i], y, colours, code) end
    lines[#lines + 1] = { raw = table.concat(parts, " "), width = n * (width + 1) - 1 }
  end
  self.made[key] = lines
  return lines
end

return thumbnails
