-- cell_environment.lua: which part of a comparison this process is: DRIFT_COMPARE_CELL, a JSON object that the process
-- which started it has set; nil where it is none.
--   what             "cell", "description": of drift.compare, which does that alone there
--                    "script", "script_description": a script that is a variant as it stands
--   comparison       the comparison's folder, which --resume is to name
--   variant          its name
--   parameters_of    the folder whose config.json has the script's parameters, where --set does not say them
--   steps, epochs    of the training, where the comparison's budget says them
local drift = require "drift"

local WHATS = { cell = true, description = true, script = true, script_description = true }
local text = os.getenv "DRIFT_COMPARE_CELL"
if not text or text == "" then return false end
local ok, here = pcall(drift.json.decode, text)
if not ok or type(here) ~= "table" or not WHATS[here.what] or type(here.comparison) ~= "string" then
  drift.fail "DRIFT_COMPARE_CELL is set to what no comparison sets it to; take it out of the environment"
end
return here
