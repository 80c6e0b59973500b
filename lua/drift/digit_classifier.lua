-- digit_classifier.lua: the trained reader of digits that ships with Drift, in evaluation mode.
--   local net = drift.digit_classifier()      net(x) -> logits [B,10]; net:features(x) -> [B,128]; net:read(x) -> both
-- Trained by experiments/train_classifier.lua; the file's metadata holds its test accuracy, data and command.
local drift = require "drift"

local loaded = {}                                                 -- by device

return function()
  local device = drift.device().name
  if not loaded[device] then
    local net = drift.build(drift.models.digit_classifier {}, { seed = 0 })
    net:load(drift.home .. "/lua/drift/models/digit_classifier.safetensors")
    loaded[device] = net:requires_grad(false):eval()
  end
  return loaded[device]
end
