-- likelihood.lua: bits per dimension of images under a model, along its probability-flow ODE.
--                          Chen et al. 2018; Grathwohl et al. 2019 (Hutchinson's estimator); Song et al. 2021
--   dx/dt = v(x, t),   log p(x_data) = log N(x_noise; 0, sigma(t_noise)^2) + integral_{t_data}^{t_noise} div v dt
--   div v = E_e[ e . d(e . v)/dx ],  e of +-1 (rademacher) or normal (gaussian), the same e along an image's whole path
--   bits/dim = -log2 p(x)/D + 8,  x = (255 image + u)/256, u uniform in [0,1): a bound for 8-bit images  Theis et al. 2016
--
--   local nll = drift.likelihood { model = net, process = process, data = data, n = 500, steps = 100, method = "heun" }
--   nll.value, nll.low, nll.high      bits/dim with a bootstrap interval;  nll.each, .n, .t_data, .t_noise, .text
--
-- Steps of fixed size in the process's time, or along grid = { t_data, .., t_noise }. Where the velocity is not defined
-- at an end of the process's range, the path ends at a noise-to-signal ratio of 0.01 (data) or 100 (noise), or at
-- t_data =, t_noise =: the image is then taken as x_t at t_data, and what alpha leaves of it at t_noise counts as noise.
-- The text says where the path ended.
local drift = require "drift"

local METHODS = { heun = true, rk4 = true }
local PROBES = { rademacher = true, gaussian = true }

local function check(o)
  drift.accept("likelihood", o, { "model", "process" }, { "data", "n", "images", "labels", "steps", "method", "probes",
    "probe", "t_data", "t_noise", "grid", "batch", "seed", "dequantise", "resamples", "confidence", "run", "name", "quiet" })
  if (o.data == nil) == (o.images == nil) then
    drift.fail "likelihood: give data (its test images are taken), or images"
  end
  for name, least in pairs { n = 1, steps = 1, probes = 1, batch = 1 } do
    if o[name] ~= nil and (math.type(o[name]) ~= "integer" or o[name] < least) then
      drift.fail("likelihood: %s = %s should be a whole number of at least %d", name, tostring(o[name]), least)
    end
  end
  if not METHODS[o.method or "heun"] then
    drift.fail('likelihood: method = "%s" is not heun or rk4', tostring(o.method))
  end
  if not PROBES[o.probe or "rademacher"] then
    drift.fail('likelihood: probe = "%s" is not rademacher or gaussian', tostring(o.probe))
  end
end

-- ---- the path in time ----------------------------------------------------------------------------------------------
local function finite(x) return x == x and math.abs(x) < math.huge end

local function parallel(a0, a1, b0, b1)
  return math.abs(a0 * b1 - a1 * b0) <= 1e-12 * math.sqrt((a0 * a0 + a1 * a1) * (b0 * b0 + b1 * b1))
end

-- Does p x0 + q eps, with x_t, say what the velocity is?
local function is_defined(process, t)
  local c = process:coef(t)
  if not (finite(c.dalpha) and finite(c.dsigma) and finite(c.p) and finite(c.q)) then return false end
  return not parallel(c.alpha, c.sigma, c.p, c.q) or parallel(c.dalpha, c.dsigma, c.p, c.q)
end

local function end_of(process, given, t, ratio)
  if given then return given end
  return is_defined(process, t) and t or process:time(ratio)
end

local function path(o, process)
  if o.grid then
    if type(o.grid) ~= "table" or #o.grid < 2 then
      drift.fail "likelihood: grid is a list of times from t_data to t_noise"
    end
    return o.grid
  end
  local noise, data = process:range()
  local from, to = end_of(process, o.t_data, data, 0.01), end_of(process, o.t_noise, noise, 100)
  local steps, grid = o.steps or 50, {}
  for i = 0, steps do grid[i + 1] = from + (to - from) * i / steps end
  return grid
end

-- ---- velocity and its divergence -----------------------------------------------------------------------------------
local function probes_of(o, shape, first, seed)
  local list = {}
  for k = 1, o.probes or 1 do
    local key = { purpose = "hutchinson", seed = seed, step = k - 1, sample = first, table.unpack(shape) }
    list[k] = o.probe == "gaussian" and drift.randn(key) or drift.rand(key):greater(0.5) * 2 - 1
  end
  return list
end

-- v [B,..] and div v [B] at x, t
local function flow(model, x, t, probes)
  local v, divergence
  for _, e in ipairs(probes) do
    local y = x:clone():detach():requires_grad(true)
    v = model:velocity(y, t)
    local projected = (v * e):sum()
    if projected:requires_grad() then projected:backward() end
    if not y.grad then
      drift.fail "likelihood: the model's velocity does not depend on x, or was computed without gradients"
    end
    local d = (y.grad * e):flatten(1):sum(1)
    divergence = divergence and divergence + d or d
  end
  return v:detach(), (divergence * (1 / #probes)):detach()
end

-- The step dt from t, on x and the integral of the divergence so far.
local step = {}

function step.heun(f, x, total, t, dt)
  local v0, d0 = f(x, t)
  local v1, d1 = f(x + v0 * dt, t + dt)
  return x + (v0 + v1) * (dt / 2), total + (d0 + d1) * (dt / 2)
end

function step.rk4(f, x, total, t, dt)
  local v1, d1 = f(x, t)
  local v2, d2 = f(x + v1 * (dt / 2), t + dt / 2)
  local v3, d3 = f(x + v2 * (dt / 2), t + dt / 2)
  local v4, d4 = f(x + v3 * dt, t + dt)
  return x + (v1 + (v2 + v3) * 2 + v4) * (dt / 6), total + (d1 + (d2 + d3) * 2 + d4) * (dt / 6)
end

-- log p of each row of x [B,..], a list of B
local function log_density(o, model, process, grid, x, first, seed, tell)
  local probes = probes_of(o, x.shape, first, seed)
  local advance = step[o.method or "heun"]
  local total = drift.zeros(x.shape[1])
  for i = 1, #grid - 1 do
    x, total = drift.scope(function()
      return advance(function(y, t) return flow(model, y, t, probes) end, x, total, grid[i], grid[i + 1] - grid[i])
    end)
    tell(i)
  end
  local sigma = process:coef(grid[#grid]).sigma
  local D = x[1]:numel()
  local squares = (x * x):flatten(1):sum(1) * (1 / (2 * sigma * sigma))                  -- [B]
  return (total - squares - D * (0.5 * math.log(2 * math.pi) + math.log(sigma))):totable(), D
end

-- ---- all images ----------------------------------------------------------------------------------------------------
-- A network's weights take no gradients meanwhile, and get their say back afterwards.
local function without_weights(net, fn)
  local frozen = {}
  for _, weight in ipairs(drift.type(net) == "module" and net:parameters() or {}) do
    if weight.tensor:requires_grad() then frozen[#frozen + 1] = weight.tensor:requires_grad(false) end
  end
  local results = table.pack(pcall(fn))
  for _, tensor in ipairs(frozen) do tensor:requires_grad(true) end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

local function all_bits(o, net, process, grid, seed)
  local images, labels = drift.evaluation_images(o, 500)
  local n, batch, bits = images.shape[1], o.batch or 100, {}
  local bar = not o.quiet and drift.progress { label = ("likelihood of %d images"):format(n), total = n, per_step = 1,
                                               unit = "images" }
  for first = 0, n - 1, batch do
    local count = math.min(batch, n - first)
    drift.scope(function()
      local x = images:narrow(0, first, count)
      if o.dequantise ~= false then
        local u = drift.rand { purpose = "dequantise", seed = seed, sample = first, table.unpack(x.shape) }
        x = (x * 255 + u) * (1 / 256)
      end
      local model = drift.model(process, net, { label = labels and labels:narrow(0, first, count) })
      local logs, D = log_density(o, model, process, grid, x, first, seed, function(i)
        if bar then bar:update(first + count * i // (#grid - 1)) end
        if drift.interrupted() then drift.fail "stopped while computing the likelihood" end
      end)
      for _, log_p in ipairs(logs) do
        bits[#bits + 1] = -log_p / (D * math.log(2)) + (o.dequantise ~= false and 8 or 0)
      end
    end)
  end
  if bar then bar:finish() end
  return bits
end

return function(o)
  check(o)
  local process = drift.instance(o.process, "process")
  local net = drift.is_spec(o.model) and o.model:instance() or o.model
  local seed, grid = o.seed or drift.seed(), path(o, process)
  local bits = drift.in_eval_mode({ net }, function()
    return without_weights(net, function() return all_bits(o, net, process, grid, seed) end)
  end)
  local result = drift.bootstrap(bits, { resamples = o.resamples, confidence = o.confidence, seed = seed })
  result.name, result.n, result.each = "bits_per_dim", #bits, bits
  result.t_data, result.t_noise, result.steps, result.probes = grid[1], grid[#grid], #grid - 1, o.probes or 1
  local form = "%.4g bits/dim [%.4g, %.4g] of %d images, %d %s steps from t = %.4g to %.4g, %d probe%s"
  result.text = form:format(result.value, result.low, result.high, result.n, result.steps, o.method or "heun", grid[1],
    grid[#grid], result.probes, result.probes == 1 and "" or "s")
  if o.run then
    drift.write_file(o.run:path((o.name or "likelihood") .. ".json"), drift.json.encode(result, { indent = 2 }) .. "\n")
    o.run:say("%s", result.text)
  end
  return result
end
