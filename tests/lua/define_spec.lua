-- Components written in Lua are like any other: they give what the C component of the same rule gives, bit for bit; their
-- parameters are checked, hashed and helped with; their errors name the place, and the program goes on; nothing that a
-- call lends them can be used after it; what they are made of wrongly is said when they are defined.
local drift = require "drift"
local define = drift.define

local flow = drift.process.flow_matching {}
local B = 3
local x0 = drift.randn { B, 1, 4, 4, purpose = "x0" }
local eps = drift.randn { B, 1, 4, 4, purpose = "eps" }

local function same(a, b, what) assert.is_true(a:tostring_bytes() == b:tostring_bytes(), what or "not the same bits") end

local function refused(f, ...)
  local ok, message = pcall(f)
  assert.is_false(ok)
  for _, part in ipairs { "define_spec.lua:", ... } do assert.is_truthy(message:find(part, 1, true), message) end
  return message
end

local numbers = 0
local function fresh(prefix)                  -- a name that no other test has
  numbers = numbers + 1
  return ("%s_%d"):format(prefix or "a", numbers)
end

local function block(forward, o)
  o = o or {}
  o.name, o.doc, o.forward = o.name or fresh "block", "for a test", forward
  return define.block(o)
end

local steps = { { "steps", "int", default = 8, min = 0, max = 1000000 },
                { "timesteps", "component", kind = "timesteps", default = "even" } }

-- ---- the same as in C -----------------------------------------------------------------------------------------------
-- Linear, as plugins/blocks/linear.c.
define.block {
  name = "lua_linear", doc = "y = W x + b", example = "3,4", example_args = { in_features = 4, out_features = 2 },
  params = { { "in_features", "int", required = true, min = 1, max = 65536 }, { "out_features", "int", required = true, min = 1, max = 65536 } },
  create = function(self, b)
    local init = { uniform = 1 / math.sqrt(self.in_features) }
    self.weight = b:weight("weight", { self.out_features, self.in_features }, init)
    self.bias = b:weight("bias", { self.out_features }, init)
  end,
  forward = function(self, x) return drift.op.matmul(x, self.weight:transpose(0, 1)) + self.bias end,
}

-- ConvBlock, as plugins/blocks/conv_block.c without its second input.
define.block {
  name = "lua_conv_block", doc = "two Convs, residual", example = "2,3,5,5", example_args = { in_channels = 3, out_channels = 4 },
  params = { { "in_channels", "int", required = true, min = 1, max = 65536 }, { "out_channels", "int", required = true, min = 1, max = 65536 } },
  create = function(self, b)
    local i, o = self.in_channels, self.out_channels
    self.c1 = b:child("c1", drift.block.conv { in_channels = i, out_channels = o })
    self.c2 = b:child("c2", drift.block.conv { in_channels = o, out_channels = o })
    if i ~= o then self.skip = b:child("skip", drift.block.conv2d { in_channels = i, out_channels = o, kernel_size = 1 }) end
  end,
  forward = function(self, x) return self.c2(self.c1(x)) + (self.skip and self.skip(x) or x) end,
}

define.conditioning {
  name = "lua_time_add", doc = "as time_add", params = { { "channels", "ints", min = 1, max = 65536 } },
  create = function(self, b)
    self.site = {}
    for i, c in ipairs(self.channels) do self.site[i] = b:child("t" .. i, drift.block.fc_block { in_features = 1, out_features = c }) end
  end,
  embed = function(self, ctx, cond)
    local shift = {}
    for i, site in ipairs(self.site) do
      local e = site(cond.time:reshape(-1, 1))
      shift[i] = e:reshape(e.shape[1], e.shape[2], 1, 1)
    end
    return { shift = shift }
  end,
  modulate = function(self, ctx, site, h, e) return h:film(nil, e.shift[site]) end,
}

define.schedule {
  name = "lua_linear", doc = "as linear",
  params = { { "beta_start", "real", default = 1e-4, min = 1e-12, max = 0.999 }, { "beta_end", "real", default = 0.02, min = 1e-12, max = 0.999 } },
  beta = function(self, i, T)
    if T < 2 then return self.beta_start end
    return self.beta_start + (self.beta_end - self.beta_start) * i / (T - 1)
  end,
}

define.process {
  name = "lua_flow", doc = "as flow_matching",
  draw_t = function(self, u) return u end,
  coef = function(self, t) return { alpha = t, sigma = 1 - t, dalpha = 1, dsigma = -1, p = 1, q = -1 } end,
  range = function(self) return 0, 1 end,
  time = function(self, ratio) return 1 / (1 + ratio) end,
}

