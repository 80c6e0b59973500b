-- sample_figures_spec.lua: animations show the way that the images really took: the noise first, the images last, every
-- image the same as without the animation.
local drift = require "drift"
local run_directory = require "drift.run"
local decode = dofile(drift.home .. "/tests/lua/gif_decoder.lua")

local net = drift.build(drift.net {                                -- moves an image by its label
  name = "by_label", children = {},
  forward = function(_, x, cond) return x * 0.1 + (cond.label and cond.label:cast("f32"):reshape(-1, 1, 1, 1) * 0.1 or 0.2) end })

local function sample_of(changes)
  local o = { model = net, process = drift.process.flow_matching {}, sampler = drift.sampler.euler { steps = 10 }, shape = { 1, 4, 4 },
              labels = { 0, 1, 2 }, quiet = true }
  for key, value in pairs(changes or {}) do o[key] = value end
  return o
end

local function equal(a, b) return (a - b):pow(2):sum():item() == 0 end

describe("drift.trajectory", function()
  local function collect(o, frames)
    local seen, titles = {}, {}
    local images = drift.trajectory {
      sample = o, frames = frames, title = "way", path = "way.gif",
      grid = function(x, title)
        seen[#seen + 1], titles[#titles + 1] = x:clone():keep(), title
        return drift.canvas(30 + #seen, 20):blit(x[1], 0, 0)         -- titles may make canvases of several sizes
      end }
    return images, seen, titles
  end

  it("goes from the noise to the images, which are those without it", function()
    local images, seen, titles = collect(sample_of { batch = 2 }, 6)
    local plain = drift.sample(sample_of { batch = 1 })
    assert.is_true(equal(images, plain))
    assert.is_true(equal(seen[#seen], plain))
    assert.is_true(equal(seen[1], drift.randn { 3, 1, 4, 4, purpose = "sample start" }))
    assert.same({ "way, t = 0.00", "way, t = 0.20", "way, t = 0.40", "way, t = 0.60", "way, t = 0.80", "way, t = 1.00" }, titles)
    assert.equal(3, seen[1].shape[1])
    local gif = decode(drift.read_file "way.gif")
    assert.same({ 36, 20, 6, 0 }, { gif.width, gif.height, #gif.frames, gif.loop })
    assert.equal(200, gif.frames[6].delay)
    for i, frame in ipairs(seen) do                                -- upper left pixel of the first image
      local v = frame:reshape(-1):totable()[1]
      assert.equal(math.floor(math.max(0, math.min(1, v)) * 255 + 0.5) * 0x010101, gif.frames[i][1])
    end
  end)

  it("shows every step where there are fewer than frames, and whole numbers of a chain", function()
    local o = sample_of { process = drift.process.ddpm { T = 6 }, sampler = drift.sampler.ddpm { steps = 3 } }
    local _, seen, titles = collect(o, 40)
    assert.same({ "way, t = 6", "way, t = 4", "way, t = 2", "way, t = 0" }, titles)
    assert.equal(4, #seen)
    assert.error_matches(function() collect(o, 1) end, "trajectory: frames = 1")
  end)
end)

describe("drift.sample_figures", function()
  local function open() return run_directory.open { name = "figures", parameters = { epochs = 3 } } end
  local sample = sample_of()
  sample.model, sample.labels = nil, nil

  it("draws classes in columns after the epochs that are asked for, and all epochs as an animation", function()
    local run = open()
    local figures = drift.sample_figures { run = run, title = "try", sample = sample, n = 9, classes = 3, at_epochs = { 1, 3 } }
    for epoch = 1, 3 do figures.after_epoch(net, epoch) end
    assert.is_true(drift.exists(run:path "epoch_01.png") and drift.exists(run:path "epoch_03.png"))
    assert.is_false(drift.exists(run:path "epoch_02.png"))
    local all, row = drift.load_tensors(run:path "epoch_01.safetensors"), drift.load_tensors(run:path "epoch_02.safetensors")
    assert.same({ 0, 1, 2, 0, 1, 2, 0, 1, 2 }, all.labels:totable())
    assert.is_true(equal(all.images:narrow(0, 0, 3), row.images))   -- the same noise in every epoch
    figures:training()
    local gif = decode(drift.read_file(run:path "training.gif"))
    assert.same({ 3, 60, 300 }, { #gif.frames, gif.frames[1].delay, gif.frames[3].delay })

    local images, labels = figures:samples(net)
    assert.is_true(equal(images, all.images))
    assert.equal(9, labels.shape[1])
    figures:trajectory(net)
    assert.equal(11, #decode(drift.read_file(run:path "denoising.gif")).frames)
  end)

  it("makes seeds rows, each from its own noise", function()
    local run = open()
    local figures = drift.sample_figures { run = run, title = "try", sample = sample, n = 8, seeds = { 100, 101 }, at_epochs = {} }
    local images = figures:samples(net)
    for i, seed in ipairs { 100, 101 } do
      local want = drift.sample(sample_of { labels = false, n = 4, seed = seed })
      assert.is_true(equal(want, images:narrow(0, 4 * (i - 1), 4)))
    end
    assert.is_false(equal(images:narrow(0, 0, 4), images:narrow(0, 4, 4)))
    local few = drift.sample_figures { run = run, title = "try", sample = sample, n = 5, seeds = { 1, 2, 3 }, at_epochs = {} }
    assert.equal(3, few:samples(net).shape[1])                      -- no more rows than seeds
  end)
end)

describe("drift.one_of_each and drift.mean_image", function()
  local data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }

  it("finds the first image of each class", function()
    local images, names = drift.one_of_each(data.test, 10)
    assert.same({ "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" }, names)
    for class = 0, 9 do
      local i = 1
      while data.test:label(i) ~= class do i = i + 1 end
      assert.is_true(equal(data.test[i], images[class + 1]))
    end
    assert.equal(3, drift.one_of_each(data.test, 3).shape[1])
  end)

  it("is the mean of all images", function()
    local n, sum = #data.test, 0
    for i = 1, n do sum = sum + data.test[i]:mean():item() end
    local mean = drift.mean_image(data.test)
    assert.same({ 1, 28, 28 }, mean.shape)
    assert.is_true(math.abs(mean:mean():item() - sum / n) < 1e-6)
    assert.is_true(mean:reshape(-1):totable()[1] == 0)              -- no digit reaches into the corner
  end)
end)
