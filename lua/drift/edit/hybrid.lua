-- hybrid.lua: one picture that is one thing from afar and another near by.
-- The estimate is the low frequencies of that for the first condition and the high ones of that for the second: filters
-- that sum to one, the last being what the others leave.        Geng, Park & Owens 2024 (factorized diffusion)
--
--   drift.edit.hybrid { generator = g, conditions = { "a lithograph of a skull", "a lithograph of waterfalls" } }
--
-- filters: one for each condition but the last, by default a Gaussian of sigma 2 and kernel 33 at 64 pixels, both
-- scaled with the picture's height. guidance, edit and the rest as with drift.edit.anagram.
local drift = require "drift"

return function(o)
  if type(o) ~= "table" or type(o.conditions) ~= "table" then
    drift.fail "edit.hybrid: conditions is a list, one for each filter and the last"
  end
  local filters = o.filters or { drift.filter.gaussian_blur {} }
  if type(filters) ~= "table" then drift.fail "edit.hybrid: filters is a list" end
  return drift.edit_with_guidance(o, drift.guidance.hybrid { filters = filters }, { "filters" })
end
