-- lua_components.lua: components written in Lua for tests, of each kind by the rule of a component in C, and what these tests
-- share.
local drift = require "drift"
local define = drift.define

local shared = { B = 3, flow = drift.process.flow_matching {} }
shared.x0 = drift.randn { shared.B, 1, 4, 4, purpose = "x0" }
shared.eps = drift.randn { shared.B, 1, 4, 4, purpose = "eps" }

function shared.same(a, b, what) assert(a:tostring_bytes() == b:tostring_bytes(), what or "not the same bits") end

-- f raises; the message has the line of a test (or of `block` below), and each of the parts.
function shared.refused(f, ...)
  local ok, message = pcall(f)
  assert(not ok, "it is not refused")
  message = tostring(message)
  assert(message:find "_spec%.lua:%d+" or message:find "lua_components%.lua:%d+", message)
  for _, part in ipairs { ... } do assert(message:find(part, 1, true), ("%s\nlacks: %s"):format(message, part)) end
  return message
end

local numbers = 0
function shared.fresh(prefix)                 -- a name that no other test has
  numbers = numbers + 1
  return ("%s_%d"):format(prefix or "a", numbers)
end

function shared.block(forward, o)
  o = o or {}
  o.name, o.doc, o.forward = o.name or shared.fresh "block", "for a test", forward
  return define.block(o)
end

local steps = { { "steps", "int", default = 8, min = 0, max = 1000000 },
                { "timesteps", "component", kind = "timesteps", default = "even" } }
shared.steps = steps

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

return shared
