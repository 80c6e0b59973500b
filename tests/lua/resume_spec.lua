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
