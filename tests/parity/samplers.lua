-- samplers.lua: whole sampling runs and single steps, from the file's own noise, of samplers that are built.
--   flow_sample   an ODE sampler from t = 0 (noise) to 1      ddpm_sample   all T ancestral steps, x0_hat in each
--   ddpm_steps    single ancestral steps, their estimates     strided_ddpm  strided ancestral steps, posterior variance
--   ddim          implicit steps, eta 0 to 1                  dpmpp2m       DPM-Solver++(2M)
--   edm           churn and Heun's or Euler's step in sigma, along Karras' noise levels
-- The model is the file's neighbour `model` (a class_time UNet in evaluation mode) or the closed form for N(mu, s^2).
-- Run by parity.c, once for each such file.
local drift = require "drift"
local run = assert(loadfile(drift.home .. "/tests/parity/check.lua", "t"))()

local path = os.getenv "DRIFT_PARITY_FILE" or drift.fail "DRIFT_PARITY_FILE must name a file"
local folder = path:match "^(.*/)" or "./"
local file = drift.open(path)
local kind, config = file.metadata.kind, drift.json.decode(file.metadata.config)
local sampler_name = kind == "flow_sample" and config.method
                  or ({ ddim = "ddim", dpmpp2m = "dpmpp_2m", edm = "edm" })[kind] or "ddpm"

local built = false
for _, c in ipairs(drift.components "sampler") do built = built or c.name == sampler_name end
if not built then
  print(("skip %s: no sampler %s is built yet"):format(os.getenv "DRIFT_PARITY_NAME" or path, sampler_name))
  os.exit(77, true)
end

-- ---- models -----------------------------------------------------------------------------------------------------

local function unet()
  local f = drift.open(folder .. config.model)
  local c = drift.json.decode(f.metadata.config)
  local net = drift.build(drift.models.cs180_unet { hidden = c.D, in_channels = c.in_channels, classes = c.num_classes,
                                                    time = "add", class = "scale" })
  net:load(f)
  return net:eval()
end

-- eps(x, abar) = sqrt(1-abar) (x - sqrt(abar) mu)/(abar s^2 + 1 - abar); the network is told t/T
local function gauss(p, process)
  local mu, s = p:input "in.mu", p:input "in.s"
  return function(x, c)
    local at = process:coef(math.floor(c.time[1]:item() * config.T + 0.5))
    local V = s * s * at.alpha ^ 2 + at.sigma ^ 2
    return (x - mu * at.alpha) * at.sigma / V
  end
end

local function model(p, process, scale)
  if not config.model then return drift.model(process, gauss(p, process)) end
  return drift.model(process, unet(), { label = p:input("in.c", "i32"),
                                        guidance = scale ~= 1 and drift.guidance.cfg { scale = scale } or nil })
end

local function chain()
  local schedule = config.beta == "squaredcos_cap_v2" and drift.schedule.cosine {}
                or drift.schedule.linear { beta_start = config.beta[1], beta_end = config.beta[2] }
  return drift.build(drift.process.ddpm { T = config.T, schedule = schedule })
end

-- D(x, sigma), of a process whose time is sigma: closed form for N(mu, s^2), or the UNet preconditioned as EDM has it
local function denoiser(p)
  if not config.model then
    local mu, s = p:input "in.mu", p:input "in.s"
    local s2 = s * s
    return function(x, c)
      local sigma = c.time[1]:item()
      return mu + s2 / (s2 + sigma ^ 2) * (x - mu)
    end
  end
  local net, data = unet(), config.sigma_data
  return function(x, c)
    local sigma, B = c.time[1]:item(), x.shape[1]
    local q = sigma ^ 2 + data ^ 2
    local y = net(x * (1 / math.sqrt(q)), { time = drift.full({ B }, math.log(sigma) / 4), label = c.label, mask = c.mask })
    return x * (data ^ 2 / q) + y * (sigma * data / math.sqrt(q))
  end
end

-- The sampler with the grid that has the file's timesteps (their 0 is our t = 1), and that grid.
local function grid_of(m, sampler, names)
  for _, name in ipairs(names) do
    local grid, same = m:grid(sampler:with { timesteps = drift.timesteps[name] {} }), true
    for i, timestep in ipairs(config.timesteps) do same = same and grid[i] == timestep + 1 end
    if same then return sampler:with { timesteps = drift.timesteps[name] {} }, grid end
  end
  drift.fail("no grid of %d steps from %d, as %s lay them, has the file's timesteps", config.steps, config.T,
             table.concat(names, ", "))
end

local function own_noise(x, rng)
  return drift.randn { x.shape[1], x.shape[2], x.shape[3], x.shape[4], purpose = rng.purpose, seed = rng.seed,
                       step = rng.step, sample = rng.sample }
end

-- ---- one ancestral step with the file's noise: the sampler's own noise is taken out again -----------------------

local rng = { purpose = "parity", seed = 1, step = 0, sample = 0 }

local function step(m, process, variance, x, t, t_next, z)
  local y = m:sample { sampler = drift.sampler.ddpm { variance = variance }, x = x, rng = rng, grid = { t, t_next } }
  local now, next = process:coef(t), process:coef(t_next)
  if next.sigma == 0 then return y end
  local beta = now.sigma ^ 2 - (now.alpha / next.alpha) ^ 2 * next.sigma ^ 2
  local s = math.sqrt(variance == "beta" and beta or beta * next.sigma ^ 2 / now.sigma ^ 2)
  return y + (z - own_noise(x, rng)) * s
