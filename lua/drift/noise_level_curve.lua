-- noise_level_curve.lua: errors against noise level, one line for each of several models, both axes logarithmic; the
-- band around a line is its interval.
--   drift.noise_level_curve(run, { drift.noise_levels {...}, drift.noise_levels {...} }, { name = "levels", of = "eps" })
local drift = require "drift"

local WIDTH, HEIGHT = 720, 440
local LEFT, RIGHT, TOP, BOTTOM = 72, 16, 40, 48
local COLORS = { "#1f5f99", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#566573" }

local function log10(x) return math.log(x, 10) end

-- Decades that hold all values.
local function decades(values)
  local low, high = math.huge, -math.huge
  for _, v in ipairs(values) do
    if v > 0 then low, high = math.min(low, v), math.max(high, v) end
  end
  if low > high then return 0, 1 end
  local first, last = math.floor(log10(low)), math.ceil(log10(high))
  return first, last > first and last or first + 1
end

local function escape(s) return (s:gsub("&", "&amp;"):gsub("<", "&lt;")) end

local function points(levels, of, key, place)
  local list = {}
  for i, row in ipairs(levels) do
    list[i] = ("%.1f,%.1f"):format(place(row.ratio, row[of][key]))
  end
  return list
end

local function reversed(list)
  local out = {}
  for i = #list, 1, -1 do out[#out + 1] = list[i] end
  return out
end

return function(run, all, o)
  o = drift.accept("noise_level_curve", o or {}, {}, { "name", "of" })
  local of = o.of or "eps"
  if of ~= "eps" and of ~= "x0" then drift.fail('noise_level_curve: of = "%s" is not eps or x0', tostring(of)) end
  local xs, ys = {}, {}
  for _, levels in ipairs(all) do
    for _, row in ipairs(levels) do
      xs[#xs + 1] = row.ratio
      for _, key in ipairs { "value", "low", "high" } do ys[#ys + 1] = row[of][key] end
    end
  end
  if #xs == 0 then drift.fail "noise_level_curve: there is no level to draw" end
  local x0, x1 = decades(xs)
  local y0, y1 = decades(ys)
  local function place(x, y)
    local u = (log10(x) - x0) / (x1 - x0)
    local v = y > 0 and math.max(0, (log10(y) - y0) / (y1 - y0)) or 0
    return LEFT + (WIDTH - LEFT - RIGHT) * u, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * v
  end
  local svg = {
    ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">'):format(WIDTH,
      HEIGHT),
    '<rect width="100%" height="100%" fill="white"/>',
  }
  local function add(format, ...) svg[#svg + 1] = format:format(...) end
  add('<text x="%d" y="20" font-size="14">mean squared error of %s against noise level, %d images</text>', LEFT, of, all[1].n)
  for k = x0, x1 do
    local x, y = place(10 ^ k, 10 ^ y0)
    add('<line x1="%.1f" x2="%.1f" y1="%d" y2="%.1f" stroke="#ddd"/>', x, x, TOP, y)
    add('<text x="%.1f" y="%.1f" text-anchor="middle">%g</text>', x, y + 18, 10.0 ^ k)
  end
  for k = y0, y1 do
    local x, y = place(10 ^ x0, 10 ^ k)
    add('<line x1="%.1f" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>', x, WIDTH - RIGHT, y, y)
    add('<text x="%.1f" y="%.1f" text-anchor="end">%g</text>', x - 6, y + 4, 10.0 ^ k)
  end
  add('<text x="%d" y="%d" text-anchor="middle">sigma / alpha</text>', (LEFT + WIDTH - RIGHT) // 2, HEIGHT - 10)
  for i, levels in ipairs(all) do
    local color = COLORS[(i - 1) % #COLORS + 1]
    local band = points(levels, of, "low", place)
    table.move(reversed(points(levels, of, "high", place)), 1, #levels, #band + 1, band)
    add('<polygon fill="%s" fill-opacity="0.2" points="%s"/>', color, table.concat(band, " "))
    local line = table.concat(points(levels, of, "value", place), " ")
    add('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>', color, line)
    for _, row in ipairs(levels) do
      local x, y = place(row.ratio, row[of].value)
      add('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>t = %.4g: %.4g</title></circle>', x, y, color, row.t,
        row[of].value)
    end
    add('<text x="%d" y="%d" text-anchor="end" fill="%s">%s</text>', WIDTH - RIGHT - 8, TOP + 16 * i, color,
      escape(levels.label))
  end
  svg[#svg + 1] = "</svg>\n"
  local path = run:path((o.name or "noise_levels") .. ".svg")
  drift.write_file(path, table.concat(svg, "\n"))
  return path
end
