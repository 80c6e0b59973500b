-- csv.lua: a comparison's numbers for spreadsheets and data frames, with all their digits (RFC 4180, lines end in \n).
--   results.csv   metric,variant,seed,value,low,high: a row for every metric, variant and seed; no number: an empty field
--   summary.csv   metric,variant,n,mean,low,high,difference,difference_low,difference_high,pairs,decided,seeds_needed,
--                 variance_removed: means over seeds and paired differences from the baseline; and a row for each cost
--                 (parameters, flops_per_image, images_per_second, plan_bytes, peak_bytes)
--   csv(comparison) -> text of results.csv, text of summary.csv
local number = require "drift.report.number"

local function field(value)
  if value == nil then return "" end
  if type(value) == "number" then return number.full(value) end
  local text = tostring(value)
  if not text:find '[",\r\n]' then return text end
  return '"' .. text:gsub('"', '""') .. '"'
end

local function line(lines, n, ...)
  local fields = { ... }
  for i = 1, n do fields[i] = field(fields[i]) end
  lines[#lines + 1] = table.concat(fields, ",", 1, n) .. "\n"
end

local function results(c)
  local lines = { "metric,variant,seed,value,low,high\n" }
  for _, m in ipairs(c.metrics) do
    for i, v in ipairs(c.variants) do
      for k, seed in ipairs(c.seeds) do
        line(lines, 6, m.name, v.name, seed, m.values[i][k], m.intervals[i][k][1], m.intervals[i][k][2])
      end
    end
  end
  return table.concat(lines)
end

local function summary(c)
  local lines = { "metric,variant,n,mean,low,high,difference,difference_low,difference_high,pairs,decided,seeds_needed,"
    .. "variance_removed\n" }
  for _, m in ipairs(c.metrics) do
    for i, v in ipairs(c.variants) do
      local s, p = m.summary[i], i ~= c.baseline and m.paired[i] or {}
      line(lines, 13, m.name, v.name, s.n, s.mean, s.low, s.high, p.difference, p.low, p.high, p.n, p.decided, p.seeds_needed,
        p.variance_removed)
    end
  end
  for _, name in ipairs { "params", "flops_per_image", "plan_bytes", "peak_bytes" } do
    for _, v in ipairs(c.variants) do
      if v[name] then line(lines, 13, name == "params" and "parameters" or name, v.name, nil, v[name]) end
    end
  end
  for _, v in ipairs(c.variants) do
    local rate = v.images_per_second
    if rate then line(lines, 13, "images_per_second", v.name, nil, rate.mean, rate.low, rate.high) end
  end
  return table.concat(lines)
end

return function(c) return results(c), summary(c) end
