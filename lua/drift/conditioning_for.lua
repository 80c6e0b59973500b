-- conditioning_for.lua: the conditioning of a model's sites, as scripts may say it.
--   conditioning_for("cs180_unet", choice, { 128, 64 }, 10)
-- choice is a scheme's name ("film"), a spec without its channels (drift.conditioning.film { width = 64 }), or a function
-- that makes a spec of the sites' widths. classes (0: time alone) goes to schemes that take it and were named only.
local drift = require "drift"

local function takes(name, parameter)
  for _, row in ipairs(drift.components "conditioning") do
    if row.name == name then
      for _, p in ipairs(row.params) do
        if p.name == parameter then return true end
      end
    end
  end
  return false
end

return function(model, choice, channels, classes)
  if type(choice) == "string" then
    local constructor = drift.conditioning[choice]
    return constructor { channels = channels, classes = takes(choice, "classes") and classes or nil }
  end
  if drift.is_spec(choice, "conditioning") then return choice:with { channels = channels } end
  local spec = type(choice) == "function" and choice(channels) or nil
  if not drift.is_spec(spec, "conditioning") then
    drift.fail("%s: conditioning is a scheme's name, a conditioning spec or a function from channels to one, not a %s",
      model, type(choice) == "function" and "function that returns a " .. drift.type(spec) or drift.type(choice))
  end
  return spec
end
