-- edit_with_guidance.lua: an edit under one more guidance, around those that it has.
--   drift.edit_with_guidance(o, outer, { "views" })     o.edit, or drift.edit.iterative, with o's arguments but these
local drift = require "drift"

return function(o, outer, own)
  if o.edit ~= nil and type(o.edit) ~= "function" then
    drift.fail("edit is one of drift.edit, such as drift.edit.inpaint, not a %s", drift.type(o.edit))
  end
  local all = {}
  for key, value in pairs(o) do all[key] = value end
  all.edit = nil
  for _, key in ipairs(own) do all[key] = nil end
  local inner = o.guidance
  if inner == nil and type(o.generator) == "table" then inner = o.generator.guidance end
  local list = {}
  if drift.is_spec(inner) or drift.type(inner) == "instance" then
    list[1] = inner
  elseif inner then
    table.move(inner, 1, #inner, 1, list)
  end
  list[#list + 1] = outer
  all.guidance = list
  return (o.edit or drift.edit.iterative)(all)
end
