-- explain.lua: help(x) at the prompt, as text: of a name ("heun"), a component's constructor, a spec, an instance, a
-- kind, a function of drift (the opening comment of its file, or its lines in docs/lua.md), a tensor, a network.
local core = require "drift.core"
local help = require "drift.help"
local names = require "drift.repl.names"

-- ---- docs/lua.md ----------------------------------------------------------------------------------------------------
local function manual() return core.read_file(core.home .. "/docs/lua.md") end

-- Its lines about `drift.NAME`: those that begin with it, or have it further on, and what is indented below them.
local function in_manual(path)
  local found, open = {}, nil
  local pattern = "%f[%w_]" .. path:gsub("%p", "%%%0") .. "%f[^%w_]"
  for line in manual():gmatch "[^\n]*" do
    local indent = #line:match "^%s*"
    if open and indent > open and line:find "%S" then
      found[#found + 1] = line
    else
      open = nil
      if indent == 4 and line:find(pattern) then found[#found + 1], open = line, indent end
    end
  end
  return #found > 0 and table.concat(found, "\n") .. "\n" or nil
end

local function section(title)
  local text = manual():match("\n## " .. title .. "\n(.-)\n## ")
  return text and text:gsub("\n*$", "\n") .. "" or nil
end

-- ---- lua/drift/NAME.lua ---------------------------------------------------------------------------------------------
local function opening_comment(path)
  local place = core.home .. "/lua/drift/" .. path:gsub("^drift%.", ""):gsub("%.", "/")
  for _, file in ipairs { place .. ".lua", place .. "/init.lua" } do
    if core.exists(file) then
      local lines = {}
      for line in core.read_file(file):gmatch "[^\n]*" do
        if line:sub(1, 2) ~= "--" then break end
        lines[#lines + 1] = line:gsub("^%-%- ?", "") .. ""
      end
      return #lines > 0 and table.concat(lines, "\n") .. "\n" or nil
    end
  end
end

local function of_path(path)
  local kind, name = path:match "^drift%.([%w_]+)%.([%w_]+)$"
  if kind and core.kinds()[kind] then return help.help(kind .. "." .. name) end
  local comment = opening_comment(path)
  local entry = in_manual(path)
  if comment and entry then return comment .. "\n" .. entry end
  return comment or entry
end

-- "heun", "sampler.heun", "sampler", "drift.train", "train", "tensor:narrow"
local function of_text(text)
  local name = text:gsub("^drift%.", "")
  local found, described = pcall(help.help, name)
  if found then return described end
  return of_path("drift." .. name) or error(described, 0)
end

local function of_function(value)
  local path = names.path_of(value)
  local text = path and of_path(path)
  if text then return text end
  local info = debug.getinfo(value, "S")
  if info.what == "C" then return "a function of C, of which nothing more is known here\n" end
  return ("a function, from %s:%d\n"):format(info.short_src, info.linedefined)
end

local function of_table(value)
  local kind = names.kind_of(value)
  if kind then return help.list(kind) end
  local folder = names.folder_of(value)
  if folder then return ("drift.%s has: %s\n"):format(folder, table.concat(names.inside(value), ", ")) end
  for name, module in pairs(package.loaded) do                    -- drift.define
    if rawequal(module, value) and name:find "^drift%.[%w_]+$" then return of_path(name) end
  end
  return ("a table: %s\n"):format(table.concat(names.inside(value), ", "))
end

local function of_component(value)
  return help.help(value.kind .. "." .. value.name)
end

return function(value)
  local kind = core.type(value)
  if value == nil then
    return "help(x): x is a name (\"heun\", \"train\"), a component (drift.sampler.heun), a spec, a kind (drift.sampler), a\n"
      .. "function of drift, a tensor or a network. drift.list() names every component.\n"
  elseif rawequal(value, require "drift") then
    return "drift.NAME, where NAME is a kind of component or one of:\n    " .. table.concat(names.inside(value), ", ") .. "\n"
  elseif kind == "string" then
    return of_text(value)
  elseif kind == "function" then
    return of_function(value)
  elseif kind == "spec" and value.kind ~= "net" then
    return of_component(value)
  elseif kind == "tensor" then
    return section "Tensors"
  elseif kind == "module" or kind == "spec" then
    return section "Networks"
  elseif kind == "instance" then
    return of_component(value)
  elseif type(value) == "table" then
    return of_table(value)
  end
  return ("a %s\n"):format(kind)
end
