-- Question: how well does a UNet remove noise of sigma = 0.5 in one step, and what does it do at noise levels that it
-- has never seen?   (spec B1)
local drift = require "drift"
local run = drift.experiment {
  hidden = 128, epochs = 5, batch = 256, lr = 1e-4, sigma = 0.5, at_epochs = { 1, 5 },
  sigmas = { 0, 0.2, 0.4, 0.5, 0.6, 0.8, 1 }, digits = 10, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 32, epochs = 1, lr = 1e-3 },
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16, sigmas = { 0, 0.5, 1 } } } }

local data    = drift.dataset.mnist {}
local process = drift.process.fixed_noise { sigma = run.sigma, predict = "x0" }
local x, names = drift.one_of_each(data.test, run.digits)
local eps = drift.randn { purpose = "picture noise", table.unpack(x.shape) }

local function pair(net, sigma)                                   -- noisy, denoised
  local z = drift.noising(process, x, eps, sigma).x_t
  return z, drift.no_grad(net, z)
end

local function picture_after(net, epoch)
  local z, denoised = pair(net, run.sigma)
  local rows = { x, z, denoised }
  return drift.grid {
    title = ("test digits, sigma = %g, after epoch %d"):format(run.sigma, epoch),
    rows = { "clean", "noisy", "denoised" }, cols = names, cell = function(_, _, i, j) return rows[i][j] end }
end

local net = drift.train {
  run = run, data = data, process = process, model = drift.models.cs180_unet { hidden = run.hidden },
  optim = drift.optim.adam { lr = run.lr },
  after_epoch = function(net, epoch)
    for _, e in ipairs(run.at_epochs) do
      if e == epoch then run:figure(("epoch_%02d"):format(epoch), picture_after(net, epoch)) end
    end
  end }

local labels, rows = {}, {}
for _, sigma in ipairs(run.sigmas) do
  table.move({ ("sigma = %g"):format(sigma), "  denoised" }, 1, 2, #labels + 1, labels)
  table.move({ pair(net, sigma) }, 1, 2, #rows + 1, rows)
end
local picture = drift.grid {
  title = ("trained at sigma = %g only: the same test digits at every sigma"):format(run.sigma),
  rows = labels, cols = names, cell = function(_, _, i, j) return rows[i][j] end }
run:figure("out_of_distribution", picture)
drift.show(picture)
run:finish()
