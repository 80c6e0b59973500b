-- In evaluation the blocks fold BatchNorm into the convolution before it, with GELU as its epilogue. Held here to the
-- three ops one after the other, put together from the networks' weights: outputs and gradients, within 2e-5 of the
-- largest value (rounding alone: weights of other last bits, summed over some thousands of terms). Training folds
-- nothing.
local drift = require "drift"
local op = drift.op

drift.use "cpu"

local TOLERANCE = 2e-5

local function noise(tag, ...) return drift.randn { purpose = tag, ... } end
local function distance(a, b) return (a - b):abs():amax():item() / math.max(1, b:abs():amax():item()) end

-- Running statistics as after some training, and gains that are not 1.
local function lived_in(spec)
  local net = drift.build(spec, { seed = 3 })
  drift.no_grad(function()
    for i, w in ipairs(net:named()) do
      local own = drift.randn { purpose = "weight", step = i, table.unpack(w.tensor.shape) }
      if w.path:match("running_var$") then w.tensor:assign(own:square() + 0.25)
      elseif w.path:match("running_mean$") or w.path:match("bias$") then w.tensor:assign(own * 0.5)
      elseif #w.tensor.shape == 1 then w.tensor:assign(own * 0.5 + 1) end
    end
  end)
  return net
end

local function weights_of(net)
  local found = {}
  for _, w in ipairs(net:named()) do found[w.path] = w.tensor end
  return found
end

-- GELU(BatchNorm(conv(x))) of the layers PATH.0 and PATH.1
local function plain(p, path, x, convolution, attr)
  local y = op[convolution](x, p[path .. ".0.weight"], p[path .. ".0.bias"], attr)
  local norm, v = path .. ".1.", {}
  for _, name in ipairs { "weight", "bias", "running_mean", "running_var" } do v[#v + 1] = p[norm .. name] end
  return op.gelu(op.batch_norm_eval(y, v[1], v[2], v[3], v[4], { eps = 1e-5, act = "none" }))
end

local function conv(p, path, x, stride)
  return plain(p, path .. ".conv", x, "conv2d", { stride = stride or 1, padding = 1 })
end
local function up(p, path, x) return plain(p, path .. ".conv", x, "conv_transpose2d", { stride = 2, padding = 1 }) end

local function conv_block(p, path, x, residual)
  local y = conv(p, path .. ".c2", conv(p, path .. ".c1", x))
  if not residual then return y end
  local skip = p[path .. ".skip.weight"]
  return y + (skip and op.conv2d(x, skip, p[path .. ".skip.bias"], { stride = 1, padding = 0 }) or x)
end

local function cs180_unet(p, x, residual)
  local function block(path, h) return conv_block(p, path, h, residual) end
  local a = block("init", x)
  local b = block("d1.c", conv(p, "d1.d", a, 2))
  local d = block("d2.c", conv(p, "d2.d", b, 2))
  local u = plain(p, "un.conv", op.gelu(d:avg_pool2d(7)), "conv_transpose2d", { stride = 7, padding = 0 })
  u = block("u1.c", up(p, "u1.u", drift.concat({ u, d }, 1)))
  u = block("u2.c", up(p, "u2.u", drift.concat({ u, b }, 1)))
  u = block("f", drift.concat({ u, a }, 1))
  return op.conv2d(u, p["out.weight"], p["out.bias"], { stride = 1, padding = 1 })
end

local function digit_classifier(p, x)
  local h = x
  for _, path in ipairs { "c1", "c2", "c3" } do h = conv(p, path, h):max_pool2d(2) end
  h = op.gelu(op.linear(h:flatten(1), p["fc1.weight"], p["fc1.bias"]))
  return op.linear(h, p["fc2.weight"], p["fc2.bias"])
end

local cases = {
  { "cs180_unet", function() return drift.models.cs180_unet { hidden = 6 } end, cs180_unet },
  { "cs180_unet, residual",
    function() return drift.models.cs180_unet { hidden = 5, in_channels = 2, residual = true } end,
    function(p, x) return cs180_unet(p, x, true) end, 2 },
  { "digit_classifier", function() return drift.models.digit_classifier {} end, digit_classifier },
}

local function gradients(net, y)
  (y * noise("direction", table.unpack(y.shape))):sum():backward()
  local found = {}
  for _, w in ipairs(net:parameters()) do found[w.path] = w.tensor.grad:clone() end
  net:zero_grad()
  return found
end

for _, case in ipairs(cases) do
  local name, spec, reference, channels = table.unpack(case)
  describe(name .. " in evaluation", function()
    it("computes what its layers compute one by one", function()
      local net = lived_in(spec()):eval()
      local x = noise("image", 3, channels or 1, 28, 28)
      local folded, one_by_one = net(x), reference(weights_of(net), x)
      assert.is_true(one_by_one:abs():amax():item() > 0.05)
      assert.is_true(distance(folded, one_by_one) < TOLERANCE)
      drift.no_grad(function() assert.is_true(distance(net(x), one_by_one) < TOLERANCE) end)
    end)

    it("has their gradients", function()
      local net = lived_in(spec()):eval()
      local x = noise("image", 2, channels or 1, 28, 28)
      local got = gradients(net, net(x))
      local want = gradients(net, reference(weights_of(net), x))
      for path, g in pairs(want) do assert.is_true(distance(got[path], g) < TOLERANCE, path) end
    end)
  end)
end

describe("The other models", function()
  it("have no BatchNorm to fold", function()
    local specs = { drift.models.improved_unet { hidden = 8 }, drift.models.dit { hidden = 16, depth = 1, heads = 2 },
                    drift.models.adm_unet { hidden = 8, mult = { 1, 2 }, size = 16, attention = {}, heads = 2 } }
    for _, spec in ipairs(specs) do
      for _, w in ipairs(drift.build(spec):named()) do assert.is_nil(w.path:match("running_mean")) end
    end
  end)
end)

describe("Training", function()
  it("runs convolution and BatchNorm with the batch's statistics", function()
    local net = lived_in(drift.net {
      name = "n", inline = { { "b", drift.block.conv { in_channels = 3, out_channels = 5 } } },
      forward = function(n, x) return n.b(x) end })
    local x, p = noise("image", 4, 3, 6, 7), weights_of(net)
    local y = op.conv2d(x, p["conv.0.weight"], p["conv.0.bias"], { stride = 1, padding = 1 })
    local want = op.batch_norm_act(y, p["conv.1.weight"], p["conv.1.bias"], { eps = 1e-5, act = "gelu" })
    assert.equal(0, distance(net:train()(x), want))
  end)
end)
