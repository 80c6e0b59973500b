-- loss_curve.lua: the training loss of a run as loss.svg in its folder.
local drift = require "drift"

return function(run)
  return drift.loss_curves { runs = { run }, title = ("training loss of %s"):format(run.name), path = run:path "loss.svg" }
end
