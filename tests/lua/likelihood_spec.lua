-- The likelihood along the ODE is that of Gaussians whose density and velocity are known, for several processes and both
-- methods; Hutchinson's estimator is right on average and exact where it must be; a network is left as it was.
local drift = require "drift"

-- x0 ~ N(0, s^2): E[x0 | x_t] = alpha s^2 x_t / (alpha^2 s^2 + sigma^2), and the network returns p x0 + q eps of it.
local function gaussian(process, s)
  return function(x, cond)
    local t = cond.time[1]:item()
    local c = process.name == "ddpm" and process:coef(t * 40) or process:coef(t)
    local x0, eps = c.alpha * s * s, c.sigma                                   -- both times x / variance of x_t
    return x * ((x0 * c.p + eps * c.q) / (c.alpha ^ 2 * s * s + c.sigma ^ 2))
  end
end

-- bits/dim of each row of x under N(0, s^2 I)
local function exact(x, s)
  local D = x[1]:numel()
  local list = {}
  for i = 1, x.shape[1] do
    local squares = (x[i] * x[i]):sum():item()
    list[i] = (squares / (2 * s * s) / D + 0.5 * math.log(2 * math.pi) + math.log(s)) / math.log(2)
  end
  return list
end

local function worst(a, b)
  local most = 0
  for i = 1, #b do most = math.max(most, math.abs(a[i] - b[i])) end
  return most
end

