-- side_by_side_spec.lua: a comparison compares: variants that do not differ end the same, bit for bit, though they
-- share one description of the network; what a variant names takes the place of what is shared, and nothing else
-- changes.
local drift = require "drift"
local run_directory = require "drift.run"

local function compare(variants)
  local run = run_directory.open { name = "compare", parameters = { epochs = 1, batch = 20, steps = 6 } }
  local nets = drift.side_by_side {
    run = run, title = "try", variants = variants, classes = 10, n = 10, at_epochs = { 1 },
    train = { data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }, process = drift.process.flow_matching {},
              model = drift.models.cs180_unet { hidden = 2, time = "add", class = "scale" }, optim = drift.optim.adam { lr = 1e-2 } },
    sample = { sampler = drift.sampler.euler { steps = 2 }, shape = { 1, 28, 28 }, quiet = true } }
  local losses = {}
  for i, part in ipairs(run.parts) do
    losses[i] = {}
    for _, record in ipairs(part.records) do table.insert(losses[i], record.loss) end
  end
  return run, losses, nets
end

describe("drift.side_by_side", function()
  setup(function() drift.on_note(function() end) end)
  teardown(function() drift.on_note(nil) end)

  it("gives the same to variants that are the same", function()
    local run, losses = compare { { name = "one" }, { name = "two" } }
    assert.equal(6, #losses[1])
    assert.same(losses[1], losses[2])
    assert.equal(drift.sha256_file(run:path "one/samples.safetensors"), drift.sha256_file(run:path "two/samples.safetensors"))
    for _, file in ipairs { "losses.svg", "samples.png", "one/training.gif", "two/epoch_01.png", "two/loss.svg" } do
      assert.is_true(drift.exists(run:path(file)), file)
    end
  end)

  it("starts variants from the same weights and batches, and then each learns by its own rule", function()
    local _, losses, nets = compare { { name = "adam", label = "Adam" }, { name = "sgd", optim = drift.optim.sgd { lr = 0.1 } } }
    assert.equal(losses[1][1], losses[2][1])
    assert.not_equal(losses[1][6], losses[2][6])
    assert.not_equal(nets.adam, nets.sgd)
  end)

  it("refuses what it would not use", function()
    assert.error_matches(function() compare { { name = "one", lr = 1 } } end, "side_by_side: a variant.*lr")
    assert.error_matches(function()
      compare { { name = "one", model = drift.build(drift.models.cs180_unet { hidden = 1 }) } }
    end, "variant one: model is a network's description")
  end)
end)
