-- trajectory.lua: the way from noise to images, as labelled frames and a GIF of them.
--
--   local images, frames = drift.trajectory {
--     sample = { model = net, process = process, sampler = ..., shape = { 1, 28, 28 }, n = 10 },
--     grid = function(images, title) return canvas end, title = "flow matching", frames = 40, path = run:path "way.gif" }
--
-- sample: what drift.sample takes; all images are drawn in one batch, which does not change them. grid lays the images
-- of one step out; its title ends with the time, "t = 0.40" (whole numbers where the process is a chain). The frames
-- are the noise, as many of the steps as fit, evenly, and the result, which is held.
local drift = require "drift"

-- Of steps 0..steps, `frames` evenly spaced ones, or all where there are fewer.
local function chosen(steps, frames)
  local set = {}
  for i = 0, frames - 1 do set[math.floor(i * steps / (frames - 1) + 0.5)] = true end
  return set
end

return function(o)
  drift.accept("trajectory", o, { "sample", "grid" }, { "title", "frames", "path", "delay" })
  local most = o.frames or 40
  if math.type(most) ~= "integer" or most < 2 then
    drift.fail("trajectory: frames = %s should be a whole number of at least 2", tostring(o.frames))
  end
  local _, _, chain = drift.instance(o.sample.process, "process"):range()
  local time = chain > 0 and "%st = %d" or "%st = %.2f"
  local before = o.title and o.title .. ", " or ""
  local frames, wanted = {}, nil

  local sample = {}
  for key, value in pairs(o.sample) do sample[key] = value end
  sample.batch = sample.labels and #sample.labels or sample.n
  sample.each = function(step, steps, t, x, first)
    wanted = wanted or chosen(steps, most)
    if wanted[step] then
      local at = chain > 0 and math.floor(t + 0.5) or t
      frames[#frames + 1] = o.grid(x, time:format(before, at))
    end
    if o.sample.each then return o.sample.each(step, steps, t, x, first) end
  end
  local images = drift.sample(sample)
  if o.path then drift.animation(frames, o.path, { delay = o.delay or 0.1 }) end
  return images, frames
end
