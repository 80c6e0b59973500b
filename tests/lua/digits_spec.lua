-- The model of digits to edit with: trained once and kept, whatever seed the edits have, and what edits with it promise
-- however well it draws: known pixels, shapes, distances, the same bits again. Both processes, barely trained.
local drift = require "drift"

local data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }
local cfg = drift.guidance.cfg { scale = 3 }
local notes = {}

local function digits(o)
  local all = { hidden = 2, images = 500, batch = 100, steps = 6, data = data }
  for key, value in pairs(o or {}) do all[key] = value end
  return drift.generators.digits(all)
end

-- Notes of trainings that fn began.
local function trainings(fn)
  notes = {}
  fn()
  local n = 0
  for _, note in ipairs(notes) do
    if note:find("digits: training", 1, true) then n = n + 1 end
  end
  return n
end

local function weights(g)
  local list = {}
  for path, tensor in pairs(drift.instance(g.net, "net"):state_dict()) do list[path] = tensor:totable() end
  return list
end

describe("drift.generators.digits", function()
  setup(function() drift.on_note(function(line) notes[#notes + 1] = line end) end)
  teardown(function()
    drift.on_note(nil)
    drift.seed(0)
  end)

  it("trains once, and then loads what it kept", function()
    local first, second
    assert.equal(1, trainings(function() first = digits() end))
    assert.equal(0, trainings(function() second = digits { steps = 3 } end))
    assert.same(weights(first), weights(second))
    assert.equal(3, second.sampler.params.steps)
  end)

  it("trains another model where anything that it learns from is another", function()
    assert.equal(0, trainings(function() digits() end))
    for key, value in pairs { hidden = 3, images = 600, batch = 50, lr = 2e-3, p_uncond = 0.2, process = "ddpm" } do
      assert.equal(1, trainings(function() digits { [key] = value } end), key)
    end
  end)

  it("trains by its own seed and precision, and leaves the script's as they were", function()
    drift.seed(7)
    local a = digits { folder = "by_seed_7" }
    assert.equal(7, drift.seed())
    drift.seed(8)
    local b = digits { folder = "by_seed_8" }
    assert.same(weights(a), weights(b))
    drift.seed(0)
  end)

  it("goes on with a training that was stopped", function()
    local whole = weights(digits { images = 1000, folder = "whole" })
    local noted = drift.note
    drift.note = function(...)                                      -- the first epoch is on disk when this is said
      noted(...)
      if select(3, ...) == 1 and tostring(...):find "mean loss" then error("stopped", 0) end
    end
    local ok, problem = pcall(digits, { images = 2000, folder = "stopped" })
    drift.note = noted
    assert.is_false(ok)
    assert.equal("stopped", problem)
    assert.is_nil(drift.json.decode(drift.read_file "stopped/config.json").results)
    local stopped = weights(digits { images = 2000, folder = "stopped" })
    assert.same(weights(digits { images = 2000, folder = "unstopped" }), stopped)
    assert.not_same(whole, stopped)
  end)

  it("takes the network of a run", function()
    local kept = digits { folder = "kept" }
    local g
    assert.equal(0, trainings(function() g = drift.generators.digits { run = "kept" } end))
    assert.same(weights(kept), weights(g))
    assert.equal("flow_matching", g.process.name)
    assert.error_matches(function() drift.generators.digits { run = "nowhere" } end, "nowhere: no config.json there")
  end)

  it("takes a run's network that knows no classes, and says so where it is told one", function()
    local run = require("drift.run").at("classless", { name = "classless", parameters = {} })
    drift.train { run = run, data = data, model = drift.models.cs180_unet { hidden = 1, time = "add" }, epochs = 1,
                  batch = 500, process = drift.process.flow_matching {}, optim = drift.optim.adam {} }
    local g = drift.generators.digits { run = "classless", steps = 2 }
    assert.same({ 2, 1, 28, 28 }, drift.edit.iterative({ generator = g, n = 2 }).shape)
    assert.error_matches(function() drift.edit.iterative { generator = g, condition = 6 } end,
      "knows no classes, so it cannot be told 6")
  end)

  it("says what a class is, and what its parameters are", function()
    local g = digits()
    assert.same({ 6, 6 }, g:conditioned(6, 2).label:totable())
    assert.same({ 6, 9 }, g:conditioned({ 6, 9 }, 2).label:totable())
    assert.is_nil(g:conditioned(nil, 2))
    assert.error_matches(function() g:conditioned(10, 1) end, "a class is a whole number from 0 to 9, not 10")
    assert.error_matches(function() g:conditioned("six", 1) end, "not six")
    assert.error_matches(function() digits { process = "flows" } end, 'process = "flows" is not one of ddpm, flow')
    assert.error_matches(function() digits { hidden = 0 } end, "hidden = 0 should be a whole number")
    assert.error_matches(function() digits { batch = 2000 } end, "batch = 2000, but there are only 1000 images")
    assert.error_matches(function() digits { hiden = 4 } end, "did you mean 'hidden'")
  end)
end)

for _, process in ipairs { "flow", "ddpm" } do
  describe("edits of digits by " .. process, function()
    local g, image, mask

    setup(function()
      drift.on_note(function() end)
      g = digits { process = process, steps = 8 }
      image = data.test:batch { 1, 31, 61, 91 }                     -- [4,1,28,28]
      mask = drift.zeros(1, 28, 28)
      mask:narrow(1, 14, 14):fill(1)
    end)
    teardown(function() drift.on_note(nil) end)

    it("leave known pixels as they are, and make the others", function()
      for _, known in ipairs { "renoised", "clean" } do
        local x = drift.edit.inpaint { generator = g, image = image, mask = mask, condition = { 0, 1, 2, 3 },
                                       guidance = cfg, known = known, jump = 3, resamples = 2 }
        assert.same(image.shape, x.shape)
        assert.is_true(((x - image) * (1 - mask)):abs():amax():item() <= 1e-6, known)
        assert.is_true(((x - image) * mask):abs():amax():item() > 0.1, known)
      end
    end)

    it("stay the closer to a picture, the later they start", function()
      local path = drift.home .. "/experiments/pictures/drawn_three.png"
      local drawing = drift.read_image(path, { size = 28, channels = 1 })
      local last = math.huge
      for _, start in ipairs { 0, 2, 4, 6, 7, 8 } do
        local x = drift.edit.image_to_image { generator = g, image = drawing, start = start, condition = 3,
                                              guidance = cfg, n = 8 }
        assert.same({ 8, 1, 28, 28 }, x.shape)
        local distance = (x - drawing):square():mean({ 1, 2, 3 }):sqrt():mean():item()
        assert.is_true(distance < last, ("index %d: %g, before %g"):format(start, distance, last))
        last = distance
      end
      assert.is_true(last < 1e-6)
    end)

    it("give the same bits again, in batches of any size", function()
      local views, blur = { drift.view.identity {}, drift.view.rotate { degrees = 180 } }, drift.filter.gaussian_blur {}
      local function all(batch)
        local function with(changes)
          local o = { generator = g, n = 5, guidance = cfg, batch = batch, seed = 3 }
          for key, value in pairs(changes) do o[key] = value end
          return o
        end
        return { drift.edit.anagram(with { conditions = { 6, 9 }, views = views }):totable(),
                 drift.edit.hybrid(with { conditions = { 6, 5 }, filters = { blur } }):totable(),
                 drift.edit.inpaint(with { condition = 6, image = image[1], mask = mask }):totable() }
      end
      assert.same(all(5), all(5))
      assert.same(all(5), all(2))
    end)
  end)
end

describe("how digits are judged", function()
  it("names real digits as they are", function()
    local images, labels = data.test:batch { 1, 50, 100, 150, 200, 250 }
    assert.same(labels:totable(), drift.read_digits(images))
  end)

  it("gives a share with an interval that is not empty at its ends", function()
    local s = drift.share(100, function(i) return i <= 97 end)
    assert.equal(0.97, s.value)
    assert.is_true(math.abs(s.low - 0.91549) < 1e-4 and math.abs(s.high - 0.98974) < 1e-4, s.text)    -- by hand
    local all, none = drift.share(10, function() return true end), drift.share(10, function() return false end)
    assert.is_true(all.high == 1 and all.low < 0.75 and none.low == 0 and none.high > 0.25)
    assert.equal("97.0% [91.5, 99.0] of 100", s.text)
    assert.error_matches(function() drift.share(0, function() end) end, "n = 0 should be")
  end)
end)
