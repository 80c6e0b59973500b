-- duration.lua: seconds as one reads them at a glance: 12s, 3m05s, 2h07m; "?" where nobody knows.
return function(seconds)
  if seconds ~= seconds or seconds > 1e7 then return "?" end
  local s = math.ceil(seconds)
  if s < 60 then return ("%ds"):format(s) end
  if s < 3600 then return ("%dm%02ds"):format(s // 60, s % 60) end
  return ("%dh%02dm"):format(s // 3600, s % 3600 // 60)
end
