-- edit_models.lua: two models to edit with in tests, as unlike as a digit model and DeepFloyd IF.
local drift = require "drift"

local models = {}

function models.right_half(H, W)                                   -- a mask [1,H,W]: 1 on the right
  local rows = {}
  for y = 1, H do
    rows[y] = {}
    for x = 1, W do rows[y][x] = x > W // 2 and 1 or 0 end
  end
  return drift.tensor { rows }
end

-- Flow matching of pictures in [0,1] that are N(mu_c, s^2) pixel by pixel, mu_c = 0.1 c on the left and 1 - 0.1 c on the
-- right for class c, N(1/2, s^2) without a class. The velocity is known:
--   E[x0 | x_t] = mu + t s^2/(t^2 s^2 + (1-t)^2) (x_t - t mu),   v = E[x0 - eps | x_t] = (E[x0 | x_t] - x_t)/(1 - t)
models.deviation = 0.05

function models.mean(class, H, W)
  local rows = {}
  for y = 1, H do
    rows[y] = {}
    for x = 1, W do rows[y][x] = x <= W // 2 and 0.1 * class or 1 - 0.1 * class end
  end
  return drift.tensor { { rows } }                                 -- [1,1,H,W]
end

local function flow_net(H, W)
  local table_of = {}
  for class = 0, 9 do table_of[class + 1] = models.mean(class, H, W) end
  local means = drift.concat(table_of, 0):reshape(10, H * W):keep()    -- [10,H W]
  local s2 = models.deviation ^ 2
  return drift.net {
    name = "gaussians", children = {},
    forward = function(_, x, c)
      local t = c.time:reshape(-1, 1, 1, 1)
      local mu = c.label and means:embedding(c.label):reshape(-1, 1, H, W) or x * 0 + 0.5
      if c.mask then
        local m = c.mask:reshape(-1, 1, 1, 1)
        mu = mu * m + (1 - m) * 0.5
      end
      local gain = t * s2 / (t * t * s2 + (1 - t) * (1 - t))
      local x0 = mu + gain * (x - t * mu)
      return (x0 - x) / (1 - t)
    end }
end

function models.digits(size)
  size = size or 8
  return drift.generator {
    name = "gaussians", net = flow_net(size, size), process = drift.process.flow_matching {},
    sampler = drift.sampler.euler { steps = 10 }, shape = { 1, size, size }, range = { 0, 1 },
    condition = function(_, what, n)
      if what == nil then return nil end
      return { label = drift.full({ n }, what, "i32") }
    end }
end

-- A DDPM of 1000 steps on pictures in [-1,1], three channels, with a variance output and tokens: a convolution.
function models.text(size)
  size = size or 16
  local net = drift.net {
    name = "conv", children = { a = drift.block.conv2d { in_channels = 3, out_channels = 6, kernel_size = 3, padding = 1 },
                                b = drift.block.linear { in_features = 4, out_features = 6 } },
    forward = function(net, x, c)
      local text = net.b(c.tokens:mean({ 1 })):reshape(-1, 6, 1, 1)  -- [B,6,1,1]
      return net.a(x) + text + c.time:reshape(-1, 1, 1, 1) * 1e-4
    end }
  local function tokens(seed)
    local t = drift.randn { 1, 5, 4, purpose = "prompt", seed = seed }
    return t
  end
  return drift.generator {
    name = "conv", net = net, process = drift.process.ddpm { T = 1000, schedule = drift.schedule.cosine {}, time = "index" },
    sampler = drift.sampler.ddpm { steps = 10, variance = "learned_range", timesteps = drift.timesteps.leading {} },
    clip = drift.clip.dynamic_threshold { ratio = 0.95, max = 1.5 }, shape = { 3, size, size }, range = { -1, 1 },
    condition = function(_, what) return { tokens = tokens(what and #what or 0), null = { tokens = tokens(0) } } end }
end

-- As the one before, but it sees a smaller picture beside its noise (stage II). A 1x1 convolution: what it makes of a picture in
-- a view of its pixels is what it makes of the picture, in that view.
function models.enlarger(size)
  size = size or 16
  local net = drift.net {
    name = "enlarger", children = { a = drift.block.conv2d { in_channels = 6, out_channels = 6, kernel_size = 1 },
                                    b = drift.block.linear { in_features = 4, out_features = 6 } },
    forward = function(net, x, c)
      local text = net.b(c.tokens:mean({ 1 })):reshape(-1, 6, 1, 1)
      return net.a(drift.concat({ x, c.image }, 1)) + text + c.image_level:reshape(-1, 1, 1, 1) * 1e-3
    end }
  local process = drift.process.ddpm { T = 1000, schedule = drift.schedule.cosine {}, time = "index" }
  local g = models.text(size)
  return drift.generator {
    name = "enlarger", net = net, process = process, sampler = g.sampler, clip = drift.clip.range {}, shape = { 3, size, size },
    range = { -1, 1 }, condition = g.condition, level = 250,
    image_condition = function(_, x, level, eps)
      local at = drift.instance(process, "process"):coef(level + 1)
      return { image = x * at.alpha + eps * at.sigma, image_level = drift.full({ x.shape[1] }, level) }
    end }
end

return models
