-- trained.lua: a run's network and process again, from its folder: what config.json describes, with the weights of its
-- checkpoint, in evaluation mode.
--   local net, process, config = drift.trained "runs/mnist_flow"
-- For networks of drift.models.cs180_unet and improved_unet, and processes whose parameters are numbers, texts and
-- components. A run that trained more than once has a folder for each: runs/guidance/net.
local drift = require "drift"
local run_directory = require "drift.run"

-- The arguments of drift.models.NAME that a network's config holds.
local ARGUMENTS = {
  cs180_unet = { "hidden", "in_channels", "classes", "residual", "time", "class" },
  improved_unet = { "hidden", "in_channels", "classes", "heads", "groups", "dropout", "width", "time" },
}

local function network_of(folder, config)
  local described = type(config.network) == "table" and config.network.config or nil
  if not described then
    drift.fail("%s: config.json describes no network, so nothing was trained there%s", folder,
      " (of an experiment that trains more than once, name the folder of one training)")
  end
  local names = ARGUMENTS[described.model]
  if not names then
    drift.fail("%s: a network of drift.models.%s is not made again", folder, tostring(described.model))
  end
  if described.scheme then
    drift.fail("%s: the conditioning %s was given as a spec, which config.json does not hold whole", folder,
      described.scheme)
  end
  local arguments = {}
  for _, name in ipairs(names) do arguments[name] = described[name] end
  return drift.models[described.model](arguments)
end

-- { kind =, name =, params = } as spec:table() writes it -> the spec
local function spec_of(where, t)
  if type(t) ~= "table" or type(t.kind) ~= "string" or type(t.name) ~= "string" then
    drift.fail("%s: config.json does not say by what process was trained", where)
  end
  local params = {}
  for key, value in pairs(type(t.params) == "table" and t.params or {}) do
    if type(value) == "string" and value:find "^function:" then
      drift.fail("%s: %s %s has a function for %s, which config.json does not hold", where, t.kind, t.name, key)
    end
    params[key] = type(value) == "table" and value.kind and spec_of(where, value) or value
  end
  return drift[t.kind][t.name](params)
end

return function(folder)
  if type(folder) ~= "string" then drift.fail("trained takes the folder of a run, not a %s", drift.type(folder)) end
  local config = run_directory.config(folder)
  local path = folder .. "/checkpoint.safetensors"
  local spec = network_of(folder, config)
  local process = spec_of(folder, type(config.training) == "table" and config.training.process)
  if not drift.exists(path) then drift.fail("%s: no checkpoint.safetensors there yet", folder) end
  local net = drift.build(spec, { seed = 0 })
  net:load(path, { prefix = "net." })
  return net:requires_grad(false):eval(), process, config
end
