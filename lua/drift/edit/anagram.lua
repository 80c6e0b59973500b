-- anagram.lua: one picture that is several things, each seen in its own view.       Geng, Park & Owens 2024
-- The estimates for condition i, each made on the picture in view i and brought back, are combined (plugins/guidance).
--
--   drift.edit.anagram { generator = g, conditions = { "an oil painting of a village", "an oil painting of a horse" },
--                        views = { drift.view.identity {}, drift.view.flip { axis = "rows" } } }
--   drift.edit.anagram { generator = digits, conditions = { 6, 9 }, guidance = drift.guidance.cfg { scale = 5 },
--                        views = { drift.view.identity {}, drift.view.rotate { degrees = 180 } } }
--
-- guidance: what each estimate is made with. edit: which edit runs under it, drift.edit.iterative by default; the other
-- arguments are that edit's own: edit = drift.edit.inpaint, image = ..., mask = ...
local drift = require "drift"

return function(o)
  if type(o) ~= "table" or type(o.conditions) ~= "table" then
    drift.fail "edit.anagram: conditions is a list, one for each view"
  end
  if type(o.views) ~= "table" then drift.fail "edit.anagram: views is a list, one for each condition" end
  if #o.views == 0 or #o.conditions % #o.views ~= 0 then          -- several for each where guidance inside shares them
    drift.fail("edit.anagram: %d views for %d conditions", #o.views, #o.conditions)
  end
  return drift.edit_with_guidance(o, drift.guidance.anagram { views = o.views, combine = o.combine },
    { "views", "combine" })
end
