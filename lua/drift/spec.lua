-- spec.lua: specs. drift.sampler.heun { order = 2 } is a value that says what is wanted and does nothing: it is checked
-- by the component's schema where it is written, can be printed, compared and hashed, and drift.build makes instances
-- of it. Underneath it is a userdata with a table { kind, name, given, params }; nets have a `net` there (net.lua).
local core = require "drift.core"

local spec = {}
local methods = {}
local meta = core.spec_metatable
local data = core.spec_data
local is_module = { block = true, conditioning = true, net = true }

function spec.is_spec(value, kind)
    local d = data(value)
    return d ~= nil and (kind == nil or d.kind == kind)
end

-- ---- making ---------------------------------------------------------------------------------------------------------
local function copy(value)
    if core.type(value) == "tensor" then return value:clone():keep() end
    if type(value) ~= "table" then return value end
    local result = {}
    for key, item in next, value do result[key] = item end        -- names too: the schema refuses them
    return result
end

-- A tensor parameter may be written as a list: { 3, 1, 2 }.
local function as_tensor(kind, name, row, value)
    local made, result = pcall(core.tensor, value, row.choices)
    if made then return result:keep() end
    core.fail("%s %s: %s must be a tensor of %s, or a list to make one of: %s", kind, name, row.name, row.choices,
              (tostring(result):gsub("^[^:]*:%d+: ", "")))
end

local function make(kind, name, given)
    local mine = {}
    if type(given) == "table" then
        for key, value in next, given do mine[key] = copy(value) end
    else
        mine = given == nil and {} or given
    end
    local rows = core.component(kind, name).params
    for _, row in ipairs(type(mine) == "table" and rows or {}) do
        if row.type == "tensor" and type(mine[row.name]) == "table" then
            mine[row.name] = as_tensor(kind, name, row, mine[row.name])
        end
    end
    core.check_spec(kind, name, mine)
    local params = {}
    for _, row in ipairs(rows) do
        local value = mine[row.name]
        if value == nil then value = row.default end
        if row.type == "component" and type(value) == "string" then
            value = make(row.choices:match "^[^:]*", value, {})
        end
        params[row.name] = row.type == "tensor" and value or copy(value)
        if row.type == "components" then
            for i, item in ipairs(value) do
                if type(item) == "string" then params[row.name][i] = make(row.choices, item, {}) end
            end
        end
    end
    return core.new_spec { kind = kind, name = name, given = mine, params = params }
end

-- drift.<kind>: a table of constructors, one per component, found when first used
function spec.kind(kind)
    return setmetatable({}, {
        __index = function(self, name)
            core.component(kind, tostring(name))                    -- raises, with a did-you-mean
            local constructor = core.door(function(given) return make(kind, name, given) end)
            rawset(self, name, constructor)
            return constructor
        end,
    })
end

-- ---- text that says all: the same for equal specs, in every run -----------------------------------------------------
local canonical

local function hash_of_function(f, depth)
    local parts = {}
    local dumped, code = pcall(string.dump, f, true)
    parts[1] = dumped and core.sha256(code) or "builtin"
    for i = 1, math.huge do
        local name, value = debug.getupvalue(f, i)
        if not name then break end
        if value ~= _G then parts[#parts + 1] = canonical(value, depth + 1) end
    end
    return core.sha256(table.concat(parts, ";"))
end

local function text_of_tensor(t)
    return ("tensor:%s[%s]:%s"):format(t.dtype, table.concat(t.shape, ","), core.sha256(t:tostring_bytes()))
end

local function canonical_table(t, depth)
    local keys, parts = {}, {}
    for key in next, t do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return canonical(a, depth) < canonical(b, depth) end)
    for i, key in ipairs(keys) do parts[i] = canonical(key, depth + 1) .. "=" .. canonical(t[key], depth + 1) end
    return "{" .. table.concat(parts, ",") .. "}"
end

function canonical(value, depth)
    depth = depth or 0
    local kind = math.type(value) or type(value)
    if kind == "integer" or kind == "float" then return ("%.17g"):format(value) end
    if kind == "string" then return ("%q"):format(value) end
    if kind == "boolean" or kind == "nil" then return tostring(value) end
    if data(value) then return "spec:" .. value:hash() end
    if depth <= 1 and core.type(value) == "tensor" then return text_of_tensor(value) end
    if depth > 6 then return kind end                             -- far enough: what a function reaches has no end
    if kind == "function" then return "function:" .. hash_of_function(value, depth) end
    if kind == "table" and not getmetatable(value) then return canonical_table(value, depth) end
    return core.type(value)
end

-- Of a component that is written in Lua (define.lua) its code counts as well; "" for others.
local function code_of(d)
    local definition = not d.net and core.definition(d.kind, d.name)
    return definition and canonical(definition.functions, 0) .. canonical(definition.given, 0) or ""
end

function methods:hash()
    local d = data(self)
    if not d.hash or d.hash_of ~= core.definitions() then
        local body = d.net and canonical(d.net, 0) or canonical(d.params, 0)
        d.hash, d.hash_of = core.sha256(("%s.%s%s%s"):format(d.kind, d.name, body, code_of(d))), core.definitions()
    end
    return d.hash
