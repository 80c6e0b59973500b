-- generator_of.lua: the generator of a folder, whatever is in it: a pretrained DeepFloyd IF
-- (drift.generators.deepfloyd_if) or a run of this program that trained a model of classes (drift.generators.digits).
--   local g = drift.generator_of("IF-I-M-v1.0", { text = "t5-v1_1-xxl", steps = 50 })
--   local g = drift.generator_of "runs/mnist_flow"
-- options: those of the generator; what is meant for the other one is left out.
local drift = require "drift"

local FOR_TEXT = { "text", "embeddings", "precision", "variant", "steps", "scale", "negative", "size", "batch" }

local function is_run(path)
  if not drift.is_folder(path) or drift.exists(path .. "/model_index.json") then return false end
  if not drift.exists(path .. "/config.json") then return false end
  local ok, config = pcall(drift.json.decode, drift.read_file(path .. "/config.json"))
  return ok and type(config) == "table" and type(config.parameters) == "table"
end

local function chosen(options, names)
  local some = {}
  for _, name in ipairs(names) do some[name] = options[name] end
  return some
end

return function(path, options)
  local o = options or {}
  if type(path) ~= "string" or path == "" then
    drift.fail("generator_of takes the path of a model, not %s", tostring(path))
  end
  if not drift.exists(path) then drift.fail("%s: there is no such file or folder", path) end
  if is_run(path) then return drift.generators.digits { run = path, steps = o.steps } end
  local given = chosen(o, FOR_TEXT)
  given.model = path
  return drift.generators.deepfloyd_if(given)
end
