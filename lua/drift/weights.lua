-- weights.lua: a model's tensors by name, out of safetensors files that stay mapped: nothing is copied, and opening
-- takes as long as reading the headers. A network takes them while it is built:
--   local W = drift.weights("IF-I-XL/unet", { variant = "fp16" })     -- a folder, a file, or a list of files
--   local net = drift.build(drift.models.deepfloyd_if { ... }, { weights = W })
-- A folder has one file, or shards and an index (*.safetensors.index.json). variant: "fp16" takes *.fp16.safetensors;
-- without it the plain file, or the only one that there is. ignore = { "name", ... }: tensors that nobody will ask for.
--   W:names()  W:has(name)  W:shape(name)  W:dtype(name)  W:tensor(name [, dtype])      (the last makes a copy)
--   W:renamed(table or function): the same tensors under other names, see there
local core = require "drift.core"

local methods = {}
local meta = { __name = "drift.weights", __index = methods }
local pickles = { bin = true, ckpt = true, pt = true, pth = true }

-- ---- what cannot be read --------------------------------------------------------------------------------------------
local function is_pickle(name) return pickles[name:match "%.(%w+)$"] or false end

local function refuse_pickle(path)
    local to = path:gsub("%.%w+$", "") .. ".safetensors"
    core.fail("%s is a pickle, which can run any program when it is read, so Drift reads none. Convert it where "
        .. "PyTorch is: python3 -c \"import torch, safetensors.torch as s; "
        .. "t = torch.load('%s', map_location='cpu', weights_only=True); "
        .. "s.save_file({k: v.clone().contiguous() for k, v in t.items()}, '%s')\"", path, path, to)
end

-- ---- which files ----------------------------------------------------------------------------------------------------
-- "model.fp16-00001-of-00002.safetensors" -> "model", "fp16", true; the variant is "" where there is none
local function file_parts(name)
    local stem = name:match "^(.+)%.safetensors$"
    if not stem then return nil end
    local plain = stem:match "^(.+)%-%d+%-of%-%d+$"
    local base, variant = (plain or stem):match "^(.+)%.([^.]+)$"
    return base or plain or stem, variant or "", plain ~= nil
end

-- "model.safetensors.index.fp16.json" -> "model", "fp16"; so do "model.fp16.safetensors.index.json" and the like
local function index_parts(name)
    local base, rest = name:match "^([^.]+)%.(.*)%.?json$"
    if not base or not name:find("%.safetensors%.") or not name:find "%.index%." then return nil end
    local variant = ""
    for part in rest:gmatch "[^.]+" do
        if part ~= "safetensors" and part ~= "index" then variant = part end
    end
    return base, variant
end

local function variant_text(variant) return variant == "" and "the plain one" or variant end

-- by variant: { single = { names }, index = { names }, shards = n }
local function look_into(folder)
    local found, pickled = {}, nil
    local function of(variant)
        found[variant] = found[variant] or { single = {}, index = {}, shards = 0 }
        return found[variant]
    end
    for _, name in ipairs(core.files(folder)) do
        local _, variant, shard = file_parts(name)
        local index, index_variant = index_parts(name)
        if index then
            table.insert(of(index_variant).index, name)
        elseif variant and shard then
            of(variant).shards = of(variant).shards + 1
        elseif variant then
            table.insert(of(variant).single, name)
        elseif is_pickle(name) then
            pickled = pickled or name
        end
    end
    return found, pickled
end

