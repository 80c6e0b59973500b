-- expect.lua: what the components of frozen.c give, with every host of ABI 1.x. PLUGIN names the shared object.
local drift = require "drift"
drift.load_plugin(assert(os.getenv "PLUGIN"))

local function near(what, a, b) if not (math.abs(a - b) <= 1e-6) then error(("%s: %.9g, expected %.9g"):format(what, a, b), 0) end end
local function sum(t) return t:sum():item() end
local x = drift.tensor { { { { 1, 2 }, { 3, 4 } } }, { { { 5, 6 }, { 7, 8 } } } }

near("defaults", drift.decay.frozen_decay {}:factor(0, 1), 3 + 0.5 + 1 + 3 + 1 + 1000)
near("parameters", drift.decay.frozen_decay { whole = 7, real = 0.25, flag = false, text = "de", choice = "one", ints = { 1, 2 }, reals = { 0.5 },
     f = function(t) return t * t end, part = drift.schedule.frozen_schedule {}, parts = { "frozen_view", drift.view.frozen_view {} },
     tensor = drift.tensor { 3, 4 } }:factor(1, 2), 7 + 0.25 + 2 + 0.5 + 3 + 0.5 + 4 + 1000 + 20000 + 7)
near("op", sum(drift.op.frozen_op(x, { scale = 2 })), 72 + 8)

local block = drift.build(drift.block.frozen_block {})
local rows = drift.tensor { { 1, 2, 3, 4 } }
near("block", sum(block(rows)), 2 * 10 + 12)
local c = drift.build(drift.conditioning.frozen_conditioning { channels = { 1 } })
near("conditioning", sum(c:modulate(1, x, c:embed { time = drift.tensor { 0.5, 2 } })), 5 + 52)
near("schedule", drift.schedule.frozen_schedule {}:beta(4, 10), 0.005)

local process = drift.process.frozen_process {}
near("time_sampling", drift.time_sampling.frozen_time_sampling {}:draw(process, 0.5), 0.25)
near("weighting", drift.weighting.frozen_weighting {}:weight(process, 0.25), 0.75 + 0.5)
near("coupling", sum(drift.coupling.frozen_coupling {}:pair(x, x) * x), 2 * (5 + 12 + 21 + 32))

-- dx/dt = x/2 from t = 1 to 0 on the squares of quarters: products of (1 - dt/2)
local function net(y) return y * 0.5 end
local function grown(rate) return 36 * (1 - rate / 16) * (1 - 3 * rate / 16) * (1 - 5 * rate / 16) * (1 - 7 * rate / 16) end
local function sampled(o) return sum(drift.model(process, net, o):sample { sampler = drift.sampler.frozen_sampler {}, x = x, rng = { purpose = "n" } }) end
if math.abs(sampled {} - grown(0.5)) > 1e-4 then error(("sampler: %.9g, expected %.9g"):format(sampled {}, grown(0.5)), 0) end
if math.abs(sampled { guidance = drift.guidance.frozen_guidance {} } - grown(1)) > 1e-4 then error("guidance", 0) end
near("clip", sum(drift.clip.frozen_clip {}:apply(x)), 8)
near("view", sum(drift.view.frozen_view {}:apply(x)), -36)
near("filter", sum(drift.filter.frozen_filter {}:apply(x)), 18)

local opt = drift.optimizer(drift.optim.frozen_optim { lr = 0.5 }, block)
block(rows):sum():backward()
opt:step()                                                 -- dw = x: w = 2 - x/2
near("optim", sum(block(rows)), 2 * 10 - 30 / 2 + 12)
near("ema", drift.ema.frozen_ema {}:decay(4), 0.75)

local data = drift.build(drift.dataset.frozen_dataset {})
local batch = data:loader { split = "train", batch = 6, seed = 1 }:read(1, 1)
near("dataset", sum(batch.image), 4 * 15 / 8)
near("classes", data.train.info.classes, 3)
local m = drift.build(drift.metric.frozen_metric {})
m:update(x)
near("metric", m:result { resamples = 0 }[1].value, 36)
local t = drift.build(drift.tokenizer.frozen_tokenizer {})
if t:decode(t:encode "drift") ~= "drift" then error("tokenizer", 0) end
near("export", drift.export.frozen_export(1.5, 4), 6)
print "ABI 1.0: all is as it was"
