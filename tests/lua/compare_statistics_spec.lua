-- Intervals over few seeds hold what they promise: known values, coverage of known means at n = 3, 5 and 10, seeds
-- matched by name, nothing made up where there is too little to know; and verdicts say what the numbers say.
-- Expected numbers of t and the normal distribution: SciPy 1.17, stats.t.ppf, stats.t.sf, stats.norm.cdf,
-- stats.t.interval(0.95, n - 1, mean, sem).
local drift = require "drift"
local statistics = require "drift.compare.statistics"
local student_t = require "drift.compare.student_t"
local bootstrap = require "drift.compare.bootstrap"

local function near(expected, got, tolerance)
  assert.is_true(math.abs(got - expected) <= (tolerance or 1e-9) * math.max(1e-300, math.abs(expected)),
    ("%.12g, not %.12g"):format(got, expected))
end

describe("Student's t", function()
  it("has SciPy's quantiles", function()
    for _, c in ipairs { { 0.975, 2, 4.30265272975 }, { 0.975, 4, 2.7764451052 }, { 0.975, 9, 2.2621571628 },
                         { 0.995, 1, 63.6567411629 }, { 0.9, 30, 1.31041502539 }, { 0.975, 999, 1.96234146113 },
                         { 0.9995, 3.5, 10.2048286317 } } do
      near(c[3], student_t.quantile(c[1], c[2]))
      near(-c[3], student_t.quantile(1 - c[1], c[2]), 1e-8)
      near(c[1], student_t.cdf(c[3], c[2]))
    end
    assert.equal(0, student_t.quantile(0.5, 3))
  end)

  it("has SciPy's tails, and the normal distribution's", function()
    for _, c in ipairs { { 1e-3, 4, 0.999250000156 }, { 40, 2, 0.000624414672185 }, { 2, 7, 0.085619328563 } } do
      near(c[3], student_t.p_value(c[1], c[2]))
      near(c[3], student_t.p_value(-c[1], c[2]))
    end
    for _, c in ipairs { { -6, 9.86587645038e-10 }, { -3.1, 0.000967603213218 }, { -1, 0.158655253931 }, { 0, 0.5 },
                         { 0.5, 0.691462461274 }, { 2.9, 0.9981341867 }, { 3.0001, 0.998650545087 } } do
      near(c[2], student_t.normal_cdf(c[1]))
    end
  end)
end)

describe("resampled means", function()
  it("are all there are, with their probabilities, for few values", function()
    local means = bootstrap.means { 0, 3, 6 }                        -- 27 draws: sums 0, 3, .. 18 in 1 3 6 7 6 3 1 ways
    local weights = {}
    for _, mean in ipairs(means) do weights[mean[1]] = (weights[mean[1]] or 0) + 27 * mean[2] end
    for sum, ways in pairs { [0] = 1, [3] = 3, [6] = 6, [9] = 7, [12] = 6, [15] = 3, [18] = 1 } do
      near(ways, weights[sum / 3])
    end
    assert.same({ 0, 6 }, { bootstrap.ends(means, 1 / 28) })
    assert.same({ 1, 5 }, { bootstrap.ends(means, 2 / 27) })
  end)

  it("are drawn alike each time for more", function()
    local values = {}
    for i = 1, 12 do values[i] = i * i end
    local first = bootstrap.means(values)
    drift.randn { 100, purpose = "something else" }
    assert.same(first, bootstrap.means(values))
    assert.not_same(first, bootstrap.means(values, { seed = 1 }))
    local mean, square = 0, 0
    for _, m in ipairs(first) do mean, square = mean + m[1] * m[2], square + m[1] ^ 2 * m[2] end
    near(650 / 12, mean, 0.02)
    local variance = (60710 / 12 - (650 / 12) ^ 2) / 12              -- of a mean of 12 draws
    near(variance, square - mean ^ 2, 0.1)
  end)
end)

