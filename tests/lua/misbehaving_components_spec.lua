-- Components that break their promises when they are called give one error, which names kind, component and function and what
-- is wrong, and the same process goes on. tests/plugins/misbehaves: `how` says what each does.
local drift = require "drift"
drift.load_plugin(assert(os.getenv "DRIFT_TEST_PLUGIN_DIR") .. "/misbehaves.so")

local flow = drift.process.flow_matching {}
local function x() return drift.randn { 2, 1, 4, 4, purpose = "x" } end
local function net(y) return y * 0.5 end

local function sampler(how, o)
  o = o or {}
  local m = drift.model(flow, net, { guidance = o.guidance, clip = o.clip })
  return m:sample { sampler = o.sampler or drift.sampler.bad_sampler { how = how }, x = x(), rng = { purpose = "noise" } }
end

local ways = {
  sampler = sampler,
  guidance = function(how) return sampler(nil, { guidance = drift.guidance.bad_guidance { how = how }, sampler = drift.sampler.heun { steps = 3 } }) end,
  clip = function(how) return sampler(nil, { clip = drift.clip.bad_clip { how = how }, sampler = drift.sampler.heun { steps = 3 } }) end,
  filter = function(how) return drift.filter.bad_filter { how = how }:apply(x()) end,
  view = function(how) return drift.view.bad_view { how = how }:apply(x()) end,
  created = function(how) return drift.filter.bad_create { how = how }:instance() end,
  timesteps = function(how) return sampler(nil, { sampler = drift.sampler.heun { steps = 4, timesteps = drift.timesteps.bad_timesteps { how = how } } }) end,
  coupling = function(how) return drift.coupling.bad_coupling { how = how }:pair(x(), x()) end,
  schedule = function(how) return drift.schedule.bad_schedule { how = how }:beta(0, 10) end,
  process = function(how) return drift.build(drift.process.ddpm { schedule = drift.schedule.bad_schedule { how = how } }) end,
  time_sampling = function(how) return drift.draw_times(flow, { purpose = "t" }, 4, drift.time_sampling.bad_time_sampling { how = how }) end,
  weighting = function(how) return drift.weighting.bad_weighting { how = how }:weight(flow, 0.5) end,
  decay = function(how) return drift.decay.bad_decay { how = how }:factor(0, 1) end,
  ema = function(how) return drift.ema.bad_ema { how = how }:decay(1) end,
  block = function(how) return drift.build(drift.block.bad_block { how = how })(x()) end,
  layer = function(how) return drift.build(drift.block.bad_layer { how = how }) end,
  conditioning = function(how)
    local c = drift.build(drift.conditioning.bad_modulation { how = how, channels = { 1 } })
    return c:modulate(1, x(), c:embed { time = drift.tensor { 0.5, 0.5 } })
  end,
  optim = function(how)
    local layer = drift.build(drift.block.linear { in_features = 4, out_features = 4 })
    local opt = drift.optimizer(drift.optim.bad_steps { how = how }, layer)
    layer(drift.randn { 3, 4, purpose = "y" }):square():mean():backward()
    return opt:step()
  end,
  dataset = function(how)
    local data = drift.build(drift.dataset.bad_dataset { how = how })
    return data:loader { split = "train", batch = 5, seed = 0 }:read(1, 1)
  end,
  metric = function(how)
    local m = drift.build(drift.metric.bad_judge { how = how })
    m:update(x())
    return m:result { resamples = 10 }
  end,
}

local moon, open1, often = "the moon is not full", "left 1 scope open: dr_scope_close is missing", "closed a scope that it had not opened"
local nothing, mute = "gave nothing and did not say why", "failed and did not say why (input/output error)"
local four = "returned 4711, which is no status"

