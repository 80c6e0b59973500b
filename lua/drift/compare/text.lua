-- text.lua: a comparison as a table for the terminal: what differs, costs, metrics with intervals, paired differences.
--   local text = comparison_text(comparison)            comparison: as comparison.json has it
local drift = require "drift"

local function finite(x) return type(x) == "number" and x == x and math.abs(x) < math.huge end
local function short(x) return finite(x) and ("%.4g"):format(x) or "-" end
local function signed(x) return finite(x) and ("%+.3g"):format(x) or "-" end

local function large(x)
  if not finite(x) then return "-" end
  for _, unit in ipairs { { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" } } do
    if x >= unit[1] then return ("%.3g%s"):format(x / unit[1], unit[2]) end
  end
  return ("%.3g"):format(x)
end

local function interval(mean, low, high, number)
  if not finite(mean) then return "-" end
  if not finite(low) or not finite(high) then return number(mean) end
  return ("%s [%s, %s]"):format(number(mean), number(low), number(high))
end

local function columns(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for k, text in ipairs(row) do widths[k] = math.max(widths[k] or 0, utf8.len(text) or #text) end
  end
  for i, row in ipairs(rows) do
    local parts = {}
    for k, text in ipairs(row) do parts[k] = text .. (" "):rep(widths[k] - (utf8.len(text) or #text)) end
    lines[i] = (table.concat(parts, "  "):gsub("%s+$", ""))
  end
  return lines
end

local function count_done(variant)
  local done = 0
  for _, cell in ipairs(variant.cells) do
    if cell.status == "done" then done = done + 1 end
  end
  return done
end

local function costs(c)
  local rows = { { "variant", "weights", "flop/image", "memory", "images/s", "seeds done" } }
  for _, v in ipairs(c.variants) do
    local rate = v.images_per_second or {}
    rows[#rows + 1] = { v.label .. (v.name == c.baseline and " *" or ""), large(v.params), large(v.flops_per_image),
                        large(v.peak_bytes), interval(rate.mean, rate.low, rate.high, short),
                        ("%d of %d"):format(count_done(v), #c.seeds) }
  end
  return rows
end

local function label_of(c, name)
  for _, v in ipairs(c.variants) do
    if v.name == name then return v.label end
  end
end

local function metric_rows(c, metric)
  local direction = metric.better and (" (%s is better)"):format(metric.better) or ""
  local rows = { { metric.name .. direction, "mean", "minus " .. label_of(c, c.baseline), "" } }
  for _, v in ipairs(c.variants) do
    local s, p = metric.summary[v.name] or {}, metric.paired[v.name]
    local seeds = p and finite(p.seeds_needed) and not p.decided
      and ("%d seeds would settle it"):format(p.seeds_needed) or ""
    rows[#rows + 1] = { "  " .. v.label, interval(s.mean, s.low, s.high, short),
                        p and interval(p.difference, p.low, p.high, signed) or "",
                        p and p.decided and "decided" or seeds }
  end
  return rows
end

local MOST = 24                                                   -- lines of differences; the report has all

local function differences(c, lines)
  if #c.differences == 0 then return end
  local rows = { { "differs" } }
  for _, v in ipairs(c.variants) do rows[1][#rows[1] + 1] = v.label end
  for i, d in ipairs(c.differences) do
    if i > MOST then break end
    local row = { "  " .. d.key }
    for _, v in ipairs(c.variants) do
      local value = d.values[v.name]
      row[#row + 1] = (value == nil or value == drift.json.null) and "-" or tostring(value)
    end
    rows[#rows + 1] = row
  end
  for _, line in ipairs(columns(rows)) do lines[#lines + 1] = line end
  if #c.differences > MOST then lines[#lines + 1] = ("  and %d more"):format(#c.differences - MOST) end
  lines[#lines + 1] = ""
end

local function failures(c, lines)
  for _, v in ipairs(c.variants) do
    for _, cell in ipairs(v.cells) do
      if cell.status == "failed" then
        lines[#lines + 1] = ("%s, seed %d failed: %s"):format(v.label, cell.seed, cell.error)
      end
    end
  end
end

return function(c)
  local lines = { c.title ~= c.name and ("%s: %s"):format(c.name, c.title) or c.name }
  if c.question then lines[2] = c.question end
  lines[#lines + 1] = ("%d variant%s, %d seed%s; * is the baseline; [%g%% intervals] over seeds"):format(
    #c.variants, #c.variants == 1 and "" or "s", #c.seeds, #c.seeds == 1 and "" or "s", 100 * c.confidence)
  lines[#lines + 1] = ""
  differences(c, lines)
  local rows, tables = costs(c), {}
  for _, line in ipairs(columns(rows)) do lines[#lines + 1] = line end
  for _, metric in ipairs(c.metrics) do
    for _, row in ipairs(metric_rows(c, metric)) do tables[#tables + 1] = row end
  end
  if #tables > 0 then lines[#lines + 1] = "" end
  for _, line in ipairs(columns(tables)) do lines[#lines + 1] = line end
  lines[#lines + 1] = ""
  failures(c, lines)
  lines[#lines + 1] = c.headline
  if c.verdict then lines[#lines + 1] = c.verdict end
  return table.concat(lines, "\n")
end
