-- Reflow: images that carry their own noise reach the training loop as its eps; a model's own pairs are those that
-- drift.sample would draw; straightness is 0 for straight paths and the known number for bent ones.
local drift = require "drift"
local run_directory = require "drift.run"

local process = drift.process.flow_matching {}

local function save(path, o)
  local n = o.n or 4
  drift.save_tensors(path, { images = o.images or drift.rand { n, 1, 2, 3, purpose = "a" }, labels = o.labels,
                             noise = o.noise ~= false and (o.noise or drift.randn { n, 1, 2, 3, purpose = "b" }) or nil })
  return drift.dataset.pairs { path = path, classes = o.classes }
end

describe("a data set of pairs", function()
  it("gives each image its noise and label, in every batch", function()
    local data = save("pairs.safetensors", { labels = drift.tensor({ 2, 0, 1, 2 }, "i64") })
    local saved = drift.load_tensors "pairs.safetensors"
    local info = data.train.info
    assert.same({ 4, 1, 2, 3, 3 }, { info.n, info.channels, info.height, info.width, info.classes })
    assert.equal(0, #data.test)
    for i = 1, 4 do
      assert.same(saved.images[i]:reshape(6):totable(), data.train[i]:reshape(6):totable())
      assert.same(saved.noise[i]:reshape(6):totable(), data.train:noise(i):reshape(6):totable())
    end
    assert.equal(1, data.train:label(3))
    local loader, seen = data:loader { batch = 2, seed = 5 }, 0
    for _, batch in loader:epoch(1) do
      assert.same({ 2, 1, 2, 3 }, batch.noise.shape)
      for b = 1, 2 do
        local image = batch.image[b]:reshape(6):totable()
        for i = 1, 4 do
          if saved.images[i]:reshape(6):totable()[1] == image[1] then
            assert.same(saved.noise[i]:reshape(6):totable(), batch.noise[b]:reshape(6):totable())
            assert.equal(saved.labels[i]:item(), batch.label[b]:item())
            seen = seen + 1
          end
        end
      end
    end
    assert.equal(4, seen)
  end)

  it("has no labels where the file has none, and other data sets have no noise", function()
    local data = save("unlabelled.safetensors", {})
    assert.equal(0, data.train.info.classes)
    assert.is_nil(data:loader { batch = 2 }:read(1, 1).label)
    local mnist = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }
    assert.is_nil(mnist:loader { batch = 2 }:read(1, 1).noise)
    assert.is_nil(mnist.train:noise(1))
  end)

  it("reads half precision and narrow labels", function()
    local images = drift.rand { purpose = "x", 4, 1, 2, 3 }
    local data = save("half.safetensors", { images = images:cast "f16", labels = drift.tensor({ 0, 1, 0, 1 }, "i32"):cast "u8" })
    assert.same(images:cast "f16":cast "f32"[2]:reshape(6):totable(), data.train[2]:reshape(6):totable())
    assert.equal(1, data.train:label(2))
  end)

  it("refuses files that are not what they should be, and says what is wrong", function()
    local function refuses(o, message)
      assert.error_matches(function() return #save("bad.safetensors", o).train end, message)
    end
    refuses({ noise = false }, "bad.safetensors: has no tensor 'noise'")
    refuses({ noise = drift.randn { purpose = "x", 4, 1, 3, 2 } }, "images %[4,1,2,3%] and noise %[4,1,3,2%] are not alike")
    refuses({ noise = drift.randn { purpose = "x", 3, 1, 2, 3 } }, "noise %[3,1,2,3%] are not alike")
    refuses({ images = drift.randn { purpose = "x", 4, 2, 3 } }, "'images' has 3 dimensions, expected 4 %(%[N,C,H,W%]%)")
    refuses({ images = drift.zeros({ 4, 1, 2, 3 }, { dtype = "u8" }) }, "'images' should hold floats")
    refuses({ images = drift.zeros { 0, 1, 2, 3 }, noise = drift.zeros { 0, 1, 2, 3 } }, "holds no images")
    refuses({ labels = drift.tensor({ 0, 1, 2 }, "i64") }, "3 labels for 4 images")
    refuses({ labels = drift.tensor { 0.0, 1.0, 2.0, 0.0 } }, "'labels' should hold whole numbers")
    refuses({ labels = drift.tensor({ 0, -1, 2, 0 }, "i64") }, "label 1 is %-1, outside %[0, ")
    refuses({ labels = drift.tensor({ 0, 1, 2, 0 }, "i64"), classes = 2 }, "label 2 is 2, outside %[0, 2%)")
    refuses({ labels = drift.tensor({ { 0, 1, 2, 0 } }, "i64") }, "'labels' has 2 dimensions, expected 1")
    refuses({ classes = 3 }, "has no labels, but classes = 3")
    assert.error_matches(function() return drift.dataset.pairs { path = "nowhere.safetensors" }.train end, "nowhere.safetensors")
    assert.error_matches(function() return drift.dataset.pairs {}.train end, "path. names no file")
    drift.write_file("text.safetensors", "no safetensors file")
    assert.error_matches(function() return drift.dataset.pairs { path = "text.safetensors" }.train end, "text.safetensors: header length")
    local noise = drift.randn { purpose = "x", 4, 1, 2, 3 }
    noise[3] = noise[3] * (0 / 0)
    local data = save("nan.safetensors", { noise = noise })
    assert.is_truthy(data.train:noise(2))
    assert.error_matches(function() data.train:noise(3) end, "nan.safetensors: 'noise' 2 holds a number that is not finite")
    assert.error_matches(function() data:loader { batch = 4 }:read(1, 1) end, "not finite")
  end)

  it("gives its noise to the training loop in place of fresh noise, whatever the coupling", function()
    local data = save("train.safetensors", { n = 8 })
    local saved, seen = drift.load_tensors "train.safetensors", 0
    local net = drift.net { name = "watch", weights = { w = { shape = { 1 }, init = 1 } }, forward = function(net, x, cond)
      local time = cond.time:totable()
      for b = 1, 8 do                                               -- x_t = t x0 + (1 - t) eps, both of one pair
        for i = 1, 8 do
          local x_t = saved.images[i] * time[b] + saved.noise[i] * (1 - time[b])
          if (x[b] - x_t):abs():amax():item() < 1e-5 then seen = seen + 1 end
        end
      end
      return x * net.w
    end }
    drift.on_note(function() end)
    for _, coupling in ipairs { drift.coupling.independent {}, drift.coupling.minibatch_ot {} } do
      drift.train { run = run_directory.open { name = "pairs", parameters = {} }, data = data, model = net, process = process,
                    optim = drift.optim.sgd {}, batch = 8, epochs = 1, coupling = coupling }
    end
    drift.on_note(nil)
    assert.equal(16, seen)
  end)
end)

describe("drift.reflow_pairs", function()
  local function net(hidden) return drift.build(drift.models.cs180_unet { hidden = hidden, time = "add", class = "scale" }) end
  local function make(model, o)
    local options = { model = model, process = process, sampler = drift.sampler.euler { steps = 2 }, n = 5, classes = 3,
                      shape = { 1, 28, 28 }, path = "made.safetensors", batch = 2, quiet = true }
    for key, value in pairs(o or {}) do options[key] = value end
    return drift.reflow_pairs(options)
  end
  local lines = {}
  setup(function() drift.on_note(function(line) lines[#lines + 1] = line end) end)
  teardown(function() drift.on_note(nil) end)

  it("keeps what drift.sample starts from and ends with", function()
    local model = net(2)
    local data = make(model, { first = 40 })
    assert.same({ 5, 3 }, { #data.train, data.train.info.classes })
    for i = 1, 5 do
      assert.equal((i - 1) % 3, data.train:label(i))
      local start = drift.randn { 1, 1, 28, 28, purpose = "sample start", sample = 40 + i - 1 }
      assert.equal(0, (data.train:noise(i) - start):abs():amax():item())
      local image = drift.sample { model = model, process = process, sampler = drift.sampler.euler { steps = 2 }, labels = { (i - 1) % 3 },
                                   shape = { 1, 28, 28 }, first = 40 + i - 1, quiet = true }
      assert.is_true((data.train[i] - image):abs():amax():item() < 1e-4)
    end
    -- the noise leads to the image: one that is shifted by a sample does not
    assert.is_true((data.train:noise(1) - data.train:noise(2)):abs():amax():item() > 0.1)
  end)

  it("does not do again what was done, and does what was not", function()
    local model = net(2)
    make(model)
    local before = drift.sha256_file "made.safetensors"
    lines = {}
    make(model)
    assert.equal(before, drift.sha256_file "made.safetensors")
    assert.is_truthy(table.concat(lines):find("was made already", 1, true))
    for _, change in ipairs { { n = 6 }, { first = 3 }, { seed = 9 }, { classes = 2 }, { sampler = drift.sampler.euler { steps = 3 } },
                              { guidance = drift.guidance.cfg { scale = 2 } } } do
      lines = {}
      make(model, change)
      assert.is_nil(table.concat(lines):find("was made already", 1, true))
    end
    make(model)
    drift.no_grad(function() model:parameters()[1].tensor:assign(model:parameters()[1].tensor + 0.5) end)
    lines = {}
    make(model)
    assert.is_nil(table.concat(lines):find("was made already", 1, true))
  end)

  it("does not write over a file that is no file of pairs", function()
    drift.save_tensors("made.safetensors", { x = drift.ones { 1 } })
    assert.error_matches(function() make(net(2)) end, "exists and is not a file of pairs")
    assert.error_matches(function() make(net(2), { labels = { 1 } }) end, "labels or classes, not both")
    assert.error_matches(function() make(net(2), { n = 0 }) end, "n = 0 should be")
  end)
end)

describe("drift.straightness", function()
  local function of(model, o)
    local options = { model = model, process = process, shape = { 1, 4, 4 }, n = 30, steps = 40, batch = 7 }
    for key, value in pairs(o or {}) do options[key] = value or nil end
    return drift.straightness(options)
  end

  it("is 0 where all paths are straight", function()
    -- everything flows to the point 3: v = (3 - x_t)/(1 - t)
    local s = of(function(x, cond) return (3 - x) / (1 - cond.time:reshape(x.shape[1], 1, 1, 1)) end)
    assert.is_true(s.mean < 1e-8 and s.high < 1e-8, tostring(s.mean))
    assert.same({ 30, 40, 30 }, { s.n, s.steps, #s.values })
  end)

  it("is the variance of the velocity where that depends on time alone", function()
    -- v = 5 t: the steps start at k/n, and the variance of k/n is (n^2-1)/(12 n^2)
    for _, steps in ipairs { 4, 40 } do
      local s = of(function(x, cond) return x * 0 + 5 * cond.time:reshape(x.shape[1], 1, 1, 1) end, { steps = steps })
      local expected = 25 * (steps ^ 2 - 1) / (12 * steps ^ 2)
      assert.is_true(math.abs(s.mean - expected) < 1e-4 * expected, s.mean .. " and not " .. expected)
    end
  end)

  it("is the known number for exponential paths, and its interval holds it", function()
    -- v = c x: x(t) = x(0) e^ct;  S = c^2 E x(0)^2 ((e^2c - 1)/2c - ((e^c - 1)/c)^2),  E x(0)^2 = 1
    local c = 1.5
    local expected = c ^ 2 * ((math.exp(2 * c) - 1) / (2 * c) - ((math.exp(c) - 1) / c) ^ 2)
    local s = of(function(x) return c * x end, { sampler = drift.sampler.heun { steps = 200 }, steps = false, n = 400, batch = 200 })
    assert.is_true(s.low < expected and expected < s.high, ("%g in [%g, %g]"):format(expected, s.low, s.high))
    assert.is_true(s.high - s.low < 0.2 * s.mean and s.high > s.low)
    assert.equal(200, s.steps)
  end)

  it("measures time in the process's own range, and does not depend on the batch", function()
    local net = drift.build(drift.models.cs180_unet { hidden = 2, time = "add" })
    net:train()
    local a = of(net, { shape = { 1, 28, 28 }, n = 6, steps = 3, batch = 6 })
    local b = of(net, { shape = { 1, 28, 28 }, n = 6, steps = 3, batch = 4 })
    for i = 1, 6 do assert.is_true(math.abs(a.values[i] - b.values[i]) < 1e-4 * a.values[i]) end
    assert.is_true(net:training())
    assert.error_matches(function() of(net, { n = 0 }) end, "n = 0 should be")
    assert.error_matches(function() of(net, { sampler = drift.sampler.heun {} }) end, "give steps, or a sampler")
  end)
end)
