-- bench/kernels.lua: from the rows of drift.kernels (one for each op and shapes) to shares of a step, and to the times
-- of single kernels. GFLOP/s counts convolutions and matrix products in their direct form (core/flop.c); GB/s the bytes
-- of inputs and outputs, each once.
local drift = require "drift"

local kernels = {}

local function by_op(rows)
  local sums, list = {}, {}
  for _, row in ipairs(rows) do
    local key = row.op .. " " .. row.dtype
    local sum = sums[key]
    if not sum then
      sum = { op = row.op, dtype = row.dtype, calls = 0, seconds = 0, flop = 0, bytes = 0 }
      sums[key], list[#list + 1] = sum, sum
    end
    for _, field in ipairs { "calls", "seconds", "flop", "bytes" } do sum[field] = sum[field] + row[field] end
  end
  table.sort(list, function(a, b) return a.seconds > b.seconds end)
  return list
end

local function rate(amount, seconds) return seconds > 0 and 1e-9 * amount / seconds or 0 end

-- Adds to result what `steps` steps with a profile say, per step. The wall time is theirs, the profile's work in it.
function kernels.shares(result, run, steps, done)
  local start = drift.clock()
  local seconds
  local rows = drift.kernels(function()
    for i = 1, steps do run(done + i) end
    drift.device():sync()
    seconds = drift.clock() - start
  end)
  local sums, list, total, flop = by_op(rows), drift.json.array {}, 0, 0
  for _, sum in ipairs(sums) do total, flop = total + sum.seconds, flop + sum.flop end
  for i, sum in ipairs(sums) do
    list[i] = { op = sum.op, dtype = sum.dtype, calls = sum.calls / steps, ms = 1e3 * sum.seconds / steps,
                share = total > 0 and sum.seconds / total or 0, gflop_per_s = rate(sum.flop, sum.seconds),
                gb_per_s = rate(sum.bytes, sum.seconds) }
  end
  result.kernels, result.profiled = list, steps
  result.profiled_ms, result.kernel_ms = 1e3 * seconds / steps, 1e3 * total / steps
  result.outside_ms = result.profiled_ms - result.kernel_ms
  result.gflop = 1e-9 * flop / steps
  result.gflop_per_s = 1e3 * result.gflop / result.ms.median
end

-- Each kernel of fn's by its shapes, run `repeats` times more where it stands: the median of its times, and the least.
function kernels.single(fn, repeats)
  local list = drift.json.array {}
  for i, row in ipairs(drift.kernels(fn, repeats)) do
    local ms = 1e3 * row.seconds / row.calls
    list[i] = { op = row.op, shapes = row.shapes, dtype = row.dtype, calls = row.calls, ms = ms,
                ms_min = 1e3 * row.least, gflop_per_s = rate(row.flop, row.seconds),
                gb_per_s = rate(row.bytes, row.seconds) }
  end
  table.sort(list, function(a, b) return a.ms * a.calls > b.ms * b.calls end)
  return list
end

return kernels
