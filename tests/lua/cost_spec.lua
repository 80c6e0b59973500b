-- drift.cost: FLOPs counted from the plan are those of the hand; bytes are those that the device has in use; what cannot
-- be counted is said.
local drift = require "drift"

-- A network of one product, so that a step's FLOPs are known: forward, and backward for the weights (the image needs no
-- gradient).
local function of_one(block, forward)
  return drift.net { name = "one", children = { { "block", block } }, forward = forward or function(net, x) return net.block(x) end }
end

local function cost(o)
  o.shape, o.batch = o.shape or { 1, 28, 28 }, o.batch or 4
  return drift.cost(o)
end

local function near(expected, got, tolerance)
  assert.is_true(math.abs(got - expected) <= (tolerance or 1e-9) * math.abs(expected), ("%s, not %s"):format(got, expected))
end

-- FLOP of the cs180 UNet at D for an image: 2 Ci Co k k per pixel of a convolution's output, of a transposed one's
-- input. A ConvBlock is two 3x3 convolutions in training (Conv: one; Down, Up: one that halves or doubles, and a ConvBlock).
local function conv(Ci, Co, k, side) return 2 * Ci * Co * k * k * side * side end

describe("drift.cost", function()
  it("counts a convolution: 2 Ci Co k k for each pixel, once forward and once for its weights", function()
    local c = cost { model = of_one(drift.block.conv2d { in_channels = 3, out_channels = 3, kernel_size = 5, padding = 2 }),
                     shape = { 3, 14, 10 } }
    local forward = 2 * 3 * 3 * 25 * 14 * 10
    assert.equal(forward, c.flops_forward)
    assert.equal(2 * forward, c.flops_step)
    assert.equal(3 * 3 * 25 + 3, c.params)
    assert.is_true(c.launches > 5)
  end)

  it("counts a linear layer and one behind it, whose input has a gradient", function()
    local two = drift.net { name = "two", children = { { "a", drift.block.linear { in_features = 784, out_features = 50 } },
                                                      { "b", drift.block.linear { in_features = 50, out_features = 784 } } },
                            forward = function(net, x) return net.b(net.a(x:flatten(1))):view(table.unpack(x.shape)) end }
    local c = cost { model = two }
    assert.equal(2 * 784 * 50 * 2, c.flops_forward)
    assert.equal(c.flops_forward * 2 + 2 * 784 * 50, c.flops_step)   -- dw twice, dx of the second
    assert.equal(4 * (2 * 784 * 50 + 50 + 784), c.weights_bytes)
    assert.equal(c.weights_bytes, c.gradient_bytes)
  end)

  it("counts attention: q k^T and the scores times v", function()
    local function attend(_, x)
      local q = x:reshape(x.shape[1], 2, 49, 8)                      -- [B,H,L,D]
      return q:attention(q, q, nil):reshape(table.unpack(x.shape))
    end
    local c = cost { model = of_one(drift.block.conv2d { in_channels = 1, out_channels = 1, kernel_size = 1 },
      function(net, x) return attend(net, net.block(x)) end) }
    assert.equal(2 * 784 + 2 * 2 * (2 * 49 * 49 * 8), c.flops_forward)
    local product = 2 * (2 * 49 * 49 * 8)                            -- four for the gradients of q, k, v and the scores
    assert.equal(4 * product, c.flops_step - c.flops_forward - 2 * 784)
  end)

  it("counts the class's UNet as by hand: forward, and backward all but the gradient of the image", function()
    local D = 8
    local forward = conv(1, D, 3, 28) + conv(D, D, 3, 28) + conv(D, D, 3, 14) + 2 * conv(D, D, 3, 14)      -- init, d1
      + conv(D, 2 * D, 3, 7) + 2 * conv(2 * D, 2 * D, 3, 7) + conv(2 * D, 2 * D, 7, 1)                  -- d2, un
      + conv(4 * D, D, 4, 7) + 2 * conv(D, D, 3, 14) + conv(2 * D, D, 4, 14) + 2 * conv(D, D, 3, 28)    -- u1, u2
      + conv(2 * D, D, 3, 28) + conv(D, D, 3, 28) + conv(D, 1, 3, 28)                                   -- f, out
    local plain = cost { model = drift.models.cs180_unet { hidden = D } }
    near(forward, plain.flops_forward)
    near(3 * forward - conv(1, D, 3, 28), plain.flops_step)
    local layers = 2 * (2 * D + 4 * D * D + D + D * D + 20 * D + 4 * D * D + 10 * D + D * D)            -- t1, t2, c1, c2
    local conditional = cost { model = drift.models.cs180_unet { hidden = D, time = "add", class = "scale" }, classes = 10 }
    near(forward + layers, conditional.flops_forward)
  end)

  it("does not depend on the batch, where nothing is shared by images", function()
    local net = drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" }
    local few, many = cost { model = net, classes = 10, batch = 2 }, cost { model = net, classes = 10, batch = 64 }
    near(few.flops_step, many.flops_step)
    assert.is_true(many.plan_bytes > 20 * few.plan_bytes)
    assert.equal(few.weights_bytes, many.weights_bytes)
    assert.equal(few.state_bytes, many.state_bytes)
  end)

  it("lists the memory of weights, their gradients and the optimizer's state apart", function()
    local net = drift.models.cs180_unet { hidden = 8 }
    local adam = cost { model = net }
    local sgd = cost { model = net, optim = drift.optim.sgd { lr = 0.1 } }
    local averaged = cost { model = net, ema = drift.ema.power {} }
    assert.equal(4 * adam.params, adam.gradient_bytes)
    near(2 * 4 * adam.params, adam.state_bytes, 1e-3)                -- and the learning rate, the step, ...
    near(4 * adam.params, sgd.state_bytes, 1e-3)
    near(adam.state_bytes + adam.weights_bytes, averaged.state_bytes, 2e-3)
    assert.equal(adam.memory, adam.plan_bytes + adam.weights_bytes + adam.state_bytes + adam.batch_bytes)
    assert.is_truthy(adam.text:find(("^%d weights, .* MFLOP .* MiB at batch 4"):format(adam.params)), adam.text)
  end)

  it("has the plan of the device that computes, and the memory that its allocator then has in use", function()
    local net, B = drift.models.cs180_unet { hidden = 8, time = "add", class = "scale" }, 32
    local counted = cost { model = net, classes = 10, batch = B }
    collectgarbage()
    local device = drift.device()
    local before = device:memory().in_use
    local here = drift.build(net)
    here:train()
    local step = drift.train_step { net = here, optimizer = drift.optimizer(drift.optim.adam {}, here), p_uncond = 0.1,
                                    process = drift.instance(drift.process.flow_matching {}, "process") }
    local batch = { image = drift.rand { B, 1, 28, 28, purpose = "images" }:keep(), size = B,
                    label = drift.zeros({ B }, "i32"):keep() }
    local own = B * 784 * 4 + B * 4                                  -- the batch once more: the plan has a copy
    for i = 1, 6 do
      batch.first = (i - 1) * B
      drift.scope(step, batch, 1, i):item()
    end
    local state, memory = step.plan:state(), device:memory()
    assert.equal(state.arena, counted.plan_bytes)
    assert.equal(state.launches, counted.launches)
    near(memory.in_use - before - own, counted.memory, 0.01)
    local peak = memory.peak - before - own                          -- the steps before there was a plan
    assert.is_true(counted.memory <= peak and counted.memory > 0.7 * peak, ("%d, peak %d"):format(counted.memory, peak))
  end)

  it("leaves device, precision and networks as they were, also after an error", function()
    local name, net = drift.device().name, drift.build(drift.models.cs180_unet { hidden = 4 })
    local weights = net:parameters()[1].tensor:tostring_bytes()
    assert.equal(net:count(), cost { model = net }.params)           -- a network that is built already
    assert.equal(weights, net:parameters()[1].tensor:tostring_bytes())
    local held = drift.ones(1, 1, 28, 28)
    local holder = of_one(drift.block.conv2d { in_channels = 1, out_channels = 1, kernel_size = 1 },
      function(n, x) return n.block(x) + held end)
    assert.error_matches(function() cost { model = holder } end, "device = drift%.device%(%)")
    assert.equal(name, drift.device().name)
    assert.equal("f32", drift.precision())
    near(2 * 784, cost { model = holder, device = name }.flops_forward)
  end)

  it("counts the FLOPs of a step that is not replayed, and says that its memory is not known", function()
    local c = cost { model = of_one(drift.block.conv2d { in_channels = 1, out_channels = 1, kernel_size = 3, padding = 1 }),
                     loss = function(net, batch)
                       local loss = net(batch.image):mse(batch.image)
                       return loss * (loss:item() * 0 + 1)           -- reads back
                     end }
    assert.is_truthy(c.reason)
    near(2 * 2 * 9 * 784, c.flops_step)
    assert.is_nil(c.memory)
    assert.is_truthy(c.text:find("memory unknown", 1, true), c.text)
  end)

  it("refuses what it cannot read", function()
    local net = drift.models.cs180_unet { hidden = 4 }
    assert.error_matches(function() drift.cost { model = net, shape = { 28, 28 } } end, "shape is that of an image")
    assert.error_matches(function() drift.cost { model = net, shape = { 1, 28, 28 }, clases = 3 } end, "did you mean 'classes'")
    assert.error_matches(function() cost { model = net, batch = 0 } end, "batch = 0 should be a whole number")
    assert.error_matches(function() cost { model = drift.optim.adam {} } end, "model is a network")
    assert.error_matches(function() cost { model = "unet" } end, "model is a network")
  end)
end)

describe("a plan's ops", function()
  it("are those of one replay, without what runs only when weights change", function()
    local w = drift.ones { 4, 4 }:keep()
    local plan = drift.plan(function(b) return b.x:matmul(w:exp()) end)
    assert.same({}, plan:ops())
    drift.no_grad(function() for _ = 1, 5 do plan { x = drift.ones { 8, 4 } } end end)
    local ops = plan:ops()
    assert.equal(1, #ops)
    assert.same({ "matmul", 1, 2 * 8 * 4 * 4, 4 * (8 * 4 * 2 + 16) }, { ops[1].op, ops[1].launches, ops[1].flop, ops[1].bytes })
    assert.equal(4 * 16, plan:state().outer)
    assert.equal(4 * 32, plan:state().inputs)
  end)
end)