define.time_sampling { name = "lua_uniform", doc = "as uniform", draw = function(self, process, u) return process:draw_t(u) end }
define.weighting {
  name = "lua_min_snr", doc = "as min_snr", params = { { "gamma", "real", default = 5, min = 1e-6, max = 1e6 } },
  weight = function(self, c)
    local D = c.alpha * c.q - c.sigma * c.p
    return math.min(c.alpha * c.alpha, self.gamma * c.sigma * c.sigma) / (D * D)
  end,
}
define.coupling {
  name = "lua_reversed", doc = "the last noise with the first image",
  pair = function(self, x, noise) local order, n = {}, #x; for i = 1, n do order[i] = n + 1 - i end return order end,
}
define.timesteps {
  name = "lua_even", doc = "as even",
  lay = function(self, f, n)
    local noise, data, chain = f:range()
    local t = {}
    for i = 0, n do
      t[i + 1] = noise + (data - noise) * i / n
      if chain >= n then t[i + 1] = math.floor(t[i + 1] + 0.5) end
    end
    t[n + 1] = data
    return t
  end,
}
define.sampler {
  name = "lua_euler", doc = "as euler", order = 1, params = steps,
  step = function(self, f, x, t, t_next) return f:eval(x, t):axpy(x, { scale = t_next - t }) end,
}
define.sampler {
  name = "lua_noisy", doc = "a step, and noise", params = steps,
  step = function(self, f, x, t, t_next, rng) return f:eval(x, t) * (t_next - t) + x + rng:noise_like(x, 2) * 0.1 end,
}
define.guidance {
  name = "lua_cfg", doc = "as cfg", params = { { "scale", "real", default = 5, min = -1000, max = 1000 } },
  eval = function(self, f, x, t, cond)
    if self.scale == 1 then return f:predict(x, t, cond) end
    if self.scale == 0 then return f:predict(x, t, f:cond_null(cond)) end
    local c, u = f:predict_pair(x, t, cond)
    return (c - u):axpy(u, { scale = self.scale })
  end,
}
define.clip { name = "lua_range", doc = "as range", apply = function(self, x) return x:clamp(-1, 1) end }
define.view {
  name = "lua_turned", doc = "as rotate by 180",
  apply = function(self, x) return drift.view.rotate { degrees = 180 }:apply(x) end,
  invert = function(self, x) return drift.view.rotate { degrees = 180 }:invert(x) end,
}
define.filter {
  name = "lua_gray", doc = "as grayscale", keeps_constants = true,
  apply = function(self, x) return x:mean({ 1 }, true):expand(x.shape) end,
}
define.optim {
  name = "lua_adam", doc = "as adam", slots = { "exp_avg", "exp_avg_sq" }, replay = true,
  params = { { "lr", "real", default = 1e-3, min = 0, max = 1e3 } },
  step = function(self, s)
    local list = { s.lr_and_step }
    for i = 1, s.n do
      for _, t in ipairs { s.param[i], s.grad[i], s.slot.exp_avg[i], s.slot.exp_avg_sq[i] } do list[#list + 1] = t end
    end
    drift.op.adam_step(list, { beta1 = 0.9, beta2 = 0.999, eps = 1e-8 })
  end,
}
define.optim {
  name = "lua_sgd", doc = "gradient descent", params = { { "lr", "real", default = 1e-2, min = 0, max = 1e3 } },
  step = function(self, s)
    for i = 1, s.n do s.param[i]:assign(s.grad[i]:axpy(s.param[i], { scale = -s.lr })) end
  end,
}
define.decay {
  name = "lua_exponential", doc = "as exponential", params = { { "to", "real", default = 0.1, min = 1e-12, max = 1 } },
  factor = function(self, epoch, epochs) return epochs > 0 and self.to ^ (epoch / epochs) or 1 end,
}
define.ema { name = "lua_fixed", doc = "as fixed", params = { { "d", "real", default = 0.999, min = 0, max = 1 } }, decay = function(self) return self.d end }
define.metric {
  name = "lua_accuracy", doc = "as class_accuracy", space = "logits", values = { { "class_accuracy", 0, 1, better = "higher" } },
  reset = function(self) self.correct = {} end,
  update = function(self, output, label)
    local best, truth = output:argmax(1):totable(), label:totable()
    for i, b in ipairs(best) do self.correct[#self.correct + 1] = b == truth[i] and 1 or 0 end
  end,
  samples = function(self) return #self.correct end,
  evaluate = function(self, rows)
    local n = 0
    for _, row in ipairs(rows) do n = n + self.correct[row] end
    return n / #rows
  end,
}
define.dataset {
  name = "lua_mnist", doc = "MNIST, negated", params = { { "path", "string" } },
  open = function(self) self.data = drift.dataset.mnist { path = self.path } end,
  info = function(self, split)
    return { n = #self.data[split], channels = 1, height = 28, width = 28, classes = 10, source = "MNIST" }
  end,
  read = function(self, split, index)
    local data = self.data[split]
    return 1 - data[index + 1], data:label(index + 1)
  end,
  class_name = function(self, label) return "digit " .. label end,
}
define.tokenizer {
  name = "lua_bytes", doc = "a byte is a piece",
  info = function() return { pieces = 258, pad = 256, eos = 257 } end,
  encode = function(self, text) return { text:byte(1, -1) } end,
  decode = function(self, ids)
    local text = {}
    for i, id in ipairs(ids) do text[i] = id < 256 and string.char(id) or "" end
    return table.concat(text)
  end,
  normalize = function(self, text) return text end,
}

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

-- ---- an instance ----------------------------------------------------------------------------------------------------
describe("an instance", function()
  it("has its parameters of every type", function()
    local seen
    local name = fresh "decay"
    define.decay { name = name, doc = "all types", params = {
      { "a", "int", default = 3, min = 0, max = 9 }, { "b", "real", default = 0.5, min = 0, max = 1 }, { "c", "bool", default = true },
      { "d", "string", default = "text" }, { "e", "enum", choices = "x|y|z", default = "y" }, { "f", "ints", min = 0, max = 9 },
      { "g", "reals" }, { "h", "function", signature = "real(real)" }, { "i", "component", kind = "schedule", default = "linear" },
      { "j", "components", kind = "view" }, { "k", "tensor", dtype = "i32" }, { "l", "string" } },
      factor = function(self) seen = self return self.h and self.h(2) or 1 end }
    assert.equal(1, drift.decay[name] {}:factor(1, 2))
    assert.same({ 3, 0.5, true, "text", "y" }, { seen.a, seen.b, seen.c, seen.d, seen.e })
    assert.same({ {}, {} }, { seen.f, seen.g })
    assert.is_nil(seen.h or seen.k or seen.l)
    assert.equal(drift.schedule.linear {}:beta(1, 3), seen.i:beta(1, 3))
    local spec = drift.decay[name] { a = 4, e = "z", f = { 1, 2 }, g = { 0.5 }, h = function(x) return 3 * x end,
                                     i = drift.schedule.lua_linear { beta_end = 0.5 }, j = { "identity", drift.view.flip {} }, k = { 7, 8 }, l = "q" }
    assert.equal(6, spec:factor(1, 2))
    assert.same({ 4, "z", { 1, 2 }, { 0.5 }, "q" }, { seen.a, seen.e, seen.f, seen.g, seen.l })
    assert.equal(0.5, seen.i:beta(2, 3))
    same(seen.j[2]:apply(x0), drift.view.flip {}:apply(x0))
    assert.same({ 7, 8 }, seen.k:totable())
    assert.is_truthy(drift.help(name):find("x, y, z", 1, true))
  end)

  it("has a state of its own, which ends with it", function()
    local name, gone, states = fresh "view", 0, setmetatable({}, { __mode = "k" })
    define.view { name = name, doc = "counts", create = function(self) self.n = 0; states[self] = true end,
                  destroy = function() gone = gone + 1 end,
                  apply = function(self, x) self.n = self.n + 1; return x + self.n end, invert = function(_, x) return x end }
    local a, b = drift.build(drift.view[name] {}), drift.build(drift.view[name] {})
    a:apply(x0)
    same(a:apply(x0), x0 + 2)
    same(b:apply(x0), x0 + 1)
    a, b = nil, nil
    for _ = 1, 3 do collectgarbage() end
    assert.equal(2, gone)
    assert.is_nil(next(states))
  end)

  it("takes with it what was lent to it", function()
    local kept = {}
    local name = fresh "block"
    define.block { name = name, doc = "lends", params = { { "inner", "component", kind = "block" } },
                   create = function(self, b)
                     kept.builder, kept.inner = b, self.inner
                     kept.part = b:child("inner", self.inner or drift.block.linear { in_features = 2, out_features = 2 })
                     kept.weight = kept.part:weight "weight"
                   end,
                   forward = function(self, x, ctx) kept.ctx, kept.x = ctx, x return kept.part(x) end }
    local net = drift.build(drift.block[name] { inner = drift.block.lua_linear { in_features = 2, out_features = 3 } })
    assert.same({ 4, 3 }, net(drift.zeros(4, 2)).shape)
    refused(function() return kept.builder:weight("w", { 1 }) end, "this builder belonged to a call that has ended")
    refused(function() return kept.ctx:training() end, "this context belonged to a call that has ended")
    refused(function() return kept.x:sum() end, "belonged to a scope that has ended")
    assert.same({ 3, 2 }, kept.weight.shape)
    net = nil
    for _ = 1, 3 do collectgarbage() end
    refused(function() return kept.part(drift.zeros(4, 2)) end, "this part belonged to a network that is gone")
    refused(function() return tostring(kept.inner) end, "this component belonged to another one")
    assert.same({ 3, 2 }, kept.weight.shape)
  end)

  it("leaves no memory behind", function()
    local twice = block(function(_, x) local y = x + 1; return y + 1 end)
    local net = drift.build(twice {})
    local m = drift.model(flow, function(x) return x * 2 end)
    local function work()
      drift.scope(function() net(x0) end)
      drift.scope(function() m:sample { sampler = drift.sampler.lua_euler {}, x = eps } end)
      drift.scope(function() drift.noising(drift.process.lua_flow {}, x0, eps, 0.5) end)
      pcall(drift.scope, function() return net(drift.tensor(1) .. "") end)
    end
    for _ = 1, 3 do work() end
    collectgarbage()
    collectgarbage()
    local before = drift.device():memory().in_use
    for _ = 1, 10 do work() end
    assert.equal(before, drift.device():memory().in_use)
  end)

  it("sees training, further inputs, random numbers and sites in a forward", function()
    local spec = block(function(_, x, ctx)
      local y = ctx:input(1) and x + ctx:input(1) or x
      return ctx:training() and y * ctx:rng("drop"):rand_like(y):greater(0.5):cast "f32" or y
    end)
    local net = drift.build(spec {})
    local x = drift.ones(40)
    net:stream(1, 1, 0)
    local first = net(x)
    net:stream(1, 1, 0)
    same(first, net(x))
    net:stream(1, 2, 0)
    assert.is_false(first:tostring_bytes() == net(x):tostring_bytes())
    net:eval()
    same(x, net(x))
    same(x * 3, net(x, x * 2))
    local sited = block(function(_, x2, ctx) return ctx:gate(1, ctx:modulate(1, x2)) end)
    local outer = drift.build(drift.net { name = "outer", children = { b = sited {}, cond = drift.conditioning.lua_time_add { channels = { 2, 1 } } },
      forward = function(n, h, c) local e = n.cond:embed(c); return n.b(h, n.cond:at(2, e)), n.cond:modulate(2, h, e) end })
    local a, b = outer(x0, { time = drift.ones(B) })
    same(a, b)
  end)

  it("may be part of a net, be saved, and loaded", function()
    local model = drift.net { name = "unet", children = { c = drift.block.lua_conv_block { in_channels = 1, out_channels = 2 } },
                              forward = function(net, x) return net.c(x) end }
    local net = drift.build(model, { seed = 4 })
    net:save "lua.safetensors"
    local again = drift.build(model, { seed = 5 }):load "lua.safetensors"
    net:eval()
    again:eval()
    same(net(x0), again(x0))
    assert.equal("c.c1.conv.0.weight", net:named()[1].path)
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

-- ---- errors ---------------------------------------------------------------------------------------------------------
describe("an error", function()
  local function broken(f) return drift.build(drift.net { name = "unet", children = { d1 = block(f) {} }, forward = function(net, x) return net.d1(x) end }) end

  it("names the script's line, the module's path and the definition's line, and the next call works", function()
    local fail = true
    local net = broken(function(_, x) if fail then error "no forward today" end return x end)
    local message = refused(function() return net(x0) end, "unet.d1", "no forward today", "block block_")
    assert.equal(2, select(2, message:gsub("define_spec.lua:%d+", "")), message)
    fail = false
    same(x0, net(x0))
  end)

  it("of the core inside names the place once", function()
    local message = refused(function() return broken(function(_, x) return x:matmul(drift.zeros(7, 7)) end)(x0) end, "unet.d1", "matmul")
    assert.equal(1, select(2, message:gsub("unet%.d1", "")), message)
  end)

  it("may be any value", function()
    refused(function() return broken(function() error { code = 7 } end)(x0) end, "unet.d1", "table: ")
    refused(function() return broken(function() error() end)(x0) end, "nil")
    refused(function() return broken(function() error(setmetatable({}, { __tostring = function() return "a sorry table" end })) end)(x0) end, "a sorry table")
    refused(function() return broken(function() error(setmetatable({}, { __tostring = function() error "no" end })) end)(x0) end, "unet.d1")
  end)

  it("is raised where the wrong thing is returned", function()
    refused(function() return broken(function() return 3 end)(x0) end, "unet.d1", "forward of", "must return a tensor, got a number")
    refused(function() return broken(function() end)(x0) end, "got a nil")
    local process = fresh "process"
    define.process { name = process, doc = "wrong", draw_t = function() return "x" end, range = function() return 0 end, coef = function() return { alpa = 1 } end }
    refused(function() return drift.process[process] {}:coef(1) end, "coef must return", "alpha is a nil")
    refused(function() return drift.process[process] {}:range() end, "range of", "t_noise, t_data")
    refused(function() return drift.draw_times(drift.process[process] {}, { purpose = "t" }, 2) end, "must return a number, got a string")
    local coupling = fresh "coupling"
    define.coupling { name = coupling, doc = "wrong", pair = function() return { 1, 1, 2 } end }
    refused(function() return drift.coupling[coupling] {}:pair(x0, eps) end, "no permutation of 3 rows")
    local typo = fresh "process"
    define.process { name = typo, doc = "typo", draw_t = function(_, u) return u end, range = function() return 0, 1 end,
                     coef = function(_, t) return { alpha = t, sigma = 1 - t, dalpha = 1, dsigma = -1, p = 1, q = -1, wieght = 2 } end }
    refused(function() return drift.process[typo] {}:coef(0.5) end, "coef returned a field 'wieght'; did you mean 'weight'?")
  end)

  it("of a yield is clear, and a coroutine may call a component", function()
    refused(function() return broken(function(_, x) coroutine.yield(x) end)(x0) end, "cannot yield")
    local net = broken(function(_, x) return x + coroutine.wrap(function() coroutine.yield(1) end)() end)
    same(x0 + 1, coroutine.wrap(function() return net(x0) end)())
    assert.is_false((coroutine.resume(coroutine.create(function() return broken(function() coroutine.yield() end)(x0) end))))
  end)

  it("ends a component that calls itself, and not the program", function()
    local name = fresh "block"
    local net
    define.block { name = name, doc = "itself", forward = function(_, x) return net(x) end }
    net = drift.build(drift.block[name] {})
    refused(function() return net(x0) end, "inside one another")
    local endless = fresh "block"
    define.block { name = endless, doc = "itself", create = function(_, b) b:child("again", drift.block[endless] {}) end, forward = function(_, x) return x end }
    refused(function() return drift.build(drift.block[endless] {}) end, "inside one another")
    same(x0, drift.build(block(function(_, x) return x end) {})(x0))
  end)

  it("in a sampler or a network ends the sampling alone", function()
    local m = drift.model(flow, function() error "no network" end)
    refused(function() return m:sample { sampler = drift.sampler.lua_euler {}, x = eps } end, "no network")
    local name = fresh "sampler"
    define.sampler { name = name, doc = "wrong", params = steps, step = function(_, _, x) return x:narrow(0, 0, 1) end }
    refused(function() return drift.model(flow, function(x) return x end):sample { sampler = drift.sampler[name] {}, x = eps } end, "x f32[3,1,4,4]")
    refused(function()
      local loud = fresh "sampler"
      define.sampler { name = loud, doc = "loud", params = steps, step = function() error "no step" end }
      return drift.model(flow, function(x) return x end):sample { sampler = drift.sampler[loud] {}, x = eps }
    end, "no step")
  end)

  it("in create leaves no network, and in destroy is a note", function()
    local name = fresh "view"
    define.view { name = name, doc = "ends badly", apply = function(_, x) return x end, invert = function(_, x) return x end, destroy = function() error "no end" end }
    local notes = {}
    drift.on_note(function(line) notes[#notes + 1] = line end)
    local v = drift.build(drift.view[name] {})
    v = nil
    for _ = 1, 3 do collectgarbage() end
    drift.on_note(nil)
    assert.is_truthy((notes[1] or ""):find("no end", 1, true), notes[1])
    refused(function() return drift.build(block(function(_, x) return x end, { create = function(self, b) b:weight("w", { 2, -1 }) end }) {}) end, "w")
    refused(function() return drift.build(block(function(_, x) return x end, { create = function(self, b) b:child("c", drift.schedule.linear {}) end }) {}) end, "only a block can be a child")
  end)
end)

describe("the page on components in Lua", function()
  local page = drift.read_file(drift.home .. "/docs/components-in-lua.md")

  it("runs as it stands", function()
    local chunks = 0
    for chunk in page:gmatch "```lua\n(.-)```" do
      chunks = chunks + 1
      assert(load(chunk, "=page"))()
    end
    assert.equal(1, chunks)
    assert.equal("block.my_gate{channels=3}", tostring(drift.block.my_gate { channels = 3 }))
  end)

  it("has every function of every kind, in brackets where it may be left out", function()
    local kinds = 0
    for kind, functions in pairs(require "drift.core".define_kinds()) do
      local row
      for names, text in page:gmatch "\n| ([%w_, ]+) | ([^\n]*)" do
        if (", " .. names .. ","):find(", " .. kind .. ",", 1, true) then row = text end
      end
      assert.is_truthy(row, kind)
      for name, required in pairs(functions) do
        local left_out = row:find("`%[" .. name .. "[%( ]")
        assert.equal(required, not left_out and row:find("`" .. name .. "[%( ]") ~= nil, kind .. "." .. name)
        assert.is_truthy(left_out or row:find("`" .. name .. "[%( ]"), kind .. "." .. name)
      end
      kinds = kinds + 1
    end
    assert.equal(20, kinds)
  end)

  it("has every method of what is lent", function()
    local lent = { ["drift.builder"] = "b", ["drift.context"] = "ctx", ["drift.stream"] = "rng", ["drift.inner_model"] = "f",
                   ["drift.inner_process"] = "process", ["drift.part"] = "part" }
    for class, variable in pairs(lent) do
      for method in pairs(debug.getregistry()[class].__index) do
        assert.is_truthy(page:find(variable .. ":" .. method .. "(", 1, true), variable .. ":" .. method)
      end
    end
  end)
end)

describe("docs/editor/define.lua", function()
  local text = drift.read_file(drift.home .. "/docs/editor/define.lua")

  it("does nothing where it is loaded, and has every kind with its functions", function()
    local said = {}
    local function stranger(_, name) error("it looks for " .. name) end
    assert(load(text, "=define.lua", "t", setmetatable({}, { __index = stranger, __newindex = stranger })))()
    for kind, functions in pairs(require "drift.core".define_kinds()) do
      assert.is_truthy(text:find("\nfunction define." .. kind .. "(arguments) end", 1, true), kind)
      local class = text:match("%-%-%-@class drift%.define%." .. kind .. "%.arguments\n(.-)\n\n")
      for name, required in pairs(functions) do
        assert.is_truthy(class:find("@field " .. name .. (required and " fun(" or "? fun("), 1, true), kind .. "." .. name)
      end
      said[kind] = class
    end
    for name in text:gmatch "\nfunction define%.([%w_]+)" do assert.is_truthy(said[name] or rawget(drift.define, name), name) end
  end)

  it("has every method of what is lent", function()
    local classes = { ["drift.builder"] = "builder", ["drift.context"] = "context", ["drift.stream"] = "stream", ["drift.inner_model"] = "model",
                      ["drift.inner_process"] = "process_seen", ["drift.part"] = "part" }
    for class, name in pairs(classes) do
      local said = text:match("%-%-%-@class drift%.define%." .. name .. "\n(.-)\n\n")
      local n = 0
      for method in pairs(debug.getregistry()[class].__index) do
        n = n + 1
        assert.is_truthy(said:find("@field " .. method .. " fun(self: drift.define." .. name, 1, true), name .. "." .. method)
      end
      assert.equal(n, select(2, said:gsub("@field ", "")), name)
    end
  end)
end)

describe("what a function does on the way", function()
  it("may collect garbage, let go of what runs, and redefine itself", function()
    local name = fresh "block"
    local net
    define.block { name = name, doc = "careless", create = function(self, b) collectgarbage(); self.w = b:weight("w", { 1 }, 2) collectgarbage() end,
                   forward = function(self, x)
                     net = nil
                     for _ = 1, 3 do collectgarbage() end
                     define.block { name = name, doc = "another", replace = true, forward = function(_, y) return y end }
                     collectgarbage()
                     return x * self.w
                   end }
    net = drift.build(drift.block[name] {})
    same(x0 * 2, net(x0))
    same(x0, drift.build(drift.block[name] {})(x0))
    local view, made = fresh "view", 0
    define.view { name = view, doc = "makes another at its end", apply = function(_, x) return x end, invert = function(_, x) return x end,
                  destroy = function() made = made + 1 if made < 3 then drift.build(drift.view[view] {}):apply(x0) end end }
    drift.build(drift.view[view] {})
    for _ = 1, 6 do collectgarbage() end
    assert.equal(3, made)
  end)

  it("may spoil its own self, and its arguments", function()
    local spec = block(function(self, x)
      for key in pairs(self) do self[key] = nil end
      setmetatable(self, { __index = function() error "no field" end })
      return x
    end, { params = { { "a", "int", default = 1 } }, create = function(self, b) self.b = b; self.self = self end })
    local net = drift.build(spec {})
    same(x0, net(x0))
    same(x0, net(x0))
    local name = fresh "optim"
    define.optim { name = name, doc = "spoils", slots = { "m" }, params = { { "lr", "real", default = 1, min = 0, max = 9 } },
                   step = function(_, s) for i = 1, s.n do s.param[i]:assign(s.param[i] - s.grad[i]) end s.param, s.slot.m = nil, 3 end }
    local w = drift.tensor({ 5 }):requires_grad(true)
    local opt = drift.optimizer(drift.optim[name] {}, { { path = "w", tensor = w } })
    for _ = 1, 2 do w:sum():backward() opt:step() end
    assert.same({ 3 }, w:totable())
  end)

  it("may fail in a data set, a metric, a tokenizer", function()
    local name, fail = fresh "dataset", nil
    define.dataset { name = name, doc = "fails", open = function() if fail == "open" then error "no file" end end,
                     close = function() if fail == "close" then error "no close" end end,
                     info = function() if fail == "info" then return { n = 2, channels = 0, height = 1, width = 1 } end
                       return { n = 2, channels = 1, height = 2, width = 2, classes = fail == "labels" and 2 or 0 } end,
                     read = function(_, _, i)
                       if fail == "read" then error "no image" end
                       return fail == "small" and drift.zeros(3) or fail == "number" and 3 or drift.full({ 1, 2, 2 }, i), fail == "labels" and "one" or nil
                     end }
    local function all() return drift.build(drift.dataset[name] {}).train:batch { 1, 2 } end
    assert.same({ 2, 1, 2, 2 }, all().shape)
    for what, message in pairs { open = "no file", info = "channels", read = "no image", small = "info promises 4 numbers", number = "an image, a tensor [C,H,W], got a number",
                                 labels = "an image and its label, got a string" } do
      fail = what
      refused(all, message)
      local data = what ~= "open" and what ~= "info" and drift.build(drift.dataset[name] {})
      if data then refused(function() return data:loader { batch = 2 }:read(1, 1) end, message) end
    end
    fail = nil
    same(drift.ones(1, 1, 2, 2), all():narrow(0, 1, 1):contiguous())
    local wrong = fresh "tokenizer"
    define.tokenizer { name = wrong, doc = "wrong", info = function() return { pieces = 3 } end, encode = function(_, text) return { text == "a" and -1 or 1.5 } end,
                       decode = function() return {} end, normalize = function() end }
    local t = drift.tokenizer[wrong] {}
    refused(function() return t:encode "a" end, "encode returned the id -1")
    refused(function() return t:encode "b" end, "a list of ids, got a number")
    refused(function() return t:decode { 1 } end, "a string, got a table")
    refused(function() return t:normalize "x" end, "a string, got a nil")
    local m = fresh "metric"
    define.metric { name = m, doc = "two", values = { { "a" }, { "b", 0, 1, better = "lower" } }, reset = function() end, update = function() end,
                    samples = function() return 3 end, evaluate = function() return { 1 } end }
    refused(function() return drift.metric[m] {}:result {} end, "the metric's values: 2 of them, got 1")
  end)
end)

-- ---- what is said of a definition -----------------------------------------------------------------------------------
describe("a definition", function()
  local function definition(o)
    local d = { name = fresh "decay", doc = "one line", factor = function() return 1 end }
    for key, value in pairs(o) do if value == "absent" then d[key] = nil else d[key] = value end end
    return function() return define.decay(d) end
  end
  local function row(...) return definition { params = { { ... } } } end

  it("says what is wrong with it", function()
    refused(function() return define.sampeler {} end, "no kind 'sampeler'; did you mean 'sampler'?")
    refused(function() return define.backend {} end, "a backend cannot be written in Lua", "other threads")
    refused(function() return define.decay(3) end, "takes one table")
    refused(definition { name = "absent" }, "needs a name")
    refused(definition { name = "two words" }, "a name is letters, digits and _")
    refused(definition { doc = "absent" }, "needs doc")
    refused(definition { factor = "absent" }, "needs the function factor")
    refused(definition { facter = function() end }, "no field 'facter'; did you mean 'factor'?")
    refused(definition { factor = 3 }, "factor must be a function, not a number")
    refused(definition { params = 3 }, "params must be a table")
    refused(function() define.optim { name = fresh "optim", doc = "no rate", step = function() end } end, 'needs a parameter { "lr", "real", ... }')
    refused(function() define.conditioning { name = fresh "c", doc = "no sites", embed = function() end, modulate = function() end } end, '{ "channels", "ints"')
    refused(function() define.metric { name = fresh "m", doc = "no values", reset = print, update = print, samples = print, evaluate = print } end, "values names 1 to 4 numbers")
    refused(function() define.metric { name = fresh "m", doc = "no images", references = { "train" }, values = { { "v" } }, reset = print, update = print, samples = print, evaluate = print } end, "needs the function reference")
    refused(function() define.metric { name = fresh "m", doc = "no space", space = "pixel", values = { { "v" } }, reset = print, update = print, samples = print, evaluate = print } end, 'space = "pixel"')
  end)

  it("says what is wrong with its parameters", function()
    refused(definition { params = { "width" } }, "params[1] must be a row")
    refused(definition { params = { width = { "int" } } }, "params is a list of rows")
    refused(row(3), "params[1] has no name")
    refused(row("a", "integer"), "no type 'integer'", "int")
    refused(definition { params = { { "a", "int", default = 1, mni = 2 } } }, "has no field 'mni'; did you mean 'min'?")
    refused(definition { params = { { "a", "int" } } }, "it needs default = ... or required = true")
    refused(definition { params = { { "a", "int", default = 1.5 } } }, "a whole number, not 1.5")
    refused(definition { params = { { "a", "int", default = "x" } } }, "its default must be a number, not a string")
    refused(definition { params = { { "a", "int", default = 9, min = 0, max = 8 } } }, "its default 9 is outside [0, 8]")
    refused(definition { params = { { "a", "real", default = 0, min = 2, max = 1 } } }, "min = 2 is above max = 1")
    refused(definition { params = { { "a", "real", default = 0 / 0 } } }, "outside")
    refused(definition { params = { { "a", "enum", default = "z", choices = "x|y" } } }, "'z' is not one of x|y")
    refused(definition { params = { { "a", "enum" } } }, 'choices = "a|b"')
    refused(definition { params = { { "a", "component", kind = "schedul" } } }, "no kind 'schedul'")
    refused(definition { params = { { "a", "component", kind = "schedule", default = "liner" } } }, "did you mean 'linear'?")
    refused(definition { params = { { "a", "tensor" } } }, "dtype")
    refused(definition { params = { { "a", "int", default = 1 }, { "a", "int", default = 1 } } }, "parameter a is there twice")
    refused(definition { params = { { "a", "int", default = 1, required = true } } }, "it is required, and has a default")
    refused(function() define.op { name = fresh "op", doc = "text", params = { { "a", "string" } }, compose = print } end, "an op's parameters")
  end)

  it("has its parameters checked like any other", function()
    local spec = drift.block.lua_linear { in_features = 4, out_features = 2 }
    assert.equal("block.lua_linear{in_features=4, out_features=2}", tostring(spec))
    refused(function() return drift.block.lua_linear { in_feature = 4 } end, "block lua_linear: no parameter 'in_feature'; did you mean 'in_features'?")
    refused(function() return drift.block.lua_linear {} end, "in_features is required")
    refused(function() return drift.block.lua_linear { in_features = 0, out_features = 1 } end, "in_features = 0 is outside [1, 65536]")
    refused(function() return drift.block.lua_linar {} end, "did you mean")
    assert.is_truthy(drift.help "lua_conv_block":find("two Convs, residual", 1, true))
    assert.is_truthy(drift.help "lua_conv_block":find("without its second input", 1, true), "the comment above it is its documentation")
    assert.is_truthy(drift.list "block":find("lua_linear", 1, true))
    local found
    for _, p in ipairs(drift.plugins()) do if p.id == "define_spec" then found = p end end
    assert.equal(drift.sha256(drift.read_file(found.path)), found.sha256)
  end)

  it("has a name that is free, or replaces what was defined here before", function()
    refused(function() define.block { name = "linear", doc = "mine", forward = function(_, x) return x end } end,
            "block linear: there is a block of that name already, of plugin blocks; choose another")
    local name = fresh "block"
    local first = block(function(_, x) return x + 1 end, { name = name })
    refused(function() block(function(_, x) return x end, { name = name }) end, "defined already", "replace = true")
    local old = drift.build(first {})
    block(function(_, x) return x + 2 end, { name = name, replace = true })
    same(x0 + 1, old(x0))
    same(x0 + 2, drift.build(drift.block[name] {})(x0))
  end)

  it("counts with its code in the hash of what is made of it", function()
    local name, k = fresh "block", 1
    local first, outer, spec, inside
    for i = 1, 2 do                           -- the same lines: a function's place in its file is part of its code
      block(function(_, x) return x + 1 end, { name = name, replace = i > 1 })
      spec = spec or drift.block[name] {}
      inside = inside or drift.net { name = "n", children = { b = spec } }
      assert.equal(first or spec:hash(), spec:hash())
      first, outer = spec:hash(), inside:hash()
    end
    block(function(_, x) return x + 2 end, { name = name, replace = true })
    local second = spec:hash()
    assert.not_equal(first, second)
    assert.not_equal(outer, inside:hash())
    block(function(_, x) return x + k end, { name = name, replace = true })
    assert.not_equal(second, spec:hash())
  end)

  it("lies in a file that can be required, and be run again: weights stay, the code is new", function()
    local name = fresh "block"
    local text = ([[
-- The file's own words.
local drift = require "drift"
drift.define.block { name = "%s", doc = "scaled", create = function(self, b) self.w = b:weight("w", { 1 }, 3) end,
  forward = function(self, x) return x * self.w + %%d end }
return "loaded"
]]):format(name)
    drift.write_file("my_definitions.lua", text:format(1))
    package.path = "./?.lua;" .. package.path
    assert.equal("loaded", require "my_definitions")
    local net = drift.build(drift.block[name] {})
    same(x0 * 3 + 1, net(x0))
    assert.equal("./my_definitions.lua", define.file_of("block", name))
    assert.is_truthy(drift.help(name):find("The file's own words.", 1, true))
    net:named()[1].tensor:fill(5)
    drift.write_file("my_definitions.lua", text:format(2))
    assert.same({ { kind = "block", name = name, swapped = true } }, define.rerun "./my_definitions.lua")
    same(x0 * 5 + 2, net(x0))
    same(x0 * 3 + 2, drift.build(drift.block[name] {})(x0))
    for _, wrong in ipairs { "drift.define.block {", 'error "half way"', 'drift.define.block { name = "%s", doc = "no forward" }' } do
      drift.write_file("my_definitions.lua", text:format(7) .. wrong:format(name))
      assert.is_false((pcall(define.rerun, "./my_definitions.lua")))
      same(x0 * 5 + 2, net(x0))
    end
    drift.write_file("my_definitions.lua", text:format(8))
    define.rerun "./my_definitions.lua"
    same(x0 * 5 + 8, net(x0))
  end)

  it("whose own file was run again is replayed anew", function()
    local name = fresh "block"
    local text = 'require "drift".define.block { name = "' .. name .. '", doc = "adds", forward = function(_, x) return x + %d end }'
    drift.write_file("adds.lua", text:format(1))
    dofile "adds.lua"
    local net = drift.build(drift.block[name] {})
    local step = drift.plan(function(b) return net(b.x) end, { name = "adds" })
    drift.on_note(function() end)
    for _ = 1, 6 do same(x0 + 1, step { x = x0 }) end
    assert.is_true(step:state().replays)
    drift.write_file("adds.lua", text:format(2))
    define.rerun "adds.lua"
    for _ = 1, 6 do same(x0 + 2, step { x = x0 }) end
    drift.on_note(nil)
  end)
end)
