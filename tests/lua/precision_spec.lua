-- precision "bf16": what is bf16 and what stays f32, in every model; how far outputs and gradients are from f32; a training
-- that learns as in f32, its checkpoints; and how precision is set, recorded, resumed and refused.
-- Bounds, on norms over all elements, for networks of a dozen layers and more of width 8 to 16, whose activations are
-- rounded to 8 bits some 50 times: outputs differ by 5% at most, gradients of all weights together by 8%; the cs180_unet of
-- width 16, the one that is measured in docs/decisions/011-bf16.md, by 3% and 5%.
local drift = require "drift"
local precision = require "drift.precision"
local run_directory = require "drift.run"

drift.use "cpu"

local function in_precision(name, fn)
  local before = drift.precision()
  drift.precision(name)
  local results = table.pack(pcall(fn))
  drift.precision(before)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

if not drift.device():computes "bf16" then                     -- an older processor: what is left is that it says so
  describe("precision on a processor without bf16", function()
    it("is refused", function()
      assert.error_matches(function() drift.precision "bf16" end, "AMX%-BF16 or AVX512%-BF16")
      assert.equal("f32", drift.precision())
    end)
  end)
  return
end

local function condition(n)
  return { time = drift.rand { n, purpose = "time" }, label = drift.tensor({ 3, 7, 1, 0 }, "i32"), mask = drift.tensor { 1, 0, 1, 1 } }
end

-- Zeros at the start would hide what is behind them.
local function shaken(spec)
  local net = drift.build(spec, { seed = 1 })
  drift.no_grad(function()
    for i, w in ipairs(net:parameters()) do
      w.tensor:assign(w.tensor + 0.05 * drift.randn { purpose = "shake", step = i, table.unpack(w.tensor.shape) })
    end
  end)
  return net
end

-- The output, and the gradients of the mean square distance to a target, in a precision.
local function outcome(name, spec, x)
  return in_precision(name, function()
    local net = shaken(spec)
    local y = net(x, condition(4))
    drift.op.mse(y, drift.randn { purpose = "target", table.unpack(y.shape) }):backward()
    local grads = {}
    for _, w in ipairs(net:parameters()) do grads[w.path] = w.tensor.grad end
    return y, grads
  end)
end

local function square(t) return t:square():sum():item() end

local function relative(a, b)                                     -- lists of tensors
  local off, size = 0, 0
  for key, t in pairs(b) do off, size = off + square(a[key] - t), size + square(t) end
  return math.sqrt(off / size)
end

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

local models = {
  cs180_plain = { 28, drift.models.cs180_unet { hidden = 8 } },
  cs180_scale = { 28, drift.models.cs180_unet { hidden = 8, time = "scale", residual = true } },
  cs180_film = { 28, drift.models.cs180_unet { hidden = 8, conditioning = "film" } },
  cs180_adagn = { 28, drift.models.cs180_unet { hidden = 8, conditioning = "adagn" } },
  improved_unet = { 16, drift.models.improved_unet { hidden = 8, classes = 10, width = 16 } },
  adm_unet = { 16, drift.models.adm_unet { hidden = 8, mult = { 1, 2, 2 }, size = 16, attention = { 4, 8 }, heads = 2, classes = 10 } },
  ddpmpp = { 16, drift.models.adm_unet { hidden = 8, mult = { 1, 2 }, size = 16, attention = {}, conditioning = "embedding_add",
                                         skip_scaling = true, classes = 10 } },
  dit = { 16, drift.models.dit { hidden = 16, depth = 2, heads = 2, patch = 4, size = 16, classes = 10 } },
}

