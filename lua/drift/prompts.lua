-- prompts.lua: what a command line says to condition on, as a generator takes it: prompts or classes, several with "|".
--   drift.prompts("a lighthouse | a dog", g)  ->  { "a lighthouse", "a dog" }          drift.prompts("6|9", digits)  ->  { 6, 9 }
local drift = require "drift"

return function(text, g)
  local list = {}
  for part in (text .. "|"):gmatch "([^|]*)|" do
    local what = part:match "^%s*(.-)%s*$"
    if not g.text then what = math.tointeger(tonumber(what)) or what end
    list[#list + 1] = what
  end
  return list
end
