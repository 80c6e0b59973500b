-- start.lua: what the program does before and around a script. main.c calls it with the home folder and the settings of
-- the command line, and gets the function that carries out a command.
--   Packages are found in home/lua, beside the script, and where Lua finds them otherwise.
--   Code is loaded as text only: a file of bytecode could crash the program.
--   An undefined global is an error, read or written: it is a typo nearly always. Libraries from elsewhere are exempt.
local home, settings = ...
local core = require "drift.core"

local load_any, loadfile_any = load, loadfile

-- The message of a file that is bytecode does not name it.
local function load_text(path, ...)
    local chunk, reason = loadfile_any(path, "t", ...)
    if not chunk and path and not reason:find(path, 1, true) then reason = path .. ": " .. reason end
    return chunk, reason
end

local function refuse_binary(mode)
    if mode and not mode:find("t", 1, true) then return "only text is loaded, not bytecode" end
end

function load(chunk, name, mode, ...)
    local reason = refuse_binary(mode)
    if reason then return nil, reason end
    return load_any(chunk, name, "t", ...)
end

function loadfile(path, mode, ...)
    local reason = refuse_binary(mode)
    if reason then return nil, reason end
    return load_text(path, ...)
end

function dofile(path)
    local chunk, reason = load_text(path)
    if not chunk then error(reason, 0) end
    return chunk()
end

-- ---- packages -------------------------------------------------------------------------------------------------------
local folder = settings.options.script and (settings.options.script:match("^(.*/)[^/]*$") or "./")
local own = { home .. "/lua/" }
if folder then own[2] = folder end
local elsewhere = package.path
local templates = {}
for _, at in ipairs(own) do
    templates[#templates + 1] = at .. "?.lua"
    templates[#templates + 1] = at .. "?/init.lua"
end
package.path = table.concat(templates, ";") .. ";" .. elsewhere

local exempt = {}                              -- sources of libraries: they may look up globals that are not there

package.searchers[2] = function(name)
    local path, reason = package.searchpath(name, package.path)
    if not path then return reason end
    local chunk, problem = load_text(path)
    if not chunk then error(("module %s: %s"):format(name, problem), 0) end
    local ours = false
    for _, at in ipairs(own) do ours = ours or path:sub(1, #at) == at end
    if not ours then exempt["@" .. path] = true end
    return chunk, path
end

-- ---- strict globals -------------------------------------------------------------------------------------------------
local function is_exempt(level)
    local caller = debug.getinfo(level + 1, "S")
    return not caller or caller.what == "C" or exempt[caller.source]
end

local function globals()
    local names = {}
    for name in next, _G do if type(name) == "string" then names[#names + 1] = name end end
    table.sort(names)
    return names
end

if settings.options.strict then
    setmetatable(_G, {
        __index = function(_, name)
            if is_exempt(2) then return nil end
            local near = core.nearest(tostring(name), globals())
            error(("undefined global '%s'%s"):format(name, near and "; did you mean '" .. near .. "'?" or ""), 2)
        end,
        __newindex = function(_, name, value)
            if not is_exempt(2) then
                error(("'%s' is not declared; write: local %s"):format(name, name), 2)
            end
            rawset(_G, name, value)
        end,
    })
end

-- ---- commands -------------------------------------------------------------------------------------------------------
local command = {}

function command.run(script)
    local chunk, reason = load_text(script)
    if not chunk then error(reason, 0) end
    local _ <close> = setmetatable({}, { __close = function(_, problem)
        if problem ~= nil and package.loaded["drift.run"] then package.loaded["drift.run"].discard_untouched() end
    end })
    chunk()
end

function command.headers() print(core.installation().headers) end
function command.bench(what) require "drift".bench(what) end
function command.list(kind) io.write(require "drift".list(kind)) end
function command.help(name) io.write(require "drift".help(name)) end

-- DRIFT_PLUGINS may name files that define components (drift.define), beside folders and libraries.
local without_plugins = { check = true, doctor = true, headers = true }

local function run_definitions()
    for path in (os.getenv "DRIFT_PLUGINS" or ""):gmatch "[^:]+" do
        if path:find "%.lua$" then dofile(path) end
    end
end

-- Others: lua/drift/NAME_command.lua returns the function.
return function(name, ...)
    if not without_plugins[name] then run_definitions() end
    local run = command[name] or require("drift")[name .. "_command"]
    run(...)
end
