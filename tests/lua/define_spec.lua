-- Components written in Lua give what the C component of the same rule gives, bit for bit, in training and in sampling; ops have
-- the gradient that they say; and plans replay what can be replayed.
local drift = require "drift"
local shared = require "lua_components"
local define = drift.define
local B, flow, x0, eps, same, refused, fresh, block, steps = shared.B, shared.flow, shared.x0, shared.eps, shared.same, shared.refused, shared.fresh, shared.block, shared.steps

describe("what is written in Lua gives the bits of what is written in C:", function()
  local function both(a, b)
    for path, w in pairs(a:state_dict()) do same(w, b:state_dict()[path], path) end
  end
  local function trained(o)
    local model = drift.net { name = "unet", children = { body = o.block, cond = o.conditioning }, forward = function(net, x, c)
      local e = net.cond:embed(c)
      return net.cond:modulate(1, net.body(x), e)
    end }
    local run = require "drift.run".open { name = "twin", parameters = { epochs = 1, batch = 4, steps = 8 } }
    local net = drift.train { run = run, data = o.data or drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }, model = model, process = o.process, optim = o.optim,
                              decay = o.decay, label = "twin" }
    local losses = {}
    for i, record in ipairs(run.records) do losses[i] = record.loss end
    return losses, net
  end
  setup(function() drift.on_note(function() end) end)
  teardown(function() drift.on_note(nil) end)

  it("blocks, their gradients and initial weights", function()
    local given = { in_features = 4, out_features = 2 }
    local a, b = drift.build(drift.block.lua_linear(given)), drift.build(drift.block.linear(given))
    local x = drift.randn { 3, 4, purpose = "x" }
    both(a, b)
    same(a(x), b(x))
    local c, d = drift.build(drift.block.lua_conv_block { in_channels = 3, out_channels = 4 }),
                 drift.build(drift.block.conv_block { in_channels = 3, out_channels = 4, residual = true })
    local image = drift.randn { 2, 3, 5, 5, purpose = "x" }
    both(c, d)
    local y, z = c(image), d(image)
    same(y, z)
    y:sum():backward()
    z:sum():backward()
    for path, w in pairs(c:state_dict()) do
      if w.grad then same(w.grad, d:state_dict()[path].grad, path) end
    end
    assert.equal(d:count(), c:count())
  end)

  it("training with block, conditioning, process, optimizer and decay", function()
    local in_c, c = trained { block = drift.block.conv_block { in_channels = 1, out_channels = 1, residual = true },
                              conditioning = drift.conditioning.time_add { channels = { 1 } },
                              process = flow, optim = drift.optim.adam {}, decay = drift.decay.exponential {} }
    local in_lua, l = trained { block = drift.block.lua_conv_block { in_channels = 1, out_channels = 1 },
                                conditioning = drift.conditioning.lua_time_add { channels = { 1 } },
                                process = drift.process.lua_flow {}, optim = drift.optim.lua_adam {}, decay = drift.decay.lua_exponential {} }
    assert.equal(8, #in_c)
    assert.same(in_c, in_lua)
    both(c, l)
  end)

  it("training that runs as written, since its optimizer decides anew", function()
    local _, a = trained { block = drift.block.conv2d { in_channels = 1, out_channels = 1, kernel_size = 1 },
                           conditioning = drift.conditioning.time_add { channels = { 1 } }, process = flow, optim = drift.optim.sgd { lr = 1e-2 },
                           decay = drift.decay.exponential {} }
    local _, b = trained { block = drift.block.conv2d { in_channels = 1, out_channels = 1, kernel_size = 1 },
                           conditioning = drift.conditioning.time_add { channels = { 1 } }, process = flow, optim = drift.optim.lua_sgd { lr = 1e-2 },
                           decay = drift.decay.exponential {} }
    for path, w in pairs(a:state_dict()) do
      assert.is_true((w - b:state_dict()[path]):abs():amax():item() < 1e-6, path)
    end
  end)

  it("schedules in a chain", function()
    local a, b = drift.process.ddpm { T = 20, schedule = drift.schedule.lua_linear {} }, drift.process.ddpm { T = 20, schedule = "linear" }
    for t = 1, 20 do assert.same(b:coef(t), a:coef(t)) end
    assert.equal(drift.schedule.linear {}:beta(3, 10), drift.schedule.lua_linear {}:beta(3, 10))
  end)

  it("processes, times and weights", function()
    local process = drift.process.lua_flow {}
    for _, t in ipairs { 0, 0.3, 1 } do assert.same(flow:coef(t), process:coef(t)) end
    assert.same({ flow:range() }, { process:range() })
    assert.equal(flow:time(0.7), process:time(0.7))
    local rng = { purpose = "t" }
    assert.same(drift.draw_times(flow, rng, 5, drift.time_sampling.uniform {}), drift.draw_times(flow, rng, 5, drift.time_sampling.lua_uniform {}))
    local a = drift.noising(flow, x0, eps, { 0.1, 0.5, 0.9 }, { weighting = drift.weighting.min_snr {} })
    local b = drift.noising(process, x0, eps, { 0.1, 0.5, 0.9 }, { weighting = drift.weighting.lua_min_snr {} })
    for _, name in ipairs { "input", "target", "time", "weight" } do same(a[name], b[name], name) end
  end)

  it("samplers, their grids and guidance", function()
    local function network(x, c)
      local y = x * c.time:reshape(-1, 1, 1, 1)
      return c.label and y + c.label:cast "f32":reshape(-1, 1, 1, 1) * (c.mask and c.mask:reshape(-1, 1, 1, 1) or 1) or y
    end
    local label = drift.tensor({ 1, 2, 3 }, "i32")
    for _, scale in ipairs { 0, 1, 3 } do
      local a = drift.model(flow, network, { guidance = drift.guidance.cfg { scale = scale }, label = label, clip = drift.clip.range {} })
      local b = drift.model(flow, network, { guidance = drift.guidance.lua_cfg { scale = scale }, label = label, clip = drift.clip.lua_range {} })
      same(a:sample { sampler = drift.sampler.euler { steps = 5 }, x = eps },
           b:sample { sampler = drift.sampler.lua_euler { steps = 5, timesteps = "lua_even" }, x = eps })
      assert.equal(a:calls(), b:calls())
    end
    local chain = drift.model(drift.process.ddpm { T = 30 }, network)
    assert.same(chain:grid(drift.sampler.euler { steps = 7 }), chain:grid(drift.sampler.lua_euler { steps = 7, timesteps = "lua_even" }))
  end)

  it("guidance with several conditions, images, variances and another network", function()
    define.guidance {
      name = "lua_anagram", doc = "as anagram, summed", params = { { "views", "components", kind = "view" } },
      eval = function(self, f, x, t, cond)
        local n, y, variance = #self.views, nil, nil
        assert.equal(n, f:cond_size(cond))
        assert.equal(n, f:cond_count())
        for i, view in ipairs(self.views) do
          local part = f:cond_part(cond, i, n)
          if f:cond_image(part) then part = f:cond_map_image(part, function(image) return image and view:apply(image) end) end
          local yi = view:invert(f:predict(view:apply(x), t, part))
          local v = view:invert(f:variance())
          y, variance = y and y + yi or yi, variance and variance + v or v
        end
        f:set_variance(variance)
        return y
      end,
    }
    define.guidance {
      name = "lua_autoguidance", doc = "as autoguidance", params = { { "scale", "real", default = 2, min = -1000, max = 1000 } },
      eval = function(self, f, x, t, cond)
        local w = f:predict_by("weak", x, t, cond)
        return (f:predict(x, t, cond) - w):axpy(w, { scale = self.scale })
      end,
    }
    local function network(x, c) return drift.concat({ x * c.label:cast "f32":reshape(-1, 1, 1, 1) + c.image, x * 3 }, 1) end
    local conditions = {}
    for i = 1, 2 do conditions[i] = { label = drift.tensor({ i, i, i }, "i32"), image = drift.randn { B, 1, 4, 4, purpose = "image", step = i } } end
    local views = { "identity", drift.view.rotate { degrees = 180 } }
    local a = drift.model(flow, network, { conditions = conditions, guidance = drift.guidance.anagram { views = views, combine = "sum" } })
    local b = drift.model(flow, network, { conditions = conditions, guidance = drift.guidance.lua_anagram { views = views } })
    same(a:velocity(eps, 0.5), b:velocity(eps, 0.5))
    same(a:eps(eps, 0.25), b:eps(eps, 0.25))
    assert.is_truthy(b:variance())
    local weak = { networks = { weak = function(x) return x * 0.5 end } }
    local function strong(x, c) return x * 2 end
    weak.guidance = drift.guidance.autoguidance {}
    local c = drift.model(flow, strong, weak):velocity(eps, 0.5)
    weak.guidance = drift.guidance.lua_autoguidance {}
    same(c, drift.model(flow, strong, weak):velocity(eps, 0.5))
    weak.networks = nil
    refused(function() return drift.model(flow, strong, weak):velocity(eps, 0.5) end, 'the model has no network "weak"')
    local name, kept = fresh "guidance", nil
    define.guidance { name = name, doc = "fails within", eval = function(_, f, x, t, cond)
      kept = f
      return f:predict(x, t, f:cond_map_image(f:cond_part(cond, 1, 2), function() error "no image" end)) end }
    refused(function() return drift.model(flow, network, { conditions = conditions, guidance = drift.guidance[name] {} }):velocity(eps, 0.5) end, "no image")
    refused(function() return kept:step() end, "this inner_model belonged to a call that has ended")
  end)

  it("a sampler of several steps, with what it remembers", function()
    define.sampler {
      name = "lua_ab2", doc = "Adams-Bashforth", params = steps,
      step = function(_, f, x, t, t_next)
        local d, before = f:eval(x, t), f:recall "d"
        f:remember("d", d)
        return x + (before and d * 1.5 - before * 0.5 or d) * (t_next - t)
      end,
    }
    local m = drift.model(flow, function(x) return x * 2 end)
    local function by_hand()
      local x, before = eps, nil
      for i = 0, 3 do
        local d = m:velocity(x, i / 4)
        x, before = x + (before and d * 1.5 - before * 0.5 or d) * 0.25, d
      end
      return x
    end
    same(by_hand(), m:sample { sampler = drift.sampler.lua_ab2 { steps = 4 }, x = eps })
    same(by_hand(), m:sample { sampler = drift.sampler.lua_ab2 { steps = 4 }, x = eps })
  end)

  it("draws of a sampler, whatever the batch around them", function()
    local m = drift.model(flow, function(x) return x end)
    local rng = { purpose = "sampler" }
    local all = m:sample { sampler = drift.sampler.lua_noisy {}, x = eps, rng = rng }
    local second = m:sample { sampler = drift.sampler.lua_noisy {}, x = eps:narrow(0, 1, 1), rng = { purpose = "sampler", sample = 1 } }
    same(all:narrow(0, 1, 1):contiguous(), second)
    assert.is_false(all:tostring_bytes() == m:sample { sampler = drift.sampler.lua_euler {}, x = eps }:tostring_bytes())
  end)

  it("couplings, clips, views and filters", function()
    same(drift.coupling.lua_reversed {}:pair(x0, eps):narrow(0, 0, 1):contiguous(), eps:narrow(0, 2, 1):contiguous())
    same(drift.clip.lua_range {}:apply(x0), drift.clip.range {}:apply(x0))
    local x = drift.randn { 2, 3, 4, 4, purpose = "picture" }
    same(drift.view.lua_turned {}:apply(x), drift.view.rotate { degrees = 180 }:apply(x))
    same(drift.view.lua_turned {}:invert(x), drift.view.rotate { degrees = 180 }:invert(x))
    same(drift.filter.lua_gray {}:apply(x), drift.filter.grayscale {}:apply(x))
  end)

  it("decays, averages, metrics", function()
    assert.equal(drift.decay.exponential {}:factor(3, 10), drift.decay.lua_exponential {}:factor(3, 10))
    assert.equal(drift.ema.fixed {}:decay(3), drift.ema.lua_fixed {}:decay(3))
    local results = {}
    for i, metric in ipairs { drift.build(drift.metric.class_accuracy {}), drift.build(drift.metric.lua_accuracy {}) } do
      metric:update(drift.randn { 20, 5, purpose = "logits" }, (drift.rand { 20, purpose = "label" } * 5):cast "i32")
      assert.equal(20, metric:samples())
      results[i] = metric:result { resamples = 10, seed = 1 }
    end
    assert.same(results[1], results[2])
  end)

  it("data sets, read by the script, by a loader, and made of another", function()
    local path = os.getenv "DRIFT_TEST_DATA" .. "/mnist"
    local data, mnist = drift.dataset.lua_mnist { path = path }, drift.dataset.mnist { path = path }
    assert.equal(#mnist.train, #data.train)
    same(data.test[2], (1 - mnist.test[2]))
    assert.equal(mnist.test:label(2), data.test:label(2))
    assert.equal("digit 3", data.train:class_name(3))
    local a, b = data:loader { batch = 16, seed = 3 }, mnist:loader { batch = 16, seed = 3 }
    for i = 1, 3 do
      local mine, other = a:read(2, i), b:read(2, i)
      same(mine.image, 1 - other.image)
      same(mine.label, other.label)
    end
  end)

  it("tokenizers", function()
    local t = drift.tokenizer.lua_bytes {}
    assert.same({ 97, 0, 98 }, t:encode "a\0b")
    assert.equal("a\0b", t:decode { 97, 0, 98 })
    assert.equal("x y", t:normalize "x y")
    assert.equal(258, t:size())
    local ids, mask = t:encode("ab", { length = 4 })
    assert.same({ 97, 98, 257, 256 }, ids)
    assert.same({ 1, 1, 1, 0 }, mask)
  end)
end)

describe("an op", function()
  it("is composed of others, with their gradient", function()
    define.op { name = "lua_swish", doc = "x sigmoid(k x)", params = { { "k", "real", default = 1, min = 0, max = 100 } },
                compose = function(x, attr) return x * (x * attr.k):sigmoid() end }
    local x = drift.randn { 5, purpose = "x" }:requires_grad(true)
    local y = x:lua_swish { k = 2 }
    same(y, x:detach() * (x:detach() * 2):sigmoid())
    y:sum():backward()
    local z = drift.randn { 5, purpose = "x" }:requires_grad(true);
    (z * (z * 2):sigmoid()):sum():backward()
    same(x.grad, z.grad)
    refused(function() return x:lua_swish { k = -1 } end, "op lua_swish: k = -1 is outside [0, 100]")
  end)

  it("has a gradient of its own, and shapes of its own", function()
    define.op { name = "lua_rows", doc = "the sum of each row, times an optional weight", inputs = 2, optional = 1, save_inputs = { 2 }, save_outputs = {},
                infer = function(x) return { shape = { x.shape[1] }, dtype = x.dtype } end,
                compose = function(x, w) local y = x:sum({ 1 }, false) return w and y * w or y end,
                backward = function(b)
                  local w = b.input[2]
                  assert.is_nil(b.input[1])
                  local g = (w and b.grad[1] * w or b.grad[1]):reshape(-1, 1):expand(2, 3)
                  return g * 10
                end }
    local x = drift.tensor { { 1, 2, 3 }, { 4, 5, 6 } }:requires_grad(true)
    local y = drift.op.lua_rows(x)
    assert.same({ 6, 15 }, y:totable())
    y:sum():backward()
    assert.same({ { 10, 10, 10 }, { 10, 10, 10 } }, x.grad:totable())
    local w = drift.tensor { 1, 2 }:requires_grad(true)
    local out = drift.op.lua_rows(x, w)
    assert.same({ 6, 30 }, out:totable())
    local message = refused(function() out:sum():backward() end, "backward gave no gradient of input 2")
    assert.is_truthy(message:find("op lua_rows", 1, true))
  end)

  it("may give what it is given, with a gradient of its own or none", function()
    local reversed = define.op { name = "lua_reversed", doc = "x, whose gradient is turned around", compose = function(x) return x end,
                                 backward = function(b) return -b.grad[1] end }
    local x = drift.tensor({ 1, 2 }):requires_grad(true)
    local y = reversed(x)
    assert.same({ 1, 2 }, y:totable())
    ;(y * 3):sum():backward()
    assert.same({ -3, -3 }, x.grad:totable())
    x:zero_grad()
    local twice = x * 2
    ;(reversed(twice) + twice):sum():backward()
    assert.same({ 0, 0 }, x.grad:totable())
    local stopped = define.op { name = "lua_stopped", doc = "x, without a gradient", nondiff = true, compose = function(z) return z end }
    x:zero_grad()
    ;(stopped(x) * x):sum():backward()
    assert.same({ 1, 2 }, x.grad:totable())
    local passed = define.op { name = "lua_passed", doc = "x itself", compose = function(z) return z end }
    x:zero_grad()
    passed(x):sum():backward()
    assert.same({ 1, 1 }, x.grad:totable())
  end)

  it("says what is wrong with what it returns", function()
    local wrong = define.op { name = fresh "lua_op", doc = "no", infer = function() return { shape = { -1 }, dtype = "f32" } end, compose = function(x) return x end }
    refused(function() return wrong(x0) end, "dimension 0 is -1")
    local none = define.op { name = fresh "lua_op", doc = "no", compose = function() return 3 end }
    refused(function() return none(x0) end, "compose must return a tensor")
  end)
end)

-- ---- plans ----------------------------------------------------------------------------------------------------------
describe("a plan", function()
  it("replays a block without its Lua, and runs an optimizer that decides anew each time", function()
    local calls = 0
    local spec = block(function(self, x) calls = calls + 1; return x * self.w end,
                       { create = function(self, b) self.w = b:weight("w", { 1 }, 1) end })
    local function run(optim, planned)
      local net = drift.build(spec {})
      local opt = drift.optimizer(optim, net)
      local reason
      calls = 0
      local function fn(b)
        local loss = net(b.x):mse(b.x * 3)
        loss:backward()
        opt:step()
        return loss
      end
      local step = planned and drift.plan(fn, { name = "a step" }) or fn
      local losses = {}
      for i = 1, 7 do
        opt:advance(i > 4 and 0.1 or 1)                            -- the rate falls after what would have been recorded
        losses[i] = drift.scope(function() return step({ x = drift.randn { 4, 8, purpose = "x", step = i } }):item() end)
      end
      return losses, calls, planned and step:state()
    end
    drift.on_note(function() end)
    local replayed, few, state = run(drift.optim.lua_adam {}, true)
    local written, all, other = run(drift.optim.lua_sgd { lr = 0.1 }, true)
    drift.on_note(nil)
    assert.same((run(drift.optim.adam {}, false)), replayed)
    assert.is_true(state.replays and few <= 4, few)
    assert.same((run(drift.optim.lua_sgd { lr = 0.1 }, false)), written)
    assert.equal(7, all)
    assert.is_truthy(other.reason:find("optim lua_sgd is written in Lua", 1, true), other.reason)
  end)

  it("of a network in sampling does not keep a sampler or guidance from running", function()
    local calls = 0
    local name = fresh "guidance"
    define.guidance { name = name, doc = "counts", eval = function(_, f, x, t, c) calls = calls + 1; return f:predict(x, t, c) * calls end }
    local net = drift.build(drift.net { name = "n", children = { b = drift.block.lua_linear { in_features = 4, out_features = 4 } },
                                        forward = function(n, x) return n.b(x) end })
    net:eval()
    local m = drift.model(flow, net, { guidance = drift.guidance[name] {} })
    drift.no_grad(function() m:sample { sampler = drift.sampler.lua_euler { steps = 9 }, x = eps } end)
    assert.equal(9, calls)
  end)
end)
