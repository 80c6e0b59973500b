-- pictures.lua: a cell's pictures, of what its files hold, where they are missing: samples.png, loss.svg.
--   pictures(folder)
local drift = require "drift"

local MOST = 10                                                   -- in a row, where there are no classes

-- As many as there are classes, which the images are of in turn.
local function columns(images, labels)
  local n = images.shape[1]
  if not labels then return math.min(n, MOST) end
  local list = labels:cast("i32"):totable()
  for i = 2, n do
    if list[i] == list[1] then return i - 1 end
  end
  return n
end

local function samples(folder, name)
  local file = drift.load_tensors(folder .. "/samples.safetensors")
  local images, n, cols = file.images, file.images.shape[1], columns(file.images, file.labels)
  local canvas = drift.grid {
    rows = (n + cols - 1) // cols, cols = cols, title = name,
    cell = function(_, _, i, j)
      local k = (i - 1) * cols + j
      return k <= n and images[k] or nil
    end }
  drift.png(canvas, folder .. "/samples.png")
end

return function(folder)
  local name = drift.json.decode(drift.read_file(folder .. "/config.json")).name
  if not drift.exists(folder .. "/samples.png") and drift.exists(folder .. "/samples.safetensors") then
    drift.scope(samples, folder, name)
  end
  if not drift.exists(folder .. "/loss.svg") then
    drift.loss_curves { runs = { drift.read_metrics(folder) }, title = ("training loss of %s"):format(name),
                        path = folder .. "/loss.svg" }
  end
end