describe("in bf16", function()
  for name, model in pairs(models) do
    it(name .. " is a rounding away from f32, gradients are f32, activations are not", function()
      local x = drift.randn { 4, 1, model[1], model[1], purpose = "x" }
      local y, grads = outcome("f32", model[2], x)
      local half_y, half_grads = outcome("bf16", model[2], x)
      assert.equal("f32", half_y.dtype)
      assert.equal(count(grads), count(half_grads))
      for path, g in pairs(half_grads) do assert.equal("f32", g.dtype, path) end
      local off, off_grads = relative({ half_y }, { y }), relative(half_grads, grads)
      assert.is_true(off < 0.05 and off_grads < 0.08, ("output off by %.4f, gradients by %.4f"):format(off, off_grads))
      assert.is_true(off > 1e-4, "nothing was rounded")
      local seen
      local outer = drift.net { name = "outer", children = { inner = model[2] }, forward = function(net, ...)
        local inner = net.inner(...)
        seen = inner.dtype
        return inner
      end }
      in_precision("bf16", function() drift.build(outer)(x, condition(4)) end)
      assert.equal("bf16", seen)
    end)
  end

  it("the cs180_unet keeps to its own bounds", function()
    local spec = drift.models.cs180_unet { hidden = 16, time = "add", class = "scale" }
    local x = drift.randn { 4, 1, 28, 28, purpose = "x" }
    local y, grads = outcome("f32", spec, x)
    local half_y, half_grads = outcome("bf16", spec, x)
    local off, off_grads = relative({ half_y }, { y }), relative(half_grads, grads)
    assert.is_true(off < 0.03 and off_grads < 0.05, ("output off by %.4f, gradients by %.4f"):format(off, off_grads))
  end)

  it("images and tokens are rounded where a network is called; times, masks and labels are not", function()
    local seen
    local spec = drift.net { name = "looks", forward = function(_, x, c, ...)
      seen = { x = x.dtype, time = c.time.dtype, tokens = c.tokens.dtype, label = c.label.dtype, rest = { ... } }
      return x, { y = x, note = "as it is" }, 3
    end }
    local c = { time = drift.tensor { 999 }, tokens = drift.ones(1, 3, 2), label = drift.tensor({ 1 }, "i32") }
    local net, x = drift.build(spec), drift.tensor { { 1 + 2 ^ -8 + 2 ^ -12 } }
    in_precision("bf16", function()
      local y, t, three = net(x, c, nil, "text")
      assert.same({ x = "bf16", time = "f32", tokens = "bf16", label = "i32", rest = { nil, "text" } }, seen)
      assert.equal("f32", y.dtype)
      assert.equal(1 + 2 ^ -7, y:item())
      assert.same({ "f32", "as it is", 3 }, { t.y.dtype, t.note, three })
    end)
    assert.equal("f32", c.tokens.dtype)
    net(x, c)
    assert.equal("f32", seen.x)
  end)

  it("a vector that modulates takes an f32 gradient, summed in f32", function()
    local h = drift.ones(1, 1, 32, 32):cast "bf16"
    local scale = drift.ones(1, 1, 1, 1):requires_grad(true)
    local y = scale * h
    assert.equal("bf16", y.dtype)
    y:sum():backward()
    assert.equal("f32", scale.grad.dtype)
    assert.equal(1024, scale.grad:item())
    local shift = drift.zeros(1, 1, 1, 1):requires_grad(true)
    local shifted = h + shift
    shifted:backward(drift.full({ 1, 1, 32, 32 }, 1 + 2 ^ -7):cast "bf16")
    assert.equal(1024 + 8, shift.grad:item())                     -- in bf16: 1024 or 1040
  end)
end)

-- ---- training -------------------------------------------------------------------------------------------------------
local function subset() return drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" } end

