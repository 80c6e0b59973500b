-- read_digits.lua: what the classifier that is shipped takes images for.
--   local classes = drift.read_digits(images)      images [N,1,28,28], brought to [0,1] by clamping -> list of N classes
local drift = require "drift"

local BATCH = 500

return function(images)
  local classifier, n, classes = drift.digit_classifier(), images.shape[1], {}
  for first = 0, n - 1, BATCH do
    local read = drift.scope(function()
      return drift.no_grad(function()
        return classifier(images:narrow(0, first, math.min(BATCH, n - first)):clamp(0, 1)):argmax(1):totable()
      end)
    end)
    table.move(read, 1, #read, first + 1, classes)
  end
  return classes
end
