-- Question: what has to change to make rectified flow out of DDPM?   (spec B5)
-- Two functions: `forward`, the loss of a batch, and `sample`. Network, data, optimizer and loop are the same.
local drift = require "drift"
local run = drift.experiment {
  hidden = 64, epochs = 10, batch = 128, lr = 1e-3, T = 300, sample_steps = 50, samples = 20, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 16, epochs = 1 },
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16, T = 10, sample_steps = 4, samples = 4 } } }

local data = drift.dataset.mnist {}
local model = drift.models.cs180_unet { hidden = run.hidden, time = "add" }

local function column(values) return drift.tensor(values):reshape(-1, 1, 1, 1) end                 -- [B,1,1,1]

-- Of the batch's rows, keyed by their numbers: noise like x0, and a uniform number each.
local function draw(batch)
  local eps = drift.randn { purpose = "noise", sample = batch.first, table.unpack(batch.image.shape) }
  local u = drift.rand { batch.size, purpose = "time", sample = batch.first }:totable()
  return eps, u
end

-- ---- DDPM: abar_t = prod (1 - beta_i); the network predicts eps -----------------------------------------------------
local ddpm = { name = "ddpm", title = ("DDPM, %d steps"):format(run.T) }
local linear = drift.build(drift.schedule.linear {})
local beta, abar = {}, { [0] = 1 }
for t = 1, run.T do
  beta[t] = linear:beta(t - 1, run.T)
  abar[t] = abar[t - 1] * (1 - beta[t])
end

function ddpm.forward(net, batch)
  local eps, u = draw(batch)
  local time, signal, noise = {}, {}, {}
  for i = 1, batch.size do
    local t = 1 + math.floor(u[i] * run.T)                                                         -- 1..T
    time[i], signal[i], noise[i] = t / run.T, math.sqrt(abar[t]), math.sqrt(1 - abar[t])
  end
  local x_t = batch.image * column(signal) + eps * column(noise)
  return drift.op.mse(net(x_t, { time = drift.tensor(time) }), eps)
end

function ddpm.sample(net, x)
  local n = x.shape[1]
  for t = run.T, 1, -1 do
    local eps = net(x, { time = drift.full({ n }, t / run.T) })
    local x0 = (x - eps * math.sqrt(1 - abar[t])) / math.sqrt(abar[t])
    local of_x0 = math.sqrt(abar[t - 1]) * beta[t] / (1 - abar[t])
    local of_x = math.sqrt(1 - beta[t]) * (1 - abar[t - 1]) / (1 - abar[t])
    x = x0 * of_x0 + x * of_x
    local z = drift.randn { purpose = "sample noise", step = run.T - t, table.unpack(x.shape) }
    if t > 1 then x = x + z * math.sqrt(beta[t]) end
  end
  return x
end

-- ---- rectified flow: a straight line from noise to data; the network predicts its direction ------------------------
local rectified = { name = "rectified_flow", title = ("rectified flow, %d steps"):format(run.sample_steps) }

function rectified.forward(net, batch)
  local eps, t = draw(batch)
  local x_t = batch.image * column(t) + eps * (1 - column(t))
  return drift.op.mse(net(x_t, { time = drift.tensor(t) }), batch.image - eps)
end

function rectified.sample(net, x)
  local n, dt = x.shape[1], 1 / run.sample_steps
  for i = 0, run.sample_steps - 1 do x = x + net(x, { time = drift.full({ n }, i * dt) }) * dt end
  return x
end

-- ---- both: the same initial weights, batches and noise --------------------------------------------------------------
local methods, rows = { ddpm, rectified }, {}
for i, method in ipairs(methods) do
  local net = drift.train { run = run:part(method.name), data = data, model = drift.build(model), loss = method.forward,
                            optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 } }
  local x = drift.randn { run.samples, 1, 28, 28, purpose = "sample start" }
  rows[i] = drift.scope(function() return drift.no_grad(method.sample, net, x) end)
end

local picture = drift.grid { title = "each column from the same noise", rows = { ddpm.title, rectified.title },
                             cols = run.samples, cell = function(_, _, i, j) return rows[i][j] end }
run:figure("samples", picture)
drift.show(picture)
run:finish()
