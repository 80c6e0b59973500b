-- drift_peer.lua: Drift's side of the speed comparison; prints one line of JSON. The tasks are those of
-- pytorch_peer.py:
--   train    class-conditional flow matching: noise, time, dropout mask, forward, MSE, backward, Adam
--   denoise  unconditional denoiser at sigma 0.5: noise, forward, MSE, backward, Adam
--   sample   guided Euler sampling, gamma 5, 50 steps; the time is for the whole batch
-- Settings: task, hidden, batch, steps, e.g. --set task=sample.
local drift = require "drift"

local before = drift.peak_memory()
local settings = { task = "train", hidden = 64, batch = 128, steps = 8 }
for key, text in pairs(drift.set) do
    if settings[key] == nil then drift.fail("unknown setting %s", key) end
    settings[key] = drift.parse(text)
end
local task, B = settings.task, settings.batch
local seed = drift.seed()

local conditional = task ~= "denoise"
local net = drift.build(drift.models.cs180_unet {
    hidden = settings.hidden, time = conditional and "add" or nil, class = conditional and "scale" or nil })
local process = conditional and drift.process.flow_matching {}
                or drift.process.fixed_noise { sigma = 0.5, predict = "x0" }
local optimizer = drift.optimizer(drift.optim.adam { lr = 1e-3 }, net)

local classes = {}
for i = 1, B do classes[i] = (i - 1) % 10 end
local x = drift.rand { B, 1, 28, 28, purpose = "bench" }:keep()        -- [B,1,28,28]
local label = drift.tensor(classes, "i32"):keep()                      -- [B]

local function mask(step)                                              -- [B]: 0 drops the class, at one in ten
    local kept = {}
    for i = 1, B do
        kept[i] = drift.uniform({ purpose = "dropout", seed = seed, step = step, sample = i }, 0) > 0.1 and 1 or 0
    end
    return drift.tensor(kept)
end

local function train(step)
    local rng = { purpose = "time", seed = seed, step = step, sample = 0 }
    local eps = drift.randn { B, 1, 28, 28, purpose = "noise", seed = seed, step = step }
    local noised = drift.noising(process, x, eps, drift.draw_times(process, rng, B))
    local cond = conditional and { time = noised.time, label = label, mask = mask(step) } or {}
    net:stream(seed, step, 0)
    net(noised.input, cond):mse(noised.target):backward()
    optimizer:step()
end

local function sample(step)
    local model = drift.model(process, net, { guidance = drift.guidance.cfg { scale = 5 }, label = label })
    local noise = drift.randn { B, 1, 28, 28, purpose = "noise", seed = seed, step = step }
    model:sample { sampler = drift.sampler.euler { steps = 50 }, x = noise }
end

net:train(task ~= "sample")
local function timed(step)
    local start = drift.clock()
    if task == "sample" then drift.no_grad(drift.scope, sample, step) else drift.scope(train, step) end
    drift.device():sync()
    return 1e3 * (drift.clock() - start)
end

for step = 1, task == "sample" and 1 or 3 do timed(step) end
local times = {}
for i = 1, settings.steps do times[i] = timed(3 + i) end
table.sort(times)
local median = times[#times // 2 + 1]
print(drift.json.encode {
    task = task, device = drift.device().name, hidden = settings.hidden, batch = B, drift = drift.version,
    ms_median = median, ms_min = times[1], ms_max = times[#times], images_per_s = 1e3 * B / median,
    peak_mib = drift.peak_memory() / 2 ^ 20, before_mib = before / 2 ^ 20 })
