-- sample.lua: images from a trained network.
--
--   local images, labels = drift.sample { model = net, process = process, sampler = drift.sampler.euler { steps = 50 },
--                                         guidance = drift.guidance.cfg { scale = 5 }, labels = { 0, 1, 2 }, shape = { 1, 28, 28 } }
--
-- images [N,C,H,W] on the current device, labels i32 [N] or nil. Image i starts from noise keyed by (seed, i): the same
-- whatever the batch size, so pictures of two models can be laid side by side. n or labels says how many; `each(step,
-- steps, t, x)` is called for each batch with its noise (step 0) and after each of its steps. networks = { weak = other }
-- are further networks that guidance asks by name.
local drift = require "drift"
local run_directory = require "drift.run"

local function positive(name, value)
  if math.type(value) ~= "integer" or value < 1 then
    drift.fail("sample: %s = %s should be a whole number of at least 1", name, tostring(value))
  end
end

local function check(o)
  drift.accept("sample", o, { "model", "process", "sampler", "shape" },
    { "guidance", "networks", "labels", "n", "batch", "seed", "first", "each", "grid", "quiet" })
  if not o.labels and not o.n then drift.fail("sample: give labels, or n") end
  if o.labels and type(o.labels) ~= "table" then
    drift.fail("sample: labels is a list of whole numbers, not a %s", drift.type(o.labels))
  end
  for i, label in ipairs(o.labels or {}) do
    if not math.tointeger(label) then drift.fail("sample: label %d is %s, not a whole number", i, tostring(label)) end
  end
  if o.labels and o.n and o.n ~= #o.labels then drift.fail("sample: n = %s, but there are %d labels", tostring(o.n), #o.labels) end
  positive("n", o.labels and #o.labels or o.n)
  positive("batch", o.batch or 1)
  if type(o.shape) ~= "table" or #o.shape ~= 3 then drift.fail "sample: shape is { channels, height, width }" end
  for i = 1, 3 do positive(("shape[%d]"):format(i), o.shape[i]) end
end

local function slice(list, first, count)
  return table.move(list, first, first + count - 1, 1, {})
end

-- Where there is a run, going on with it comes back to the sampling.
local function stopped()
  local folder = run_directory.latest
  if not folder or not drift.exists(folder .. "/config.json") then drift.fail "stopped while sampling" end
  drift.fail("stopped while sampling; go on with: ./drift run %s --resume %s", drift.options.script or "SCRIPT", folder)
end

local function sample_batch(o, model, first, count, progress)
  local seed = o.seed or drift.seed()
  local label = o.labels and drift.tensor(slice(o.labels, first, count), "i32") or nil   -- [B]
  local number = (o.first or 0) + first - 1
  model:condition { label = label }
  local x = drift.randn { count, o.shape[1], o.shape[2], o.shape[3], purpose = "sample start", seed = seed, sample = number }
  local grid = o.grid or model:grid(o.sampler)
  local sigma = drift.instance(o.process, "process"):coef(grid[1]).sigma
  if sigma > 1 then x = x * sigma end                          -- where noise outgrows the data (EDM, VE): x_t ~ N(0, sigma^2)
  if o.each then o.each(0, #grid - 1, grid[1], x) end
  return model:sample {
    sampler = o.sampler, x = x, grid = o.grid, rng = { purpose = "sample noise", seed = seed, sample = number },
    each = function(step, steps, t, x_t)
      if o.each then o.each(step, steps, t, x_t) end
      if progress then progress(step / steps) end
      if drift.interrupted() then stopped() end
    end,
  }
end

return function(o)
  check(o)
  local net = drift.instance(o.model, "net")
  local n = o.labels and #o.labels or o.n
  local batch = o.batch or 100
  local bar = not o.quiet and drift.progress { label = ("sampling %d images"):format(n), total = n, per_step = 1, unit = "images" }
  local nets = { net }
  for _, other in pairs(o.networks or {}) do nets[#nets + 1] = drift.instance(other, "net") end
  local model = drift.model(drift.instance(o.process, "process"), net, { guidance = o.guidance, networks = o.networks })
  local images = drift.in_eval_mode(nets, function()
    local parts = {}
    for first = 1, n, batch do
      local count = math.min(batch, n - first + 1)
      local function progress(done) bar:update(first - 1 + math.floor(count * done)) end
      parts[#parts + 1] = drift.trace("sample", drift.scope, function()
        return drift.no_grad(function() return sample_batch(o, model, first, count, bar and progress) end)
      end)
    end
    return #parts == 1 and parts[1] or drift.concat(parts, 0)
  end)
  if bar then bar:finish() end
  return images, o.labels and drift.tensor(o.labels, "i32") or nil
end
