-- Question: what do digits look like under noise of rising strength, z = x + sigma eps?   (spec B1)
local drift = require "drift"
local run = drift.experiment {
  sigmas = { 0, 0.2, 0.4, 0.5, 0.6, 0.8, 1 }, digits = 10, preset = "paper",
  presets = { quick = {}, smoke = { digits = 2 } } }

local data    = drift.dataset.mnist {}
local process = drift.process.fixed_noise {}
local x, names = drift.one_of_each(data.test, run.digits)
local eps = drift.randn { purpose = "picture noise", table.unpack(x.shape) }       -- the same for every sigma

local noisy = {}
for j, sigma in ipairs(run.sigmas) do noisy[j] = drift.noising(process, x, eps, sigma).x_t end
local picture = drift.grid {
  title = "z = x + sigma eps, one column for each sigma", rows = names, cols = run.sigmas,
  cell = function(_, _, i, j) return noisy[j][i] end }
run:figure("noising", picture)
drift.show(picture)
run:finish()
