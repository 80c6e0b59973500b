-- drift_peer.lua: one measurement of Drift's side as one line of JSON, as pytorch_peer.py prints it. The work is that
-- of drift bench (lua/drift/bench/work.lua), so drift.train's step and drift.sample.
-- Settings: task (train, denoise, sample), hidden, batch, steps, e.g. --set task=sample.
local drift = require "drift"
local work = require "drift.bench.work"

local before = drift.memory()
local settings = { task = "train", hidden = 64, batch = 128, steps = 8 }
for key, text in pairs(drift.set) do
    if settings[key] == nil then drift.fail("unknown setting %s", key) end
    settings[key] = drift.parse(text)
end
if not work[settings.task] then drift.fail("task is train, denoise or sample, not %s", settings.task) end

local step = work[settings.task] {
    hidden = settings.hidden, batch = settings.batch, euler = 50, warmup_euler = 0, sample_batch = settings.batch }
local function timed(i)
    local start = drift.clock()
    step.run(i)
    drift.device():sync()
    return 1e3 * (drift.clock() - start)
end

local warmup = settings.task == "sample" and 1 or 5
for i = 1, warmup do timed(i) end
local times = {}
for i = 1, settings.steps do times[i] = timed(warmup + i) end
table.sort(times)
local median = times[#times // 2 + 1]
print(drift.json.encode {
    task = settings.task, device = drift.device().name, hidden = settings.hidden, batch = settings.batch,
    drift = drift.version, ms_median = median, ms_min = times[1], ms_max = times[#times],
    images_per_s = 1e3 * settings.batch / median, peak_mib = drift.peak_memory() / 2 ^ 20,
    before_mib = before / 2 ^ 20 })
