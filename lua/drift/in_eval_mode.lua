-- in_eval_mode.lua: networks in evaluation mode while a function runs, each back in its own mode after it.
--   local images = drift.in_eval_mode({ net, weak }, function() ... return images end)
-- What is no network, such as a function that stands for one, is left alone.
local drift = require "drift"

return function(nets, fn)
  local was_training = {}
  for _, net in ipairs(nets) do
    if drift.type(net) == "module" then was_training[net] = net:training() end
  end
  for net in pairs(was_training) do net:eval() end
  local results = table.pack(fn())
  for net, training in pairs(was_training) do net:train(training) end
  return table.unpack(results, 1, results.n)
end
