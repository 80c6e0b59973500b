-- bench/report.lua: the spread of times, and a result of drift bench as text.
local report = {}

-- Linear interpolation between the sorted values, as NumPy's quantile.
local function quantile(sorted, q)
  local at = 1 + (#sorted - 1) * q
  local low = math.floor(at)
  local high = math.min(low + 1, #sorted)
  return sorted[low] + (at - low) * (sorted[high] - sorted[low])
end

function report.spread(times)
  local sorted = table.move(times, 1, #times, 1, {})
  table.sort(sorted)
  return { median = quantile(sorted, 0.5), min = sorted[1], max = sorted[#sorted], q1 = quantile(sorted, 0.25),
           q3 = quantile(sorted, 0.75) }
end

local function mib(bytes) return bytes / 2 ^ 20 end

local function add(lines, format, ...) lines[#lines + 1] = format:format(...) end

local function flop_text(value) return value > 0 and ("%9.0f"):format(value) or (" "):rep(9) end

local function kernel_lines(r, lines)
  add(lines, "  kernels: %.1f of %.1f ms of a step with a profile (%d of them); %.1f ms outside: Lua, tape, allocation",
    r.kernel_ms, r.profiled_ms, r.profiled, r.outside_ms)
  add(lines, "  %-28s %-5s %7s %10s %7s %9s %7s", "", "", "calls", "ms", "share", "GFLOP/s", "GB/s")
  for _, k in ipairs(r.kernels) do
    add(lines, "  %-28s %-5s %7.0f %10.2f %6.1f%% %s %7.1f", k.op, k.dtype, k.calls, k.ms, 100 * k.share,
      flop_text(k.gflop_per_s), k.gb_per_s)
  end
end

local function op_lines(r, lines)
  add(lines, "  each kernel of a training step by its shapes: median of %d, ms of one call", r.repeats + 1)
  add(lines, "  %-24s %5s %9s %9s %9s %7s  %s", "", "calls", "ms", "min", "GFLOP/s", "GB/s", "shapes")
  for _, k in ipairs(r.ops) do
    add(lines, "  %-24s %5d %9.3f %9.3f %s %7.1f  %s", k.op, k.calls, k.ms, k.ms_min, flop_text(k.gflop_per_s),
      k.gb_per_s, k.shapes)
  end
end

function report.text(r)
  local lines = {}
  add(lines, "%s: D=%d, batch %d, %s, %s, %d threads", r.task, r.hidden, r.batch, r.precision, r.device, r.threads)
  if r.ops then
    op_lines(r, lines)
    return table.concat(lines, "\n") .. "\n"
  end
  local ms = r.ms
  add(lines, "  %.1f ms: median of %d after %d uncounted; middle half %.1f to %.1f, all %.1f to %.1f; the first %.1f",
    ms.median, r.steps, r.warmup, ms.q1, ms.q3, ms.min, ms.max, r.first_step_ms)
  add(lines, "  %.1f images/s%s", r.images_per_s,
    r.gflop and (", %.1f GFLOP, %.0f GFLOP/s"):format(r.gflop, r.gflop_per_s) or "")
  add(lines, "  memory: peak of the process %.0f MiB (%.0f before the network), of the device's tensors %.0f MiB",
    mib(r.memory.process_peak), mib(r.memory.process_before), mib(r.memory.device_peak))
  if r.kernels then kernel_lines(r, lines) end
  return table.concat(lines, "\n") .. "\n"
end

return report
