-- experiment.lua: the parameters of a script and where its results go.
--
--   local run = drift.experiment { epochs = 10, lr = 1e-3, preset = "quick",
--                                  presets = { quick = { epochs = 1 }, smoke = { steps = 3 } } }
--   run.epochs, run.lr                               the values, after preset and command line
--
-- What counts, weakest first: the script's own values, the preset, the run that is resumed, the command line. A key
-- that the script does not have, or a value of another type, is an error. `precision` ("f32" or "bf16", see
-- precision.lua) is a parameter of every script, and --precision another way to set it.
local drift = require "drift"
local run_directory = require "drift.run"
local cell = require "drift.compare.cell_environment"

local RESERVED = { presets = true, preset = true, name = true }

local function names_of(defaults)
  local names = {}
  for key in pairs(defaults) do
    if not RESERVED[key] then names[#names + 1] = key end
  end
  table.sort(names)
  return names
end

local function unknown(key, names, what)
  local near = drift.nearest(key, names)
  drift.fail("%s '%s' is not a parameter of this script%s", what, key,
    near and (": did you mean '" .. near .. "'?") or ("; it has " .. table.concat(names, ", ")))
end

-- A number stays a number, a list a list: "--set epochs=two" is caught here and not deep inside a training.
local function checked(key, value, default)
  if type(default) == "table" and type(value) ~= "table" then value = { value } end
  if type(default) == "string" and type(value) ~= "string" then value = tostring(value) end
  if type(value) ~= type(default) then
    drift.fail("%s = %s: expected a %s, such as %s", key, tostring(value), type(default), tostring(default))
  end
  if math.type(default) == "integer" and math.type(value) == "float" then
    if value ~= math.floor(value) then drift.fail("%s = %s: expected a whole number", key, tostring(value)) end
    value = math.tointeger(value)
  end
  return value
end

local function apply(values, changes, defaults, names, what)
  for key, value in pairs(changes) do
    if defaults[key] == nil or RESERVED[key] then unknown(key, names, what) end
    values[key] = checked(key, value, defaults[key])
  end
end

local function preset_of(defaults)
  local presets = defaults.presets or {}
  local name = drift.set.preset or defaults.preset
  if not name then return nil, {} end
  if presets[name] then return name, presets[name] end
  local known = {}
  for key in pairs(presets) do known[#known + 1] = key end
  table.sort(known)
  if name == "paper" then return name, {} end                     -- the script's own values
  drift.fail("preset '%s': this script has %s", name, table.concat(known, ", ") .. (presets.paper and "" or ", paper"))
end

local function with_precision(given)
  local defaults = { precision = "f32" }
  for key, value in pairs(given) do defaults[key] = value end
  return defaults
end

return function(given_defaults)
  local defaults = with_precision(given_defaults)
  local names = names_of(defaults)
  local preset, changes = preset_of(defaults)
  local values = {}
  for _, key in ipairs(names) do values[key] = defaults[key] end
  apply(values, changes, defaults, names, "preset " .. tostring(preset) .. ":")

  local from = drift.options.resume or cell and cell.parameters_of   -- a comparison's processes have its parameters
  local resumed = from and run_directory.config(from)
  if resumed then
    for _, key in ipairs(names) do
      if resumed.parameters[key] ~= nil then values[key] = checked(key, resumed.parameters[key], defaults[key]) end
    end
    preset = resumed.preset or preset
    if drift.options.seed == nil then drift.seed(resumed.seed) end
  end

  local given = {}
  for key, text in pairs(drift.set) do
    if key ~= "preset" then given[key] = type(defaults[key]) == "string" and text or drift.parse(text) end
  end
  apply(values, given, defaults, names, "--set")

  values.precision = drift.options.precision or values.precision
  drift.precision(values.precision)
  return run_directory.open { name = defaults.name, parameters = values, preset = preset }
end