end

-- ---- other views of it ----------------------------------------------------------------------------------------------
local function shown(value)
    if data(value) then return tostring(value) end
    if type(value) == "string" then return ("%q"):format(value) end
    if math.type(value) == "float" then return ("%.10g"):format(value) end
    if type(value) == "function" then return "function" end
    if core.type(value) == "tensor" then return ("%s[%s]"):format(value.dtype, table.concat(value.shape, ",")) end
    if type(value) ~= "table" then return tostring(value) end
    local parts = {}
    for i, item in ipairs(value) do parts[i] = shown(item) end
    return "{" .. table.concat(parts, ", ") .. "}"
end

local function differs(value, default)
    if type(value) == "table" then return canonical(value, 0) ~= canonical(default or {}, 0) end
    return value ~= default
end

function meta.__tostring(self)
    local d = data(self)
    local parts = {}
    if d.net then
        for key, value in next, d.net.config do parts[#parts + 1] = key .. "=" .. shown(value) end
        table.sort(parts)
        return ("net.%s{%s}"):format(d.name, table.concat(parts, ", "))
    end
    for _, row in ipairs(core.component(d.kind, d.name).params) do
        local value = d.given[row.name]
        if value ~= nil and differs(value, row.default) then parts[#parts + 1] = row.name .. "=" .. shown(value) end
    end
    return ("%s.%s{%s}"):format(d.kind, d.name, table.concat(parts, ", "))
end

local function plain(value)
    if data(value) then return value:table() end
    if type(value) == "function" then return "function:" .. hash_of_function(value, 0) end
    if core.type(value) == "tensor" then return text_of_tensor(value) end
    if type(value) ~= "table" then return value end
    local result = {}
    for key, item in next, value do result[key] = plain(item) end
    return next(result) == nil and core.json.array(result) or result
end

function methods:table()
    local d = data(self)
    local params = {}
    for key, value in next, d.net and d.net.config or d.params do params[key] = plain(value) end
    local result = { kind = d.kind, name = d.name, params = params }
    if d.net then
        result.children = {}
        for _, list in ipairs { d.net.children, d.net.inline } do
            for _, child in ipairs(list) do result.children[child[1]] = child[2]:table() end
        end
    end
    return result
end

function methods:with(changes)
    local d = data(self)
    if type(changes) ~= "table" then
        core.fail("%s:with takes a table of parameters, not a %s", self, core.type(changes))
    end
    local merged = {}
    for key, value in next, d.given do merged[key] = value end
    for key, value in next, changes do merged[key] = value end
    if d.net then return require "drift.net".net(merged) end
    return make(d.kind, d.name, merged)
end

function meta.__eq(a, b)
    return data(a) ~= nil and data(b) ~= nil and a:hash() == b:hash()
end

-- ---- instances ------------------------------------------------------------------------------------------------------
function spec.build(value, options)
    local d = data(value)
    if not d then
        core.fail("drift.build takes a spec, such as drift.block.conv2d { ... }, not a %s", core.type(value))
    end
    if is_module[d.kind] then return require "drift.net".build(value, options) end
    return core.build_instance(d.kind, d.name, d.given)
end

function methods:instance()
    local d = data(self)
    if not d.instance then d.instance = spec.build(self) end
    return d.instance
end

for name, method in next, methods do methods[name] = core.door(method) end   -- errors show the script's line

debug.getregistry()["drift.spec_instance"] = methods.instance   -- where C finds it: a spec may stand for its instance

function spec.instance(value, kind)
    local d = data(value)
    local found = d and d.kind or core.type(value)
    if core.type(value) == "instance" or core.type(value) == "module" then found = value.kind end
    if kind and found ~= kind then core.fail("expected a %s, got a %s", kind, found) end
    return d and value:instance() or value
end

-- spec.params.order, spec:hash(), and what its instance can do: data.train, process:coef(t), net:save(path)
function meta.__index(self, key)
    local d = data(self)
    if key == "kind" or key == "name" then return d[key] end
    if key == "params" then
        local params = {}
        for name, value in next, d.net and d.net.config or d.params do params[name] = copy(value) end
        return params
    end
    if methods[key] then return methods[key] end
    if is_module[d.kind] then
        local instance = self:instance()
        local value = instance[key]
        if type(value) ~= "function" then return value end
        return function(me, ...)
            if rawequal(me, self) then return value(instance, ...) end
            return value(me, ...)
        end
    end
    local method = core.instance_method(d.kind, key)
    if not method then
        local hint = d.params[key] ~= nil and ("; its parameter is spec.params." .. key) or ""
        core.fail("%s %s has no '%s'%s", d.kind, d.name, tostring(key), hint)
    end
    if d.kind == "dataset" and (key == "train" or key == "test") then return method(self) end
    return method
end

function meta.__newindex(self, key)
    core.fail("a spec cannot be changed; write spec:with { %s = ... }", tostring(key))
end

function meta.__call(self, ...)
    if not is_module[data(self).kind] then core.fail("%s is a spec and cannot be called", self) end
    return self:instance()(...)
end

return spec
