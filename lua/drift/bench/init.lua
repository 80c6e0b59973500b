-- bench/init.lua: drift bench [train|denoise|sample|ops] [--json] [--set hidden=64 batch=128 ...]: how fast the work of
-- users is on this machine, and where the time goes. Without an argument: train and sample.
--
-- Steps are timed without a profile; a few further ones with it give the shares of the kernels. What runs before the
-- first counted step (warmup) is not counted, and the first step of all is reported by itself.
-- Settings: hidden, batch, steps (counted ones), warmup, profiled (steps with a profile; 0: none), block (steps between
-- two waits for the device: their time is shared, and counts as that of each); for sample also
-- euler (steps of the sampler), warmup_euler (of the sampler while warming up; 0: as euler), sample_batch; for ops
-- repeats. What is measured is in work.lua.
local drift = require "drift"
local work = require "drift.bench.work"
local kernels = require "drift.bench.kernels"
local report = require "drift.bench.report"

local defaults = {
  train = { hidden = 64, batch = 128, steps = 10, warmup = 5, profiled = 3, block = 1 },
  denoise = { hidden = 64, batch = 128, steps = 10, warmup = 5, profiled = 3, block = 1 },
  sample = { hidden = 64, batch = 40, steps = 3, warmup = 1, profiled = 1, block = 1, euler = 50, warmup_euler = 0,
             sample_batch = 100 },
  ops = { hidden = 64, batch = 128, repeats = 5 },
}
local least = { warmup = 0, profiled = 0, warmup_euler = 0 }

local function is_known(key)
  local names = {}
  for _, settings in pairs(defaults) do
    if settings[key] then return end
    for name in pairs(settings) do names[#names + 1] = name end
  end
  table.sort(names)
  local near = drift.nearest(key, names)
  drift.fail("bench: no setting %s%s", key, near and "; did you mean " .. near .. "?" or "")
end

local function settings_of(task)
  local settings = {}
  for key, value in pairs(defaults[task]) do settings[key] = value end
  for _, key in ipairs(drift.set_order) do
    is_known(key)
    local value = drift.parse(drift.set[key])
    if math.type(value) ~= "integer" or value < (least[key] or 1) then
      drift.fail("bench: %s = %s should be a whole number of at least %d", key, drift.set[key], least[key] or 1)
    end
    if settings[key] then settings[key] = value end
  end
  return settings
end

-- Of step i, or of each of n steps from there on.
local function milliseconds(step, i, n)
  if drift.interrupted() then drift.fail "bench: stopped" end
  local start = drift.clock()
  for k = i, i + (n or 1) - 1 do step(k) end
  drift.device():sync()
  return 1e3 * (drift.clock() - start) / (n or 1)
end

local function header(task, s)
  return { task = task, device = drift.device().name, precision = drift.precision(), hidden = s.hidden,
           batch = s.batch, threads = drift.options.threads or drift.cpus() }
end

local function measure(task, s)
  local before = drift.memory()
  local step = work[task](s)
  local result, times = header(task, s), {}
  for i = 1, s.warmup do
    local ms = milliseconds(step.warm or step.run, i)
    if i == 1 then result.first_step_ms, result.first_step_clock = ms, drift.clock() end
  end
  for i = 1, s.steps, s.block do
    times[#times + 1] = milliseconds(step.run, s.warmup + i, math.min(s.block, s.steps - i + 1))
    if not result.first_step_ms then result.first_step_ms, result.first_step_clock = times[1], drift.clock() end
  end
  result.warmup, result.steps, result.block = s.warmup, s.steps, s.block
  result.ms = report.spread(times)
  result.images_per_s = 1e3 * s.batch / result.ms.median
  result.memory = { process_peak = drift.peak_memory(), process_before = before,
                    device_peak = drift.device():memory().peak }
  if s.profiled > 0 then kernels.shares(result, step.run, s.profiled, s.warmup + s.steps) end
  return result
end

local function measure_ops(s)
  local step = work.train(s)
  local result = header("ops", s)
  for i = 1, 5 do milliseconds(step.run, i) end
  result.repeats = s.repeats
  result.ops = kernels.single(function() step.run(6) end, s.repeats)
  return result
end

-- The same command for one task, in a process of its own: what a task needs at most is then its own.
local function in_own_process(task)
  local words = {}
  for word in drift.read_file "/proc/self/cmdline":gmatch "[^\0]+" do
    words[#words + 1] = "'" .. word:gsub("'", [['\'']]) .. "'"
    if word == "bench" and #words == 2 then words[#words + 1] = task .. " --json" end
  end
  local pipe = io.popen(table.concat(words, " "))
  local text = pipe:read "a"
  if not pipe:close() then drift.fail("bench: %s did not end well", task) end
  return drift.json.decode(text).results[1]
end

return function(what)
  if what and not defaults[what] then
    local near = drift.nearest(what, { "train", "denoise", "sample", "ops" })
    drift.fail("bench: train, denoise, sample or ops, not %s%s", what, near and "; did you mean " .. near .. "?" or "")
  end
  drift.precision(drift.options.precision)
  if drift.profiling() then drift.fail "bench: takes a profile of its own; --profile goes with drift run" end
  local results = drift.json.array {}
  for _, task in ipairs(what and { what } or { "train", "sample" }) do
    local s = settings_of(task)
    local result = not what and in_own_process(task) or task == "ops" and measure_ops(s) or measure(task, s)
    results[#results + 1] = result
    if not drift.options.json then io.write(report.text(result), "\n") end
  end
  if not drift.options.json then return end
  print(drift.json.encode { drift = drift.version, describe = drift.device():describe(), results = results })
end
