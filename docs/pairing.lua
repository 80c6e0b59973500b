-- Question: how much of the variance of a difference does pairing remove, and how many seeds does that save?
-- pairing.lua: docs/pairing.md, from a comparison of its own: small networks, ten seeds, a large and a small change.
--   ./drift run docs/pairing.lua                          makes the runs (minutes on two cores), then the page
--   ./drift run docs/pairing.lua --resume runs/pairing    only writes the page again
-- Paired: variant - baseline with the same seed. Unpaired: with seeds that have nothing in common, so that the variance
-- of a difference is var(a) + var(b), both estimated from the same runs.
local drift = require "drift"
local statistics = require "drift.compare.statistics"
local student_t = require "drift.compare.student_t"

local run = drift.experiment { hidden = 8, steps = 250, batch = 32, n = 300, sampler_steps = 10, lr = 3e-3 }

local function unet(class)
  return drift.models.cs180_unet { hidden = run.hidden, time = "add", class = class }
end

local seeds = {}
for i = 1, 10 do seeds[i] = i end

local report = drift.compare {
  name = "pairing", title = "What pairing removes", baseline = "scale", seeds = seeds,
  variants = { scale = unet "scale", add = unet "add",
               slower = { model = unet "scale", optim = drift.optim.adam { lr = 0.8 * run.lr } } },
  train = { data = drift.dataset.mnist {}, process = drift.process.flow_matching {},
            optim = drift.optim.adam { lr = run.lr }, p_uncond = 0.1, epochs = 1, steps = run.steps, batch = run.batch },
  sample = { sampler = drift.sampler.euler { steps = run.sampler_steps } },
  metrics = { drift.metric.frechet {}, drift.metric.class_accuracy {} }, evaluate = { n = run.n, resamples = 100 },
  held_out = 500,
}

-- ---- numbers --------------------------------------------------------------------------------------------------------
local Z = student_t.quantile(0.975, 1e6)

-- Of a sample variance with df degrees of freedom, for normal values: df s^2 / chi^2 quantiles (Wilson & Hilferty 1931).
local function variance_interval(variance, df)
  local function chi2(z) return df * (1 - 2 / (9 * df) + z * math.sqrt(2 / (9 * df))) ^ 3 end
  return df * variance / chi2(Z), df * variance / chi2(-Z)
end

-- The share removed is 2 cov / (var a + var b), a correlation where both variances are equal: Fisher's z.
local function share_text(share, n)
  if not share then return "no variance" end
  local z, half = 0.5 * math.log((1 + share) / (1 - share)), Z / math.sqrt(n - 3)
  local function back(x) return (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1) end
  return ("%.0f%% [%.0f, %.0f]"):format(100 * share, 100 * back(z - half), 100 * back(z + half))
end

-- Runs of each variant at which an unpaired t interval, of 2n - 2 degrees of freedom, excludes 0.
local function unpaired_seeds(difference, sum_of_variances)
  for n = 2, 1000 do
    if student_t.quantile(0.975, 2 * n - 2) * math.sqrt(sum_of_variances / n) < math.abs(difference) then return n end
  end
end

local function numbers_of(metric, name)
  local a, b = metric.values[name], metric.values.scale
  local paired, d = statistics.paired(a, b), {}
  for i, value in ipairs(a) do d[i] = value - b[i] end
  local together, n = statistics.variance(d)
  local va, vb = statistics.variance(a), statistics.variance(b)
  return { paired = paired, n = n, together = together, apart = va + vb,
           df = (va + vb) ^ 2 / ((va ^ 2 + vb ^ 2) / (n - 1)) }            -- Welch & Satterthwaite
end

-- ---- the page -------------------------------------------------------------------------------------------------------
local lines = {}
local function add(format, ...) lines[#lines + 1] = select("#", ...) > 0 and format:format(...) or format end

local function interval(value, low, high) return ("%.3g [%.3g, %.3g]"):format(value, low, high) end
local function seeds_text(n) return n and tostring(n) or "over 1000" end

local order = { { "final_loss", "mean loss of the training" }, { "held_out_loss", "loss on 500 held-out images" },
                { "frechet", ("Frechet distance, %d samples"):format(run.n) },
                { "class_accuracy", ("class accuracy, %d samples"):format(run.n) } }

local function row_of(name)
  for key, metric in pairs(report.metrics) do
    local own = type(key) == "string" and key or metric.name
    if own == name or own:gsub("[ -]", "_") == name then return metric end
  end
  local names = {}
  for key, metric in pairs(report.metrics) do names[#names + 1] = tostring(metric.name or key) end
  drift.fail("pairing: the comparison has no %s; it has %s", name, table.concat(names, ", "))
end

local function table_of(name)
  add("| | %s - scale | variance, unpaired | variance, paired | removed by pairing | seeds to decide, unpaired "
    .. "| paired |", name)
  add "|---|---|---|---|---|---|---|"
  for _, row in ipairs(order) do
    local v = numbers_of(row_of(row[1]), name)
    local together_low, together_high = variance_interval(v.together, v.n - 1)
    local apart_low, apart_high = variance_interval(v.apart, v.df)
    add("| %s | %s | %s | %s | %s | %s | %s |", row[2],
      interval(v.paired.difference, v.paired.low, v.paired.high), interval(v.apart, apart_low, apart_high),
      interval(v.together, together_low, together_high), share_text(v.paired.variance_removed, v.n),
      seeds_text(unpaired_seeds(v.paired.difference, v.apart)), seeds_text(v.paired.seeds_needed))
  end
end

add "# What pairing removes\n"
add "Written by `./drift run docs/pairing.lua`, which says how each number is made."
add("`cs180_unet { hidden = %d }` was trained for %d steps of %d images with seeds 1 to 10: with its class scaled (the",
  run.hidden, run.steps, run.batch)
add("baseline), with it added, and scaled with a learning rate lower by a fifth. %d Euler steps draw the samples.\n",
  run.sampler_steps)
add "A difference of two runs with the same seed is *paired*: same batches, noise, times, dropped classes, initial weights,"
add "and noise that samples begin with. Of two runs with different seeds it is not, and its variance is var(a) + var(b). In"
add "brackets: 95% intervals (variances: chi-squared; the share: Fisher's z), wide because ten seeds are few.\n"
add "## Another network: the class is added\n"
table_of "add"
add "\n## The same network: a learning rate of 0.8 times the baseline's\n"
table_of "slower"
add "\nSeeds to decide: runs of each variant at which the half-width of a 95% interval is expected below the difference"
add "found, if that is the true one: it is as uncertain as its interval. A share below 0 means that pairing added variance;"
add "where its interval holds 0, ten seeds cannot tell whether it removes any. `variance_removed` of a comparison is this"
add "share. Paired or not, an interval needs several seeds."
drift.write_file(drift.home .. "/docs/pairing.md", table.concat(lines, "\n") .. "\n")
run:say("wrote docs/pairing.md")
