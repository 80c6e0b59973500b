-- init.lua: the table `drift`: the binding's functions (drift.core), specs, nets, and the library in lua/drift, each
-- file of which is loaded when its name is first used: drift.train is what lua/drift/train.lua returns.
local core = require "drift.core"

local drift = {
    options = core.settings.options,           -- of the command line
    set = core.settings.set,                   -- key=value, as text
    set_order = core.settings.set_order,
}

local internal = {                             -- for the files of the binding only
    module = true, check_spec = true, new_spec = true, spec_data = true, spec_metatable = true, build_instance = true,
    instance_method = true, kinds = true, door = true, new_optimizer = true, load_weights = true, settings = true,
    weight_list = true, take_weights = true, weights_taken = true, is_frozen = true, installation = true,
    probe_plugin = true, http_server = true, terminal_state = true,
    probe_plugin = true, plugins_left_out = true, find_plugins = true,
    probe_plugin = true, define_prepare = true, define_commit = true, define_kinds = true, definition = true, definitions = true,
    probe_plugin = true, read_line = true, line_history = true, line_remember = true, http_server = true,
    probe_plugin = true, find_plugin = true, reload_plugin = true, reload_definitions = true, file_stamp = true,
}
for name, value in pairs(core) do
    if not internal[name] then drift[name] = value end
end

local spec = require "drift.spec"
local net = require "drift.net"
local help = require "drift.help"
local precision = require "drift.precision"

drift.is_spec, drift.instance, drift.build = spec.is_spec, core.door(spec.instance), core.door(spec.build)
drift.net, drift.optimizer = core.door(net.net), core.door(net.optimizer)
drift.help, drift.list = help.help, help.list
drift.precision = core.door(function(name) return precision(name) end)

-- parse(text): a number, true, false, nil or a list of such; anything else is the text itself.
local function parse(text)
    local list = text:match "^{(.*)}$" or (text:find(",", 1, true) and text)
    if list then
        local values = {}
        for item in list:gmatch "[^,]+" do values[#values + 1] = parse(item:match "^%s*(.-)%s*$") end
        return values
    end
    if text == "true" then return true end
    if text == "false" then return false end
    if text == "nil" then return nil end
    local number = tonumber(text)
    if number then return number end
    return text
end
drift.parse = parse

if drift.options.script and drift.options.precision then precision(drift.options.precision) end

-- ---- autoload -------------------------------------------------------------------------------------------------------
local root = core.home .. "/lua/drift/"

local function known_names()
    local names = {}
    for name in next, drift do names[#names + 1] = name end
    for kind in pairs(core.kinds()) do names[#names + 1] = kind end
    for _, file in ipairs(core.files(root)) do names[#names + 1] = file:match "^(.*)%.lua$" end
    table.sort(names)
    return names
end

-- A folder without init.lua: a table whose fields are its files.
local function folder_of(path, module)
    return setmetatable({}, {
        __index = function(self, name)
            if not core.exists(("%s/%s.lua"):format(path, name)) then
                local names = {}
                for _, file in ipairs(core.files(path)) do names[#names + 1] = file:match "^(.*)%.lua$" end
                local near = core.nearest(tostring(name), names)
                core.fail("%s has no '%s'%s", module, name, near and "; did you mean '" .. near .. "'?" or "")
            end
            local value = require(module .. "." .. name)
            if type(value) == "function" then value = core.door(value) end
            rawset(self, name, value)
            return value
        end,
    })
end

local function load_part(name)
    if name ~= "op" and core.kinds()[name] then return spec.kind(name) end
    if not name:find "^[%a_][%w_]*$" then return nil end
    for _, file in ipairs { name .. ".lua", name .. "/init.lua" } do
        if core.exists(root .. file) then return require("drift." .. name) end
    end
    if core.is_folder(root .. name) then return folder_of(root .. name, "drift." .. name) end
end

return setmetatable(drift, {
    __name = "drift",
    __index = function(self, name)
        local value = type(name) == "string" and load_part(name)
        if type(value) == "function" then value = core.door(value) end
        if not value then
            local near = core.nearest(tostring(name), known_names())
            core.fail("drift has no '%s'%s", name, near and "; did you mean '" .. near .. "'?" or "")
        end
        rawset(self, name, value)
        return value
    end,
})