describe("an interval of a mean", function()
  it("is Student's t where there are three values", function()
    local m = statistics.mean_interval { 1, 2, 4 }
    near(7 / 3, m.mean)
    near(-1.461249700263426, m.low)
    near(6.1279163669300925, m.high)
    assert.equal(3, m.n)
  end)

  it("reaches further to the side to which five values are skewed", function()
    local m = statistics.mean_interval { 1, 2, 4, 7, 30 }
    near(-6.187661121143334, m.low)                                  -- t's; above it ends at 23.788
    near(25.4, m.high)                                               -- (7 + 4 x 30) / 5: beyond it lie 1 of 3125 draws
  end)

  it("does not move with the order of the values, nor with what else was drawn", function()
    local values, turned = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3.5 }, {}
    for i = 1, 10 do turned[i] = values[11 - i] end
    local a = statistics.mean_interval(values)
    assert.same(a, statistics.mean_interval(values))
    local b = statistics.mean_interval(turned)
    near(a.mean, b.mean)
    near(a.low, b.low, 0.05)
  end)

  it("has no interval of one value, and nothing of none", function()
    assert.same({ mean = 5, n = 1 }, statistics.mean_interval { 5 })
    assert.same({ n = 0 }, statistics.mean_interval {})
    assert.same({ mean = 5, n = 1 }, statistics.mean_interval { drift.json.null, 5, 0 / 0, 1 / 0, nil })
  end)

  it("refuses a confidence that is none", function()
    assert.error_matches(function() statistics.mean_interval({ 1, 2 }, { confidence = 95 }) end, "confidence = 95 is outside")
    assert.error_matches(function() statistics.paired({ 1 }, { 2 }, { confidense = 0.9 }) end, "did you mean 'confidence'")
  end)
end)

-- How often the interval holds the true mean, 0, of draws of our own; 600 trials: 0.9 % standard error at 95 %.
local TRIALS = 600
local function coverage(n, draw, interval)
  local held, draws = 0, drift.rand { TRIALS, 2 * n, purpose = "coverage" }:totable()
  for trial = 1, TRIALS do
    local values, u = {}, draws[trial]
    for i = 1, n do values[i] = draw(u[2 * i - 1], u[2 * i]) end
    local low, high = interval(values)
    if low <= 0 and high >= 0 then held = held + 1 end
  end
  return held / TRIALS
end

local function ours(values)
  local m = statistics.mean_interval(values)
  return m.low, m.high
end

local function percentile(values) return bootstrap.ends(bootstrap.means(values), 0.025) end

local function normal(u, v) return math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v) end
local function laplace(u, v) return math.log(1 - u) - math.log(1 - v) end          -- of two exponential ones: a difference
local function exponential(u) return -math.log(1 - u) - 1 end

describe("coverage of 95% intervals", function()
  it("is 95% of normal and of heavy-tailed differences, at 3 and 5 seeds", function()
    for _, n in ipairs { 3, 5 } do
      for name, draw in pairs { normal = normal, laplace = laplace } do
        local share = coverage(n, draw, ours)
        assert.is_true(share > 0.93, ("%s, n = %d: %.3f"):format(name, n, share))
        assert.is_true(share < 0.99, ("%s, n = %d: %.3f"):format(name, n, share))
        assert.is_true(coverage(n, draw, percentile) < 0.90)         -- what must not be used: 75% and 83%
      end
    end
  end)

  it("falls short of it by no more than 8 points where values are strongly skewed", function()
    for _, n in ipairs { 3, 5 } do
      local share = coverage(n, exponential, ours)
      assert.is_true(share > 0.86, ("n = %d: %.3f"):format(n, share))
      assert.is_true(coverage(n, exponential, percentile) < 0.82)
    end
  end)
end)

