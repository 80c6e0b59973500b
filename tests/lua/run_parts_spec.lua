-- run_parts_spec.lua: an experiment that trains twice: each part of its run has losses and a checkpoint of its own,
-- goes on by itself where the whole is resumed, and the pictures of an epoch come again where it was stopped while
-- drawing them.
local drift = require "drift"
local run_directory = require "drift.run"

local function resuming(folder, fn)
  drift.options.resume = folder
  local ok, result = pcall(fn)
  drift.options.resume = nil
  if not ok then error(result, 0) end
  return result
end

local function open(name) return run_directory.open { name = name, parameters = { epochs = 2, batch = 400 } } end

local data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }

local function train(run, lr, after_epoch)
  return drift.train { run = run, data = data, model = drift.models.cs180_unet { hidden = 1, time = "add" },
                       process = drift.process.flow_matching {}, optim = drift.optim.adam { lr = lr }, after_epoch = after_epoch }
end

local function losses(run)
  local list = {}
  for line in drift.read_file(run:path "metrics.jsonl"):gmatch "[^\n]+" do
    local record = drift.json.decode(line)
    list[#list + 1] = record.loss or record.epoch_loss
  end
  return list
end

describe("a part of a run", function()
  setup(function() drift.on_note(function() end) end)
  teardown(function() drift.on_note(nil) end)

  it("goes on by itself, and ends as if it had not been stopped", function()
    local whole = open "whole"
    train(whole:part "a", 1e-3)
    train(whole:part "b", 1e-2)

    local first = open "stopped"
    train(first:part "a", 1e-3)
    local ok = pcall(train, first:part "b", 1e-2, function() error "stopped while drawing" end)
    assert.is_false(ok)

    local drawn = { a = {}, b = {} }
    local rest = resuming(first.dir, function()
      local run = open "stopped"
      for name, lr in pairs { a = 1e-3, b = 1e-2 } do
        train(run:part(name), lr, function(_, epoch) table.insert(drawn[name], epoch) end)
      end
      return run
    end)
    assert.same({ a = { 2 }, b = { 1, 2 } }, drawn)
    for _, name in ipairs { "a", "b" } do
      local file = "/" .. name .. "/checkpoint.safetensors"
      assert.equal(drift.sha256_file(whole.dir .. file), drift.sha256_file(rest.dir .. file))
    end
    for i, part in ipairs(whole.parts) do
      local again = rest.parts[1].part_name == part.part_name and rest.parts[1] or rest.parts[2]
      assert.same(losses(part), losses(again))
      assert.equal(6, #losses(again), i)                           -- 2 epochs of 2 steps, and their means
      assert.equal((part:final_loss()), (again:final_loss()))
    end
    assert.not_same(losses(whole.parts[1]), losses(whole.parts[2]))
  end)

  it("has a folder of its own, that no other has", function()
    local run = open "names"
    local part = run:part "one"
    assert.equal(run.dir .. "/one", part.dir)
    assert.equal(2, part.epochs)
    assert.error_matches(function() run:part "one" end, "there is a part 'one' already")
    assert.error_matches(function() run:part "../up" end, "a name is made of letters")
  end)

  it("is part of what the run says at its end", function()
    local run, said = open "says", {}
    for i, name in ipairs { "a", "b" } do run:part(name):log { step = 2, epoch = 1, epoch_loss = i / 8 } end
    drift.on_note(function(line) said[#said + 1] = line end)
    run:finish()
    drift.on_note(function() end)
    assert.same({ "says, a: final loss 0.1250 (mean of epoch 1)", "says, b: final loss 0.2500 (mean of epoch 1)" }, { said[1], said[2] })
    assert.truthy(said[3]:find("^wall time %d+ s; everything is in runs/says"))
    assert.equal(0.25, drift.json.decode(drift.read_file(run:path "config.json")).results.final_loss_b)
  end)
end)
