-- accept.lua: the named arguments of a function, checked: an unknown one is an error with a did-you-mean, a required
-- one must be there.
--   drift.accept("sample", o, { "model", "process" }, { "labels", "batch" })
local drift = require "drift"

return function(where, given, required, optional)
  if type(given) ~= "table" then drift.fail("%s takes a table of named arguments, not %s", where, drift.type(given)) end
  local names, known = {}, {}
  for _, list in ipairs { required, optional or {} } do
    for _, name in ipairs(list) do
      names[#names + 1] = name
      known[name] = true
    end
  end
  for key in pairs(given) do
    if not known[key] then
      local near = drift.nearest(tostring(key), names)
      drift.fail("%s: no option '%s'%s", where, tostring(key), near and ("; did you mean '" .. near .. "'?")
        or "; it takes " .. table.concat(names, ", "))
    end
  end
  for _, name in ipairs(required) do
    if given[name] == nil then drift.fail("%s: %s is missing", where, name) end
  end
  return given
end