local function train(name, seed, steps)
  drift.seed(seed)
  local run = run_directory.open { name = name, parameters = { epochs = 50, batch = 20, steps = steps } }
  local net = drift.train { run = run, data = subset(), model = drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" },
                            process = drift.process.flow_matching {}, optim = drift.optim.adam { lr = 2e-3 }, p_uncond = 0.1 }
  local losses = {}
  for _, record in ipairs(run.records) do losses[#losses + 1] = record.loss end
  drift.seed(0)
  return losses, net, run
end

local function mean_of(losses, first, last)
  local sum = 0
  for i = first, last do sum = sum + losses[i] end
  return sum / (last - first + 1)
end

describe("training in bf16", function()
  setup(function() drift.on_note(function() end) end)
  teardown(function() drift.on_note(nil) end)

  -- Both see the same images, noise and times, so a seed's two curves are as far apart as the rounding makes them.
  it("has a loss curve within the spread of seeds in f32", function()
    local STEPS, WINDOW, f32, bf16 = 80, 20, {}, {}
    for seed = 1, 3 do
      f32[seed] = train("f32", seed, STEPS)
      bf16[seed] = in_precision("bf16", function() return (train("bf16", seed, STEPS)) end)
      assert.equal(STEPS, #bf16[seed])
      assert.not_same(f32[seed], bf16[seed])
    end
    for first = 1, STEPS, WINDOW do
      local low, high, mean = math.huge, -math.huge, 0
      for seed = 1, 3 do
        local loss = mean_of(f32[seed], first, first + WINDOW - 1)
        low, high, mean = math.min(low, loss), math.max(high, loss), mean + mean_of(bf16[seed], first, first + WINDOW - 1) / 3
      end
      assert.is_true(low <= mean and mean <= high, ("steps from %d: %.4f is outside [%.4f, %.4f]"):format(first, mean, low, high))
    end
    assert.is_true(mean_of(bf16[1], 61, 80) < 0.5 * mean_of(bf16[1], 1, 5))
  end)

  it("keeps f32 weights in its checkpoints, which f32 loads, and goes on with the same bits", function()
    in_precision("bf16", function()
      local whole = train("whole", 0, 6)
      local _, net, run = train("part", 0, 3)
      local file = drift.open(run:path "checkpoint.safetensors")
      local weights = 0
      for _, name in ipairs(file:names()) do
        local dtype = file:tensor(name).dtype
        assert.is_true(dtype == "f32" or dtype == "f64" or dtype == "i64", name .. " is " .. dtype)
        if name:find "out%.weight$" then weights = weights + 1 end
      end
      assert.is_true(weights > 0)
      net:save "weights.safetensors"
      local other = drift.build(drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" }, { seed = 9 })
      other:load "weights.safetensors"
      assert.same(net:parameters()[1].tensor:totable(), other:parameters()[1].tensor:totable())
      drift.options.resume = run.dir
      local ok, rest = pcall(train, "part", 0, 6)
      drift.options.resume = nil
      assert.is_true(ok, rest)
      assert.same(whole, rest)
    end)
  end)
end)

-- ---- setting it -----------------------------------------------------------------------------------------------------
describe("precision", function()
  local function with_options(options, fn)
    for key, value in pairs(options) do drift.options[key] = value end
    local ok, result = pcall(fn)
    for key in pairs(options) do drift.options[key] = nil end
    drift.precision "f32"
    if not ok then error(result, 0) end
    return result
  end
  local function experiment(value)
    return function() return drift.experiment { name = "precise", epochs = 2, precision = value } end
  end

  it("is f32, unless the script or the command line says otherwise", function()
    assert.equal("f32", drift.precision())
    assert.equal("f32", with_options({}, experiment()).precision)
    assert.equal("bf16", with_options({}, experiment "bf16").precision)
    assert.equal("f32", with_options({ precision = "f32" }, experiment "bf16").precision)
    with_options({ precision = "bf16" }, function()
      local run = experiment()()
      assert.equal("bf16", drift.precision())
      local config = drift.json.decode(drift.read_file(run.dir .. "/config.json"))
      assert.equal("bf16", config.parameters.precision)
    end)
  end)

  it("is that of the run that is resumed", function()
    local run = with_options({ precision = "bf16" }, experiment())
    assert.equal("bf16", with_options({ resume = run.dir }, experiment()).precision)
    assert.equal("f32", with_options({ resume = run.dir, precision = "f32" }, experiment()).precision)
  end)

  it("is refused where it is unknown, or where the device cannot, with what is missing", function()
    assert.error_matches(function() drift.precision "bf17" end, "precision is f32, bf16 or tf32, not bf17")
    assert.error_matches(experiment "f16", "precision is f32, bf16 or tf32, not f16")
    local old = { name = "cpu", computes = function() return false end, describe = function() return "an old processor, AVX2" end }
    assert.error_matches(function() precision.check("bf16", old) end,
      "precision bf16: device cpu has no arithmetic in it %(an old processor, AVX2%)%. The processor needs AMX%-BF16 or AVX512%-BF16")
    precision.check("f32", old)
    assert.equal("f32", drift.precision())
  end)
end)
