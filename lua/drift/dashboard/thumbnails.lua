-- thumbnails.lua: a few small pictures beside each other as block characters, for the dashboard's last lines.
--   local t = thumbnails.of(images)                    images [N,C,H,W] in [0,1]: the first few are kept, made small
--   local lines = t:lines(columns, colours)            a list of { raw =, width = }
local drift = require "drift"
local pixels = require "drift.dashboard.pixels"

local thumbnails = {}
local methods = {}
local meta = { __index = methods }

local MOST <const>, SIDE <const> = 10, 16       -- pictures; pixels of the longer side

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

local function row_of(picture, y, character, ending)
  local cells = {}
  for x, above in ipairs(picture[y]) do cells[x] = character(above, (picture[y + 1] or picture[y])[x]) end
  return table.concat(cells) .. ending
end

-- As many as fit into `columns`, a column apart. Made once for each width.
function methods:lines(columns, colours)
  local width = #self.pictures[1][1]
  local n = math.min(#self.pictures, (columns + 1) // (width + 1))
  local key = colours and n or -n
  if n < 1 then return {} end
  if self.made[key] then return self.made[key] end
  local character, ending = pixels(colours)
  local lines = {}
  for y = 1, #self.pictures[1], 2 do
    local parts = {}
    for i = 1, n do parts[i] = row_of(self.pictures[i], y, character, ending) end
    lines[#lines + 1] = { raw = table.concat(parts, " "), width = n * (width + 1) - 1 }
  end
  self.made[key] = lines
  return lines
end

return thumbnails
