-- metrics_csv.lua: a run's metrics.jsonl as metrics.csv, for spreadsheets and data frames.
--   drift.metrics_csv "runs/mnist_flow" -> path                  or a run
-- A row for each record, in their order. Columns are all keys that any record has: step, epoch, then the others by
-- name; what a record lacks (or is null) is an empty field. Quoted by RFC 4180, but lines end with \n, as Unix has them.
-- Numbers have all digits that they need; lists and tables are JSON.
local drift = require "drift"

local FIRST <const> = { step = 1, epoch = 2 }

local function columns_of(records)
  local seen, columns = {}, {}
  for _, record in ipairs(records) do
    for key in pairs(record) do
      if not seen[key] then seen[key], columns[#columns + 1] = true, key end
    end
  end
  table.sort(columns, function(a, b)
    local i, j = FIRST[a] or 3, FIRST[b] or 3
    if i ~= j then return i < j end
    return a < b
  end)
  return columns
end

local function field(value)
  if value == nil or value == drift.json.null then return "" end
  local text = type(value) == "string" and value or drift.json.encode(value)
  if text ~= "" and not text:find '[",\r\n]' then return text end
  return '"' .. text:gsub('"', '""') .. '"'                       -- an empty text too: it is not nothing
end

return function(run)
  local folder = type(run) == "table" and run.dir or run
  if type(folder) ~= "string" then drift.fail "metrics_csv: give a run, or the folder of one" end
  local records = drift.read_metrics(folder)
  local columns = columns_of(records)
  local lines, fields = {}, {}
  for k, key in ipairs(columns) do fields[k] = field(key) end
  lines[1] = table.concat(fields, ",")
  for i, record in ipairs(records) do
    for k, key in ipairs(columns) do fields[k] = field(record[key]) end
    lines[i + 1] = table.concat(fields, ",")
  end
  local path = folder .. "/metrics.csv"
  drift.write_file(path, #columns > 0 and table.concat(lines, "\n") .. "\n" or "")
  return path
end
