-- tensorboard_spec.lua: beside metrics.jsonl a run leaves what other programs read: an event file with every number and
-- picture, in TensorBoard's format, and a table; both are the same bytes where the run was stopped and resumed.
local drift = require "drift"
local run_directory = require "drift.run"
local reader = dofile(drift.home .. "/tests/lua/event_reader.lua")

local EVENTS = "events.out.tfevents.drift"
local data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }

local function open(name) return run_directory.open { name = name, parameters = { epochs = 2, batch = 400 } } end

local function gray(width, height, value)
  local c = drift.canvas(width, height)
  c:rect(0, 0, width, height, value)
  return c
end

local function read(run) return reader.read(drift.read_file(run:path(EVENTS))) end

-- "3 loss 0.5", "3 samples 20x10"
local function shown(events)
  local list = {}
  for i = 2, #events do
    for _, v in ipairs(events[i].values) do
      list[#list + 1] = v.png and ("%d %s %dx%d"):format(events[i].step, v.tag, v.width, v.height)
        or ("%d %s %g"):format(events[i].step, v.tag, v.number)
    end
  end
  return list
end

local function train(run, after_epoch)
  return drift.train { run = run, data = data, model = drift.models.cs180_unet { hidden = 1, time = "add" },
                       process = drift.process.flow_matching {}, optim = drift.optim.adam {}, after_epoch = after_epoch }
end

describe("the checksum of event files", function()
  it("is CRC-32C, by RFC 3720's values and bit by bit", function()
    local counted = {}
    for i = 0, 31 do counted[i + 1] = string.char(i) end
    assert.equal(0xe3069283, drift.crc32c "123456789")
    assert.equal(0x8a9136aa, drift.crc32c(("\0"):rep(32)))
    assert.equal(0x62a8ab43, drift.crc32c(("\xff"):rep(32)))
    assert.equal(0x46dd794e, drift.crc32c(table.concat(counted)))
    for n = 0, 9 do
      local text = ("drift\xf0\x9f"):rep(2):sub(1, n)
      assert.equal(reader.crc32c(text), drift.crc32c(text))
    end
  end)
end)

describe("a run's event file", function()
  setup(function() drift.on_note(function() end) end)
  teardown(function() drift.on_note(nil) end)

  it("has every number of metrics.jsonl, and the pictures, each at its step", function()
    local run = open "numbers"
    run:log { step = 1, epoch = 1, loss = 0.5, lr = 0.25 }
    run:log { step = 300, epoch = 1, epoch_loss = 0.375, seconds = 1.5 }
    run:log { note = "averaged", mean = -2 }
    run:log { step = 301, epoch = 2, loss = 0 / 0, lr = 0.125 }
    run:log { note = "no number" }
    run:figure("epoch_01", gray(20, 10, 0.5))
    run:figure("samples", gray(30, 40, { 1, 0, 0 }))
    drift.write_file(run:path "not_really.png", "text")
    run:finish()
    local events = read(run)
    assert.equal("brain.Event:2", events[1].version)
    assert.same({ "1 loss 0.5", "1 lr 0.25", "300 epoch_loss 0.375", "300 epoch 20x10", "300 mean -2", "301 lr 0.125",
                  "301 samples 30x40" }, shown(events))
    for i = 2, #events do assert.equal(events[i].step, events[i].time) end      -- and not the clock's
    local picture = events[#events].values[1]
    assert.equal(drift.read_file(run:path "samples.png"), picture.png)
    assert.equal(picture.png:byte(26) == 2 and 3 or 1, picture.channels)
  end)

  it("is there for a run of pictures alone, and for each part", function()
    local run = open "pictures"
    run:figure("noising", gray(8, 8, 1))
    run:part "a":log { step = 2, epoch = 1, epoch_loss = 0.5 }
    run:finish()
    assert.same({ "0 noising 8x8" }, shown(read(run)))
    assert.is_false(drift.exists(run:path "metrics.csv"))
    assert.same({ "2 epoch_loss 0.5" }, shown(read(run.parts[1])))
    assert.equal("step,epoch,epoch_loss\n2,1,0.5\n", drift.read_file(run.parts[1]:path "metrics.csv"))
  end)

  it("is the same where the run was stopped and resumed, and shows nothing of a time to come", function()
    local function script(run, stop)
      train(run, function(_, epoch)
        run:figure(("epoch_%02d"):format(epoch), gray(4 + epoch, 4, 0.5))
        if stop == epoch then error "stopped" end
      end)
      run:figure("samples", gray(6, 6, 0.5))
      if stop == "end" then error "stopped" end
    end
    local whole = open "whole"
    script(whole)
    local trained = drift.read_file(whole:path(EVENTS))
    whole:finish()
    for _, stop in ipairs { 1, 2, "end" } do
      local first = open "stopped"
      assert.is_false((pcall(script, first, stop)))
      drift.options.resume = first.dir
      local rest = open "stopped"
      drift.options.resume = nil
      script(rest)
      assert.equal(trained, drift.read_file(rest:path(EVENTS)), tostring(stop))
      rest:finish()
      assert.equal(drift.read_file(whole:path(EVENTS)), drift.read_file(rest:path(EVENTS)), tostring(stop))
    end
    local list = shown(read(whole))
    assert.equal("4 samples 6x6", list[#list])
    assert.is_nil(drift.read_file(whole:path(EVENTS)):find("seconds", 1, true))
  end)

  it("can be made of a folder that has none yet", function()
    local run = open "older"
    run:log { step = 1, loss = 2 }
    run:flush()
    assert.equal(run.dir .. "/" .. EVENTS, drift.tensorboard(run.dir))
    assert.same({ "1 loss 2" }, shown(read(run)))
    assert.error_matches(function() drift.tensorboard "nowhere" end, "nowhere: no metrics.jsonl there, so it is not")
    drift.write_file(run:path "metrics.jsonl", '{"step": 1}\n{"st')
    assert.error_matches(function() drift.tensorboard(run.dir) end, "metrics.jsonl: line 2 is not a record")
  end)
end)

describe("a run's table", function()
  it("has a row for each record and a column for each key, quoted by RFC 4180", function()
    local run = open "table"
    run:log { step = 1, epoch = 1, loss = 1 / 3, lr = 1e-3 }
    run:log { note = 'a "word", and\na line', ["of, both"] = { 1, 2 }, done = true }
    run:log { step = 2, loss = 0 / 0, note = "" }
    run:flush()
    assert.equal(run:path "metrics.csv", drift.metrics_csv(run))
    assert.equal('step,epoch,done,loss,lr,note,"of, both"\n'
      .. "1,1,,0.3333333333333333,0.001,,\n"
      .. ',,true,,,"a ""word"", and\na line","[1, 2]"\n'
      .. '2,,,,,"",\n', drift.read_file(run:path "metrics.csv"))
  end)
end)
