-- text_encoder.lua: prompts as the tokens that an image model is conditioned on, by a T5 encoder.
--   local text = drift.text_encoder "IF-I-XL-v1.0"          a folder with tokenizer/ and text_encoder/, or what
--                                                           drift.model_folder gives, or { folder =, ... }
--   local e = text:encode { "an oil painting of a village", "a photo of a dog" }       (see embeddings.lua)
--   e:save "prompts.safetensors"
-- Prompts are in lower case, cut to length - 1 pieces, ended and padded (drift.prompt, the tokenizer). The empty
-- prompt, which guidance needs, is encoded along with them.
-- T5-XXL has 9.5 GB of weights. They stay in their mapped file, are used where they lie, and are let go when encode
-- returns, with what the device kept of them: the image model then has the memory. keep = true: they stay, for more
-- prompts.
--   options: folder, or text_encoder and tokenizer (folders, or the tokenizer's file); variant ("fp16"), length (77),
--   keep, clean (false): prompts are captions from the web, see clean_caption.lua
local core = require "drift.core"
local drift = require "drift"

local methods = {}
local meta = { __name = "drift.text_encoder", __index = methods }
local rows_at_a_time <const> = 8

-- ---- opening --------------------------------------------------------------------------------------------------------
local function tokenizer_of(path)
    if not core.is_folder(path) then
        if path:find "%.json$" then return drift.tokenizer.unigram { path = path } end
        return drift.tokenizer.sentencepiece { path = path }
    end
    local model, json = path .. "/spiece.model", path .. "/tokenizer.json"
    if core.exists(model) then return drift.tokenizer.sentencepiece { path = model } end
    if core.exists(json) then return drift.tokenizer.unigram { path = json } end
    core.fail("%s: neither spiece.model nor tokenizer.json is in this folder", path)
end

-- What drift.text_encoder was given, as a table of options.
local function options_of(given)
    if type(given) == "string" then return { folder = given } end
    if core.type(given) ~= "model_folder" then return given end
    if not given.text_encoder or not given.tokenizer then
        core.fail("%s: has no %s: embeddings that were saved before serve as well (drift.embeddings.load)", given.path,
            given.text_encoder and "tokenizer/" or "text_encoder/")
    end
    local variant = given.variant
    if core.type(variant) == "table" then variant = variant.text_encoder end
    return { text_encoder = given.text_encoder.path, tokenizer = given.tokenizer.path, variant = variant }
end

local function open(given)
    local o = drift.accept("text_encoder", options_of(given), {},
                           { "folder", "text_encoder", "tokenizer", "variant", "length", "keep", "clean" })
    if not o.folder and not (o.text_encoder and o.tokenizer) then
        core.fail("text_encoder: needs a folder that has text_encoder/ and tokenizer/, or both by name")
    end
    local folder = o.folder and o.folder:gsub("(.)/+$", "%1")
    local self = { path = o.text_encoder or folder .. "/text_encoder", variant = o.variant, length = o.length or 77,
                   keep = o.keep, clean = o.clean }
    if math.type(self.length) ~= "integer" or self.length < 1 or self.length > 4096 then
        core.fail("text_encoder: length = %s should be a whole number from 1 to 4096", tostring(self.length))
    end
    if not core.is_folder(self.path) then
        core.fail("%s: there is no such folder: prompts need a text encoder, or embeddings that were saved before "
            .. "(drift.embeddings.load)", self.path)
    end
    self.tokenizer = tokenizer_of(o.tokenizer or folder .. "/tokenizer"):instance()
    self.model = drift.models.t5_encoder { config = self.path .. "/config.json" }
    local config = drift.t5_config("text_encoder", self.path .. "/config.json")
    if self.tokenizer:size() > config.vocab then
        core.fail("the tokenizer has %d pieces, the text encoder in %s has %d: they do not belong together",
            self.tokenizer:size(), self.path, config.vocab)
    end
    return setmetatable(self, meta)
end

-- ---- encoding -------------------------------------------------------------------------------------------------------
local function check_prompts(prompts)
    if type(prompts) == "string" then return { prompts } end
    if type(prompts) ~= "table" or #prompts == 0 then
        core.fail("text:encode takes a prompt or a list of prompts, not %s",
            type(prompts) == "table" and "an empty list" or "a " .. core.type(prompts))
    end
    for i, p in ipairs(prompts) do
        if type(p) ~= "string" then core.fail("text:encode: prompt %d is a %s, not a text", i, core.type(p)) end
    end
    return prompts
end

-- ids i32 and mask f32, [N,length]
function methods:tokenize(prompts)
    local ids, mask = {}, {}
    for i, p in ipairs(check_prompts(prompts)) do
        local prompt = (self.clean and drift.clean_caption or drift.prompt)(p)
        local pieces = #self.tokenizer:encode(prompt)
        if pieces > self.length - 1 then
            drift.note("prompt %d has %d pieces; the text encoder takes %d, so its end is cut off", i, pieces,
                self.length - 1)
        end
        ids[i], mask[i] = self.tokenizer:encode(prompt, { length = self.length })
    end
    return drift.tensor(ids, "i32"), drift.tensor(mask)
end

-- The network, opened where it is not: the file is mapped, and nothing of it read.
function methods:open()
    if not self.net then
        local W = drift.weights(self.path, { variant = self.variant })
        self.net = drift.build(self.model, { weights = drift.t5_names(W) })
    end
    return self.net
end

-- Lets the weights go; the next encode maps the file again.
function methods:close()
    self.net = nil
    collectgarbage()
    collectgarbage()                           -- what the first pass finalized
end

local function run(self, ids, mask)
    local net, parts = self:open(), {}
    for first = 0, ids.shape[1] - 1, rows_at_a_time do
        local n = math.min(rows_at_a_time, ids.shape[1] - first)
        parts[#parts + 1] = drift.no_grad(net, ids:narrow(0, first, n), { mask = mask:narrow(0, first, n) })
    end
    return #parts == 1 and parts[1] or drift.concat(parts, 0)                        -- [N,L,D]
end

function methods:encode(prompts)
    prompts = check_prompts(prompts)
    local all = { table.unpack(prompts) }
    all[#all + 1] = ""
    local e = drift.scope(function()
        local ids, mask = self:tokenize(all)
        local tokens = run(self, ids, mask)
        local N = #prompts
        return drift.embeddings.make("text_encoder", {
            tokens = tokens:narrow(0, 0, N):clone(), mask = mask:narrow(0, 0, N):clone(),
            null = tokens:narrow(0, N, 1):clone(), prompts = { table.unpack(prompts) }, model = self.path })
    end)
    if not self.keep then self:close() end
    return e
end

function meta.__tostring(self) return ("text encoder in %s, %d tokens"):format(self.path, self.length) end

for name, method in next, methods do methods[name] = core.door(method) end   -- errors show the script's line

return open
