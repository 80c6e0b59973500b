-- A network that shares images computes what does not depend on the condition once for guidance's two halves. Held here
-- to the same network with every image repeated, within 2e-5 of the largest value: sums are split in another place.
local drift = require "drift"

drift.use "cpu"

local function noise(tag, ...) return drift.randn { purpose = tag, ... } end
local function distance(a, b) return (a - b):abs():amax():item() / math.max(1, b:abs():amax():item()) end
local function twice(t) return drift.concat({ t, t }, 0) end

local variants = {
  { time = "add", class = "scale" }, { time = "add", class = "add", in_channels = 2 }, { time = "scale" },
  { time = "add", class = "scale", residual = true }, { conditioning = "film" },
}

local function build(o)
  local options = { hidden = 5 }
  for key, value in pairs(o) do options[key] = value end
  local net = drift.build(drift.models.cs180_unet(options), { seed = 2 })
  drift.no_grad(function()                                       -- or the condition would hardly be seen in the result
    for i, w in ipairs(net:parameters()) do
      w.tensor:assign(w.tensor + drift.randn { purpose = "shake", step = i, table.unpack(w.tensor.shape) } * 0.3)
    end
  end)
  for i = 1, 3 do                                                -- running statistics that are not 0 and 1
    net(noise("train" .. i, 4, o.in_channels or 1, 28, 28),
        { time = drift.tensor { .1, .4, .6, .9 }, label = drift.tensor({ 1, 2, 3, 4 }, "i32") })
  end
  return net
end

local condition = { time = drift.tensor { .3, .3, .3, .3, .3, .3 }:keep(),
                    label = drift.tensor({ 3, 7, 1, 3, 7, 1 }, "i32"):keep(),
                    mask = drift.tensor { 1, 1, 1, 0, 0, 0 }:keep() }

describe("A shared image", function()
  for i, o in ipairs(variants) do
    it("gives what a repeated one gives, variant " .. i, function()
      local net = build(o):eval()
      local x = noise("image", 3, o.in_channels or 1, 28, 28)
      local shared, repeated = net(x, condition), net(twice(x), condition)
      assert.same(repeated.shape, shared.shape)
      assert.is_true(repeated:abs():amax():item() > 0.05)
      assert.is_true(distance(shared, repeated) < 2e-5)
      if o.class then                                            -- the halves are not alike, and not mixed up
        assert.is_true(distance(shared:slice(0, 0, 3), repeated:slice(0, 3, 3)) > 1e-2)
      end
    end)
  end

  it("has the gradients of a repeated one, and in training its values", function()
    local net = build(variants[1])
    local x = noise("image", 3, 1, 28, 28)
    assert.is_true(distance(net(x, condition), net(twice(x), condition)) < 2e-5)
    net:eval()
    local function gradients(y)
      (y * noise("direction", table.unpack(y.shape))):sum():backward()
      local found = {}
      for _, w in ipairs(net:parameters()) do found[w.path] = w.tensor.grad:clone() end
      net:zero_grad()
      return found
    end
    local got, want = gradients(net(x, condition)), gradients(net(twice(x), condition))
    for path, g in pairs(want) do assert.is_true(distance(got[path], g) < 5e-5, path) end
  end)

  it("is sampled as a repeated one is", function()
    local net = build(variants[1]):eval()
    local function sample(network)
      local model = drift.model(drift.process.flow_matching {}, network,
                                { guidance = drift.guidance.cfg { scale = 3 }, label = drift.tensor({ 3, 7, 1 }, "i32") })
      return drift.no_grad(function()
        return model:sample { sampler = drift.sampler.euler { steps = 4 }, x = noise("start", 3, 1, 28, 28) }
      end)
    end
    local seen = {}
    local repeating = sample(function(x, c) seen.rows = x.shape[1] return net(x, c) end) -- a function shares nothing
    assert.equal(6, seen.rows)
    assert.is_true(distance(sample(net), repeating) < 1e-3)
  end)
end)
