-- A script's parameters: preset and command line in their order, every mistyped key and wrong type refused; the run's
-- folder; grids and curves that can be read without the script.
local drift = require "drift"

local function with_settings(settings, fn)
  for key, value in pairs(settings) do drift.set[key] = value end
  local ok, result = pcall(fn)
  for key in pairs(settings) do drift.set[key] = nil end
  if not ok then error(result, 0) end
  return result
end

local function experiment(settings, defaults)
  return with_settings(settings, function()
    return drift.experiment(defaults or { name = "try", epochs = 10, lr = 1e-3, at = { 1, 5 }, sampler = "euler", preset = "quick",
                                          presets = { quick = { epochs = 2 }, smoke = { epochs = 1, lr = 0.5 } } })
  end)
end

describe("drift.experiment", function()
  it("takes the preset over the script and the command line over both", function()
    assert.equal(2, experiment({}).epochs)
    assert.equal(1e-3, experiment({}).lr)
    assert.equal(0.5, experiment({ preset = "smoke" }).lr)
    assert.equal(10, experiment({ preset = "paper" }).epochs)
    local run = experiment { preset = "smoke", epochs = "7", at = "2,4", sampler = "heun" }
    assert.equal(7, run.epochs)
    assert.same({ 2, 4 }, run.at)
    assert.equal("heun", run.sampler)
  end)

  it("refuses unknown keys and wrong types", function()
    assert.error_matches(function() experiment { epocs = "3" } end, "'epocs' is not a parameter.*did you mean 'epochs'")
    assert.error_matches(function() experiment { epochs = "many" } end, "epochs = many: expected a number")
    assert.error_matches(function() experiment { epochs = "1.5" } end, "epochs = 1.5: expected a whole number")
    assert.error_matches(function() experiment { preset = "fast" } end, "preset 'fast': this script has quick, smoke, paper")
    assert.error_matches(function() return experiment({}).epoch end, "no parameter 'epoch'")
  end)

  it("records everything and never writes over another run", function()
    local first, second = experiment { epochs = "3" }, experiment {}
    assert.not_equal(first.dir, second.dir)
    local config = drift.json.decode(drift.read_file(first:path "config.json"))
    assert.equal(3, config.parameters.epochs)
    assert.equal("quick", config.preset)
    assert.equal(drift.version, config.drift)
    assert.is_true(#config.plugins > 5)
    assert.equal(64, #config.plugins[1].sha256)
    assert.is_string(config.device.description)
  end)
end)

describe("drift.grid", function()
  local function picture(value) return drift.full({ 1, 4, 4 }, value) end

  it("puts each image in its row and column", function()
    local seen = {}
    local canvas = drift.grid { rows = { "a", "b" }, cols = { 0.5, 1, 2 }, title = "a title", scale = 3,
                                cell = function(row, col)
                                  seen[#seen + 1] = row .. tostring(col)
                                  return picture(row == "b" and col == 2 and 0 or 0.5)
                                end }
    assert.same({ "a0.5", "a1", "a2", "b0.5", "b1", "b2" }, seen)
    local black = {}
    for y = 0, canvas.height - 1 do
      for x = 0, canvas.width - 1 do
        if canvas:pixel(x, y) == 0 then black[#black + 1] = { x, y } end
      end
    end
    assert.equal(4 * 4 * 9, #black)                               -- one cell of 12 x 12, at the lower right
    assert.is_true(black[1][1] > canvas.width / 2 and black[1][2] > canvas.height / 2)
  end)

  it("says which cell is no image", function()
    assert.error_matches(function()
      drift.grid { rows = 1, cols = 2, cell = function(_, _, _, j) return j == 2 and 3 or drift.zeros(1, 2, 2) end }
    end, "cell %(1, 2%) is a number, not an image")
  end)

  it("lays classes out in columns", function()
    local images = drift.rand { 6, 1, 4, 4, purpose = "pictures" }
    local canvas = drift.class_grid(images, { classes = 3, rows = 2 })
    assert.is_true(canvas.width >= 3 * 8 and canvas.height >= 2 * 8)
  end)
end)
