-- read_mask.lua: which pixels are to be made (1, white) and which are known (0, black).
--
--   local m = drift.read_mask("mask.png", { size = { 64, 64 }, image = "photo.jpg" })       -- [1,1,H,W] f32 in [0,1]
--
-- mask: a PNG or JPEG, whose luma counts, or a tensor [H,W], [1,H,W] or [n,1,H,W]. A file must be of the size asked
-- for, or of the size of the file `image`, with which it is then cropped and resampled: drawn over a photograph, it
-- stays in its place. Anything else is refused with both sizes, or with resize = true stretched.
-- Values between 0 and 1 (soft edges) mix; threshold = 0.5 makes those from 0.5 on 1 and the rest 0.
local drift = require "drift"

local function size_of(path)
  local s = drift.export.image_size_of(path):totable()
  return s[1], s[2]
end

local function from_file(path, o)
  local H, W = table.unpack(o.size)
  local h, w = size_of(path)
  if h == H and w == W then return drift.read_image(path, { channels = 1 }) end
  if type(o.image) == "string" then
    local image_h, image_w = size_of(o.image)
    if h == image_h and w == image_w then return drift.read_image(path, { channels = 1, size = { H, W } }) end
    if not o.resize then
      drift.fail("mask %s: %d x %d pixels, but the picture %s has %d x %d (or draw it at the model's %d x %d, or say "
        .. "resize = true)", path, w, h, o.image, image_w, image_h, W, H)
    end
  elseif not o.resize then
    drift.fail("mask %s: %d x %d pixels, but the picture has %d x %d (resize = true stretches it)", path, w, h, W, H)
  end
  return drift.read_image(path, { channels = 1, size = { H, W }, fit = "stretch" })
end

local function from_tensor(mask, o)
  local H, W = table.unpack(o.size)
  local x = mask:cast "f32"
  if x.rank == 2 then x = x:unsqueeze(0) end
  if x.rank == 3 then x = x:unsqueeze(0) end
  if x.rank ~= 4 or x.shape[2] ~= 1 then
    drift.fail("a mask is a tensor [H,W], [1,H,W] or [n,1,H,W], not [%s]", table.concat(mask.shape, ","))
  end
  if x.shape[3] == H and x.shape[4] == W then return x end
  if not o.resize then
    drift.fail("the mask has %d x %d pixels, but the picture has %d x %d (resize = true stretches it)", x.shape[4],
      x.shape[3], W, H)
  end
  return x:resize { height = H, width = W, mode = "bilinear" }
end

return function(mask, o)
  drift.accept("read_mask", o, { "size" }, { "image", "resize", "threshold" })
  if type(o.size) ~= "table" or #o.size ~= 2 then drift.fail "read_mask: size is { height, width }" end
  if type(o.threshold or 0.5) ~= "number" then
    drift.fail("read_mask: threshold = %s is not a number", tostring(o.threshold))
  end
  local x
  if type(mask) == "string" then
    x = from_file(mask, o):unsqueeze(0)
  elseif drift.type(mask) == "tensor" then
    x = from_tensor(mask, o)
  else
    drift.fail("a mask is a path or a tensor, not a %s", drift.type(mask))
  end
  local lowest, highest = -(-x):amax():item(), x:amax():item()
  if not (lowest >= 0 and highest <= 1) then                      -- NaN as well
    drift.fail("the mask has values from %g to %g; 0 is known, 1 is to be made", lowest, highest)
  end
  if not o.threshold then return x end
  local hard = x:reshape(-1):totable()
  for i, v in ipairs(hard) do hard[i] = v >= o.threshold and 1 or 0 end
  return drift.tensor(hard, "f32"):reshape(x.shape)
end
