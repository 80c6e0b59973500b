-- config.lua: configurations as flat maps, { ["model.hidden"] = 64, optim = "adam", ["optim.lr"] = 0.001 }, in which
-- differences between variants are looked for.
--   config.of_setup(setup, run)       of what drift.compare trains and samples with, and the script's parameters
--   config.of_run(config_json)        of a run's config.json
--   config.differences(variants)      -> list of { key =, values = { NAME = value } }: what is not equal in all
local drift = require "drift"

local config = {}

local function is_component(t)
  return type(t.kind) == "string" and type(t.name) == "string" and type(t.params) == "table"
end

-- "function:4f1c.." is cut: that it is another one can be seen in few digits.
local function scalar(value)
  if type(value) == "string" then return (value:gsub("^(function:%x%x%x%x%x%x%x%x)%x+", "%1")) end
  return value
end

local flatten

local function flatten_table(prefix, t, into)
  if is_component(t) then
    into[prefix] = t.name
    for key, value in pairs(t.params) do flatten(prefix .. "." .. key, value, into) end
    for name, child in pairs(t.children or {}) do                 -- of a network: what its own parameters do not say
      if child.kind == "conditioning" then
        flatten(prefix .. "." .. name, child, into)
        -- The widths of the network's places follow from it.
        into[prefix .. "." .. name .. ".channels"] = nil
      end
    end
    return
  end
  local plain = true
  for _, value in ipairs(t) do plain = plain and type(value) ~= "table" and type(value) ~= "userdata" end
  if #t > 0 and plain or next(t) == nil then
    into[prefix] = drift.json.encode(t)
    return
  end
  for key, value in pairs(t) do
    flatten(math.type(key) and ("%s[%d]"):format(prefix, key) or prefix .. "." .. key, value, into)
  end
end

function flatten(prefix, value, into)
  if drift.is_spec(value) then value = value:table() end
  if value == nil or value == drift.json.null then return end
  if type(value) == "table" then return flatten_table(prefix, value, into) end
  if type(value) == "function" then value = "function" end
  if type(value) ~= "string" and type(value) ~= "number" and type(value) ~= "boolean" then value = drift.type(value) end
  into[prefix] = scalar(value)
end

local LEFT_OUT = { after_epoch = true, checkpoint_every = true, shape = true }   -- nothing that results depend on

function config.of_setup(setup, parameters)
  local flat = {}
  for key, value in pairs(parameters or {}) do
    -- Others are in the script's hands: what they do shows.
    if key == "precision" then flatten(key, value, flat) end
  end
  for _, part in ipairs { setup.train, setup.sample } do
    for key, value in pairs(part) do
      if not LEFT_OUT[key] then flatten(key, value, flat) end
    end
  end
  -- drift.train takes them from the run, where that has them.
  for _, key in ipairs { "epochs", "batch", "steps" } do
    if flat[key] == nil and parameters and parameters[key] ~= nil then flatten(key, parameters[key], flat) end
  end
  return flat
end

function config.of_run(c)
  local flat = {}
  for key, value in pairs(c.parameters or {}) do flatten(key, value, flat) end
  if type(c.training) == "table" then
    for key, value in pairs(c.training) do flatten(key, value, flat) end
  end
  if type(c.network) == "table" and type(c.network.config) == "table" then
    flatten("model", { kind = "net", name = tostring(c.network.name), params = c.network.config }, flat)
  end
  flatten("data", type(c.data) == "table" and c.data.sha256 or nil, flat)
  return flat
end

-- Of two: "then" and "now" in the values.
function config.between(before, now)
  return config.differences { { name = "then", config = before }, { name = "now", config = now } }
end

-- variants: list of { name =, config = }; those without a configuration (their process failed) are left out.
function config.differences(variants)
  local keys, list = {}, {}
  local with = {}
  for _, v in ipairs(variants) do
    if v.config and next(v.config) then with[#with + 1] = v end
  end
  for _, v in ipairs(with) do
    for key in pairs(v.config) do keys[key] = true end
  end
  local sorted = {}
  for key in pairs(keys) do sorted[#sorted + 1] = key end
  table.sort(sorted)
  for _, key in ipairs(sorted) do
    local values, differ = {}, false
    for _, v in ipairs(with) do
      local value = v.config[key]
      values[v.name] = value == nil and drift.json.null or value
      differ = differ or value ~= with[1].config[key]
    end
    if differ then list[#list + 1] = { key = key, values = values } end
  end
  return list
end

return config
