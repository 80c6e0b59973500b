-- editing_images.lua: the pictures that an experiment is to edit, its parameter `image`: paths, several with "|".
--   for _, path in ipairs(drift.editing_images(run)) do ... end
--   local path = drift.editing_images(run, 1)[1]                an error unless there is just 1
local drift = require "drift"

return function(run, count)
  local list = {}
  for part in run.image:gmatch "[^|]+" do list[#list + 1] = part:match "^%s*(.-)%s*$" end
  if #list == 0 then drift.fail "image names no file" end
  if count and #list ~= count then
    drift.fail("this experiment takes %d picture%s; image = %s is %d", count, count == 1 and "" or "s", run.image,
      #list)
  end
  for _, path in ipairs(list) do
    if not drift.exists(path) then drift.fail("image = %s: there is no such file", path) end
  end
  return list
end
