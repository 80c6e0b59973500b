-- join_averages.lua: averages of weights are moved in the optimizer's own pass over them, where it can do that.
--   drift.join_averages(optimizer, net, { average, ... })
return function(optimizer, net, averages)
  if #averages == 0 or #averages > 4 then return end
  local parameters, lists = net:parameters(), {}
  for k, average in ipairs(averages) do lists[k] = average:of(parameters) end
  for k, decay in ipairs(optimizer:averages(lists)) do averages[k]:leave(parameters, decay) end
end
