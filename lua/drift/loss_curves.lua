-- loss_curves.lua: training losses of one or more runs in one SVG: every step faintly, smoothed, and each epoch's mean
-- as a dot. With several runs each has a colour, and a legend says its label and its last epoch's mean.
--
--   drift.loss_curves { runs = { a, b }, labels = { "Adam, decayed", "AdamW, constant" }, title = "...",
--                       log = true, path = run:path "compared.svg" }              -> the SVG's text
--
-- A run is what drift.experiment returns, a part of one, or a list of records as in metrics.jsonl ({ step =, loss = },
-- { step =, epoch_loss = }). Without path nothing is written; log: the loss's axis is logarithmic.
local drift = require "drift"

local WIDTH, HEIGHT = 720, 400
local LEFT, RIGHT, TOP, BOTTOM = 64, 16, 36, 44
local COLORS = { "#1f5f99", "#c0392b", "#2e8b57", "#d98200", "#7a4fa3", "#555555" }

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

-- The mean of the steps around each one. At the start fewer on both sides, so that the curve neither lags nor starts
-- high; at the end fewer on one, so that it does not end in the last step's noise.
local function smoothed(points)
  local sums, out = { [0] = 0 }, {}
  for i, p in ipairs(points) do sums[i] = sums[i - 1] + p[2] end
  local reach = math.min(25, #points // 10)
  for i, p in ipairs(points) do
    local before = math.min(reach, i - 1)
    local after = math.min(before, #points - i)
    out[i] = { p[1], (sums[i + after] - sums[i - before - 1]) / (before + after + 1) }
  end
  return out
end

local function series_of(o)
  local all = {}
  for i, run in ipairs(o.runs) do
    local steps, epochs = points_of(run.records or run)
    if #steps >= 2 then
      all[#all + 1] = { steps = steps, epochs = epochs, curve = smoothed(steps), label = o.labels and o.labels[i],
                        color = COLORS[(i - 1) % #COLORS + 1] }
    end
  end
  return all
end

-- ---- axes -----------------------------------------------------------------------------------------------------------
local function nice_step(span, ticks)
  local raw = span / ticks
  local unit = 10 ^ math.floor(math.log(raw, 10))
  for _, m in ipairs { 1, 2, 5, 10 } do
    if raw <= m * unit then return m * unit end
  end
end

-- Above the 99th percentile lies only the start, which would flatten all the rest.
local function upper_limit(all)
  local top = 0
  for _, s in ipairs(all) do
    local values = {}
    for i, p in ipairs(s.steps) do values[i] = p[2] end
    table.sort(values)
    top = math.max(top, values[math.max(1, math.ceil(0.99 * #values))] * 1.05)
  end
  return top > 0 and top or 1                                     -- 1: all losses are 0
end

local function linear_axis(all)
  local top, ticks = upper_limit(all), {}
  local step = nice_step(top, 5)
  for v = 0, top, step do ticks[#ticks + 1] = v end
  return function(loss) return math.min(loss, top) / top end, ticks
end

local function log_ticks(low, top, mantissas)
  local ticks = {}
  for power = math.floor(math.log(low, 10)), math.ceil(math.log(top, 10)) do
    for _, m in ipairs(mantissas) do
      local v = m * 10.0 ^ power
      if v >= low and v <= top then ticks[#ticks + 1] = v end
    end
  end
  return ticks
end

local function log_axis(all)
  local top, low = upper_limit(all), math.huge
  for _, s in ipairs(all) do
    for _, p in ipairs(s.curve) do
      if p[2] > 0 then low = math.min(low, p[2]) end
    end
  end
  low = math.min(low * 0.7, top / 2)                              -- steps scatter below their mean
  local ticks = log_ticks(low, top, { 1, 2, 5 })
  if #ticks < 4 then ticks = log_ticks(low, top, { 1, 1.5, 2, 3, 4, 5, 6, 8 }) end
  local span = math.log(top / low)
  return function(loss) return math.log(math.max(low, math.min(loss, top)) / low) / span end, ticks
end

-- ---- drawing --------------------------------------------------------------------------------------------------------
local function escape(s) return (s:gsub("&", "&amp;"):gsub("<", "&lt;")) end

local function polyline(points, place, style)
  local parts = {}
  for i, p in ipairs(points) do
    local x, y = place(p[1], p[2])
    parts[i] = ("%.1f,%.1f"):format(x, y)
  end
  return ('<polyline fill="none" %s points="%s"/>'):format(style, table.concat(parts, " "))
end

local function draw_axes(add, place, ticks, last)
  for _, v in ipairs(ticks) do
    local _, y = place(0, v)
    add('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>',
      LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, v)
  end
  local step = math.max(1, nice_step(last, 6))
  for at = 0, last, step do
    add('<text x="%.1f" y="%d" text-anchor="middle">%d</text>',
      LEFT + (WIDTH - LEFT - RIGHT) * at / last, HEIGHT - BOTTOM + 18, math.floor(at))
  end
  add('<text x="%d" y="%d" text-anchor="middle">step</text>', (LEFT + WIDTH - RIGHT) // 2, HEIGHT - 8)
  local middle = (TOP + HEIGHT - BOTTOM) // 2
  add('<text x="16" y="%d" text-anchor="middle" transform="rotate(-90 16 %d)">loss</text>', middle, middle)
end

local function draw_series(add, s, place, dots)
  add("%s", polyline(s.steps, place, ('stroke="%s" stroke-width="1" opacity="0.3"'):format(s.color)))
  add("%s", polyline(s.curve, place, ('stroke="%s" stroke-width="2"'):format(s.color)))
  for _, p in ipairs(s.epochs) do
    local x, y = place(p[1], p[2])
    add('<circle cx="%.1f" cy="%.1f" r="4" fill="%s"><title>epoch mean %.4f</title></circle>', x, y, dots, p[2])
  end
end

-- At the upper right, where losses have fallen long since.
local function draw_legend(add, all)
  local longest = 0
  for _, s in ipairs(all) do
    local mean = s.epochs[#s.epochs]
    s.text = (s.label or "") .. (mean and ("  (last epoch: %.4f)"):format(mean[2]) or "")
    longest = math.max(longest, #s.text)
  end
  local width = 44 + 6.5 * longest
  local x, y = WIDTH - RIGHT - width, TOP + 8
  add('<rect x="%.0f" y="%d" width="%.0f" height="%d" fill="white" stroke="#ccc" opacity="0.9"/>',
    x, y, width, 8 + 18 * #all)
  for i, s in ipairs(all) do
    local line = y + 18 * i - 2
    add('<line x1="%.0f" x2="%.0f" y1="%d" y2="%d" stroke="%s" stroke-width="3"/><text x="%.0f" y="%d">%s</text>',
      x + 8, x + 30, line - 4, line - 4, s.color, x + 38, line, escape(s.text))
  end
end

return function(o)
  drift.accept("loss_curves", o, { "runs" }, { "labels", "title", "path", "log" })
  if o.labels and #o.labels ~= #o.runs then drift.fail("loss_curves: %d labels for %d runs", #o.labels, #o.runs) end
  local all = series_of(o)
  if #all == 0 then return nil end                                -- nothing to draw yet
  local last = 0
  for _, s in ipairs(all) do last = math.max(last, s.steps[#s.steps][1]) end
  local height_of, ticks = (o.log and log_axis or linear_axis)(all)
  local function place(step, loss)
    return LEFT + (WIDTH - LEFT - RIGHT) * step / last, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * height_of(loss)
  end

  local svg = {
    ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">')
      :format(WIDTH, HEIGHT),
    '<rect width="100%" height="100%" fill="white"/>',
    ('<text x="%d" y="20" font-size="14">%s</text>'):format(LEFT, escape(o.title or "training loss")),
  }
  local function add(format, ...) svg[#svg + 1] = format:format(...) end
  draw_axes(add, place, ticks, last)
  for _, s in ipairs(all) do draw_series(add, s, place, #o.runs == 1 and COLORS[2] or s.color) end
  if #o.runs > 1 then draw_legend(add, all) end
  add('<text x="%d" y="%d" text-anchor="end" font-size="10" fill="#666">%s</text>', WIDTH - RIGHT, HEIGHT - 8,
    "light: each step, dark: smoothed, dots: mean of an epoch")
  svg[#svg + 1] = "</svg>\n"
  local text = table.concat(svg, "\n")
  if o.path then drift.write_file(o.path, text) end
  return text
end