local function mean(list)
  local sum, squares = 0, 0
  for _, v in ipairs(list) do sum, squares = sum + v, squares + v * v end
  local m = sum / #list
  return m, math.sqrt((squares / #list - m * m) / #list)
end

local x = drift.randn { 16, 1, 4, 4, purpose = "x" } * 0.4

describe("drift.likelihood", function()
  it("is that of a known Gaussian, by both methods", function()
    local flow = drift.process.flow_matching { predict = "x0" }:instance()
    for _, case in ipairs { { "heun", 100, 2e-4 }, { "rk4", 30, 2e-4 } } do
      local nll = drift.likelihood { model = gaussian(flow, 0.4), process = flow, images = x, dequantise = false, method = case[1],
                                     steps = case[2], t_data = 0.999, quiet = true }
      assert.equal(16, nll.n)
      -- the image is taken as x_t at t_data, whose deviation is known
      local s = math.sqrt(0.999 ^ 2 * 0.16 + 0.001 ^ 2)
      assert.is_true(worst(nll.each, exact(x, s)) < case[3], case[1] .. " differs by " .. worst(nll.each, exact(x, s)))
      assert.is_true(nll.low < nll.value and nll.value < nll.high)
    end
  end)

  it("gains the digits that the method's order promises", function()
    local flow = drift.process.flow_matching {}:instance()
    local function error_at(steps)
      local nll = drift.likelihood { model = gaussian(flow, 0.4), process = flow, images = x, dequantise = false, steps = steps,
                                     t_data = 0.99, quiet = true }
      return worst(nll.each, exact(x, math.sqrt(0.99 ^ 2 * 0.16 + 0.01 ^ 2)))
    end
    local coarse, fine = error_at(10), error_at(20)
    assert.is_true(coarse / fine > 3 and coarse / fine < 5.5, coarse .. " / " .. fine)
  end)

  it("works for the discrete chain, and says where it ended", function()
    local ddpm = drift.process.ddpm { T = 40, schedule = drift.schedule.linear { beta_start = 1e-3, beta_end = 0.3 } }:instance()
    local nll = drift.likelihood { model = gaussian(ddpm, 0.4), process = ddpm, images = x, dequantise = false, method = "rk4", steps = 200,
                                   t_data = 0.5, quiet = true }
    local c = ddpm:coef(0.5)
    local last = ddpm:coef(40)
    assert.is_true(last.alpha < 0.05)
    -- N(0, sigma^2) at the end stands for N(0, alpha^2 s^2 + sigma^2), within 0.5 alpha^2 / ln 2
    local difference = worst(nll.each, exact(x, math.sqrt(c.alpha ^ 2 * 0.16 + c.sigma ^ 2)))
    assert.is_true(difference < 2 * last.alpha ^ 2 + 1e-3, "differs by " .. difference)
    assert.equal(0.5, nll.t_data)
    assert.equal(40, nll.t_noise)
    local default = drift.likelihood { model = gaussian(ddpm, 0.4), process = ddpm, images = x, steps = 2, quiet = true }
    assert.is_true(default.t_data > 0 and default.t_data <= 1)                 -- the velocity is infinite at t = 0
    assert.is_truthy(default.text:find(("from t = %.4g to 40"):format(default.t_data), 1, true))
  end)

  -- Two correlated pixels: the divergence has off-diagonal parts, which probes see and the average does not.
  it("estimates the divergence without bias", function()
    local flow = drift.process.flow_matching {}:instance()
    local s1, s2 = 0.9, 0.3
    local function model(y, cond)
      local t = cond.time[1]:item()
      local function gain(s) return (t * s * s - (1 - t)) / (t * t * s * s + (1 - t) ^ 2) end
      local a, b = y:narrow(3, 0, 1), y:narrow(3, 1, 1)
      local u, w = (a + b) * (0.5 * gain(s1)), (a - b) * (0.5 * gain(s2))
      return drift.concat({ u + w, u - w }, 3)
    end
    local n = 400
    local u, w = drift.randn { n, 1, 1, 1, purpose = "u" } * s1, drift.randn { n, 1, 1, 1, purpose = "w" } * s2
    local images = drift.concat({ u + w, u - w }, 3) * math.sqrt(0.5)
    local uu, ww, known = u:flatten(0):totable(), w:flatten(0):totable(), {}
    for i = 1, n do
      known[i] = ((uu[i] / s1) ^ 2 / 2 + (ww[i] / s2) ^ 2 / 2 + math.log(2 * math.pi) + math.log(s1) + math.log(s2)) / 2 / math.log(2)
    end
    for _, probe in ipairs { "rademacher", "gaussian" } do
      local nll = drift.likelihood { model = model, process = flow, images = images, dequantise = false, steps = 40, method = "rk4",
                                     probe = probe, batch = 150, quiet = true }
      local off = {}
      for i = 1, n do off[i] = nll.each[i] - known[i] end
      local m, deviation = mean(off)
      assert.is_true(deviation > 1e-3, "an estimate of one probe has an error")
      assert.is_true(math.abs(m) < 4 * deviation, probe .. ": mean error " .. m .. ", standard error " .. deviation)
      local more = drift.likelihood { model = model, process = flow, images = images, dequantise = false, steps = 40, method = "rk4",
                                      probe = probe, probes = 8, quiet = true }
      for i = 1, n do off[i] = more.each[i] - known[i] end
      local _, with_more = mean(off)
      assert.is_true(with_more < 0.6 * deviation, probe)
    end
  end)

  it("is the same for an image alone and among others, and another with another seed", function()
    local flow = drift.process.flow_matching {}:instance()
    local images = drift.rand { 6, 1, 4, 4, purpose = "images" }
    local function each(batch, seed)
      return drift.likelihood({ model = gaussian(flow, 0.4), process = flow, images = images, steps = 4, batch = batch, seed = seed,
                                quiet = true }).each
    end
    assert.is_true(worst(each(6, 1), each(1, 1)) < 1e-5)
    assert.is_true(worst(each(6, 1), each(6, 2)) > 1e-3)
  end)

  -- Under N(1/2, tiny) nothing is known; under a density that is constant in the pixel's bin the bound is tight: here the
  -- model is N(0, s^2) with s far above 1, so bits/dim = 8 + log2(s sqrt(2 pi)), less what x^2 adds.
  it("counts 8 bits for the bins of 8-bit images", function()
    local flow = drift.process.flow_matching {}:instance()
    local s, images = 50, drift.full({ 4, 1, 4, 4 }, 1)
    local nll = drift.likelihood { model = gaussian(flow, s), process = flow, images = images, steps = 400, method = "rk4", quiet = true }
    local expected = 8 + math.log(s * math.sqrt(2 * math.pi)) / math.log(2) + 0.5 / (s * s) / math.log(2)
    assert.is_true(math.abs(nll.value - expected) < 2e-3, nll.value .. ", expected " .. expected)
  end)

  it("leaves a network as it was, in mode, gradients and say", function()
    local net = drift.build(drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" }):train()
    local images = drift.rand { 2, 1, 28, 28, purpose = "images" }
    local nll = drift.likelihood { model = net, process = drift.process.flow_matching {}, images = images, labels = { 1, 2 }, steps = 2,
                                   quiet = true }
    assert.is_true(nll.value == nll.value)
    assert.is_true(net:training())
    for _, weight in ipairs(net:parameters()) do
      assert.is_true(weight.tensor:requires_grad())
      assert.is_nil(weight.tensor.grad)
    end
  end)

  it("refuses what it does not know", function()
    local flow = drift.process.flow_matching {}
    assert.error_matches(function() drift.likelihood { model = gaussian, process = flow } end, "likelihood: give data")
    assert.error_matches(function() drift.likelihood { model = gaussian, process = flow, images = x, method = "euler" } end,
      'method = "euler" is not heun or rk4')
    assert.error_matches(function() drift.likelihood { model = gaussian, process = flow, images = x, steps = 0 } end,
      "steps = 0 should be a whole number")
    assert.error_matches(function()
      drift.likelihood { model = function(y) return y:detach() * 0 end, process = flow, images = x, quiet = true }
    end, "does not depend on x")
  end)
end)
