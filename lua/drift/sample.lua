-- sample.lua: images from a trained network.
--
--   local images, labels = drift.sample { model = net, process = process, sampler = drift.sampler.euler { steps = 50 },
--                                         guidance = drift.guidance.cfg { scale = 5 }, labels = { 0, 1, 2 }, shape = { 1, 28, 28 } }
--
-- images [N,C,H,W] on the current device, labels i32 [N] or nil. Image i starts from noise keyed by (seed, i): the same
-- whatever the batch size, so pictures of two models can be laid side by side. What else may be given:
--   n           how many, where neither labels, x nor a condition's rows say it
--   condition   what the images are conditioned on, or conditions = a list of such, for guidance that joins several
--               estimates (condition_rows.lua); a label there stands for labels
--   clip        where estimates of the data may lie: drift.clip.range {}, drift.clip.dynamic_threshold {}
--   x           [N,C,H,W] to start from in place of noise, noised as the grid's first t has it; shape is then its own
--   grid        list of t, from noise to data, in place of the sampler's own
--   step        added to the count of steps that keys the noise (default 0), so that two passes draw apart
--   each        each(step, steps, t, x, first), for each batch at its start (step 0) and after each of its steps; a
--               tensor that it returns goes on in place of x. first: number of x's first image, counted from 1
--   networks    { weak = other }: further networks, which guidance asks by name
local drift = require "drift"
local hot_reload = require "drift.hot_reload"
local run_directory = require "drift.run"

local function positive(name, value)
  if math.type(value) ~= "integer" or value < 1 then
    drift.fail("sample: %s = %s should be a whole number of at least 1", name, tostring(value))
  end
end

local function check_labels(o)
  if type(o.labels) ~= "table" then
    drift.fail("sample: labels is a list of whole numbers, not a %s", drift.type(o.labels))
  end
  for i, label in ipairs(o.labels) do
    if not math.tointeger(label) then drift.fail("sample: label %d is %s, not a whole number", i, tostring(label)) end
  end
  if o.n and o.n ~= #o.labels then drift.fail("sample: n = %s, but there are %d labels", tostring(o.n), #o.labels) end
  if o.conditions then drift.fail "sample: give each of the conditions its label, in place of labels" end
  if o.condition and o.condition.label then drift.fail "sample: give labels, or condition.label" end
end

local function check(o)
  drift.accept("sample", o, { "model", "process", "sampler" }, { "shape", "guidance", "networks", "labels", "n",
    "condition", "conditions", "clip", "x", "step", "batch", "seed", "first", "each", "grid", "quiet" })
  if o.condition and o.conditions then drift.fail "sample: give condition, or a list of conditions" end
  if o.labels then check_labels(o) end
  positive("batch", o.batch or 1)
  if o.step and (math.type(o.step) ~= "integer" or o.step < 0) then
    drift.fail("sample: step = %s should be a whole number of at least 0", tostring(o.step))
  end
  if o.x then
    if drift.type(o.x) ~= "tensor" or o.x.rank ~= 4 then drift.fail "sample: x is a tensor [N,C,H,W]" end
    return
  end
  if type(o.shape) ~= "table" or #o.shape ~= 3 then drift.fail "sample: shape is { channels, height, width }" end
  for i = 1, 3 do positive(("shape[%d]"):format(i), o.shape[i]) end
end

local function conditions_of(o)
  local list = o.conditions or { o.condition or {} }
  if type(list) ~= "table" or #list == 0 then drift.fail "sample: conditions is a list of conditions" end
  if o.labels then
    local with = { label = o.labels }
    for key, value in pairs(list[1]) do with[key] = value end
    list = { with }
  end
  return drift.condition_rows("sample", list)
end

local function count_of(o, conditions)
  local n = o.labels and #o.labels or o.n or o.x and o.x.shape[1] or conditions.n
  if not n then drift.fail "sample: give labels, or n" end
  positive("n", n)
  if o.x and o.x.shape[1] ~= n then drift.fail("sample: x has %d rows, for %d images", o.x.shape[1], n) end
  conditions:check(n)
  return n
end

-- Where there is a run, going on with it comes back to the sampling.
local function stopped()
  local folder = run_directory.latest
  if not folder or not drift.exists(folder .. "/config.json") then drift.fail "stopped while sampling" end
  drift.fail("stopped while sampling; go on with: ./drift run %s --resume %s", drift.options.script or "SCRIPT", folder)
end

local function noise(o, count, seed, number, t)
  local x = drift.randn { count, o.shape[1], o.shape[2], o.shape[3], purpose = "sample start", seed = seed, sample = number }
  local sigma = drift.instance(o.process, "process"):coef(t).sigma
  return sigma > 1 and x * sigma or x                          -- where noise outgrows the data (EDM, VE): x_t ~ N(0, sigma^2)
end

-- The start, or what each has given in its place.
local function start_from(x, other)
  if other == nil then return x end
  if drift.type(other) ~= "tensor" then
    drift.fail("sample: each returned a %s; give a tensor, or nothing", drift.type(other))
  end
  for i = 1, math.max(x.rank, other.rank) do
    if x.shape[i] ~= other.shape[i] then
      drift.fail("sample: what each returned has shape [%s], but x [%s]", table.concat(other.shape, ","),
        table.concat(x.shape, ","))
    end
  end
  return other
end

local function sample_batch(o, model, conditions, first, count, progress)
  local seed = o.seed or drift.seed()
  local number = (o.first or 0) + first - 1
  model:condition { conditions = conditions:rows(first, count) }
  local grid = o.grid or model:grid(o.sampler)
  local x = o.x and o.x:narrow(0, first - 1, count) or noise(o, count, seed, number, grid[1])
  if o.each then x = start_from(x, o.each(0, #grid - 1, grid[1], x, first)) end
  return model:sample {
    sampler = o.sampler, x = x, grid = o.grid,
    rng = { purpose = "sample noise", seed = seed, sample = number, step = o.step or 0 },
    each = function(step, steps, t, x_t)
      local other = o.each and o.each(step, steps, t, x_t, first)
      if progress then progress(step / steps) end
      if drift.interrupted() then stopped() end
      return other
    end,
  }
end

return function(o)
  check(o)
  hot_reload.between_calls()
  local net = drift.instance(o.model, "net")
  local conditions = conditions_of(o)
  local n = count_of(o, conditions)
  local batch = o.batch or 100
  local bar = not o.quiet and drift.progress { label = ("sampling %d image%s"):format(n, n == 1 and "" or "s"), total = n, per_step = 1, unit = "images" }
  local nets = { net }
  for _, other in pairs(o.networks or {}) do nets[#nets + 1] = drift.instance(other, "net") end
  local model = drift.model(drift.instance(o.process, "process"), net,
    { guidance = o.guidance, networks = o.networks, clip = o.clip })
  local images = drift.in_eval_mode(nets, function()
    local parts = {}
    for first = 1, n, batch do
      local count = math.min(batch, n - first + 1)
      local function progress(done) bar:update(first - 1 + math.floor(count * done)) end
      parts[#parts + 1] = drift.trace("sample", drift.scope, function()
        return drift.no_grad(function() return sample_batch(o, model, conditions, first, count, bar and progress) end)
      end)
    end
    return #parts == 1 and parts[1] or drift.concat(parts, 0)
  end)
  if bar then bar:finish() end
  return images, o.labels and drift.tensor(o.labels, "i32") or nil
end
