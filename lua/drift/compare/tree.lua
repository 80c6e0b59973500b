-- tree.lua: a network's modules as lines of text, "d1.conv: block.conv2d{in_channels=1, out_channels=8}  80 weights",
-- in the order of the description, so that two networks can be laid side by side line by line.
--   local lines = tree(net)            net: built
local drift = require "drift"
local core = require "drift.core"

local function add(lines, net, place, root)
  lines[#lines + 1] = ("%s: %s  %d weights"):format(place, tostring(net.spec), net:count())
  local description = core.spec_data(net.spec).net
  if not description then return end
  for _, list in ipairs { description.children, description.inline } do
    for _, child in ipairs(list) do
      add(lines, net[child[1]], root and child[1] or place .. "." .. child[1])
    end
  end
end

return function(net)
  local lines = drift.json.array {}
  add(lines, net, net.name, true)
  return lines
end
