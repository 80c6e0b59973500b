-- The UNet of the digit experiments: its weights' names, its shapes for every conditioning, and what it refuses. Its
-- numbers are held to PyTorch's in tests/parity.
local drift = require "drift"

drift.use "ref"

local function build(options)
  options.hidden = options.hidden or 2
  return drift.build(drift.models.cs180_unet(options), { seed = 1 })
end

local function names(net)
  local found = {}
  for _, w in ipairs(net:parameters()) do found[w.path] = table.concat(w.tensor.shape, ",") end
  return found
end

local function images(n, channels) return drift.randn { n, channels, 28, 28, purpose = "image" } end
local function condition() return { time = drift.tensor { 0.25, 0.75 }, label = drift.tensor({ 3, 7 }, "i32") } end

local function distance(a, b) return (a - b):abs():amax():item() end

describe("cs180_unet", function()
  it("has the weights that it has in PyTorch", function()
    local found = names(build { hidden = 4, time = "add", class = "scale", residual = true })
    local expected = {
      ["init.c1.conv.0.weight"] = "4,1,3,3", ["init.skip.weight"] = "4,1,1,1", ["d1.d.conv.0.weight"] = "4,4,3,3",
      ["d2.c.c2.conv.1.bias"] = "8", ["un.conv.0.weight"] = "8,8,7,7", ["u1.u.conv.0.weight"] = "16,4,4,4",
      ["u2.u.conv.0.weight"] = "8,4,4,4", ["f.skip.bias"] = "4", ["out.weight"] = "1,4,3,3",
      ["t1.net.0.weight"] = "8,1", ["t2.net.2.bias"] = "4", ["c1.net.0.weight"] = "8,10", ["c2.net.0.weight"] = "4,10",
    }
    for name, shape in pairs(expected) do assert.equal(shape, found[name], name) end
    assert.is_nil(found["d1.c.skip.weight"])                     -- equal channels: x itself is added
    assert.is_nil(names(build { hidden = 4 })["t1.net.0.weight"])
  end)

  it("keeps the image's shape under every conditioning", function()
    local variants = { {}, { time = "add" }, { time = "scale" }, { time = "add", class = "scale" },
                       { time = "add", class = "add" }, { residual = true }, { in_channels = 3 } }
    for _, o in ipairs(variants) do
      local channels = o.in_channels or 1
      local net = build(o)
      local y = net(images(2, channels), condition())
      assert.same({ 2, channels, 28, 28 }, y.shape)
    end
  end)

  it("depends on what it is conditioned on, and on nothing else", function()
    local x = images(2, 1)
    local c, later, other = condition(), condition(), condition()
    later.time = drift.tensor { 0.5, 0.75 }
    other.label = drift.tensor({ 4, 7 }, "i32")
    local variants = { {}, { time = "add" }, { time = "scale" }, { time = "add", class = "scale" },
                       { time = "add", class = "add" } }
    for _, o in ipairs(variants) do
      local net = build(o):eval()
      assert.equal(o.time ~= nil, distance(net(x, c), net(x, later)) > 0)
      assert.equal(o.class ~= nil, distance(net(x, c), net(x, other)) > 0)
    end
  end)

  it("says what it cannot be", function()
    assert.has_error(function() drift.models.cs180_unet { hiden = 4 } end)
    local _, message = pcall(drift.models.cs180_unet, { hiden = 4 })
    assert.matches("no option 'hiden'; did you mean 'hidden'", message)
    _, message = pcall(drift.models.cs180_unet, { class = "scale" })
    assert.matches('class = "scale" needs time = "add"', message)
    _, message = pcall(drift.models.cs180_unet, { time = "both" })
    assert.matches('time = "both" is not one of', message)
    _, message = pcall(drift.models.cs180_unet, { hidden = 0 })
    assert.matches("hidden = 0 should be a whole number", message)
    local net = build { time = "add" }
    _, message = pcall(function() return net(images(1, 1)) end)
    assert.matches("without a time", message)
  end)
end)
