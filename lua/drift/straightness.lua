-- straightness.lua: how far a model's paths from noise to data are from straight lines: 0 where a single Euler step
-- lands as well as many.     Liu, Gong & Liu 2023 (rectified flow), equation for S(Z)
--
--   S = mean over samples, t and pixels of  |(Z_1 - Z_0) - v(Z_t, t)|^2,   Z the path that the ODE takes
--
--   local s = drift.straightness { model = net, process = process, n = 256, steps = 100, shape = { 1, 28, 28 } }
--   s.mean, s.low, s.high (95 % of bootstraps over the samples), s.n, s.steps, s.values (one a sample)
--
-- Time is measured in the process's own range, and the velocity multiplied by its length, so that S means the same for
-- every process; the mean over t is that over the steps' starts. With Euler's steps, S is then exactly the variance of
-- the steps taken, times their number squared.
local drift = require "drift"

local function velocity_of(model, x, t) return drift.no_grad(function() return model:velocity(x, t) end) end

-- The mean over pixels of the square, a number per sample.
local function mean_squares(d)
  local pixels = d:numel() // d.shape[1]
  return (d:reshape(d.shape[1], pixels) ^ 2):mean({ 1 }):totable()
end

local function paths(o, model, x, sampler, rng)
  local t = model:grid(sampler)
  local steps = #t - 1
  local span = t[steps + 1] - t[1]
  local sums = {}
  for i = 1, x.shape[1] do sums[i] = 0 end
  drift.scope(function()
    local at = { x }
    drift.no_grad(function()
      model:sample { sampler = sampler, x = x, rng = rng, each = function(step, _, _, x_t)
        if drift.interrupted() then drift.fail "straightness: stopped" end
        if step < steps then at[step + 1] = x_t:clone():keep() else at.last = x_t:clone():keep() end
      end }
    end)
    local displacement = at.last - x
    for k = 1, steps do
      local squares = drift.scope(function()
        return mean_squares(displacement - velocity_of(model, at[k], t[k]) * span)
      end)
      for i, s in ipairs(squares) do sums[i] = sums[i] + s / steps end
    end
  end)
  return sums
end

return function(o)
  drift.accept("straightness", o, { "model", "process", "shape" },
    { "n", "steps", "sampler", "guidance", "labels", "batch", "seed", "first" })
  local n, batch, seed = o.labels and #o.labels or o.n or 256, o.batch or 100, o.seed or drift.seed()
  local steps = o.steps or 100
  for name, value in pairs { n = n, batch = batch, steps = steps } do
    if math.type(value) ~= "integer" or value < 1 then
      drift.fail("straightness: %s = %s should be a whole number of at least 1", name, tostring(value))
    end
  end
  if o.n and o.labels and o.n ~= #o.labels then
    drift.fail("straightness: n = %d, but there are %d labels", o.n, #o.labels)
  end
  if o.sampler and o.steps then drift.fail "straightness: give steps, or a sampler with its own" end
  if type(o.shape) ~= "table" or #o.shape ~= 3 then drift.fail "straightness: shape is { channels, height, width }" end
  local sampler = o.sampler or drift.sampler.euler { steps = steps }
  local net = type(o.model) == "function" and o.model or drift.instance(o.model, "net")
  local values = {}
  drift.in_eval_mode({ net }, function()
    for first = 1, n, batch do
      local count = math.min(batch, n - first + 1)
      local number = (o.first or 0) + first - 1
      drift.scope(function()
        local label = o.labels and drift.tensor(table.move(o.labels, first, first + count - 1, 1, {}), "i32") or nil
        local model = drift.model(drift.instance(o.process, "process"), net, { guidance = o.guidance, label = label })
        local x = drift.randn { count, o.shape[1], o.shape[2], o.shape[3], purpose = "sample start", seed = seed,
                                sample = number }
        for i, s in ipairs(paths(o, model, x, sampler, { purpose = "sample noise", seed = seed, sample = number })) do
          values[first + i - 1] = s
        end
      end)
    end
  end)
  local b = drift.bootstrap(values, { seed = seed, resamples = 1000 })
  return { mean = b.value, low = b.low, high = b.high, n = n, values = values,
           steps = sampler.params and sampler.params.steps or steps }
end
