-- generator_of.lua: the generator of a folder, whatever is in it: a pretrained DeepFloyd IF
-- (drift.generators.deepfloyd_if) or a run of this program that trained a model of classes (drift.generators.digits).
--   local g = drift.generator_of("IF-I-M-v1.0", { text = "t5-v1_1-xxl", steps = 50 })
--   local g = drift.generator_of "runs/mnist_flow"
-- options: those of the generator; what is meant for the other one is left out. A run's generator has `classes`, how many
-- it draws: 0 where its network was trained without, and then it takes no condition.
local drift = require "drift"

local FOR_TEXT = { "text", "embeddings", "precision", "variant", "steps", "scale", "negative", "size", "batch" }

-- The config of a run, nil where the folder is none.
local function run_config(path)
  if not drift.is_folder(path) or drift.exists(path .. "/model_index.json") then return nil end
  if not drift.exists(path .. "/config.json") then return nil end
  local ok, config = pcall(drift.json.decode, drift.read_file(path .. "/config.json"))
  return ok and type(config) == "table" and type(config.parameters) == "table" and config or nil
end

local function run_generator(path, config, steps)
  local g = drift.generators.digits { run = path, steps = steps }
  g.classes = config.network.config.classes or 0
  if g.classes == 0 then
    g.condition = function(_, what)
      if what == nil then return nil end
      drift.fail("%s was trained without classes: it takes no condition, not %s", path, tostring(what))
    end
  end
  return g
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
  local run = run_config(path)
  if run then return run_generator(path, run, o.steps) end
  local given = chosen(o, FOR_TEXT)
  given.model = path
  return drift.generators.deepfloyd_if(given)
end
