-- noise_levels.lua: how far a model's estimates are off, noise level by noise level, on a fixed set of (x0, eps, t):
-- the same numbers for any process and parametrisation, so that their models can be compared.
--   at sigma/alpha = r:  x_t = alpha x0 + sigma eps,  x0 error = mean (x0_hat - x0)^2,  eps error = mean (eps_hat - eps)^2
-- x_t/alpha = x0 + r eps is one and the same picture for every process; the two errors differ by the factor r^2.
--
--   local levels = drift.noise_levels { model = net, process = process, data = data, n = 500, label = "flow matching" }
--   levels[i] = { ratio =, t =, x0 = { value, low, high }, eps = {...}, n = };  levels.text
--   drift.noise_level_curve(run, { levels, other })            draws them
--
-- Where a process has discrete steps, its time is rounded to the nearest whole one (1 at least), and `ratio` is that
-- step's; levels that a process does not reach (within 30%) are left out, and so are steps that are there already.
local drift = require "drift"

local LEVELS = { 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50 }

local function check(o)
  drift.accept("noise_levels", o, { "model", "process" }, { "data", "n", "images", "labels", "levels", "batch", "seed",
    "label", "guidance", "resamples", "confidence", "run", "name", "quiet" })
  if (o.data == nil) == (o.images == nil) then
    drift.fail "noise_levels: give data (its test images are taken), or images"
  end
  for _, name in ipairs { "n", "batch" } do
    if o[name] ~= nil and (math.type(o[name]) ~= "integer" or o[name] < 1) then
      drift.fail("noise_levels: %s = %s should be a whole number of at least 1", name, tostring(o[name]))
    end
  end
  for i, ratio in ipairs(o.levels or {}) do
    if type(ratio) ~= "number" or not (ratio > 0 and ratio < math.huge) then
      drift.fail("noise_levels: level %d is %s, not a noise-to-signal ratio above 0", i, tostring(ratio))
    end
  end
end

-- list of { t =, ratio = }: the times at which the process has these levels
local function times(process, levels)
  local noise, data, steps = process:range()
  local list, seen = {}, {}
  for _, wanted in ipairs(levels) do
    local t = process:time(wanted)
    if steps > 0 then t = math.min(math.max(math.floor(t + 0.5), 1), math.max(noise, data)) end
    local c = process:coef(t)
    local ratio = c.sigma / c.alpha
    if math.abs(math.log(ratio / wanted)) < math.log(1.3) and not seen[t] then
      seen[t] = true
      list[#list + 1] = { t = t, ratio = ratio }
    end
  end
  return list
end

local function squares(difference) return (difference * difference):flatten(1):mean(1):totable() end

-- Adds the errors of a batch at one level to two lists.
local function measure(o, process, net, level, number, x0, label, first, into)
  local eps = drift.randn { purpose = "evaluation noise", seed = o.seed or drift.seed(), step = number, sample = first,
                            table.unpack(x0.shape) }
  local c = process:coef(level.t)
  local x_t = x0 * c.alpha + eps * c.sigma
  local model = drift.model(process, net, { label = label, guidance = o.guidance })
  local x0_hat = model:x0(x_t, level.t)
  local eps_hat = (x_t - x0_hat * c.alpha) * (1 / c.sigma)
  for _, e in ipairs(squares(x0_hat - x0)) do into.x0[#into.x0 + 1] = e end
  for _, e in ipairs(squares(eps_hat - eps)) do into.eps[#into.eps + 1] = e end
end

local function all_levels(o, process, net, levels)
  local images, labels = drift.evaluation_images(o, 500)
  local n, batch, errors = images.shape[1], o.batch or 100, {}
  for number, level in ipairs(levels) do
    errors[number] = { x0 = {}, eps = {} }
    for first = 0, n - 1, batch do
      local count = math.min(batch, n - first)
      drift.scope(function()
        drift.no_grad(function()
          local label = labels and labels:narrow(0, first, count)
          measure(o, process, net, level, number, images:narrow(0, first, count), label, first, errors[number])
        end)
      end)
      if drift.interrupted() then drift.fail "stopped while measuring noise levels" end
    end
  end
  return errors, n
end

local function as_text(result)
  local lines = { ("%s: errors on %d images, %g%% intervals"):format(result.label, result.n, 100 * result.confidence),
                  "sigma/alpha         t  x0 error                       eps error" }
  for _, row in ipairs(result) do
    lines[#lines + 1] = ("%11.4g %9.4g  %-29s  %s"):format(row.ratio, row.t,
      ("%.4g [%.4g, %.4g]"):format(row.x0.value, row.x0.low, row.x0.high),
      ("%.4g [%.4g, %.4g]"):format(row.eps.value, row.eps.low, row.eps.high))
  end
  return table.concat(lines, "\n")
end

local function save(result, run, name)
  local rows = drift.json.array {}
  for i, row in ipairs(result) do rows[i] = row end
  drift.write_file(run:path(name .. ".json"), drift.json.encode({ label = result.label, n = result.n, levels = rows,
    confidence = result.confidence, seed = result.seed }, { indent = 2 }) .. "\n")
  for line in result.text:gmatch "[^\n]+" do run:say("%s", line) end
  drift.noise_level_curve(run, { result }, { name = name })
end

return function(o)
  check(o)
  local process = drift.instance(o.process, "process")
  local net = drift.is_spec(o.model) and o.model:instance() or o.model
  local levels = times(process, o.levels or LEVELS)
  local errors, n = drift.in_eval_mode({ net }, function() return all_levels(o, process, net, levels) end)
  local result = { label = o.label or process.name, n = n, confidence = o.confidence or 0.95,
                   seed = o.seed or drift.seed() }
  local how = { resamples = o.resamples, confidence = result.confidence, seed = result.seed }
  for i, level in ipairs(levels) do
    result[i] = { ratio = level.ratio, t = level.t, n = n }
    for _, what in ipairs { "x0", "eps" } do
      local b = drift.bootstrap(errors[i][what], how)
      result[i][what] = { value = b.value, low = b.low, high = b.high }
    end
  end
  result.text = as_text(result)
  if o.run then save(result, o.run, o.name or "noise_levels") end
  return result
end