describe("a paired difference", function()
  it("is of values with the same seed, and n says of how many", function()
    local p = statistics.paired({ 3, 4, 6, 5 }, { 1, 2.5, 3, drift.json.null })
    near(6.5 / 3, p.difference)                                      -- of 2, 1.5, 3
    near(0.2693751498682868, p.low)
    near(4.063958183465046, p.high)
    assert.equal(3, p.n)
    assert.is_true(p.decided)
    assert.equal(3, p.seeds_needed)
    local var_d, var_a, var_b = 7 / 12, 7 / 3, 13 / 12               -- of {2,1.5,3}, {3,4,6}, {1,2.5,3}
    near(1 - var_d / (var_a + var_b), p.variance_removed)
    near(student_t.p_value(p.difference / math.sqrt(var_d / 3), 2), p.p)
    local named = statistics.paired({ [7] = 3, [2] = 4, x = 1 }, { [2] = 2, [9] = 1, x = 0 })
    assert.equal(2, named.n)
    near(1.5, named.difference)
  end)

  it("has no interval, decision or variance that so few seeds cannot give", function()
    assert.same({ difference = 2, n = 1, decided = false }, statistics.paired({ 3 }, { 1 }))
    assert.same({ n = 0, decided = false }, statistics.paired({ 3 }, { [2] = 1 }))
    assert.same({ n = 0, decided = false }, statistics.paired({ drift.json.null }, { 1 }))
    local two = statistics.paired({ 3, 4 }, { 1, 2.5 })
    assert.is_nil(two.variance_removed)
    assert.is_true(two.low < two.high and two.n == 2)
  end)

  it("removes all variance that both sides share, and adds where they are against each other", function()
    near(1, statistics.paired({ 11, 12, 14, 19 }, { 1, 2, 4, 9 }).variance_removed)
    near(-1, statistics.paired({ 1, 2, 3 }, { 3, 2, 1 }).variance_removed)
    assert.is_nil(statistics.paired({ 1, 1, 1 }, { 2, 2, 2 }).variance_removed)     -- there was none
  end)

  it("is decided where all seeds differ alike, and not where all are equal", function()
    local same = statistics.paired({ 1, 2, 3 }, { 1, 2, 3 })
    assert.same({ 0, 0, 0, false, 1 }, { same.difference, same.low, same.high, same.decided, same.p })
    assert.is_nil(same.seeds_needed)
    assert.is_true(statistics.paired({ 2, 3, 4 }, { 1, 2, 3 }).decided)
  end)
end)

describe("seeds needed", function()
  it("are the fewest at which t's half-width is below the difference", function()
    for _, c in ipairs { { 1, 0.1 }, { 1, 1 }, { 0.4, 0.7 }, { -0.4, 0.7 }, { 0.1, 1 } } do
      local n = statistics.seeds_needed(c[1], c[2])
      local function half(m) return student_t.quantile(0.975, m - 1) * c[2] / math.sqrt(m) end
      assert.is_true(half(n) < math.abs(c[1]), ("%g %g: %d"):format(c[1], c[2], n))
      assert.is_true(n == 2 or half(n - 1) >= math.abs(c[1]))
    end
    assert.equal(7, statistics.seeds_needed(1, 1))                   -- t(6) / sqrt 7 = 0.925; t(5) / sqrt 6 = 1.049
  end)

  it("are not said of no difference, nor beyond the limit", function()
    assert.is_nil(statistics.seeds_needed(0, 1))
    assert.is_nil(statistics.seeds_needed(0.01, 1))
    assert.is_nil(statistics.seeds_needed(0.1, 1, { limit = 300 }))
    assert.equal(387, statistics.seeds_needed(0.1, 1))
  end)
end)

describe("Holm's correction", function()
  it("holds the least p against all, the next against one less, and stops at the first that fails", function()
    assert.same({ a = true, b = true }, statistics.holm({ a = 0.01, b = 0.02, c = 0.06 }, 0.95))
    assert.same({ a = true }, statistics.holm({ a = 0.01, b = 0.03, c = 0.03 }, 0.95))
    assert.same({}, statistics.holm({ a = 0.02, b = 0.021, c = 0.022 }, 0.95))
    assert.same({}, statistics.holm({}, 0.95))
  end)
end)

-- ---- the verdict ----------------------------------------------------------------------------------------------------

local function comparison(metrics, variants, seeds)
  local c = { baseline = "scale", confidence = 0.95, seeds = seeds or { 1, 2, 3 }, variants = {}, metrics = metrics }
  for i, name in ipairs(variants) do c.variants[i] = { name = name } end
  return statistics.complete(c)
