-- loss_curve.lua: the training loss of a run as loss.svg: every step faintly, smoothed, and each epoch's mean as a dot.
local drift = require "drift"

local WIDTH, HEIGHT = 720, 400
local LEFT, RIGHT, TOP, BOTTOM = 64, 16, 36, 44

local function nice_step(span, ticks)
  local raw = span / ticks
  local unit = 10 ^ math.floor(math.log(raw, 10))
  for _, m in ipairs { 1, 2, 5, 10 } do
    if raw <= m * unit then return m * unit end
  end
end

local function points_of(records)
  local steps, epochs, begun = {}, {}, 0
  for _, r in ipairs(records) do
    if r.loss then steps[#steps + 1] = { r.step, r.loss } end
    if r.epoch_loss then                                          -- in the middle of the steps that it is the mean of
      epochs[#epochs + 1] = { (begun + r.step) / 2, r.epoch_loss }
      begun = r.step
    end
  end
  return steps, epochs
end

-- The mean of the steps around each one; fewer at both ends, so that the curve neither lags nor starts high.
local function smoothed(points)
  local sums, out = { [0] = 0 }, {}
  for i, p in ipairs(points) do sums[i] = sums[i - 1] + p[2] end
  local reach = math.min(25, #points // 10)
  for i, p in ipairs(points) do
    local r = math.min(reach, i - 1, #points - i)
    out[i] = { p[1], (sums[i + r] - sums[i - r - 1]) / (2 * r + 1) }
  end
  return out
end

-- Above the 99th percentile lies only the start, which would flatten all the rest.
local function upper_limit(points)
  local values = {}
  for i, p in ipairs(points) do values[i] = p[2] end
  table.sort(values)
  return values[math.max(1, math.ceil(0.99 * #values))] * 1.05
end

local function polyline(points, place, style)
  local parts = {}
  for i, p in ipairs(points) do
    local x, y = place(p[1], p[2])
    parts[i] = ("%.1f,%.1f"):format(x, y)
  end
  return ('<polyline fill="none" %s points="%s"/>'):format(style, table.concat(parts, " "))
end

local function escape(s) return (s:gsub("&", "&amp;"):gsub("<", "&lt;")) end

return function(run)
  local steps, epochs = points_of(run.records)
  if #steps < 2 then return end
  local last, top = steps[#steps][1], upper_limit(steps)
  if not (top > 0) then top = 1 end                               -- all losses are 0
  local function place(step, loss)
    return LEFT + (WIDTH - LEFT - RIGHT) * step / last, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.min(loss, top) / top
  end
  local svg = {
    ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">'):format(WIDTH, HEIGHT),
    '<rect width="100%" height="100%" fill="white"/>',
    ('<text x="%d" y="20" font-size="14">training loss of %s</text>'):format(LEFT, escape(run.name)),
  }
  local function add(format, ...) svg[#svg + 1] = format:format(...) end
  local tick = nice_step(top, 5)
  for v = 0, top, tick do
    local _, y = place(0, v)
    add('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>', LEFT, WIDTH - RIGHT, y, y,
      LEFT - 6, y + 4, v)
  end
  tick = math.max(1, nice_step(last, 6))
  for step = 0, last, tick do
    add('<text x="%.1f" y="%d" text-anchor="middle">%d</text>', place(step, 0), HEIGHT - BOTTOM + 18, math.floor(step))
  end
  add('<text x="%d" y="%d" text-anchor="middle">step</text>', (LEFT + WIDTH - RIGHT) // 2, HEIGHT - 8)
  svg[#svg + 1] = polyline(steps, place, 'stroke="#9bbcdc" stroke-width="1"')
  svg[#svg + 1] = polyline(smoothed(steps), place, 'stroke="#1f5f99" stroke-width="2"')
  for _, p in ipairs(epochs) do
    local x, y = place(p[1], p[2])
    add('<circle cx="%.1f" cy="%.1f" r="4" fill="#c0392b"><title>epoch mean %.4f</title></circle>', x, y, p[2])
  end
  add('<text x="%d" y="20" text-anchor="end" fill="#666">light: each step, dark: smoothed, dots: mean of an epoch</text>', WIDTH - RIGHT)
  svg[#svg + 1] = "</svg>\n"
  drift.write_file(run:path "loss.svg", table.concat(svg, "\n"))
end