-- way -> how -> what is said
local cases = {
  sampler = { fails = moon, gives_nothing = "sampler bad_sampler: step " .. nothing, fails_and_says_ok = moon,
              shape = "sampler bad_sampler: step 1 made f32[1,1,4,4]", dtype = "sampler bad_sampler: step 1 made i32",
              closes_scope = "sampler bad_sampler: step " .. often,
              leaves_scope = "sampler bad_sampler: step " .. open1 },
  guidance = { fails = moon, gives_nothing = "guidance bad_guidance: eval " .. nothing, fails_and_says_ok = moon,
               shape = "guidance bad_guidance: eval gave f32[1,1,4,4], where it was given f32[2,1,4,4]",
               dtype = "guidance bad_guidance: eval gave i32[2,1,4,4], where it was given f32", closes_scope = "guidance bad_guidance: eval " .. often,
               leaves_scope = "guidance bad_guidance: eval " .. open1 },
  clip = { fails = moon, gives_nothing = "clip bad_clip: apply " .. nothing, shape = "clip bad_clip: apply gave f32[1,1,4,4], where it was given f32[2,1,4,4]",
           dtype = "clip bad_clip: apply gave i32", closes_scope = often, leaves_scope = open1 },
  filter = { fails = moon, gives_nothing = "filter bad_filter: apply " .. nothing, shape = "filter bad_filter: apply gave f32[1,1,4,4]",
             dtype = "filter bad_filter: apply gave i32", closes_scope = often, leaves_scope = open1 },
  view = { fails = moon, gives_nothing = "view bad_view: apply " .. nothing, shape = "view bad_view: apply gave f32[1,1,4,4] of f32[2,1,4,4]: not as many pixels",
           closes_scope = often, leaves_scope = open1 },
  created = { fails = moon, says_nothing = "filter bad_create: create " .. mute, fails_and_says_ok = moon, no_status = "filter bad_create: create " .. four,
              closes_scope = "filter bad_create: create " .. often, leaves_scope = "filter bad_create: create left 2 scopes open" },
  timesteps = { fails = moon, says_nothing = "timesteps bad_timesteps: lay " .. mute, no_status = "timesteps bad_timesteps: lay " .. four,
                lies = "timesteps bad_timesteps: ", not_finite = "timesteps bad_timesteps: " },
  coupling = { fails = moon, says_nothing = "coupling bad_coupling: pair " .. mute, no_status = "coupling bad_coupling: pair " .. four,
               lies = "coupling bad_coupling: row 1000000 goes with image 0: that is no permutation", many = "that is no permutation of 2 rows" },
  schedule = { fails = moon, not_finite = "schedule bad_schedule: beta gave ", closes_scope = often, leaves_scope = open1 },
  process = { fails = moon, not_finite = "schedule bad_schedule: beta gave ", leaves_scope = open1 },
  time_sampling = { fails = moon, lies = "time_sampling bad_time_sampling: t = -17 is outside", not_finite = "time_sampling bad_time_sampling: t = ",
                    leaves_scope = "time_sampling bad_time_sampling: draw " .. open1 },
  weighting = { fails = moon, lies = "weighting bad_weighting: -17 is no weight", not_finite = "weighting bad_weighting: ", closes_scope = often },
  decay = { fails = moon, not_finite = "decay bad_decay: factor gave ", leaves_scope = "decay bad_decay: factor " .. open1 },
  ema = { fails = moon, not_finite = "ema bad_ema: decay gave ", lies = "ema bad_ema: decay gave -17" },
  block = { fails = moon, gives_nothing = "block bad_block: forward " .. nothing, closes_scope = "block bad_block: forward " .. often,
            leaves_scope = "block bad_block: forward " .. open1, fails_and_says_ok = moon },
  layer = { fails = moon, says_nothing = "block bad_layer: create " .. mute, no_status = "block bad_layer: create " .. four, lies = "-3",
            many = "two weights have the name 'one'", closes_scope = often },
  conditioning = { fails = moon, gives_nothing = "conditioning bad_modulation: modulate " .. nothing,
                   shape = "conditioning bad_modulation: modulate gave f32[1,1,4,4], where it was given f32[2,1,4,4]" },
  optim = { fails = moon, says_nothing = "optim bad_steps: step " .. mute, no_status = "optim bad_steps: step " .. four,
            fails_and_says_ok = moon, closes_scope = often },
  dataset = { gives_nothing = "dataset bad_dataset: its train split has no images", lies = "dataset bad_dataset: info says -5 images of 1x4x4",
              says_nothing = "dataset bad_dataset: info " .. mute, no_status = "dataset bad_dataset: info " .. four, fails = moon,
              fails_and_says_ok = moon, shape = " is larger than the 1x4x4 that info gives",
              many = "has label 3, and info gives 3 classes, counted from 0" },
  metric = { fails = moon, says_nothing = "metric bad_judge: update " .. mute, no_status = "metric bad_judge: evaluate " .. four,
             lies = "metric bad_judge: share = 1.5 is outside the range that it declares, [0, 1]", many = "metric bad_judge: samples says that it has -4" },
}

local order = {}
for way in pairs(cases) do order[#order + 1] = way end
table.sort(order)

describe("a component that misbehaves:", function()
  for _, way in ipairs(order) do
    it(way .. ", and does well where it should", function()
      for how, words in pairs(cases[way]) do
        local ok, message = pcall(ways[way], how)
        assert.is_false(ok, ("%s, %s: no error"):format(way, how))
        assert.is_nil(message:find("\n", 1, true), message)
        assert.is_truthy(message:find(words, 1, true), ("%s, %s: %s\nlacks: %s"):format(way, how, message, words))
        assert.has_no.errors(function() ways[way] "well" end, ("%s after %s"):format(way, how))
      end
    end)
  end

  it("a sampler whose result is not finite is noted, and the run goes on", function()
    local lines = {}
    drift.on_note(function(line) lines[#lines + 1] = line end)
    local y = sampler "not_finite"
    drift.on_note(nil)
    assert.are.equal(1, #lines)
    assert.is_truthy(lines[1]:find("sampler bad_sampler: what it made in 3 steps is not finite", 1, true), lines[1])
    assert.are.same({ 2, 1, 4, 4 }, y.shape)
  end)
end)
