-- read_image.lua: a PNG or JPEG of any size as a picture that a network can take.
--
--   local x = drift.read_image("cat.jpg", { size = 64, channels = 3, fit = "crop" })     -- [3,64,64] f32 in [0,1]
--
-- size: a number, { H, W }, or nil for the file's own. channels: 3 (RGB) or 1 (luma). fit, where proportions differ:
-- "crop" (default) takes the largest centred part, "pad" shows all of it on white, "stretch" distorts.
-- Reducing averages under a triangle filter that widens with the factor (nothing aliases); enlarging is bilinear.
-- PNG of any form (palette, gray, 1 to 16 bits, interlaced; transparency shows white; 16 bits become 8), JPEG gray or
-- colour. The turn that EXIF asks for is made; colour profiles are not applied. A CMYK JPEG is refused, as are files
-- that are damaged or cut short, no picture, larger than 256 MB or 64 million pixels.
local drift = require "drift"

local function side(value)
  local n = math.tointeger(value)
  if not n or n < 1 or n > 4096 then
    drift.fail("read_image: size = %s should be a whole number from 1 to 4096, or { height, width } of such",
      tostring(value))
  end
  return n
end

local function sides(size)
  if size == nil then return 0, 0 end
  if type(size) ~= "table" then return side(size), side(size) end
  if #size ~= 2 then drift.fail("read_image: size is a number or { height, width }, not a list of %d", #size) end
  return side(size[1]), side(size[2])
end

local FITS = { crop = true, pad = true, stretch = true }

return function(path, options)
  if type(path) ~= "string" then drift.fail("read_image: a file's path is text, not a %s", drift.type(path)) end
  if path:find("\0", 1, true) then drift.fail "read_image: the path has a zero byte in it" end
  local o = drift.accept("read_image", options or {}, {}, { "size", "channels", "fit" })
  local height, width = sides(o.size)
  local channels, fit = o.channels or 3, o.fit or "crop"
  if channels ~= 1 and channels ~= 3 then
    drift.fail("read_image: channels = %s; a picture has 3 (RGB) or 1 (gray)", tostring(channels))
  end
  if not FITS[fit] then drift.fail("read_image: fit = %s is not crop, pad or stretch", tostring(fit)) end
  return drift.export.image_tensor(path, channels, height, width, fit)
end
