-- Question: what does a one-step denoiser learn that is shown nothing but noise? The answer of least squared error is
-- the mean of all digits.   (spec B1)
local drift = require "drift"
local run = drift.experiment {
  hidden = 128, epochs = 5, batch = 256, lr = 1e-4, at_epochs = { 1, 5 }, noises = 8, steps = 0,
  preset = "quick",
  presets = { quick = { hidden = 32, epochs = 1, lr = 1e-3 },
              smoke = { hidden = 8, epochs = 1, steps = 3, batch = 16 } } }

local data    = drift.dataset.mnist {}
local process = drift.process.fixed_noise { sigma = 1, signal = 0, predict = "x0" }
local eps     = drift.randn { run.noises, 1, 28, 28, purpose = "picture noise" }
local mean    = drift.mean_image(data.train)

local function picture_after(net, epoch)
  local answer = drift.no_grad(net, eps)
  local distance = (answer - mean):pow(2):mean():item() ^ 0.5
  run:say("after epoch %d the answers are %.4f from the mean digit (root mean square)", epoch, distance)
  local cols = {}
  for j = 1, run.noises do cols[j] = tostring(j) end
  cols[#cols + 1] = "mean digit"
  return drift.grid {
    title = ("shown pure noise, after epoch %d; distance from the mean training digit: %.3f"):format(epoch, distance),
    rows = { "noise", "answer" }, cols = cols, scale = 3,
    cell = function(row, _, _, j)
      if j > run.noises then return row == "answer" and mean or nil end
      return row == "noise" and eps[j] or answer[j]
    end }
end

drift.train {
  run = run, data = data, process = process, model = drift.models.cs180_unet { hidden = run.hidden },
  optim = drift.optim.adam { lr = run.lr },
  after_epoch = function(net, epoch)
    for _, e in ipairs(run.at_epochs) do
      if e == epoch then
        local picture = picture_after(net, epoch)
        run:figure(("epoch_%02d"):format(epoch), picture)
        drift.show(picture)
      end
    end
  end }
run:finish()