local function choose_variant(folder, found, pickled, wanted)
    local there = {}
    for variant in next, found do there[#there + 1] = variant end
    table.sort(there)
    if #there == 0 then
        if pickled then refuse_pickle(folder .. "/" .. pickled) end
        core.fail("%s: no *.safetensors file is in this folder", folder)
    end
    if wanted and not found[wanted] or not wanted and not found[""] and #there > 1 then
        for i, variant in ipairs(there) do there[i] = variant_text(variant) end
        core.fail("%s: %s; there is: %s", folder, wanted and "no variant '" .. wanted .. "' is here"
            or "which variant of the weights is meant? variant = \"NAME\" says it", table.concat(there, ", "))
    end
    if wanted then return wanted end
    return found[""] and "" or there[1]
end

local function the_only(folder, names, what)
    if #names > 1 then
        core.fail("%s: has %d %s (%s): name one of them", folder, #names, what, table.concat(names, ", "))
    end
    return names[1]
end

local preferred = { diffusion_pytorch_model = true, model = true }

local function single_of(folder, names)
    for _, name in ipairs(names) do
        if preferred[file_parts(name)] then return name end
    end
    return the_only(folder, names, "files of weights")
end

-- ---- indices --------------------------------------------------------------------------------------------------------
local function check_shard_name(index, tensor, name)
    if core.type(name) ~= "string" then
        core.fail("%s: weight_map: the file of '%s' must be a string, not a %s", index, tensor, core.type(name))
    end
    if name:find "[/\\%z]" or name:find("..", 1, true) or name == "" then
        core.fail("%s: weight_map: '%s' is in '%s': a shard must lie in the same folder", index, tensor, name)
    end
    if is_pickle(name) then refuse_pickle(index:match "^(.*/)" .. name) end
    if not name:find "%.safetensors$" then
        core.fail("%s: weight_map: '%s' is in '%s', which is no safetensors file", index, tensor, name)
    end
end

local function read_index(path)
    local ok, index = pcall(core.json.decode, core.read_file(path))
    if not ok then core.fail("%s: is not valid JSON: %s", path, (tostring(index):gsub("^.-json%.decode: ", ""))) end
    if core.type(index) ~= "table" or core.type(index.weight_map) ~= "table" then
        core.fail("%s: has no weight_map { \"tensor\": \"file\", ... }", path)
    end
    local names = {}
    for tensor, file in next, index.weight_map do
        if type(tensor) ~= "string" then core.fail("%s: weight_map must be an object of names", path) end
        check_shard_name(path, tensor, file)
        names[#names + 1] = tensor
    end
    if #names == 0 then core.fail("%s: weight_map names no tensor", path) end
    table.sort(names)
    return index.weight_map, names
end

local function add_from_index(self, folder, index)
    local path = folder .. "/" .. index
    local map, names = read_index(path)
    local files = {}
    for _, name in ipairs(names) do
        local shard = map[name]
        local where = folder .. "/" .. shard
        if not files[shard] and not core.exists(where) then
            core.fail("%s: the shard %s, where '%s' is, is missing", path, shard, name)
        end
        files[shard] = files[shard] or core.open(where)
        if not files[shard]:has(name) then
            core.fail("%s: '%s' should be in %s, which has no tensor of that name", path, name, shard)
        end
        self.entries[name] = { file = files[shard], name = name }
    end
end

local function add_file(self, path)
    if is_pickle(path) then refuse_pickle(path) end
    local file = core.open(path)
    for _, name in ipairs(file:names()) do
        local before = self.entries[name]
        if before then core.fail("%s and %s both have a tensor '%s'", before.file.path, path, name) end
        self.entries[name] = { file = file, name = name }
    end
end

local function add_folder(self, folder, wanted)
    local found, pickled = look_into(folder)
    local variant = choose_variant(folder, found, pickled, wanted)
    local here = found[variant]
    self.variant = variant ~= "" and variant or nil
    if #here.single > 0 then return add_file(self, folder .. "/" .. single_of(folder, here.single)) end
    if #here.index > 0 then return add_from_index(self, folder, the_only(folder, here.index, "indices")) end
    core.fail("%s: has %d shards (%s) but no index (*.safetensors.index.json) that says what is in them; a list of "
        .. "files is another way to name them", folder, here.shards, variant_text(variant))
end

-- ---- opening --------------------------------------------------------------------------------------------------------
local known = { variant = "string", ignore = "table" }

local function check_options(options)
    for key, value in next, options do
        if not known[key] then
            local near = core.nearest(tostring(key), { "variant", "ignore" })
            core.fail("drift.weights has no option '%s'%s", tostring(key),
                near and "; did you mean '" .. near .. "'?" or "")
        end
        if type(value) ~= known[key] then
            core.fail("drift.weights: %s must be a %s, not a %s", key, known[key], core.type(value))
        end
    end
end

local function drop_ignored(self, names)
    for _, name in ipairs(names or {}) do self.entries[name] = nil end
end

local function open(path, options)
    options = options or {}
    if type(options) ~= "table" then
        core.fail("drift.weights takes a table of options, not a %s", core.type(options))
    end
    check_options(options)
    local self = setmetatable({ entries = {} }, meta)
    if core.type(path) == "table" then
        if #path == 0 then core.fail("drift.weights: the list of files is empty") end
        for _, file in ipairs(path) do add_file(self, file) end
        self.path = table.concat(path, ", ")
    elseif type(path) ~= "string" then
        core.fail("drift.weights takes a file, a folder or a list of files, not a %s", core.type(path))
    elseif core.is_folder(path) then
        self.path = path:gsub("(.)/+$", "%1")
        add_folder(self, self.path, options.variant)
    else
        add_file(self, path)
        self.path = path
    end
    drop_ignored(self, options.ignore)
    return self
end

-- ---- looking --------------------------------------------------------------------------------------------------------
local function entry_of(self, name)
    local entry = self.entries[name]
    if entry then return entry end
    local near = core.nearest(tostring(name), self:names())
    core.fail("%s has no tensor '%s'%s", self.path, tostring(name), near and "; did you mean '" .. near .. "'?" or "")
end

function methods:names()
    local list = {}
    for name in next, self.entries do list[#list + 1] = name end
    table.sort(list)
    return list
end

function methods:has(name) return self.entries[name] ~= nil end
function methods:dtype(name) return entry_of(self, name).file:dtype(self.entries[name].name) end

function methods:shape(name)
    local entry = entry_of(self, name)
    local shape = { table.unpack(entry.shape or entry.file:shape(entry.name)) }
    if not entry.shape and entry.every then shape[1] = shape[1] // entry.every * entry.rows end
    return shape
end

local function list_of(self)
    local list = rawget(self, "list")
    if list then return list end
    list = core.weight_list()
    for name, entry in next, self.entries do
        list:add(name, entry.file, entry.name, (entry.shape or entry.every) and entry or nil)
    end
    self.list = list
    return list
end

function methods:tensor(name, dtype)
    entry_of(self, name)
    return list_of(self):tensor(name, dtype)
end

-- ---- other names ----------------------------------------------------------------------------------------------------
-- The same tensors under other names. names: { old = new, ... }, or a function of (name, shape) that gives the new
-- name; nil: it stays; false: it is left out (nobody will ask for it). In place of a new name there may be a list of
-- what becomes of it, such as { { name = "q.weight", every = 192, first = 0, rows = 64, shape = { 512, 512 } }, ... }:
-- rows [first, first + rows) of each `every` rows (all, without them), in that shape (its own, without it).
local function target(self, old, to)
    local entry = self.entries[old]
    if type(to) == "string" then to = { name = to } end
    if type(to) ~= "table" or type(to.name) ~= "string" then
        core.fail("W:renamed: '%s' becomes a %s; a name, false or a list of { name = ... } is expected", old,
            core.type(to))
    end
    if entry.every and (to.every or to.shape) then core.fail("W:renamed: '%s' is part of a tensor already", old) end
    return to.name, {
        file = entry.file, name = entry.name, shape = to.shape or entry.shape, every = to.every or entry.every,
        first = to.first or entry.first, rows = to.rows or entry.rows,
    }
end

function methods:renamed(names)
    if type(names) ~= "function" and core.type(names) ~= "table" then
        core.fail("W:renamed takes a table { old = new } or a function, not a %s", core.type(names))
    end
    local of = type(names) == "function" and names or function(name) return names[name] end
    local view = setmetatable({ path = self.path, variant = self.variant, entries = {} }, meta)
    local from = {}
    for _, old in ipairs(self:names()) do
        local becomes = of(old, self:shape(old))
        if becomes == nil then becomes = old end
        if type(becomes) ~= "table" or becomes.name then becomes = { becomes } end
        for _, to in ipairs(becomes) do
            if to then
                local name, entry = target(self, old, to)
                if from[name] then
                    core.fail("%s: '%s' and '%s' would both become '%s'", self.path, from[name], old, name)
                end
                from[name], view.entries[name] = old, entry
            end
        end
    end
    return view
end

function methods:ignoring(names)
    local drop = {}
    for _, name in ipairs(names) do drop[name] = false end
    return self:renamed(drop)
end

-- ---- building: for net.lua ------------------------------------------------------------------------------------------
local MOST = 40                                -- names of each kind that a message shows

local function some(list)
    local shown = table.concat(list, ", ", 1, math.min(MOST, #list))
    return #list > MOST and ("%s, ... (%d in all)"):format(shown, #list) or shown
end

-- build(): makes the network of this root, whose weights come from here. Returns what it gave; raises for all misfits.
function methods:give(root, trainable, place, build)
    local list = list_of(self)
    core.take_weights(root, list, trainable)
    local module = build()
    local misfits = core.weights_taken(root, list)
    local found = {}
    for _, kind in ipairs { { "missing", "missing" }, { "misshapen", "of another shape" },
                            { "mistyped", "of another type" }, { "extra", "not expected" } } do
        local texts = misfits[kind[1]]
        table.sort(texts)
        if #texts > 0 then found[#found + 1] = ("%s: %s"):format(kind[2], some(texts)) end
    end
    if #found > 0 then core.fail("%s does not fit net %s; %s", self.path, place, table.concat(found, "; ")) end
    return module
end

function meta.__tostring(self) return ("weights of %s: %d tensors"):format(self.path, #self:names()) end

for name, method in next, methods do methods[name] = core.door(method) end   -- errors show the script's line

return open