end

-- ---- kinds ------------------------------------------------------------------------------------------------------

local check = {}

function check.flow_sample(p)
  local m = model(p, drift.build(drift.process.flow_matching {}), config.gamma)
  m:sample { sampler = drift.sampler[config.method] { steps = config.steps }, x = p:input "in.x_0", rng = rng,
             each = function(k, _, _, x) p:compare(x, "out.x." .. k - 1) end }
end

function check.ddpm_sample(p)
  local process = chain()
  local m, x, z = model(p, process, config.gamma), p:input "in.x_T", p:input "in.z"
  for k = 0, config.steps - 1 do
    local t = config.T - k
    p:compare(m:x0(x, t), "out.x0." .. k)
    x = step(m, process, "beta", x, t, t - 1, z[k + 1])
    p:compare(x, "out.x." .. k)
  end
end

function check.ddpm_steps(p)
  local process = chain()
  local guided, cond, null = model(p, process, config.gamma), model(p, process, 1), model(p, process, 0)
  for i, t in ipairs(config.t) do
    local k, x = i - 1, p:input("in.x." .. i - 1)
    p:compare(cond:eps(x, t), "out.eps_c." .. k)
    p:compare(null:eps(x, t), "out.eps_u." .. k)
    p:compare(guided:eps(x, t), "out.eps." .. k)
    p:compare(guided:x0(x, t), "out.x0." .. k)
    p:compare(step(guided, process, "beta", x, t, t - 1, p:input("in.z." .. k)), "out.x_prev." .. k)
  end
end

-- Timestep i of the file is our t = i + 1.
function check.strided_ddpm(p)
  local process = chain()
  local m, x, z, at = model(p, process, config.gamma), p:input "in.x_T", p:input "in.z", config.timesteps
  if p:has "in.im" then
    local c = process:coef(at[1] + 1)
    x = p:input "in.im" * c.alpha + x * c.sigma
  end
  if p:has "out.start" then p:compare(x, "out.start") end
  for k = 0, #at - 2 do
    x = step(m, process, "posterior", x, at[k + 1] + 1, at[k + 2] + 1, z[k + 1])
    p:compare(x, "out.x." .. k)
  end
end

-- The noise enters last, as s z: the sampler's own is taken out again.
function check.ddim(p)
  local process = chain()
  local m, x, z = model(p, process, config.gamma), p:input "in.x_T", p:has "in.z" and p:input "in.z"
  local sampler, grid = grid_of(m, drift.sampler.ddim { steps = config.steps, eta = config.eta }, { "leading", "trailing" })
  if config.eta == 0 then
    m:sample { sampler = sampler, x = x, rng = rng, each = function(k, _, _, y) p:compare(y, "out.x." .. k - 1) end }
    return
  end
  for k = 0, config.steps - 1 do
    local now, next = process:coef(grid[k + 1]), process:coef(grid[k + 2])
    local beta = now.sigma ^ 2 - (now.alpha / next.alpha * next.sigma) ^ 2
    local s = config.eta * math.sqrt(beta) * next.sigma / now.sigma
    x = m:sample { sampler = sampler, x = x, rng = rng, grid = { grid[k + 1], grid[k + 2] } } + (z[k + 1] - own_noise(x, rng)) * s
    p:compare(x, "out.x." .. k)
  end
end

function check.dpmpp2m(p)
  local m = model(p, chain(), config.gamma)
  local sampler = grid_of(m, drift.sampler.dpmpp_2m { steps = config.steps }, { "linspace", "leading", "trailing" })
  m:sample { sampler = sampler, x = p:input "in.x_T", rng = rng,
             each = function(k, _, _, x) p:compare(x, "out.x." .. k - 1) end }
end

-- The noise enters first, as k z: what the sampler will add of its own is taken out before.
function check.edm(p)
  local levels = drift.timesteps.karras { sigma_min = config.sigma_min, sigma_max = config.sigma_max, rho = config.rho }
  local churn = config.churn or 0
  local s_min, s_max, s_noise = config.s_min or 0, math.min(config.s_max or 1e9, 1e9), config.s_noise or 1
  local sampler = drift.sampler.edm { steps = config.steps, order = config.order, timesteps = levels, s_churn = churn,
                                      s_tmin = s_min, s_tmax = s_max, s_noise = s_noise }
  local process = drift.build(drift.process.fixed_noise { sigma = config.sigma_max, predict = "x0" })
  local m = drift.model(process, denoiser(p), { label = p:has "in.c" and p:input("in.c", "i32") or nil })
  local sigma, z = m:grid(sampler), p:has "in.z" and p:input "in.z"
  p:compare(drift.tensor(sigma), "out.sigmas")
  local x = p:input "in.x_T" * sigma[1]
  if churn == 0 then
    m:sample { sampler = sampler, x = x, rng = rng, each = function(k, _, _, y) p:compare(y, "out.x." .. k - 1) end }
    return
  end
  for k = 0, config.steps - 1 do
    local s = sigma[k + 1]
    local gamma = s >= s_min and s <= s_max and math.min(churn / config.steps, math.sqrt(2) - 1) or 0
    if gamma > 0 then x = x + (z[k + 1] - own_noise(x, rng)) * (s * math.sqrt((1 + gamma) ^ 2 - 1) * s_noise) end
    x = m:sample { sampler = sampler, x = x, rng = rng, grid = { s, sigma[k + 2] } }
    p:compare(x, "out.x." .. k)
  end
end

run(function(p) drift.no_grad(function() check[kind](p) end) end)
