-- number.lua: how numbers of a report are written, in the page and in Markdown alike. CSV has them in full().
--   text(x)          4 significant digits: 0.04120, 1234., 1.234e-07;  no number: an en dash
--   fixed(x, d)      d decimals, for columns of one metric;  decimals(values, widths) says how many those should be
--                    decimals_of_interval(low, high, d)  d, or what one narrow interval needs
--   short(x)         the same without zeros at its end;   count(n) 12,345,678;   si(x) 1.234 G;   bytes(x) 12.34 MiB
--   full(x)          the shortest text that reads back as x
-- The minus sign is U+2212, as wide as a digit's; in full() it is ASCII's, for programs.
local number = { none = "–" }

local function is_finite(x) return type(x) == "number" and x == x and math.abs(x) < math.huge end
number.is_finite = is_finite

local function signed(text) return (text:gsub("^%-", "−"):gsub("e%-", "e−")) end

-- Digits after the point that show `digits` significant ones of x.
local function places(x, digits)
  if x == 0 then return 0 end
  local rounded = ("%%.%de"):format(digits - 1):format(x)         -- first: 0.09999 is 0.1000
  local exponent = tonumber(rounded:match "e([+-]%d+)$")
  return math.max(0, digits - 1 - exponent)
end

function number.text(x)
  if not is_finite(x) then return number.none end
  if x == 0 then return "0" end
  local size = math.abs(x)
  if size < 1e-4 or size >= 1e6 then return signed(("%.3e"):format(x)) end
  return signed(("%%.%df"):format(places(x, 4)):format(x):gsub("^%-(0%.?0*)$", "%1"))
end

-- Of an axis: 0.05, 12.5, 1000
function number.short(x)
  if not is_finite(x) then return number.none end
  return signed(("%.4g"):format(x))
end

-- Decimals for a column: 4 significant digits of its largest value, and 2 of its narrowest interval; at most 8. A value
-- above a thousand times the median is one that diverged, and does not decide for the others.
function number.decimals(values, widths)
  local sizes, largest, narrowest = {}, nil, nil
  for _, x in pairs(values) do
    if is_finite(x) then sizes[#sizes + 1] = math.abs(x) end
  end
  table.sort(sizes)
  local median = sizes[(#sizes + 1) // 2]
  for _, size in ipairs(sizes) do
    if median == 0 or size <= 1000 * median then largest = size end
  end
  for _, w in ipairs(widths or {}) do
    if is_finite(w) and w > 0 then narrowest = math.min(narrowest or math.huge, w) end
  end
  local d = places(largest or 0, 4)
  if narrowest then d = math.max(d, math.min(places(narrowest, 2), d + 2)) end
  return math.min(d, 8)
end

function number.fixed(x, d)
  if not is_finite(x) then return number.none end
  if math.abs(x) >= 1e9 then return number.text(x) end            -- of a training that diverged
  local text = ("%%.%df"):format(d):format(x)
  if text:find "^%-[0.]*$" then text = text:sub(2) end            -- no minus before what rounds to 0
  return signed(text)
end

-- Decimals that show two digits of an interval's half-width, where d does not.
function number.decimals_of_interval(low, high, d)
  if not (is_finite(low) and is_finite(high)) or high <= low then return d end
  return math.min(math.max(d, places((high - low) / 2, 2)), 8)
end

function number.interval(low, high, d)
  if not (is_finite(low) and is_finite(high)) then return nil end
  return ("[%s, %s]"):format(number.fixed(low, d), number.fixed(high, d))
end

function number.count(n)
  if not is_finite(n) then return number.none end
  local text = ("%.0f"):format(n)
  local sign, digits = text:match "^(%-?)(%d+)$"
  return signed(sign .. digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

local function scaled(x, base, names)
  if not is_finite(x) then return number.none end
  local i = 1
  while math.abs(x) >= base and i < #names do
    x, i = x / base, i + 1
  end
  local text = x == math.floor(x) and i == 1 and number.count(x) or number.text(x)
  return names[i] == "" and text or text .. " " .. names[i]
end

function number.si(x) return scaled(x, 1000, { "", "k", "M", "G", "T", "P", "E" }) end
function number.bytes(x) return scaled(x, 1024, { "B", "KiB", "MiB", "GiB", "TiB" }) end

function number.seconds(s)
  if not is_finite(s) then return number.none end
  if s < 60 then return number.text(s) .. " s" end
  s = math.floor(s + 0.5)
  if s < 3600 then return ("%d min %d s"):format(s // 60, s % 60) end
  return ("%d h %d min"):format(s // 3600, s % 3600 // 60)
end

function number.full(x)
  if not is_finite(x) then return "" end
  if math.type(x) == "integer" then return tostring(x) end
  for digits = 15, 17 do
    local text = ("%%.%dg"):format(digits):format(x)
    if tonumber(text) == x then return text end
  end
end

return number
