-- one_of_each.lua: the first image of each class of a split, for pictures: drift.one_of_each(data.test) -> [K,C,H,W],
-- the classes' names in order. Of the first n classes where n is given.
local drift = require "drift"

return function(split, n)
  local info = split.info
  n = math.min(n or info.classes, info.classes)
  local index, found = {}, 0
  for i = 1, #split do
    local class = split:label(i) + 1
    if class <= n and not index[class] then
      index[class], found = i, found + 1
      if found == n then break end
    end
  end
  if found < n or n < 1 then drift.fail("one_of_each: only %d of %d classes are there", found, n) end
  local names = {}
  for class = 1, n do names[class] = split:class_name(class - 1) end
  return (split:batch(index)), names
end
