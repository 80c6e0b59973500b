-- Resuming: the seed is that of the run, given or not; a checkpoint of another seed is refused, since its noise and
-- order would not go on.
local drift = require "drift"
local checkpoint = require "drift.checkpoint"

local function with_options(options, fn)
  local before = {}
  for key, value in pairs(options) do before[key], drift.options[key] = drift.options[key] or false, value end
  local ok, result = pcall(fn)
  for key, value in pairs(before) do drift.options[key] = value or nil end
  if not ok then error(result, 0) end
  return result
end

local function experiment() return drift.experiment { name = "resume", epochs = 2 } end

describe("a resumed run", function()
  teardown(function() drift.seed(0) end)

  it("has the seed of the run, unless one is given", function()
    drift.seed(3)
    local first = experiment()
    drift.seed(0)
    with_options({ resume = first.dir }, experiment)
    assert.equal(3, drift.seed())
    drift.seed(8)
    with_options({ resume = first.dir, seed = 8 }, experiment)
    assert.equal(8, drift.seed())
  end)

  it("says when it goes on on another machine or with other threads, where sums may round differently", function()
    local lines = {}
    drift.on_note(function(line) lines[#lines + 1] = line end)
    local first = experiment()
    with_options({ resume = first.dir }, experiment)
    assert.same({}, lines)
    local config = drift.json.decode(drift.read_file(first.dir .. "/config.json"))
    config.device.description = "an abacus"
    drift.write_file(first.dir .. "/config.json", drift.json.encode(config))
    with_options({ resume = first.dir }, experiment)
    drift.on_note(nil)
    assert.is_truthy(lines[1]:find("began on an abacus, and goes on on", 1, true))
  end)

  it("is told how to begin again when it was stopped before there was anything", function()
    drift.mkdir "nothing"
    assert.error_matches(function() with_options({ resume = "nothing" }, experiment) end, "start it again with %-%-out nothing")
    assert.error_matches(function() with_options({ resume = "nowhere" }, experiment) end, "nowhere: no config.json there, so it is not a run that can be resumed$")
  end)

  it("throws away what a killed process was writing, and nothing of one that lives", function()
    local first = experiment()
    local alive = first:path(".drift-" .. drift.read_file "/proc/self/stat":match "^%d+" .. "-0.tmp")
    local dead = first:path ".drift-999999999-3.tmp"
    drift.write_file(alive, "x")
    drift.write_file(dead, "x")
    with_options({ resume = first.dir }, experiment)
    assert.is_true(drift.exists(alive))
    assert.is_false(drift.exists(dead))
  end)

  it("does not go on with a checkpoint of another seed", function()
    local net = drift.build(drift.models.cs180_unet { hidden = 1 })
    local optimizer = drift.optimizer(drift.optim.adam {}, net)
    local parts = { net = net, optimizer = optimizer, epoch = 1, batch = 2, step = 52, loss_sum = 1 / 3, lines = 7, ended = 0 }
    drift.seed(3)
    checkpoint.save("seed3.safetensors", parts)
    local at = checkpoint.load("seed3.safetensors", parts)
    assert.same({ 1, 2, 52, 1 / 3 }, { at.epoch, at.batch, at.step, at.loss_sum })
    drift.seed(4)
    assert.error_matches(function() checkpoint.load("seed3.safetensors", parts) end,
      "seed3.safetensors: was trained with seed 3, this run has seed 4")
  end)
end)
