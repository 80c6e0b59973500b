-- names.lua: what a value at the prompt is called, and what stands behind a dot or a colon: for completion and help(x).
local drift = require "drift"
local core = require "drift.core"

local names = {}

local function sorted(set)
  local list = {}
  for name in next, set do
    if type(name) == "string" and name:find "^[%a_][%w_]*$" and not name:find "^__" then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- Files of a folder of lua/drift as names: train.lua, bench/init.lua.
local function add_files(set, folder)
  for _, file in ipairs(core.files(folder)) do
    local name = file:match "^(.*)%.lua$"
    if name and name ~= "init" then set[name] = true end
    if core.is_folder(folder .. "/" .. file) then set[file] = true end
  end
end

local function of_drift()
  local set = {}
  for name in next, drift do set[name] = true end
  for kind in pairs(core.kinds()) do set[kind] = true end
  add_files(set, core.home .. "/lua/drift")
  return sorted(set)
end

local function components(kind)
  local set = {}
  for _, c in ipairs(core.components(kind)) do set[c.name] = true end
  return sorted(set)
end

-- "sampler" where t is the table drift.sampler; "models" where it is a folder of lua/drift.
function names.kind_of(t)
  for kind in pairs(core.kinds()) do
    if rawequal(rawget(drift, kind), t) then return kind end
  end
end

function names.folder_of(t)
  for name, value in next, drift do
    if rawequal(value, t) and core.is_folder(core.home .. "/lua/drift/" .. name) then return name end
  end
end

local function of_table(t)
  if rawequal(t, drift) then return of_drift() end
  local kind = names.kind_of(t)
  if kind then return components(kind) end
  local set = {}
  for name in next, t do set[name] = true end
  local folder = names.folder_of(t)
  if folder then add_files(set, core.home .. "/lua/drift/" .. folder) end
  return sorted(set)
end

-- Methods and fields of what is no table: those of its class.
local OF_SPEC <const> = { kind = true, name = true, params = true, with = true, hash = true, table = true, instance = true }
local OF_TENSOR <const> = { shape = true, dtype = true, device = true, rank = true, grad = true }

local function add_index(set, value)
  local meta = debug.getmetatable(value)
  local index = meta and rawget(meta, "__index")
  if type(index) == "function" then                               -- the binding's: its methods are what it holds
    local _, held = debug.getupvalue(index, 1)
    index = held
  end
  if type(index) == "table" then
    for name in next, index do set[name] = true end
  end
end

local function of_tensor(set, value)
  add_index(set, value)
  for _, c in ipairs(core.components "op") do set[c.name] = true end
  for name in next, OF_TENSOR do set[name] = true end
end

local function of_module(set, value)
  for _, name in ipairs { "parameters", "named", "count", "train", "eval", "training", "stream", "zero_grad", "state_dict",
                          "load_state_dict", "save", "load", "frozen", "config", "name", "path", "spec" } do
    set[name] = true
  end
  for _, child in ipairs(value.spec and core.spec_data(value.spec) and core.spec_data(value.spec).net
                           and core.spec_data(value.spec).net.children or {}) do
    set[child[1]] = true
  end
end

-- The names behind `value.` or `value:`
function names.inside(value)
  if type(value) == "table" and core.type(value) ~= "module" then return of_table(value) end
  local set, kind = {}, core.type(value)
  if kind == "string" then add_index(set, value) end
  if kind == "spec" then
    for name in next, OF_SPEC do set[name] = true end
    if value.kind == "net" then
      of_module(set, value)
    else
      for name in next, core.instance_method(value.kind) or {} do set[name] = true end
    end
  elseif kind == "tensor" then
    of_tensor(set, value)
  elseif kind == "module" then
    of_module(set, value)
  elseif kind == "instance" then
    for name in next, core.instance_method(value.kind) or {} do set[name] = true end
  elseif type(value) == "userdata" then
    add_index(set, value)
  end
  return sorted(set)
end

-- "drift.sampler.heun", "drift.train", "drift.models.cs180_unet": where a function of drift is found; nil: it is not one.
function names.path_of(value)
  for name, at in next, drift do
    if rawequal(at, value) then return "drift." .. name end
  end
  for name, at in next, drift do
    if type(at) == "table" and (core.kinds()[name] or names.folder_of(at)) then
      for inner, item in next, at do
        if rawequal(item, value) then return ("drift.%s.%s"):format(name, inner) end
      end
    end
  end
end

return names
