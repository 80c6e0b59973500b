-- animation.lua: a GIF of canvases, the last one held for a while. Titles of different lengths may have made canvases
-- of different sizes: all get the largest, on white.
--
--   drift.animation(frames, run:path "denoising.gif", { delay = 0.1, last = 2 })
local drift = require "drift"

return function(frames, path, o)
  if type(frames) ~= "table" or #frames == 0 then drift.fail("animation: there are no frames") end
  o = drift.accept("animation", o or {}, {}, { "delay", "last", "loop" })
  local width, height = 1, 1
  for _, frame in ipairs(frames) do width, height = math.max(width, frame.width), math.max(height, frame.height) end
  local padded = {}
  for i, frame in ipairs(frames) do
    local fits = frame.width == width and frame.height == height
    padded[i] = fits and frame or drift.canvas(width, height):blit(frame, 0, 0)
  end
  drift.gif(padded, path, { delay = o.delay or 0.1, last = o.last or 2, loop = o.loop })
  return path
end
