-- embeddings.lua: what a text encoder made of prompts, kept with them: most people compute these once.
--   e = drift.embeddings.load(path [, { null = path }])     e:save(path)
--   e.tokens [N,L,D] f32    e.mask [N,L], or nil    e.null [1,L,D]: of the empty prompt, or nil
--   e.prompts, e.model      texts, or nil
--   e:condition(which)      { tokens =, null = { tokens = } } for drift.sample. which: a row's number, a prompt, a list
--   of
--                           such; all rows without
-- .safetensors holds all of it. Files of others are taken as well: prompt_embeds and negative_prompt_embeds, as
-- diffusers calls them; or a tensor [L,D] or [1,L,D] for each prompt, under the prompt's name ("null": the empty one).
-- .npy holds tokens alone, [L,D] or [N,L,D].
local core = require "drift.core"
local drift = require "drift"

local kind <const> = "drift text embeddings"
local methods = {}
local meta = { __name = "drift.embeddings", __index = methods }

local function text(shape) return "[" .. table.concat(shape, ",") .. "]" end

-- ---- making ---------------------------------------------------------------------------------------------------------
local function as_tokens(where, name, t)
    if t.rank == 2 then t = t:unsqueeze(0) end
    if t.rank ~= 3 or t.shape[1] < 1 or t.shape[2] < 1 or t.shape[3] < 1 then
        core.fail("%s: %s is %s, expected tokens [N,L,D] or [L,D]", where, name, text(t.shape))
    end
    if t.dtype ~= "f32" then t = t:cast "f32" end
    if (t * 0):abs():sum():item() ~= 0 then core.fail("%s: %s has values that are no finite numbers", where, name) end
    return t:keep()
end

local function check_null(where, tokens, null)
    if null.shape[1] ~= 1 or null.shape[2] ~= tokens.shape[2] or null.shape[3] ~= tokens.shape[3] then
        core.fail("%s: the empty prompt is %s, expected %s, as the tokens are", where, text(null.shape),
            text { 1, tokens.shape[2], tokens.shape[3] })
    end
end

local function check_mask(where, tokens, mask)
    if mask.rank ~= 2 or mask.shape[1] ~= tokens.shape[1] or mask.shape[2] ~= tokens.shape[2] then
        core.fail("%s: mask is %s, expected %s", where, text(mask.shape), text { tokens.shape[1], tokens.shape[2] })
    end
end

