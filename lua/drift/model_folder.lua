-- model_folder.lua: a pretrained model as users have it: a diffusers folder (model_index.json, unet/, scheduler/,
-- text_encoder/, tokenizer/; also as it lies in Hugging Face's cache), its unet/ folder alone, or one file of weights,
-- also of DeepFloyd IF's first release.
--   local m = drift.model_folder("IF-I-XL-v1.0", { variant = "fp16" })
--   m.kind = "deepfloyd_if", m.stage = 1 or 2, m.class = "IFPipeline" (nil where no model_index.json says it)
--   m.unet.config                     table of unet/config.json, or what the weights' shapes tell
--   m.scheduler, m.image_noising      as drift.scheduler_config gives it; the second is stage II's small image's
--   m.text_encoder, m.tokenizer       { path =, config = }, { path =, spiece =, json = } or nil: a folder without them
--                                     serves with saved embeddings
--   m:weights "unet"                  drift.weights of that part (or "text_encoder"), for drift.build
-- All of the configuration is checked at once, and errors name file and field; weights are looked at when they are
-- asked for. variant may be a table: { unet = "fp16" }.
local core = require "drift.core"
local drift = require "drift"

local null = core.json.null
local shown = function(value) return (value == nil or value == null) and "null" or core.json.encode(value) end

local stages = {
    IFPipeline = 1, IFImg2ImgPipeline = 1, IFInpaintingPipeline = 1,
    IFSuperResolutionPipeline = 2, IFImg2ImgSuperResolutionPipeline = 2, IFInpaintingSuperResolutionPipeline = 2,
}

local methods = {}
local meta = { __name = "drift.model_folder", __index = methods }

-- ---- model_index.json -----------------------------------------------------------------------------------------------
local function read_index(path)
    local file = path .. "/model_index.json"
    local index = drift.read_json(file)
    if core.type(index) ~= "table" then core.fail("%s: is no JSON object", file) end
    local class = index._class_name
    if class == nil then core.fail("%s: _class_name is missing", file) end
    if not stages[class] then
        local words = {}
        for name in next, stages do words[#words + 1] = name end
        table.sort(words)
        core.fail("%s: _class_name = %s is not supported; it may be %s", file, shown(class), table.concat(words, ", "))
    end
    return index, file
end

-- The class of a part; nil: the pipeline goes without. classes: those that can be read, by name.
local function part_class(file, index, part, classes)
    local entry = index[part]
    if entry == nil or entry == null then return nil end
    if type(entry) ~= "table" or #entry ~= 2 then
        core.fail("%s: %s = %s must be [library, class]", file, part, shown(entry))
    end
    if entry[2] == null then return nil end
    if classes[entry[2]] then return entry[2] end
    local words = {}
    for name in next, classes do words[#words + 1] = name end
    table.sort(words)
    core.fail("%s: %s is a %s; it may be %s", file, part, shown(entry[2]), table.concat(words, ", "))
end

local function need_part(file, index, path, part, classes)
    if not part_class(file, index, part, classes) then core.fail("%s: %s is missing", file, part) end
    if not core.is_folder(path .. "/" .. part) then
        core.fail("%s: the folder %s is missing, which model_index.json names", path, part)
    end
end

-- ---- unet/ ----------------------------------------------------------------------------------------------------------
-- A network that is told the noise level of a second image is stage II, and half of its input is that image.
local function check_stage(from, config, class)
    local C, C_out = config.in_channels, config.out_channels
    local stage = config.image_level and 2 or 1
    if class and stages[class] ~= stage then
        core.fail("%s: class_embed_type %s makes a network of stage %d, but %s is of stage %d", from,
            config.image_level and "= \"timestep\"" or "= null", stage, class, stages[class])
    end
    if stage == 2 and C % 2 ~= 0 then
        core.fail("%s: in_channels = %d must be even: half of them are the small image of stage II", from, C)
    end
    local image = C // stage
    if C_out ~= image and C_out ~= 2 * image then
        core.fail("%s: out_channels = %d does not fit images of %d channels: it must be as many, or twice that with a "
            .. "variance", from, C_out, image)
    end
    return stage, image
end

-- unet: { path =, config =, config_path = of config.json, nil where the weights told it }
local function read_unet(self, unet, class)
    self.unet = unet
    self.stage, self.image_channels = check_stage(unet.config_path or unet.path,
        drift.unet_config("deepfloyd_if", unet.config_path or unet.config), class)
end

local function read_unet_folder(self, path, class)
    local file = path .. "/config.json"
    local config = drift.read_json(file)
    if core.type(config) ~= "table" then core.fail("%s: is no JSON object", file) end
    if core.type(config.parameters) == "table" then
        core.fail("%s is a run of this program, not a pretrained model: drift.generators.digits { run = ... }", path)
    end
    if config._class_name ~= "UNet2DConditionModel" then
        core.fail("%s: _class_name = %s; UNet2DConditionModel is what can be read", file, shown(config._class_name))
    end
    read_unet(self, { path = path, config_path = file, config = config }, class)
end

-- ---- scheduler/, image_noising_scheduler/ ---------------------------------------------------------------------------
local function check_variance(self, file)
    local learned = self.scheduler.variance == "learned_range"
    local twice = self.unet.config.out_channels == 2 * self.image_channels
    if learned and not twice then
        core.fail("%s: variance_type = \"learned_range\", but the network has no output for it: out_channels = %d "
            .. "in %s", file, self.unet.config.out_channels, self.unet.config_path or self.path)
    end
end

local function read_schedulers(self, index_file, index)
    local ddpm = { DDPMScheduler = true }
    need_part(index_file, index, self.path, "scheduler", ddpm)
    local file = self.path .. "/scheduler/scheduler_config.json"
    self.scheduler = drift.scheduler_config(file)
    check_variance(self, file)
    if self.stage == 1 then return end
    need_part(index_file, index, self.path, "image_noising_scheduler", ddpm)
    self.image_noising = drift.scheduler_config(self.path .. "/image_noising_scheduler/scheduler_config.json")
end

-- ---- text_encoder/, tokenizer/ --------------------------------------------------------------------------------------
local function read_text_encoder(self, index_file, index)
    local path = self.path .. "/text_encoder"
    local classes = { T5EncoderModel = true }
    if not part_class(index_file, index, "text_encoder", classes) or not core.is_folder(path) then return end
    local file = path .. "/config.json"
    local config = drift.read_json(file)
    if core.type(config) ~= "table" then core.fail("%s: is no JSON object", file) end
    if config.model_type ~= "t5" then
        core.fail("%s: model_type = %s; t5 is what can be read", file, shown(config.model_type))
    end
    self.text_encoder = { path = path, config_path = file, config = config }
end

local function read_tokenizer(self, index_file, index)
    local path = self.path .. "/tokenizer"
    local classes = { T5Tokenizer = true, T5TokenizerFast = true }
    if not part_class(index_file, index, "tokenizer", classes) or not core.is_folder(path) then return end
    local function there(name) return core.exists(path .. "/" .. name) and path .. "/" .. name or nil end
    self.tokenizer = { path = path, spiece = there "spiece.model", json = there "tokenizer.json" }
    if not self.tokenizer.spiece and not self.tokenizer.json then
        core.fail("%s: neither spiece.model nor tokenizer.json is in this folder", path)
    end
end

-- ---- the three forms ------------------------------------------------------------------------------------------------
local function read_pipeline(self)
    local index, file = read_index(self.path)
    self.class = index._class_name
    need_part(file, index, self.path, "unet", { UNet2DConditionModel = true })
    read_unet_folder(self, self.path .. "/unet", self.class)
    read_schedulers(self, file, index)
    read_text_encoder(self, file, index)
    read_tokenizer(self, file, index)
end

local function with_released_schedulers(self)
    self.scheduler = drift.scheduler_config.released(self.stage)
    if self.stage == 2 then self.image_noising = self.scheduler end
    check_variance(self, self.path)
end

local function read_unet_alone(self)
    read_unet_folder(self, self.path, nil)
    with_released_schedulers(self)
end

local function read_file(self)
    local names = drift.deepfloyd_if_names
    local W = drift.weights(self.path)
    if names.is_original(W) then W = names.renamed(W) end
    read_unet(self, { path = self.path, config = names.config(W), weights = W }, nil)
    with_released_schedulers(self)
end

-- Hugging Face's cache keeps a model as models--ORGANISATION--NAME/snapshots/HASH, and says in refs/main which it is.
local function snapshot_of(path)
    local folder = path .. "/snapshots"
    if core.exists(path .. "/model_index.json") or not core.is_folder(folder) then return path end
    local names = core.files(folder)
    local hash = core.exists(path .. "/refs/main") and core.read_file(path .. "/refs/main"):match "^(%x+)%s*$"
    if hash and core.is_folder(folder .. "/" .. hash) then return folder .. "/" .. hash end
    if #names == 1 then return folder .. "/" .. names[1] end
    core.fail("%s: has %d snapshots, and refs/main names none of them: give the path of one", path, #names)
end

local function read_folder(self)
    self.path = snapshot_of(self.path)
    local path = self.path
    if core.exists(path .. "/model_index.json") then return read_pipeline(self) end
    if core.exists(path .. "/config.json") then return read_unet_alone(self) end
    core.fail("%s: has no model_index.json (a diffusers pipeline) and no config.json (a UNet alone)", path)
end

-- ---- weights --------------------------------------------------------------------------------------------------------
local function variant_of(self, part)
    local variant = self.variant
    if core.type(variant) == "table" then return variant[part] end
    return variant
end

function methods:weights(part)
    if part ~= "unet" and part ~= "text_encoder" then
        core.fail("a model folder has weights of 'unet' and 'text_encoder', not of '%s'", tostring(part))
    end
    local entry = self[part]
    if not entry then
        core.fail("%s: has no %s/: prompts need it, or embeddings that were saved before", self.path, part)
    end
    if entry.weights then return entry.weights end
    local W = drift.weights(entry.path, { variant = variant_of(self, part) })
    if part == "text_encoder" then
        W = drift.t5_names(W)
    elseif drift.deepfloyd_if_names.is_original(W) then
        local head = entry.config.attention_head_dim
        W = drift.deepfloyd_if_names.renamed(W, { head_dim = math.type(head) == "integer" and head or nil })
    end
    entry.weights = W
    return W
end

function meta.__tostring(self) return ("%s, stage %d, in %s"):format(self.kind, self.stage, self.path) end

for name, method in next, methods do methods[name] = core.door(method) end   -- errors show the script's line

-- ---- opening --------------------------------------------------------------------------------------------------------
local function check_options(options)
    if core.type(options) ~= "table" then
        core.fail("drift.model_folder takes a table of options, not a %s", core.type(options))
    end
    for key, value in next, options do
        if key ~= "variant" then core.fail("drift.model_folder has no option '%s'; it has variant", tostring(key)) end
        if type(value) ~= "string" and core.type(value) ~= "table" then
            core.fail("drift.model_folder: variant must be a string, or a table by part, not a %s", core.type(value))
        end
    end
end

return function(path, options)
    options = options or {}
    check_options(options)
    if type(path) ~= "string" or path == "" then
        core.fail("drift.model_folder takes a path, not a %s", core.type(path))
    end
    if not core.exists(path) then core.fail("%s: there is no such file or folder", path) end
    local self = { kind = "deepfloyd_if", path = path:gsub("(.)/+$", "%1"), variant = options.variant }
    setmetatable(self, meta)
    if core.is_folder(self.path) then read_folder(self) else read_file(self) end
    return self
end
