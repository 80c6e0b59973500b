-- grid.lua: a labelled grid of pictures, readable without the script that made it.
--
--   drift.grid { title = "...", rows = { "noisy", "denoised" }, cols = { 0, .2, .4 }, scale = 2,
--                cell = function(row, col, i, j) return tensor [C,H,W] or [1,C,H,W] or nil end }      -> a canvas
--
-- rows and cols are lists of labels (shown as they are; "" shows nothing), or numbers of unlabelled rows and columns.
local drift = require "drift"

local PAPER, INK, FAINT = { 1, 1, 1 }, { 0.1, 0.1, 0.1 }, { 0.45, 0.45, 0.45 }
local GAP, MARGIN = 2, 8

local function list_of(v)
  if type(v) == "table" then return v end
  local list = {}
  for i = 1, v do list[i] = "" end
  return list
end

local function label_of(v)
  if math.type(v) == "float" then return ("%g"):format(v) end
  return tostring(v)
end

local function size_of(image)
  local shape = image.shape
  return shape[#shape - 1], shape[#shape]
end

local function widest(labels)
  local most = 0
  for _, label in ipairs(labels) do most = math.max(most, (drift.text_size(label_of(label)))) end
  return most
end

local function pictures_of(o, rows, cols)
  local cells, height, width = {}, 1, 1
  for i, row in ipairs(rows) do
    cells[i] = {}
    for j, col in ipairs(cols) do
      local image = o.cell(row, col, i, j)
      if image then
        if drift.type(image) ~= "tensor" then drift.fail("grid: cell (%d, %d) is a %s, not an image", i, j, drift.type(image)) end
        local h, w = size_of(image)
        height, width = math.max(height, h), math.max(width, w)
        cells[i][j] = image
      end
    end
  end
  return cells, height, width
end

return function(o)
  drift.accept("grid", o, { "rows", "cols", "cell" }, { "title", "scale" })
  if type(o.cell) ~= "function" then drift.fail("grid: cell must be a function (row, col) that returns an image") end
  local rows, cols, scale = list_of(o.rows), list_of(o.cols), o.scale or 2
  local cells, height, width = pictures_of(o, rows, cols)
  local cell_w, cell_h = width * scale + GAP, height * scale + GAP
  local _, line = drift.text_size "Mg"
  line = line + 4

  local left = MARGIN + widest(rows)
  if left > MARGIN then left = left + 6 end
  local has_col_labels = widest(cols) > 0
  cell_w = has_col_labels and math.max(cell_w, widest(cols) + 6) or cell_w
  local title_w = o.title and drift.text_size(o.title) or 0
  local top = MARGIN + (o.title and line + 4 or 0) + (has_col_labels and line or 0)
  local c = drift.canvas(math.max(left + #cols * cell_w + MARGIN, title_w + 2 * MARGIN), top + #rows * cell_h + MARGIN, PAPER)

  if o.title then c:text(MARGIN, MARGIN, o.title, { color = INK }) end
  for j, col in ipairs(cols) do
    local text = label_of(col)
    c:text(left + (j - 1) * cell_w + (cell_w - GAP - drift.text_size(text)) // 2, top - line, text, { color = FAINT })
  end
  for i, row in ipairs(rows) do
    local y = top + (i - 1) * cell_h
    c:text(MARGIN, y + (cell_h - line) // 2, label_of(row), { color = FAINT })
    for j = 1, #cols do
      if cells[i][j] then c:blit(cells[i][j], left + (j - 1) * cell_w + (cell_w - GAP - width * scale) // 2, y, scale) end
    end
  end
  return c
end
