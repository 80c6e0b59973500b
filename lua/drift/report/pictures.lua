-- pictures.lua: a cell's pictures as one PNG, in a data URI: a page with thousands of pictures has a dozen of these.
--   sprite([N,C,H,W], columns) -> data URI       picture i (from 0) at column i mod columns, row i div columns
--   samples(path, { most = 100 })                samples.safetensors: images [N,C,H,W] in [0,1], labels [N]
--   trajectory(path, { pixels = n })             trajectory.safetensors: frames [F,N,C,H,W], t [F]; a row for each frame
-- Gray pictures stay gray; of more than three channels the first three are shown. Values are brought into [0,1].
local core = require "drift.core"
local base64 = require "drift.report.base64"

local pictures = {}

local function sprite(images, columns)
  local n, C, H, W = table.unpack(images.shape)
  local rows = (n + columns - 1) // columns
  if C ~= 1 and C ~= 3 then
    images = images:narrow(1, 0, C < 3 and 1 or 3)
    C = C < 3 and 1 or 3
  end
  if rows * columns > n then images = core.concat({ images, core.full({ rows * columns - n, C, H, W }, 1) }, 0) end
  local whole = images:clamp(0, 1):reshape(rows, columns, C, H, W):permute { 2, 0, 3, 1, 4 }
  return "data:image/png;base64," .. base64(core.png(whole:reshape(C, rows * H, columns * W)))
end
pictures.sprite = sprite

local function check(path, name, tensor, rank)
  if not tensor then core.fail("%s: has no tensor '%s'", path, name) end
  if tensor.rank ~= rank then
    core.fail("%s: '%s' has %d axes, and should have %d", path, name, tensor.rank, rank)
  end
  for _, size in ipairs(tensor.shape) do
    if size < 1 then core.fail("%s: '%s' is empty", path, name) end
  end
  return tensor
end

-- Commands that only read (drift compare RUN RUN, drift watch) open no device: the reference's is enough to lay pictures out.
local function in_scope(fn, ...)
  if not pcall(core.device) then core.use "ref" end
  return core.scope(function(...) return core.no_grad(fn, ...) end, ...)
end

function pictures.samples(path, o)
  return in_scope(function()
    local tensors = core.load_tensors(path, "f32")
    local images = check(path, "images", tensors.images, 4)
    local total, channels, height, width = table.unpack(images.shape)
    local n = math.min(total, o and o.most or 100)
    local columns = math.min(n, 10)
    local labels = tensors.labels and tensors.labels.rank == 1 and tensors.labels:totable()
    local list = core.json.array {}
    for i = 1, labels and n or 0 do list[i] = math.floor(labels[i] + 0.5) end
    return { uri = sprite(images:narrow(0, 0, n), columns), n = n, total = total, columns = columns, width = width,
             height = height, channels = channels, labels = list }
  end)
end

-- Of F frames at most 21, evenly, with the first and the last; of N pictures at most 10, and no more than `pixels` allow.
function pictures.trajectory(path, o)
  return in_scope(function()
    local tensors = core.load_tensors(path, "f32")
    local frames = check(path, "frames", tensors.frames, 5)
    local F, N, C, H, W = table.unpack(frames.shape)
    local t = tensors.t and tensors.t.rank == 1 and tensors.t:totable() or {}
    local count = math.min(F, 21)
    local n = math.max(1, math.min(N, 10, (o and o.pixels or 2000000) // (count * C * H * W)))
    local times, chosen = core.json.array {}, {}
    for i = 1, count do
      local at = count > 1 and math.floor((i - 1) * (F - 1) / (count - 1) + 0.5) or 0
      times[i] = t[at + 1] or at
      chosen[i] = frames:narrow(0, at, 1):narrow(1, 0, n):reshape(n, C, H, W)
    end
    return { uri = sprite(core.concat(chosen, 0), n), n = n, total = N, frames = count, steps = F, width = W, height = H,
             t = times }
  end)
end

return pictures
