-- The models beside the cs180_unet, tiny: shapes, gradients, files, the null class, rows that do not see each other, and
-- that each can learn. And the blocks and sites that they are made of, against ops put together by hand.
local drift = require "drift"

drift.use "cpu"

-- Each as a function of { classes =, channels = }, and the side of its images.
local models = {
  improved_unet = { 16, function(o) return drift.models.improved_unet { hidden = 8, classes = o.classes, in_channels = o.channels, width = 16 } end },
  adm_unet = { 16, function(o)
    return drift.models.adm_unet { hidden = 8, mult = { 1, 2, 2 }, size = 16, attention = { 4, 8 }, heads = 2,
                                   classes = o.classes, in_channels = o.channels }
  end },
  ddpmpp = { 16, function(o)
    return drift.models.adm_unet { hidden = 8, mult = { 1, 2 }, size = 16, attention = {}, heads = 2, conditioning = "embedding_add",
                                   skip_scaling = true, classes = o.classes, in_channels = o.channels }
  end },
  dit = { 16, function(o)
    return drift.models.dit { hidden = 16, depth = 2, heads = 2, patch = 4, size = 16, classes = o.classes, in_channels = o.channels }
  end },
  cs180_film = { 28, function(o)
    return drift.models.cs180_unet { hidden = 4, conditioning = "film", classes = o.classes or 0, in_channels = o.channels }
  end },
}
local names = {}
for name in pairs(models) do names[#names + 1] = name end
table.sort(names)

local function build(name, options, seed) return drift.build(models[name][2](options or { classes = 10 }), { seed = seed or 1 }) end
local function images(name, n, channels, purpose)
  return drift.randn { n, channels or 1, models[name][1], models[name][1], purpose = purpose or "image" }
end
local function condition() return { time = drift.tensor { 0.25, 0.75 }, label = drift.tensor({ 3, 7 }, "i32") } end
local function distance(a, b) return (a - b):abs():amax():item() end

-- Zeros at the start would hide what is behind them.
local function shake(net)
  drift.no_grad(function()
    for i, w in ipairs(net:parameters()) do
      local noise = drift.randn { purpose = "shake", step = i, table.unpack(w.tensor.shape) }
      w.tensor:assign(w.tensor + noise * 0.1)
    end
  end)
  return net
end

for _, name in ipairs(names) do
  describe(name, function()
    it("keeps the image's shape", function()
      local side = models[name][1]
      assert.same({ 2, 1, side, side }, build(name)(images(name, 2), condition()).shape)
      assert.same({ 1, 3, side, side }, build(name, { channels = 3 })(images(name, 1, 3), { time = drift.tensor { 0.5 } }).shape)
    end)

    it("gives every weight a gradient", function()
      local net = shake(build(name))
      local y = net(images(name, 2), condition())
      drift.op.mse(y, images(name, 2, 1, "target")):backward()
      for _, w in ipairs(net:parameters()) do
        assert.is_truthy(w.tensor.grad, w.path .. " has no gradient")
        local size = w.tensor.grad:abs():amax():item()
        assert.is_true(size > 0 and size < math.huge, w.path .. " has the gradient " .. size)
      end
    end)

    it("depends on time and class, and is the null class where the mask drops it", function()
      local net, x = shake(build(name)):eval(), images(name, 2)
      local c = condition()
      local y = net(x, c)
      assert.is_true(distance(y, net(x, { time = drift.tensor { 0.5, 0.75 }, label = c.label })) > 1e-4)
      assert.is_true(distance(y, net(x, { time = c.time, label = drift.tensor({ 4, 7 }, "i32") })) > 1e-4)
      local null = net(x, { time = c.time })
      local dropped = net(x, { time = c.time, label = c.label, mask = drift.tensor { 0, 0 } })
      assert.equal(0, distance(null, dropped))
      local half = net(x, { time = c.time, label = c.label, mask = drift.tensor { 1, 0 } })
      assert.is_true(distance(half[1], y[1]) < 1e-5)
      assert.is_true(distance(half[2], null[2]) < 1e-5)
      assert.is_true(distance(y, null) > 1e-4)
    end)

    it("knows nothing of classes without them", function()
      local net, x, c = shake(build(name, {})):eval(), images(name, 2), condition()
      assert.equal(0, distance(net(x, c), net(x, { time = c.time })))
    end)

    it("treats each image alone", function()
      local net, x, c = shake(build(name)):eval(), images(name, 2), condition()
      local both = net(x, c)
      for i = 0, 1 do
        local own = { time = c.time:narrow(0, i, 1), label = c.label:narrow(0, i, 1) }
        assert.is_true(distance(net(x:narrow(0, i, 1), own), both:narrow(0, i, 1)) < 1e-4)
      end
    end)

    it("survives a file", function()
      local first, second = shake(build(name)):eval(), build(name, nil, 2):eval()
      local x, c = images(name, 2), condition()
      assert.is_true(distance(first(x, c), second(x, c)) > 1e-3)
      local path = os.tmpname()
      first:save(path)
      second:load(path)
      os.remove(path)
      assert.equal(0, distance(first(x, c), second(x, c)))
    end)

    it("learns eight images by heart", function()
      local net = build(name)
      local opt = drift.optimizer(drift.optim.adam { lr = 5e-3 }, net)
      local digits = drift.instance(drift.dataset.mnist { path = drift.home .. "/tests/data/mnist" }, "dataset").train
      local x0, label = digits:batch { 1, 2, 3, 4, 5, 6, 7, 8 }
      local side = models[name][1]
      x0 = x0:narrow(2, (28 - side) // 2, side):narrow(3, (28 - side) // 2, side)
      local time, eps = drift.tensor { .1, .2, .3, .4, .5, .6, .7, .8 }, images(name, 8)
      local t = time:reshape(8, 1, 1, 1)
      local x_t, target = x0 * t + eps * (1 - t), x0 - eps
      local first, last
      for _ = 1, 50 do
        drift.scope(function()
          local loss = drift.op.mse(net(x_t, { time = time, label = label }), target)
          loss:backward()
          opt:step()
          last = loss:item()
          first = first or last
        end)
      end
      print(("# %s: %.3f -> %.3f"):format(name, first, last))
      assert.is_true(last < 0.5 * first, ("%g became %g"):format(first, last))
    end)
  end)
end

describe("models", function()
  it("that start at zero give zero", function()
    for _, name in ipairs { "adm_unet", "dit" } do
      assert.equal(0, build(name)(images(name, 2), condition()):abs():amax():item())
    end
  end)
end)
