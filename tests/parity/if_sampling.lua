-- if_sampling.lua: DeepFloyd IF's numbers between the network and the image, from the file's own noise.
--   if_ddpm_scheduler  single steps from given outputs of a network: threshold, estimate, variance, next sample
-- diffusers' timestep i is our t = i + 1, and its -1 our t = 0. Run by parity.c, once for each such file.
local drift = require "drift"
local run = assert(loadfile(drift.home .. "/tests/parity/check.lua", "t"))()

local path = os.getenv "DRIFT_PARITY_FILE" or drift.fail "DRIFT_PARITY_FILE must name a file"
local metadata = drift.open(path).metadata
local function decoded(name) return metadata[name] and drift.json.decode(metadata[name]) end

-- ---- the sampler's step, with the file's noise in place of its own ------------------------------------------------

local rng = { purpose = "parity", seed = 1, step = 0, sample = 0 }
local sampler = drift.sampler.ddpm { variance = "learned_range" }
local process = drift.build(drift.process.ddpm { T = 1000, schedule = "cosine", time = "index" })

-- log s^2 of the noise from t to t_next, with the network's variance output v
local function log_variance(t, t_next, v)
  local now, next = process:coef(t), process:coef(t_next)
  local beta = now.sigma ^ 2 - (now.alpha / next.alpha * next.sigma) ^ 2
  local most, least = math.log(beta), math.log(math.max(beta * next.sigma ^ 2 / now.sigma ^ 2, 1e-20))
  return v * ((most - least) / 2) + (most + least) / 2
end

local function step(m, x, t, t_next, z)
  local y = m:sample { sampler = sampler, x = x, rng = rng, grid = { t, t_next } }
  if process:coef(t_next).sigma == 0 then return y end
  local s = (log_variance(t, t_next, m:variance()) * 0.5):exp()
  local own = drift.randn { x.shape[1], x.shape[2], x.shape[3], x.shape[4], purpose = rng.purpose, seed = rng.seed,
                            step = rng.step, sample = rng.sample }
  return y + (z - own) * s
end

-- ---- kinds --------------------------------------------------------------------------------------------------------

local check = {}

function check.if_ddpm_scheduler(p)
  local config = decoded "config"
  local ratio, most = config.dynamic_thresholding_ratio, config.sample_max_value
  for _, case in ipairs(decoded "cases") do
    local function input(name) return p:input(case.name .. ".in." .. name) end
    local function compare(got, name) p:compare(got, case.name .. ".out." .. name) end
    local t, t_next, x, output = case.t + 1, case.prev_t + 1, input "sample", input "model_output"
    local function network() return output * 1 end        -- a network returns what it has made
    local plain = drift.model(process, network)
    local m = drift.model(process, network, { clip = drift.clip.dynamic_threshold { ratio = ratio, max = most } })
    compare(drift.export.dynamic_thresholds(plain:x0(x, t), ratio, most), "threshold")
    compare(m:x0(x, t), "pred_x0")
    if t_next > 0 then compare(log_variance(t, t_next, m:variance()), "log_variance") end
    compare(step(m, x, t, t_next, input "noise"), "prev_sample")
  end
end

run(function(p) drift.no_grad(function() check[metadata.kind](p) end) end)
