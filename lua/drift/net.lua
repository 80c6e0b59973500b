-- net.lua: networks. drift.net { name, config, children, inline, weights, forward } is the spec of a network that is
-- written in Lua, from blocks and ops. drift.build makes a module of it, or of a block or conditioning alone. The core
-- owns the weights, by their paths ("d1.c.c1.conv.0.weight", PyTorch's names); here are the calls.
-- shares_images = true: its forward takes x [B] with a condition of n B rows, row r for image r mod B, and gives n B
-- rows; guidance then asks for both halves without repeating x. without_mask = true: it does not look at the condition's
-- mask, so guidance can drop a condition only where null tokens stand for none.
local core = require "drift.core"
local precision = require "drift.precision"
local data = core.spec_data

local net = {}
local methods = {}
local meta = { __name = "drift.module" }
local roots = setmetatable({}, { __mode = "k" }) -- nets that were built alone: where the precision changes
local reserved = {                              -- fields of a built net, which children cannot have for names
    handle = true, spec = true, name = true, place = true, path = true, config = true, kind = true, forward = true,
    named_list = true, shares_images = true, without_mask = true,
}

-- ---- specs ----------------------------------------------------------------------------------------------------------
local fields = { name = "string", config = "table", children = "table", inline = "table", weights = "table",
                 forward = "function", methods = "table", shares_images = "boolean", without_mask = "boolean" }
local field_names = {}
for name in next, fields do field_names[#field_names + 1] = name end
table.sort(field_names)

-- A map is taken in order of name, so that the same script gives the same order; a list of { name, spec } as it is.
local function ordered(where, children)
    local list = {}
    if children and #children > 0 then
        for i, child in ipairs(children) do list[i] = { child[1], child[2] } end
    else
        for name, child in next, children or {} do list[#list + 1] = { name, child } end
        table.sort(list, function(a, b) return tostring(a[1]) < tostring(b[1]) end)
    end
    for _, child in ipairs(list) do
        local name, value = child[1], child[2]
        if type(name) ~= "string" or name == "" then
            core.fail("%s: a child's name must be a string, not a %s", where, core.type(name))
        end
        if reserved[name] or methods[name] then
            core.fail("%s: a child cannot be called '%s': nets have that already", where, name)
        end
        local d = data(value)
        local kind = d and d.kind or core.type(value)
        if kind ~= "block" and kind ~= "conditioning" and kind ~= "net" then
            core.fail("%s: child %s must be a block, a conditioning or a net, not %s", where, name,
                      d and tostring(value) or "a " .. kind)
        end
    end
    return list
end

-- weights = { gain = { shape = { 8 }, init = 1 }, mix = { shape = { 8, 8 }, init = { normal = 0.02 } } }: init is a
-- constant, { uniform = bound } or { normal = deviation }. In order of name, as { name, shape, kind, value }.
local function ordered_weights(where, weights)
    local list = {}
    for name, w in next, weights or {} do
        if type(name) ~= "string" or reserved[name] or methods[name] then
            core.fail("%s: a weight cannot be called '%s'", where, tostring(name))
        end
        local init = type(w) == "table" and w.init or 0
        local kind, value = "constant", init
        if type(init) == "table" then kind, value = next(init) end
        if type(w) ~= "table" or type(w.shape) ~= "table" or type(value) ~= "number"
            or kind ~= "constant" and kind ~= "uniform" and kind ~= "normal" then
            core.fail("%s: weight %s must be { shape = { ... }, init = number, { uniform = bound } or { normal = deviation } }",
                      where, name)
        end
        list[#list + 1] = { name, w.shape, kind, value }
    end
    table.sort(list, function(a, b) return a[1] < b[1] end)
    return list
end

local function check(definition)
    if type(definition) ~= "table" then
        core.fail("drift.net takes a table: drift.net { name = ..., children = ..., forward = ... }")
    end
    for key, value in next, definition do
        local wanted = fields[key]
        if not wanted then
            local near = core.nearest(tostring(key), field_names)
            core.fail("drift.net has no field '%s'%s", key, near and "; did you mean '" .. near .. "'?" or "")
        end
        if type(value) ~= wanted then
            core.fail("drift.net: %s must be a %s, not a %s", key, wanted, core.type(value))
        end
    end
    if not definition.name then core.fail("drift.net needs a name") end
    for name, method in next, definition.methods or {} do
        if reserved[name] or methods[name] and name ~= "embed" and name ~= "modulate" and name ~= "gate" then
            core.fail("net %s: a method cannot be called '%s'", definition.name, name)
        end
        if type(method) ~= "function" then
            core.fail("net %s: method %s must be a function, not a %s", definition.name, name, core.type(method))
        end
    end
end

function net.net(definition)
    check(definition)
    local where = "net " .. definition.name
    local given, config = {}, {}
    for key, value in next, definition do given[key] = value end
    for key, value in next, definition.config or {} do config[key] = value end
    return core.new_spec {
        kind = "net", name = definition.name, given = given,
        net = { config = config, forward = definition.forward, methods = definition.methods,
                shares_images = definition.shares_images or false, without_mask = definition.without_mask or false,
                children = ordered(where, definition.children), inline = ordered(where, definition.inline),
                weights = ordered_weights(where, definition.weights) },
    }
end

-- ---- building -------------------------------------------------------------------------------------------------------
local function joined(a, b) return b == "" and a or a .. "." .. b end

local attach

local function fill(handle, spec, place)
    local d = data(spec)
    local module = { handle = handle, spec = spec, kind = d.kind, name = d.name, place = place,
                     path = core.module.path(handle), config = d.net and d.net.config or d.params,
                     forward = d.net and d.net.forward, shares_images = d.net and d.net.shares_images,
                     without_mask = d.net and d.net.without_mask }
    if not d.net then return setmetatable(module, meta) end
    local function put(name, value)
        if module[name] then core.fail("net %s: two things are called '%s'", place, name) end
        module[name] = value
    end
    for _, w in ipairs(d.net.weights) do put(w[1], core.module.weight(handle, table.unpack(w))) end
    for _, child in ipairs(d.net.children) do put(child[1], attach(handle, child[1], child[2], place)) end
    for _, child in ipairs(d.net.inline) do put(child[1], attach(handle, "", child[2], place)) end
    for name, method in next, d.net.methods or {} do
        module[name] = function(self, ...) return core.module.call(place, method, self, ...) end
    end
    return setmetatable(module, meta)
end

function attach(parent, name, spec, place)
    local d = data(spec)
    if d.net then return fill(core.module.group(parent, name), spec, joined(place, name)) end
    return fill(core.module.create(parent, name, d.kind, d.name, d.given), spec, joined(place, name))
end

local build_options = { "seed", "weights", "trainable" }

local function check_options(options)
    for key in next, options do
        local near = core.nearest(tostring(key), build_options)
        if near ~= key then
            core.fail("drift.build has no option '%s'%s", tostring(key),
                      near and "; did you mean '" .. near .. "'?" or "")
        end
    end
    local weights = options.weights
    if type(weights) == "string" then weights = require "drift.weights"(weights) end
    if weights ~= nil and core.type(weights) ~= "weights" then
        core.fail("drift.build: weights must be what drift.weights gives, or a path, not a %s", core.type(weights))
    end
    if options.trainable and not weights then
        core.fail "drift.build: trainable = true is about weights = ...; without those all weights are trained"
    end
    return weights
end

-- options.weights: from files, as they lie there, so that they cannot be trained and the net starts in evaluation mode;
-- trainable = true: f32 copies that can be.
function net.build(spec, options)
    options = options or {}
    local weights = check_options(options)
    local d = data(spec)
    local root = core.module.root(d.name, options.seed or core.seed())
    local function build() return d.net and fill(root, spec, d.name) or attach(root, "", spec, d.name) end
    local module = weights and weights:give(root, options.trainable or false, d.name, build) or build()
    roots[module] = true
    if weights and not options.trainable then module:eval() end
    return module
end

-- ---- calls ----------------------------------------------------------------------------------------------------------
local function call(self, ...)
    if self.kind ~= "net" then return core.module.forward(self.handle, ...) end
    local forward = rawget(self, "forward")
    if not forward then core.fail("net %s has no forward", self.place) end
    return core.module.call(self.place, forward, self, ...)
end

meta.__call = core.door(function(self, ...)
    if roots[self] then return precision.around(call, self, ...) end
    return call(self, ...)
end)

function meta.__index(self, key)
    if methods[key] then return methods[key] end
    if key == "forward" then return nil end
    local names = {}
    for name in next, self do names[#names + 1] = tostring(name) end
    for name in next, methods do names[#names + 1] = name end
    table.sort(names)
    local near = core.nearest(tostring(key), names)
    core.fail("net %s has no '%s'%s", self.place, key, near and "; did you mean '" .. near .. "'?" or "")
end

function meta.__tostring(self)
    return ("net %s: %s, %d weights"):format(self.place, tostring(self.spec), self:count())
end

function methods:embed(cond) return core.module.embed(self.handle, cond) end
function methods:modulate(site, h, e) return core.module.modulate(self.handle, site, h, e) end
function methods:gate(site, h, e) return core.module.gate(self.handle, site, h, e) end
function methods:at(site, e) return { self.handle, site, e } end   -- for a block: its own sites are those from here on

function methods:train(on)
    core.module.mode(self.handle, on ~= false)
    return self
end

function methods:eval() return self:train(false) end
function methods:training() return core.module.training(self.handle) end
function methods:stream(seed, step, sample) core.module.stream(self.handle, seed, step, sample) end

-- ---- weights --------------------------------------------------------------------------------------------------------
function methods:named()
    if not rawget(self, "named_list") then rawset(self, "named_list", core.module.named(self.handle)) end
    return self.named_list
end

function methods:parameters()
    local list = {}
    for _, weight in ipairs(self:named()) do
        if not weight.buffer then list[#list + 1] = weight end
    end
    return list
end

function methods:count()
    local n = 0
    for _, weight in ipairs(self:parameters()) do n = n + weight.tensor:numel() end
    return n
end

function methods:frozen() return core.is_frozen(self.handle) end

local function check_not_frozen(self, what)
    if core.is_frozen(self.handle) then
        core.fail("net %s %s: its weights lie in a file and stay as they are; drift.build(spec, { weights = ..., "
            .. "trainable = true }) makes copies", self.place, what)
    end
end

function methods:zero_grad() core.module.zero_grad(self.handle) end

function methods:requires_grad(on)
    if on ~= false then check_not_frozen(self, "cannot be trained") end
    core.module.requires_grad(self.handle, on ~= false)
    return self
end

function methods:state_dict(prefix)
    local state = {}
    for _, weight in ipairs(self:named()) do state[(prefix or "") .. weight.path] = weight.tensor end
    return state
end

-- ---- loading: everything is checked before anything is changed ------------------------------------------------------
local function some(list)
    table.sort(list)
    local shown = table.concat(list, ", ", 1, math.min(5, #list))
    return #list > 5 and ("%s, ... (%d in all)"):format(shown, #list) or shown
end

local function shape_text(shape) return "[" .. table.concat(shape, ",") .. "]" end

-- names: { name = shape } of what there is
local function check_names(self, from, names, options)
    local prefix = options.prefix or ""
    local missing, extra, misshapen, expected = {}, {}, {}, {}
    for _, weight in ipairs(self:named()) do
        local name = prefix .. weight.path
        local shape, wanted = names[name], shape_text(weight.tensor.shape)
        expected[name] = true
        if not shape then
            missing[#missing + 1] = name
        elseif shape_text(shape) ~= wanted then
            misshapen[#misshapen + 1] = ("%s is %s, expected %s"):format(name, shape_text(shape), wanted)
        end
    end
    for name in next, names do
        if name:sub(1, #prefix) == prefix and not expected[name] then extra[#extra + 1] = name end
    end
    local strict = options.strict ~= false
    local found = {}
    if strict and #missing > 0 then found[#found + 1] = "missing: " .. some(missing) end
    if strict and #extra > 0 then found[#found + 1] = "not expected: " .. some(extra) end
    if #misshapen > 0 then found[#found + 1] = "of another shape: " .. some(misshapen) end
    if #found > 0 then core.fail("%s does not fit net %s; %s", from, self.place, table.concat(found, "; ")) end
end

function methods:load_state_dict(state, options)
    check_not_frozen(self, "cannot load others")
    options = options or {}
    local names = {}
    for name, tensor in next, state do names[name] = tensor.shape end
    check_names(self, "the state", names, options)
    core.no_grad(function()
        for _, weight in ipairs(self:named()) do
            local value = state[(options.prefix or "") .. weight.path]
            if value then weight.tensor:assign(value) end
        end
    end)
    return self
end

function methods:load(file, options)
    check_not_frozen(self, "cannot load others")
    options = options or {}
    if type(file) == "string" then file = core.open(file) end
    local names = {}
    for _, name in ipairs(file:names()) do names[name] = file:shape(name) end
    check_names(self, file.path, names, options)
    core.load_weights(self, file, options.prefix or "")
    return self
end

function methods:save(path, metadata)
    local writer = core.writer():net(self)
    for key, text in next, metadata or {} do writer:metadata(key, text) end
    writer:commit(path)
end

for name, method in next, methods do methods[name] = core.door(method) end   -- errors show the script's line

-- optimizer(spec, net) or optimizer(spec, { { path =, tensor = }, ... })
function net.optimizer(spec, weights)
    if data(weights) then weights = weights:instance() end
    if core.type(weights) == "module" then
        check_not_frozen(weights, "cannot be trained")
        weights = weights:parameters()
    end
    return core.new_optimizer(spec, weights)
end

return net