-- { tokens =, mask =, null =, prompts =, model = }, checked; where: what messages begin with
local function make(where, given)
    local e = { prompts = given.prompts, model = given.model }
    e.tokens = as_tokens(where, "tokens", given.tokens)
    if given.null then
        e.null = as_tokens(where, "null", given.null)
        check_null(where, e.tokens, e.null)
    end
    if given.mask then
        check_mask(where, e.tokens, given.mask)
        e.mask = given.mask:cast("f32"):keep()
    end
    if e.prompts and #e.prompts ~= e.tokens.shape[1] then
        core.fail("%s: %d prompts for %d rows of tokens", where, #e.prompts, e.tokens.shape[1])
    end
    return setmetatable(e, meta)
end

-- ---- reading --------------------------------------------------------------------------------------------------------
local function read_prompts(path, metadata)
    if not metadata.prompts then return nil end
    local ok, list = pcall(core.json.decode, metadata.prompts)
    if not ok or type(list) ~= "table" then core.fail("%s: its metadata's prompts are no JSON list of texts", path) end
    for i = 1, #list do
        if type(list[i]) ~= "string" then core.fail("%s: its metadata's prompt %d is no text", path, i) end
    end
    return list
end

local function from_named_prompts(path, file)
    local parts, prompts, null, first = {}, {}, nil, nil
    local names = file:names()
    table.sort(names)
    for _, name in ipairs(names) do
        local shape = file:shape(name)
        if #shape == 3 and shape[1] == 1 then table.remove(shape, 1) end
        first = first or { name = name, shape = shape }
        if #shape ~= 2 or text(shape) ~= text(first.shape) then
            core.fail("%s: has neither tokens nor prompt_embeds, and '%s' is %s: where each prompt has a tensor, all "
                .. "are [L,D] or [1,L,D], of one size ('%s' is %s)", path, name, text(file:shape(name)), first.name,
                text(file:shape(first.name)))
        end
        local t = file:tensor(name, "f32"):reshape(1, shape[1], shape[2])
        if name == "null" or name == "" then
            null = t
        else
            parts[#parts + 1], prompts[#prompts + 1] = t, name
        end
    end
    if #parts == 0 and null then parts, prompts = { null }, { "" } end
    if #parts == 0 then core.fail("%s: has no tensor", path) end
    return { tokens = #parts == 1 and parts[1] or drift.concat(parts, 0), null = null, prompts = prompts }
end

local function from_safetensors(path)
    local file = core.open(path)
    local function tensor(...)
        for _, name in ipairs { ... } do
            if file:has(name) then return file:tensor(name, "f32") end
        end
    end
    local tokens = tensor("tokens", "prompt_embeds")
    if not tokens then return from_named_prompts(path, file) end
    return { tokens = tokens, null = tensor("null", "negative_prompt_embeds"),
             mask = tensor("mask", "prompt_attention_mask"), prompts = read_prompts(path, file.metadata),
             model = file.metadata.model }
end

local function refuse_pickle(path)
    core.fail("%s is a pickle, which can run any program when it is read, so Drift reads none. Where PyTorch is, a "
        .. "dictionary of prompts is converted by: python3 -c \"import torch, safetensors.torch as s; "
        .. "d = torch.load('%s', map_location='cpu', weights_only=True); "
        .. "s.save_file({k or 'null': v.float().contiguous().clone() for k, v in d.items()}, '%s')\"",
        path, path, (path:gsub("%.%w+$", "") .. ".safetensors"))
end

local function read(path)
    if type(path) ~= "string" then core.fail("embeddings are loaded from a path, not from a %s", core.type(path)) end
    if not core.exists(path) then core.fail("%s: there is no such file", path) end
    local ending = path:match "%.(%w+)$"
    if ending == "npy" then return { tokens = drift.npy.read(path) } end
    if ending == "pt" or ending == "pth" or ending == "bin" or ending == "pkl" then refuse_pickle(path) end
    if ending == "npz" then core.fail("%s: an archive of arrays; save each with numpy.save", path) end
    return from_safetensors(path)
end

local function load(path, options)
    options = drift.accept("embeddings", options or {}, {}, { "null" })
    return drift.scope(function()
        local given = read(path)
        if options.null then
            local other = read(options.null)
            if other.tokens.rank == 3 and other.tokens.shape[1] ~= 1 and not other.null then
                core.fail("%s: has %d rows; that of the empty prompt is one", options.null, other.tokens.shape[1])
            end
            given.null = other.null or other.tokens
        end
        return make(path, given)
    end)
end

-- ---- writing --------------------------------------------------------------------------------------------------------
-- JSON has no place for bytes that are not UTF-8, nor here for NUL.
local function writable(prompt)
    return utf8.len(prompt) and not prompt:find "\0" and prompt or (prompt:gsub("[\0\x80-\xff]", "\u{FFFD}"))
end

function methods:save(path)
    if type(path) ~= "string" then core.fail("embeddings are saved to a path, not to a %s", core.type(path)) end
    if path:find "%.npy$" then return drift.npy.write(path, self.tokens) end
    if not path:find "%.safetensors$" then core.fail("%s: embeddings are saved as .safetensors or .npy", path) end
    local metadata = { kind = kind, model = self.model }
    if self.prompts then
        local list = {}
        for i, p in ipairs(self.prompts) do list[i] = writable(p) end
        metadata.prompts = core.json.encode(core.json.array(list))
    end
    core.save_tensors(path, { tokens = self.tokens, mask = self.mask, null = self.null }, metadata)
end

-- ---- using ----------------------------------------------------------------------------------------------------------
function methods:count() return self.tokens.shape[1] end

-- The row of a prompt, whatever its case and the space around it; nil: there is none.
function methods:row(prompt)
    local wanted = drift.prompt(prompt)
    for i, each in ipairs(self.prompts or {}) do
        if each == prompt or drift.prompt(each) == wanted then return i end
    end
end

local function row_of(self, which)
    if type(which) == "string" then
        local row = self:row(which)
        if row then return row end
        local near = self.prompts and drift.nearest(which, self.prompts)
        local some = self.prompts and table.concat(self.prompts, ", ", 1, math.min(8, #self.prompts))
        core.fail("these embeddings have no prompt \"%s\"%s", which, near and "; did you mean \"" .. near .. "\"?"
            or some and "; they have " .. some or ", nor any other: name a row")
    end
    if math.type(which) ~= "integer" or which < 1 or which > self:count() then
        core.fail("these embeddings have rows 1 to %d, not %s", self:count(), tostring(which))
    end
    return which
end

function methods:condition(which)
    local rows = which
    if which ~= nil and type(which) ~= "table" then rows = { which } end
    local tokens = self.tokens
    if rows then
        local parts = {}
        for i, each in ipairs(rows) do parts[i] = tokens:narrow(0, row_of(self, each) - 1, 1) end
        if #parts == 0 then core.fail("embeddings:condition: the list of rows is empty") end
        tokens = #parts == 1 and parts[1] or drift.concat(parts, 0)
    end
    return { tokens = tokens, null = self.null and { tokens = self.null } or nil }
end

function meta.__tostring(self)
    local lacks = self.null and "" or ", without the empty one"
    return ("embeddings of %d prompts, %s%s"):format(self:count(), text(self.tokens.shape), lacks)
end

for name, method in next, methods do methods[name] = core.door(method) end   -- errors show the script's line

return { load = core.door(load), make = core.door(make) }
