-- drift.trained gives a run's network and process again, so that what was trained can be used without its script; and a
-- run in a folder of its own goes on by itself where it was.
local drift = require "drift"
local run_directory = require "drift.run"

local data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }
local PROCESS = drift.process.ddpm { T = 30, schedule = drift.schedule.linear { beta_start = 1e-3, beta_end = 0.2 } }

local function train(run, model, o)
  o = o or {}
  return drift.train { run = run, data = data, model = model, process = o.process or PROCESS, p_uncond = 0.1,
                       optim = drift.optim.adam { lr = 1e-3 }, epochs = 2, batch = 500, after_epoch = o.after_epoch }
end

local function output(net)
  return drift.no_grad(function()
    local c = { time = drift.tensor { 0.3, 0.6 }, mask = drift.ones(2), label = drift.tensor({ 4, 7 }, "i32") }
    return net(drift.randn { 2, 1, 28, 28, purpose = "x" }, c):totable()
  end)
end

local MODELS = {
  cs180_unet = function() return drift.models.cs180_unet { hidden = 1, time = "add", class = "scale" } end,
  improved_unet = function() return drift.models.improved_unet { hidden = 2, groups = 2, heads = 1, classes = 10 } end,
}

describe("drift.trained", function()
  setup(function() drift.on_note(function() end) end)
  teardown(function() drift.on_note(nil) end)

  for name, model in pairs(MODELS) do
    it("gives the weights, network and process of a run of " .. name, function()
      local run = run_directory.at("trained_" .. name, { name = name, parameters = {} })
      local net = train(run, model())
      local again, process, config = drift.trained(run.dir)
      assert.same(output(net), output(again))
      assert.is_false(again:training())
      assert.equal(PROCESS:hash(), process:hash())
      assert.equal(name, config.network.config.model)
    end)
  end

  it("says what a folder lacks", function()
    assert.error_matches(function() drift.trained "nowhere" end, "nowhere: no config.json there")
    run_directory.at("untrained", { name = "untrained", parameters = {} })
    assert.error_matches(function() drift.trained "untrained" end, "describes no network")
    local film = drift.conditioning.film { channels = { 2, 1 } }
    local by_hand = drift.models.cs180_unet { hidden = 1, conditioning = film }
    pcall(train, run_directory.at("by_hand", { name = "by_hand", parameters = {} }), by_hand)
    assert.error_matches(function() drift.trained "by_hand" end, "given as a spec")
    assert.error_matches(function() drift.trained(3) end, "takes the folder of a run")
  end)
end)

describe("a run in a folder of its own", function()
  setup(function() drift.on_note(function() end) end)
  teardown(function() drift.on_note(nil) end)

  it("goes on where it was, with the bytes of one that was not stopped", function()
    local whole = run_directory.at("whole", { name = "whole", parameters = {} })
    train(whole, MODELS.cs180_unet())
    local function stop(_, epoch) if epoch == 1 then error "stopped" end end
    local ok = pcall(train, run_directory.at("parts", { name = "parts", parameters = {} }), MODELS.cs180_unet(),
      { after_epoch = stop })
    assert.is_false(ok)
    local rest = run_directory.at("parts", { name = "parts", parameters = {} })
    assert.is_true(rest.resumed)
    train(rest, MODELS.cs180_unet())
    local function bytes(run) return drift.sha256_file(run:path "checkpoint.safetensors") end
    assert.equal(bytes(whole), bytes(rest))
  end)
end)
