-- my_dataset.lua: discs and squares, drawn where and as large as a random stream says. No files: for first experiments.
--   image i: a shape of radius r, bright on black;  label = i mod 2: 0 a disc, 1 a square
local drift = require "drift"

-- Pixels at distance d from the edge, smoothed over one of them.
local function coverage(y, x, r, label)
  local distance = label == 0 and math.sqrt(y * y + x * x) or math.max(math.abs(y), math.abs(x))
  return math.min(math.max(r - distance + 0.5, 0), 1)
end

drift.define.dataset {
  name = "my_dataset", doc = "Discs and squares, drawn on the spot",
  params = {
    { "n", "int", default = 10000, min = 1, max = 1 << 24, doc = "images for training; a tenth as many, but one at least, for tests" },
    { "size", "int", default = 16, min = 4, max = 4096, doc = "rows and columns of an image" },
  },
  open = function(self) end,                    -- where files are found and checked
  info = function(self, split)
    local n = split == "train" and self.n or math.max(self.n // 10, 1)
    return { n = n, channels = 1, height = self.size, width = self.size, classes = 2, source = "drawn" }
  end,
  -- Image `index`, from 0, [C,H,W] in [0,1], and its label: of the index alone.
  read = function(self, split, index)
    local rng, size, label = { seed = 0, purpose = split, sample = index }, self.size, index % 2
    local r = size * (0.15 + 0.2 * drift.uniform(rng, 0))
    local cy, cx = size * (0.35 + 0.3 * drift.uniform(rng, 1)), size * (0.35 + 0.3 * drift.uniform(rng, 2))
    local rows = {}
    for y = 0, size - 1 do
      rows[y + 1] = {}
      for x = 0, size - 1 do rows[y + 1][x + 1] = coverage(y + 0.5 - cy, x + 0.5 - cx, r, label) end
    end
    return drift.tensor { rows }, label
  end,
  class_name = function(self, label) return label == 0 and "disc" or "square" end,
}
