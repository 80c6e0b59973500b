-- Budgets: what does not match is refused with its numbers, what does passes; steps for equal FLOPs spend the baseline's
-- and no more; a training with a limit in seconds keeps it, across a resumption too.
local drift = require "drift"
local budget = require "drift.compare.budget"
local run_directory = require "drift.run"

local function costs(changes)
  local scale = { name = "scale", params = 506817, flops_step = 2e8, memory = 100 * 2 ^ 20, steps = 500, batch = 128, seconds = 60 }
  local other = { name = "cross_attention" }
  for key, value in pairs(scale) do other[key] = other[key] or value end
  for key, value in pairs(changes or {}) do other[key] = value end
  return { scale, other }
end

describe("match", function()
  it("refuses what differs by more than it allows, with the numbers", function()
    assert.error_matches(function() budget.check(costs { params = 641003 }, { params = 0.10 }) end,
      "params: cross_attention has 641,003, scale 506,817: 26%.5%% more, where match allows 10%%")
    assert.error_matches(function() budget.check(costs { params = 400000 }, { params = 0.10 }) end,
      "params: cross_attention has 400,000, scale 506,817: 21%.1%% less, where match allows 10%%")
    assert.error_matches(function() budget.check(costs { flops_step = 2.2e8 }, { flops = 0.05 }) end,
      "flops: cross_attention has 14.08 TFLOP, scale 12.8 TFLOP: 10%% more, where match allows 5%%")
    assert.error_matches(function() budget.check(costs { memory = 50 * 2 ^ 20 }, { memory = 0.1 }) end,
      "memory: cross_attention has 50 MiB, scale 100 MiB: 50%% less, where match allows 10%%")
    assert.error_matches(function() budget.check(costs { steps = 400 }, { steps = 0 }) end,
      "steps: cross_attention has 400, scale 500: 20%% less, where match asks for equal ones")
  end)

  it("says all that does not match at once", function()
    local texts = budget.unmatched(costs { params = 641003, steps = 400 }, { params = 0.1, steps = 0, flops = 0.3 })
    assert.equal(2, #texts)
    assert.is_truthy(texts[1]:find "^steps" and texts[2]:find "^params")
  end)

  it("passes what is within it, at the edge too", function()
    budget.check(costs { params = 557498, flops_step = 2.09e8, memory = 105 * 2 ^ 20 },
      { params = 0.10, flops = 0.05, memory = 0.05, steps = 0 })
    budget.check(costs(), { params = 0, flops = 0, memory = 0, steps = 0 })
    budget.check(costs { params = 641003 }, {})
    assert.error_matches(function() budget.check(costs { params = 506818 }, { params = 0 }) end, "506,818")
  end)

  it("compares FLOPs of whole trainings: half the steps of a net that costs twice as much are equal", function()
    budget.check(costs { flops_step = 4e8, steps = 250 }, { flops = 0 })
    budget.check(costs { flops_step = 4e8, batch = 64 }, { flops = 0 })
  end)

  it("measures time afterwards: not refused before, said then", function()
    budget.check(costs { seconds = 90 }, { time = 0.1 })
    assert.same({ "time: cross_attention has 90.0 s, scale 60.0 s: 50% more, where match allows 10%" },
      budget.unmatched(costs { seconds = 90 }, { time = 0.1, params = 0 }, { of = "measured" }))
    assert.same({}, budget.unmatched(costs { seconds = 63 }, { time = 0.1 }, { of = "measured" }))
  end)

  it("does not take a missing number for a match", function()
    local list = costs()
    list[2].memory = nil
    assert.same({ "memory: cross_attention has no number to compare" }, budget.unmatched(list, { memory = 0.1 }))
    list[1].memory = nil
    assert.equal(1, #budget.unmatched(list, { memory = 0.1 }))
  end)

  it("compares with the baseline that is named", function()
    local list = costs { params = 600000 }
    list[3] = { name = "add", params = 506817 }
    local texts = budget.unmatched(list, { params = 0.1 }, { baseline = "cross_attention" })
    assert.equal(2, #texts)
    assert.is_truthy(texts[1]:find("params: scale has 506,817, cross_attention 600,000", 1, true))
    assert.error_matches(function() budget.check(list, { params = 0.1 }, { baseline = "ad" }) end, "did you mean add")
  end)

  it("refuses constraints that are none", function()
    assert.error_matches(function() budget.check(costs(), { parms = 0.1 }) end, "did you mean 'params'")
    assert.error_matches(function() budget.check(costs(), { params = -0.1 }) end, "params = %-0.1 should be how far")
    assert.error_matches(function() budget.check(costs(), { params = "10%" }) end, "params = 10%% should be how far")
    assert.error_matches(function() budget.check(costs(), { params = 0 / 0 }) end, "should be how far")
  end)

  it("reads what drift.cost counts", function()
    local list = {}
    for i, hidden in ipairs { 8, 9 } do
      list[i] = drift.cost { model = drift.models.cs180_unet { hidden = hidden }, shape = { 1, 28, 28 }, batch = 16 }
      list[i].name = "hidden " .. hidden
    end
    assert.error_matches(function() budget.check(list, { params = 0.1, flops = 0.1, memory = 0.05 }) end,
      "params: hidden 9 has 39,691, hidden 8 31,433: 26%.3%% more.*flops: .*memory: ")
    budget.check(list, { params = 0.3, flops = 0.3, memory = 0.3 })
  end)
end)

describe("steps for equal FLOPs", function()
  it("spend the baseline's, and no more", function()
    assert.equal(66, budget.steps_for({ flops_step = 3 }, { flops_step = 2 }, 100))
    assert.equal(150, budget.steps_for({ flops_step = 2 }, { flops_step = 3 }, 100))
    assert.equal(100, budget.steps_for({ flops_step = 0.1 }, { flops_step = 0.1 }, 100))
    assert.equal(1, budget.steps_for({ flops_step = 1000 }, { flops_step = 1 }, 100))
    for own = 1, 50 do
      local steps = budget.steps_for({ flops_step = own / 7 }, { flops_step = 3 / 7 }, 1000)
      assert.is_true(steps * own <= 3000 and (steps + 1) * own > 3000)
    end
    assert.error_matches(function() budget.steps_for({}, { flops_step = 1 }, 100) end, "as drift.cost counts them")
  end)
end)

describe("drift.train with seconds", function()
  local function train(run, seconds, steps)
    local net = drift.models.cs180_unet { hidden = 4 }
    drift.train { run = run, data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }, batch = 20,
                  epochs = 1000, steps = steps, seconds = seconds, model = net, checkpoint_every = 5,
                  process = drift.process.fixed_noise { sigma = 0.5, predict = "x0" }, optim = drift.optim.adam { lr = 1e-3 } }
    local file = drift.open(run:path "checkpoint.safetensors").metadata
    return math.tointeger(tonumber(file.step)), tonumber(file.seconds or 0), file.seconds
  end
  local function quietly(fn)
    drift.on_note(function() end)
    local ok, message = pcall(fn)
    drift.on_note(nil)
    if not ok then error(message, 0) end
  end

  it("trains for so long, and leaves a checkpoint", function()
    quietly(function()
      local start = drift.clock()
      local steps, seconds = train(run_directory.open { name = "timed", parameters = {} }, 0.4)
      assert.is_true(steps >= 1 and seconds >= 0.4, ("%d steps, %g s"):format(steps, seconds))
      assert.is_true(seconds <= drift.clock() - start)
    end)
  end)

  it("counts what was spent before it was stopped", function()
    quietly(function()
      local run = run_directory.open { name = "stopped", parameters = {} }
      local first, before = train(run, 1e9, 10)
      assert.equal(10, first)
      run.resumed = true
      local steps, seconds = train(run, before * 1.001)
      assert.is_true(steps == 11 and seconds > before, ("%d steps, %g of %g s"):format(steps, seconds, before))
      assert.equal(11, (train(run, before)))                         -- spent: no step more
    end)
  end)

  it("leaves no trace in a checkpoint without such a limit, which is the same for the same seed", function()
    quietly(function()
      local _, _, text = train(run_directory.open { name = "untimed", parameters = {} }, 0, 6)
      assert.is_nil(text)
      assert.error_matches(function() train(run_directory.open { name = "wrong", parameters = {} }, -1, 6) end, "seconds = %-1 should be")
    end)
  end)
end)