end

local function says(c, text) assert.is_truthy(c.verdict:find(text, 1, true), c.verdict) end

describe("a verdict", function()
  it("says who beats whom by how much, what is not decided and what would settle it", function()
    local c = comparison({ { name = "frechet", better = "lower",
      values = { scale = { 10, 11, 12 }, add = { 10.5, 12, 11.6 }, film = { 7, 7.8, 8.9 } } } }, { "scale", "add", "film" })
    says(c, "On frechet (lower is better) add and scale cannot be told apart: 0.4 [-1.4, 2.1] (3 paired seeds); "
      .. "about 17 seeds would settle it; film beats scale by 3.10 [2.85, 3.35] (3 paired seeds)")
    says(c, "2 comparisons with the baseline were looked at, each at 95% confidence by itself")
    assert.equal("Of 2 comparisons with scale 1 is decided: on frechet film beats scale by 3.10 [2.85, 3.35] (3 paired seeds).",
      c.headline)
    local p = c.metrics[1].paired
    assert.is_nil(p.scale)
    assert.is_true(p.film.decided and not p.add.decided and p.film.difference < 0)
    near(11, c.metrics[1].summary.scale.mean)
  end)

  it("has a headline that says how much is decided, and of many only the first; none where it would say no more", function()
    local apart, close = { 10, 11, 12 }, { 7, 7.8, 8.9 }
    local function metrics(n, film)
      local list = {}
      for i = 1, n do list[i] = { name = "m" .. i, better = "lower", values = { scale = apart, film = film } } end
      return list
    end
    assert.equal("None of 2 comparisons with scale is decided: no difference can be told from chance.",
      comparison(metrics(2, { 10.5, 12, 11.6 }), { "scale", "film" }).headline)
    local six = comparison(metrics(6, close), { "scale", "film" }).headline
    assert.is_truthy(six:find "^Of 6 comparisons with scale 6 are decided: on m1 film beats scale" and six:find "; and 2 more%.$", six)
    assert.is_nil(six:find("m5", 1, true))
    assert.is_nil(comparison(metrics(1, close), { "scale", "film" }).headline)
  end)

  it("turns with what is better", function()
    local values = { scale = { 0.5, 0.6, 0.7 }, film = { 0.7, 0.81, 0.9 } }
    says(comparison({ { name = "accuracy", better = "higher", values = values } }, { "scale", "film" }), "film beats scale by 0.20")
    says(comparison({ { name = "error", better = "lower", values = values } }, { "scale", "film" }), "film loses to scale by 0.20")
    says(comparison({ { name = "norm", values = values } }, { "scale", "film" }), "film is above scale by 0.20")
  end)

  it("calls the best only what beats all others by Holm's correction over all pairs", function()
    local clear = { scale = { 10, 11, 12, 13 }, add = { 9, 10.01, 11, 12 }, film = { 5, 6, 7.01, 8 } }
    says(comparison({ { name = "m", better = "lower", values = clear } }, { "scale", "add", "film" }, { 1, 2, 3, 4 }),
      "film is the best of the 3 (Holm's correction over 3 pairs)")
    -- Each is decided by itself (p = 0.03), but not among three pairs.
    local loose = { scale = { 10, 11, 12, 13 }, add = { 9, 10.5, 11.2, 11.6 }, film = { 9.1, 10.2, 11.3, 11.5 } }
    local c = comparison({ { name = "m", better = "lower", values = loose } }, { "scale", "add", "film" }, { 1, 2, 3, 4 })
    says(c, "not the best beyond chance: with Holm's correction over 3 pairs it is not apart from")
  end)

  it("says how many seeds are missing, and does not pretend with one", function()
    local values = { scale = { 1, 2, drift.json.null }, add = { 1.5, 2.4, 9 } }
    says(comparison({ { name = "m", better = "lower", values = values } }, { "scale", "add" }), "2 of 3 paired seeds")
    values = { scale = { 1 }, add = { 1.5 } }
    says(comparison({ { name = "m", better = "lower", values = values } }, { "scale", "add" }, { 1 }),
      "add - scale is 0.5 from one seed, which says nothing about chance")
    says(comparison({ { name = "m", better = "lower", values = { scale = { 1, drift.json.null },
      add = { drift.json.null, 2 } } } }, { "scale", "add" }, { 1, 2 }), "add has no seed in common with scale")
    says(comparison({ { name = "m", better = "lower", values = { scale = { 1 }, add = { drift.json.null } } } },
      { "scale", "add" }, { 1 }), "Nothing was compared yet.\nadd has no result: nothing is said of it.")
    says(comparison({ { name = "m", better = "lower", values = { scale = { 1, 2, 3 }, add = { 1, 2, 3 } } } },
      { "scale", "add" }), "add and scale are equal (3 paired seeds)")
    says(comparison({}, { "scale", "add" }), "Nothing was compared yet")
  end)

  it("does not call best, nor not apart from it, what failed or has fewer seeds; nor anything of equal means", function()
    local values = { scale = { 3, 4, 5 }, add = { 3.1, 4, 5.2 }, lucky = { 1, drift.json.null, drift.json.null },
                     broken = { drift.json.null, drift.json.null, drift.json.null } }
    local c = comparison({ { name = "m", better = "lower", values = values } }, { "scale", "add", "lucky", "broken" })
    says(c, "scale has the best mean, not counting lucky with fewer seeds, but is not the best beyond chance: with Holm's "
      .. "correction over 1 pairs it is not apart from add.")
    says(c, "\nbroken has no result: nothing is said of it.")
    assert.equal(1, select(2, c.verdict:gsub("broken", "")))
    local same = comparison({ { name = "m", better = "lower", values = { a = { 1, 2 }, b = { 1, 2 }, scale = { 1, 2 } } } },
      { "scale", "a", "b" }, { 1, 2 })
    assert.is_nil(same.verdict:find("best", 1, true), same.verdict)
    local two = comparison({ { name = "m", better = "lower", values = { a = { 1, 2 }, b = { 1, 2 }, scale = { 3, 4 } } } },
      { "scale", "a", "b" }, { 1, 2 })
    says(two, "; a, b share the best mean.")
  end)

  it("says labels where those are told apart, and that one variant is none to compare", function()
    local c = { baseline = "a", seeds = { 1, 2 }, variants = { { name = "a", label = "lr=1" }, { name = "b", label = "lr=2" } },
                metrics = { { name = "m", better = "lower", values = { a = { 1, 2 }, b = { 1, 2 } } } } }
    says(statistics.complete(c), "lr=2 and lr=1 are equal (2 paired seeds)")
    c.variants[2].label = "lr=1"
    says(statistics.complete(c), "b and a are equal (2 paired seeds)")
    says(comparison({ { name = "m", values = { scale = { 1, 2 } } } }, { "scale" }, { 1, 2 }), "There is one variant")
  end)

  it("does not call a lower loss better where the losses measure different things", function()
    local mark = require "drift.compare.folder".mark_losses
    local function of(key)
      local c = { baseline = "a", seeds = { 1, 2 }, variants = { { name = "a" }, { name = "b" } }, differences = { { key = key } },
                  metrics = { { name = "final_loss", better = "lower", values = { a = { 1, 2 }, b = { 2, 3.1 } } },
                              { name = "frechet", better = "lower", values = { a = { 1, 2 }, b = { 2, 3.1 } } } } }
      return statistics.complete(mark(c))
    end
    says(of "process.predict", "On final_loss b is above a by")
    says(of "process.predict", "On frechet (lower is better) b loses to a by")
    says(of "process.predict", "losses measure different things (process.predict differs)")
    says(of "model.hidden", "On final_loss (lower is better) b loses to a by")
    says(of "process.time", "On final_loss (lower is better) b loses to a by")
  end)

  it("names budgets that do not match", function()
    local c = { baseline = "a", variants = { { name = "a" } }, metrics = {}, unmatched = { "time: b has 3.0 s" } }
    says(statistics.complete(c), "The budgets do not match: time: b has 3.0 s.")
  end)
end)
