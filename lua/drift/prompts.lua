-- prompts.lua: what a command line says to condition on, as a generator takes it: prompts or classes, several with "|".
--   drift.prompts("a lighthouse | a dog", g)  ->  { "a lighthouse", "a dog" }      drift.prompts("6|9", digits)  ->  { 6, 9 }
--   drift.prompts("a lighthouse", g, 1)       an error unless there is just 1
local drift = require "drift"

return function(text, g, count)
  local list = {}
  for part in (text .. "|"):gmatch "([^|]*)|" do
    local what = part:match "^%s*(.-)%s*$"
    if not g.text then
      local class = math.tointeger(tonumber(what))
      if not class then
        drift.fail('this model draws classes: prompt="3", or several such as "6 | 9", not "%s"', what)
      end
      what = class
    end
    list[#list + 1] = what
  end
  if count and #list ~= count then
    local several = count == 1 and "" or ', with "|" between them'
    drift.fail('this experiment takes %d prompt%s%s; "%s" is %d', count, count == 1 and "" or "s", several, text,
      #list)
  end
  return list
end
