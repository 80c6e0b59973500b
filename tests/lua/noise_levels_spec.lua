-- Errors by noise level: the same for one estimator in whatever process and parametrisation it comes, equal to what is
-- known for Gaussian data, and drawn.
local drift = require "drift"
local run_directory = require "drift.run"

local S = 0.5
local images = drift.randn { 400, 1, 4, 4, purpose = "images" } * S

-- The best estimator for N(0, S^2), in the terms of any process: E[x0|x_t], E[eps|x_t], put together as p x0 + q eps.
local function best(process, at)
  return function(input, cond)
    local t = at(cond.time[1]:item())
    local c = process:coef(t)
    local x = input * (1 / c.c_in)
    local v = c.alpha ^ 2 * S * S + c.sigma ^ 2
    return x * ((c.p * c.alpha * S * S + c.q * c.sigma) / v)
  end
end

local function same(t) return t end
local flow, flow_x0 = drift.process.flow_matching {}:instance(), drift.process.flow_matching { predict = "x0" }:instance()
local function chain(predict) return drift.process.ddpm { T = 1000, predict = predict }:instance() end
local function of_1000(t) return t * 1000 end

local function measure(process, at, o)
  o = o or {}
  o.model, o.process, o.images, o.quiet = best(process, at), process, images, true
  return drift.noise_levels(o)
end

describe("drift.noise_levels", function()
  it("gives the known error of the best estimator of Gaussian data, within its interval's reach", function()
    for _, case in ipairs { { flow, same }, { flow_x0, same }, { chain "eps", of_1000 }, { chain "v", of_1000 } } do
      local levels = measure(table.unpack(case))
      assert.is_true(#levels >= 10)
      for _, row in ipairs(levels) do
        local expected = S * S * row.ratio ^ 2 / (S * S + row.ratio ^ 2)                  -- the posterior's variance
        assert.equal(400, row.n)
        assert.is_true(row.x0.low <= row.x0.value and row.x0.value <= row.x0.high)
        local reach = row.x0.high - row.x0.low                                            -- four standard errors
        assert.is_true(math.abs(row.x0.value - expected) < reach, ("%g: %g, expected %g"):format(row.ratio, row.x0.value, expected))
        assert.is_true(reach < 0.15 * expected)
        assert.is_true(math.abs(row.eps.value * row.ratio ^ 2 / row.x0.value - 1) < 1e-2)
      end
    end
  end)

  it("is the same in any parametrisation", function()
    local a, b = measure(flow, same), measure(flow_x0, same)
    assert.equal(#a, #b)
    for i = 1, #a do assert.is_true(math.abs(a[i].x0.value / b[i].x0.value - 1) < 1e-3, a[i].ratio) end
  end)

  it("rounds a chain's times to whole steps, and leaves out levels that it has not", function()
    local levels = measure(chain "eps", of_1000, { levels = { 1e-4, 0.1, 0.1001, 1, 1e9 } })
    assert.equal(2, #levels)
    for _, row in ipairs(levels) do assert.equal(row.t, math.floor(row.t)) end
    assert.equal(2, #measure(flow, same, { levels = { 0.1, 1 } }))
  end)

  it("does not depend on the batch", function()
    local a, b = measure(flow, same, { batch = 400, levels = { 1 } }), measure(flow, same, { batch = 7, levels = { 1 } })
    assert.is_true(math.abs(a[1].x0.value - b[1].x0.value) < 1e-6)
  end)

  it("is said, saved and drawn", function()
    local run = run_directory.open { name = "levels", parameters = {} }
    local said = {}
    drift.on_note(function(line) said[#said + 1] = line end)
    local levels = measure(flow, same, { run = run, label = "a < b" })
    drift.on_note(nil)
    assert.is_truthy(table.concat(said, "\n"):find(levels.text, 1, true))
    assert.equal(#levels, #drift.json.decode(drift.read_file(run:path "noise_levels.json")).levels)
    local svg = drift.read_file(run:path "noise_levels.svg")
    assert.equal(#levels, select(2, svg:gsub("<circle", "")))
    assert.is_truthy(svg:find("a &lt; b", 1, true))
    drift.noise_level_curve(run, { levels, measure(chain "eps", of_1000) }, { name = "both", of = "x0" })
    assert.equal(2, select(2, drift.read_file(run:path "both.svg"):gsub("<polyline", "")))
  end)

  it("refuses what is not a level", function()
    assert.error_matches(function() measure(flow, same, { levels = { 1, 0 } }) end, "level 2 is 0, not a noise%-to%-signal ratio")
    assert.error_matches(function() drift.noise_levels { model = best(flow, same), process = flow } end, "give data")
  end)
end)
