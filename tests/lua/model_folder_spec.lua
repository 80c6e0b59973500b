-- model_folder_spec.lua: a diffusers folder of DeepFloyd IF, what is read of it, and what is said of a malformed one.
local drift = require "drift"
local json, null = drift.json, drift.json.null

local function message_of(f)
    local ok, message = pcall(f)
    assert.is_false(ok, "was not refused")
    return message
end

local function refused(f, ...)
    local message = message_of(f)
    for _, part in ipairs { "model_folder_spec.lua:", ... } do assert.is_truthy(message:find(part, 1, true), message) end
end

-- ---- a folder as diffusers writes it ----------------------------------------------------------------------------------
local function unet_config(stage)
    local second = stage == 2
    return {
        _class_name = "UNet2DConditionModel", _diffusers_version = "0.42.1", act_fn = "gelu", addition_embed_type = "text",
        addition_embed_type_num_heads = 4, attention_head_dim = 8, block_out_channels = { 8, 16 },
        class_embed_type = second and "timestep" or null, cross_attention_dim = 32, cross_attention_norm = "group_norm",
        down_block_types = { "ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D" }, encoder_hid_dim = 24,
        encoder_hid_dim_type = "text_proj", flip_sin_to_cos = true, freq_shift = 0, in_channels = second and 6 or 3,
        layers_per_block = 1, mid_block_type = "UNetMidBlock2DSimpleCrossAttn", norm_num_groups = 4, out_channels = 6,
        only_cross_attention = second, resnet_time_scale_shift = "scale_shift", sample_size = 16,
        up_block_types = { "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D" },
    }
end

local function scheduler_config(stage)
    return {
        _class_name = "DDPMScheduler", _diffusers_version = "0.42.1", beta_end = 0.02, beta_schedule = "squaredcos_cap_v2",
        beta_start = 1e-4, clip_sample = true, clip_sample_range = 1.0, dynamic_thresholding_ratio = 0.95,
        num_train_timesteps = 1000, prediction_type = "epsilon", rescale_betas_zero_snr = false,
        sample_max_value = stage == 1 and 1.5 or 1.0, steps_offset = 0, thresholding = true, timestep_spacing = "leading",
        trained_betas = null, variance_type = "learned_range",
    }
end

local function noising_config()
    local c = scheduler_config(2)
    c.variance_type, c.thresholding, c.dynamic_thresholding_ratio = "fixed_small", false, 0.995
    return c
end

local function model_index(stage)
    local absent = json.array { null, null }
    return {
        _class_name = stage == 1 and "IFPipeline" or "IFSuperResolutionPipeline", _diffusers_version = "0.42.1",
        feature_extractor = absent, safety_checker = absent, watermarker = absent, requires_safety_checker = false,
        unet = { "diffusers", "UNet2DConditionModel" }, scheduler = { "diffusers", "DDPMScheduler" },
        text_encoder = { "transformers", "T5EncoderModel" }, tokenizer = { "transformers", "T5Tokenizer" },
        image_noising_scheduler = stage == 2 and { "diffusers", "DDPMScheduler" } or nil,
    }
end

local count = 0
local folders = {}

-- changes: { ["unet/config.json"] = text, table, function(table) that changes it, or false: the file is not there }
local function write(folder, name, value, change)
    if change == false then return end
    if type(change) == "function" then change(value) elseif change ~= nil then value = change end
    drift.write_file(folder .. "/" .. name, type(value) == "string" and value or json.encode(value))
end

local function model_folder(stage, changes)
    count = count + 1
    local folder = ("model%d"):format(count)
    changes = changes or {}
    for _, part in ipairs { "unet", "scheduler", "text_encoder", "tokenizer", stage == 2 and "image_noising_scheduler" or nil } do
        if changes[part] ~= false then drift.mkdir(folder .. "/" .. part) end
    end
    local function file(name, value)
        if drift.is_folder(folder .. "/" .. (name:match "^(.*)/" or ".")) then write(folder, name, value, changes[name]) end
    end
    file("model_index.json", model_index(stage))
    file("unet/config.json", unet_config(stage))
    file("scheduler/scheduler_config.json", scheduler_config(stage))
    file("image_noising_scheduler/scheduler_config.json", noising_config())
    file("text_encoder/config.json", { model_type = "t5", d_model = 24 })
    file("tokenizer/spiece.model", "pieces")
    if drift.is_folder(folder .. "/unet") then
        folders[stage] = folders[stage] or drift.build(drift.models.deepfloyd_if { config = unet_config(stage) }, { seed = 1 })
        folders[stage]:save(folder .. "/unet/diffusion_pytorch_model.safetensors")
    end
    return folder
end

local function output(net, stage)
    local c = { time = drift.tensor { 10, 700 }, tokens = drift.randn { 2, 5, 24, purpose = "text" } }
    if stage == 2 then c.image, c.image_level = drift.randn { 2, 3, 8, 8, purpose = "small" }, drift.tensor { 250, 3 } end
    return drift.no_grad(function() return net(drift.randn { 2, 3, 8, 8, purpose = "image" }, c):totable() end)
end

describe("a model folder", function()
    for stage = 1, 2 do
        it("of stage " .. stage .. " says what it is, and its parts make a network", function()
            local folder = model_folder(stage)
            local m = drift.model_folder(folder .. "/")
            assert.are.equal("deepfloyd_if", m.kind)
            assert.are.equal(stage, m.stage)
            assert.are.equal(folder, m.path)
            assert.are.equal(3, m.image_channels)
            assert.are.equal(model_index(stage)._class_name, m.class)
            assert.are.same({ 8, 16 }, m.unet.config.block_out_channels)
            assert.are.equal(folder .. "/tokenizer/spiece.model", m.tokenizer.spiece)
            assert.is_nil(m.tokenizer.json)
            assert.are.equal("t5", m.text_encoder.config.model_type)
            local net = drift.build(drift.models.deepfloyd_if { config = m.unet.config }, { weights = m:weights "unet" })
            assert.are.same(output(folders[stage]:eval(), stage), output(net, stage))
            assert.are.equal(stage == 2, m.image_noising ~= nil)
        end)
    end

    it("says how noise is laid and what a step does", function()
        local m = drift.model_folder(model_folder(1))
        local s = m.scheduler
        assert.are.equal(1000, s.T)
        assert.is_true(s.schedule == drift.schedule.cosine {})
        assert.are.equal("eps", s.predict)
        assert.are.equal("learned_range", s.variance)
        assert.are.same({ kind = "dynamic_threshold", ratio = 0.95, max = 1.5 }, s.clip)
        assert.is_true(s.timesteps == drift.timesteps.leading { offset = 0 })
        s = drift.model_folder(model_folder(2))
        assert.are.equal(1.0, s.scheduler.clip.max)
        assert.are.equal("posterior", s.image_noising.variance)
        assert.are.same({ kind = "range", min = -1, max = 1 }, s.image_noising.clip)
    end)

    it("may be without what makes embeddings of prompts", function()
        for _, changes in ipairs {
            { text_encoder = false, tokenizer = false },
            { ["model_index.json"] = function(t) t.text_encoder, t.tokenizer = json.array { null, null }, nil end },
        } do
            local folder = model_folder(1, changes)
            local m = drift.model_folder(folder)
            assert.is_nil(m.text_encoder)
            assert.is_nil(m.tokenizer)
            refused(function() m:weights "text_encoder" end, folder .. ": has no text_encoder/")
            assert.is_true(#m:weights "unet":names() > 0)
        end
    end)

    it("may be the unet's folder alone, or its file alone, with the released schedule", function()
        for stage = 1, 2 do
            local folder = model_folder(stage)
            local m = drift.model_folder(folder .. "/unet")
            assert.are.equal(stage, m.stage)
            assert.is_nil(m.class)
            assert.are.same(drift.model_folder(folder).scheduler.clip, m.scheduler.clip)
            assert.are.equal("learned_range", m.scheduler.variance)
            assert.are.equal(stage == 2, m.image_noising ~= nil)
            drift.build(drift.models.deepfloyd_if { config = m.unet.config }, { weights = m:weights "unet" })
        end
        local c = unet_config(1)                                        -- the released heads and groups
        c.attention_head_dim, c.norm_num_groups, c.addition_embed_type_num_heads, c.block_out_channels = 64, 32, 64, { 64, 128 }
        c.cross_attention_dim, c.encoder_hid_dim = 64, 128
        drift.build(drift.models.deepfloyd_if { config = c }):save "alone.safetensors"
        local m = drift.model_folder "alone.safetensors"
        assert.are.equal(1, m.stage)
        assert.are.same({ 64, 128 }, m.unet.config.block_out_channels)
        drift.build(drift.models.deepfloyd_if { config = m.unet.config }, { weights = m:weights "unet" })
    end)

    it("has variants, one for all parts or one for each", function()
        local folder = model_folder(1)
        local state = {}
        for name, t in pairs(folders[1]:state_dict()) do state[name] = t:cast "f16" end
        drift.save_tensors(folder .. "/unet/diffusion_pytorch_model.fp16.safetensors", state)
        assert.are.equal("f32", drift.model_folder(folder):weights "unet":dtype "conv_in.weight")
        for _, variant in ipairs { "fp16", { unet = "fp16" } } do
            local m = drift.model_folder(folder, { variant = variant })
            assert.are.equal("f16", m:weights "unet":dtype "conv_in.weight")
        end
        refused(function() drift.model_folder(folder, { variant = "bf16" }):weights "unet" end, folder .. "/unet", "no variant 'bf16'")
        refused(function() drift.model_folder(folder, { varient = "bf16" }) end, "'varient'")
        refused(function() drift.model_folder(folder, { variant = 16 }) end, "variant must be")
        refused(function() drift.model_folder(folder):weights "vae" end, "'vae'")
    end)

    it("is found in Hugging Face's cache", function()
        local folder = model_folder(1)
        drift.mkdir "models--a--b/snapshots"
        assert(os.rename(folder, "models--a--b/snapshots/00ff"))
        assert.are.equal("models--a--b/snapshots/00ff", drift.model_folder "models--a--b".path)
        assert(os.rename(model_folder(2), "models--a--b/snapshots/11aa"))
        refused(function() drift.model_folder "models--a--b" end, "models--a--b: has 2 snapshots")
        drift.mkdir "models--a--b/refs"
        for hash, stage in pairs { ["00ff"] = 1, ["11aa\n"] = 2 } do
            drift.write_file("models--a--b/refs/main", hash)
            assert.are.equal(stage, drift.model_folder "models--a--b".stage)
        end
        drift.write_file("models--a--b/refs/main", "../snapshots/00ff")
        refused(function() drift.model_folder "models--a--b" end, "refs/main names none")
    end)

    it("may hold the text encoder's embedding twice, or under its second name, or with a decoder", function()
        local function names_of(tensors)
            local folder = model_folder(1)
            drift.save_tensors(folder .. "/text_encoder/model.safetensors", tensors)
            return drift.model_folder(folder):weights "text_encoder":names()
        end
        local t = drift.zeros { 2, 2 }
        local again, shared = "encoder.embed_tokens.weight", "shared.weight"
        local rest = "encoder.final_layer_norm.weight"
        assert.are.same({ rest, shared }, names_of { [again] = t, [shared] = t, [rest] = t })
        assert.are.same({ rest, shared }, names_of { [again] = t, [rest] = t })
        assert.are.same({ rest, shared }, names_of { [shared] = t, [rest] = t })
        assert.are.same({ rest, shared }, names_of { [shared] = t, [rest] = t, ["decoder.final_layer_norm.weight"] = t, ["lm_head.weight"] = t })
    end)
end)

-- ---- malformed folders ------------------------------------------------------------------------------------------------
local index, unet, scheduler = "model_index.json", "unet/config.json", "scheduler/scheduler_config.json"
local noising, text = "image_noising_scheduler/scheduler_config.json", "text_encoder/config.json"
local function set(key, value) return function(t) t[key] = value end end

-- { stage, what is changed, what the message says beside the file's path }
local malformed = {
    ["no model_index.json, and no config.json"] = { 1, { [index] = false }, "", "no model_index.json" },
    ["an index that is no JSON"] = { 1, { [index] = "{ \"_class_name\": " }, index, "is not valid JSON", "line 1" },
    ["an index that is a list"] = { 1, { [index] = "[]" }, index, "no JSON object" },
    ["an index that is empty"] = { 1, { [index] = "" }, index, "is not valid JSON" },
    ["an index without a class"] = { 1, { [index] = set("_class_name", nil) }, index, "_class_name is missing" },
    ["another pipeline"] = { 1, { [index] = set("_class_name", "StableDiffusionPipeline") }, index,
                             "_class_name = \"StableDiffusionPipeline\" is not supported", "IFPipeline" },
    ["a class that is a number"] = { 1, { [index] = set("_class_name", 3) }, index, "_class_name = 3" },
    ["an index without a unet"] = { 1, { [index] = set("unet", nil) }, index, "unet is missing" },
    ["a unet of another class"] = { 1, { [index] = set("unet", { "diffusers", "UNet2DModel" }) }, index,
                                    "unet is a \"UNet2DModel\"; it may be UNet2DConditionModel" },
    ["a unet that is no pair"] = {
        1, { [index] = set("unet", "UNet2DConditionModel") },
        index, "unet = \"UNet2DConditionModel\" must be [library, class]" },
    ["another scheduler"] = {
        1, { [index] = set("scheduler", { "diffusers", "DPMSolverMultistepScheduler" }) }, index,
        "scheduler is a \"DPMSolverMultistepScheduler\"" },
    ["another text encoder"] = { 1, { [index] = set("text_encoder", { "transformers", "CLIPTextModel" }) }, index,
                                 "text_encoder is a \"CLIPTextModel\"; it may be T5EncoderModel" },
    ["no unet folder"] = { 1, { unet = false }, "", "the folder unet is missing" },
    ["no unet config"] = { 1, { [unet] = false }, unet, "is missing" },
    ["a unet config that is no JSON"] = { 1, { [unet] = "{]" }, unet, "is not valid JSON" },
    ["a unet config that is null"] = { 1, { [unet] = "null" }, unet, "no JSON object" },
    ["a unet config of another class"] = {
        1, { [unet] = set("_class_name", "UNet2DModel") }, unet, "_class_name = \"UNet2DModel\"" },
    ["channels that are text"] = { 1, { [unet] = set("in_channels", "3") }, unet, "in_channels = \"3\"" },
    ["channels that are too many"] = {
        1, { [unet] = set("out_channels", 9) }, unet, "out_channels = 9 does not fit images of 3 channels" },
    ["a block that is not known"] = {
        1, { [unet] = set("mid_block_type", "UNetMidBlock2D") }, unet, "mid_block_type = \"UNetMidBlock2D\"" },
    ["a key that is not known"] = {
        1, { [unet] = set("block_out_chanels", { 8 }) }, unet, "did you mean block_out_channels" },
    ["a network of the other stage"] = {
        1, { [unet] = function(t) t.class_embed_type, t.in_channels = "timestep", 6 end }, unet,
        "class_embed_type = \"timestep\" makes a network of stage 2, but IFPipeline is of stage 1" },
    ["a pipeline of the other stage"] = {
        2, { [unet] = function(t) t.class_embed_type, t.in_channels = null, 3 end }, unet,
        "makes a network of stage 1, but IFSuperResolutionPipeline is of stage 2" },
    ["an odd number of channels in stage II"] = {
        2, { [unet] = set("in_channels", 5) }, unet, "in_channels = 5 must be even" },
    ["no scheduler folder"] = { 1, { scheduler = false }, "", "the folder scheduler is missing" },
    ["no scheduler config"] = { 1, { [scheduler] = false }, scheduler, "is missing" },
    ["a scheduler config that is cut"] = {
        1, { [scheduler] = "{\"_class_name\": \"DDPM" }, scheduler, "is not valid JSON" },
    ["a scheduler config that is a list"] = { 1, { [scheduler] = "[1]" }, scheduler, "no JSON object" },
    ["a scheduler of another class"] = {
        1, { [scheduler] = set("_class_name", "DDIMScheduler") }, scheduler, "_class_name = \"DDIMScheduler\"" },
    ["another schedule"] = {
        1, { [scheduler] = set("beta_schedule", "laplace") },
        scheduler, "beta_schedule = \"laplace\" is not supported; it may be linear" },
    ["no schedule"] = { 1, { [scheduler] = set("beta_schedule", nil) }, scheduler, "beta_schedule is missing" },
    ["betas of its own"] = {
        1, { [scheduler] = set("trained_betas", { 0.1, 0.2 }) },
        scheduler, "trained_betas = [0.1, 0.2] is not supported" },
    ["betas that are too large"] = {
        1, { [scheduler] = function(t) t.beta_schedule, t.beta_end = "linear", 2 end },
        scheduler, "beta_end = 2 is outside" },
    ["another prediction"] = {
        1, { [scheduler] = set("prediction_type", "v_prediction") },
        scheduler, "prediction_type = \"v_prediction\" is not supported; it may be epsilon" },
    ["another variance"] = {
        1, { [scheduler] = set("variance_type", "learned") }, scheduler, "variance_type = \"learned\"" },
    ["a variance that the network has not"] = {
        1, { [unet] = set("out_channels", 3) },
        scheduler, "variance_type = \"learned_range\"", "out_channels = 3" },
    ["zero terminal noise"] = {
        1, { [scheduler] = set("rescale_betas_zero_snr", true) },
        scheduler, "rescale_betas_zero_snr = true is not supported" },
    ["another spacing"] = {
        1, { [scheduler] = set("timestep_spacing", "karras") }, scheduler, "timestep_spacing = \"karras\"" },
    ["steps that are no whole number"] = {
        1, { [scheduler] = set("num_train_timesteps", 10.5) },
        scheduler, "num_train_timesteps = 10.5 must be an integer" },
    ["no steps"] = {
        1, { [scheduler] = set("num_train_timesteps", 0) }, scheduler, "num_train_timesteps = 0 is outside" },
    ["an offset past the end"] = {
        1, { [scheduler] = set("steps_offset", 1000) }, scheduler, "steps_offset = 1000 is outside" },
    ["a threshold that is text"] = {
        1, { [scheduler] = set("thresholding", "yes") }, scheduler, "thresholding = \"yes\" must be a boolean" },
    ["a ratio beyond one"] = {
        1, { [scheduler] = set("dynamic_thresholding_ratio", 1.5) },
        scheduler, "dynamic_thresholding_ratio = 1.5 is outside" },
    ["a threshold below one"] = {
        1, { [scheduler] = set("sample_max_value", 0.5) }, scheduler, "sample_max_value = 0.5 is outside" },
    ["a field that is not known"] = {
        1, { [scheduler] = set("solver_order", 2) }, scheduler, "solver_order = 2 is not supported" },
    ["no noising of the small image"] = {
        2, { [index] = set("image_noising_scheduler", nil) }, index, "image_noising_scheduler is missing" },
    ["no folder for the small image's noise"] = {
        2, { image_noising_scheduler = false }, "", "the folder image_noising_scheduler is missing" },
    ["a noising that is not known"] = {
        2, { [noising] = set("beta_schedule", 3) }, noising, "beta_schedule = 3 must be a string" },
    ["no text encoder config"] = { 1, { [text] = false }, text, "is missing" },
    ["a text encoder of another kind"] = {
        1, { [text] = set("model_type", "clip_text_model") }, text, "model_type = \"clip_text_model\"" },
    ["a tokenizer folder without a tokenizer"] = {
        1, { ["tokenizer/spiece.model"] = false }, "tokenizer", "neither spiece.model nor tokenizer.json" },
}

describe("a malformed folder with", function()
    for what, case in pairs(malformed) do
        it(what .. " is refused, by file and field", function()
            local folder = model_folder(case[1], case[2])
            refused(function() drift.model_folder(folder) end, folder .. (case[3] ~= "" and "/" .. case[3] or ""), case[4], case[5] or "")
        end)
    end

    it("a JSON file that is a folder, or nothing at all, is refused", function()
        local folder = model_folder(1, { [scheduler] = false })
        drift.mkdir(folder .. "/" .. scheduler)
        refused(function() drift.model_folder(folder) end, folder .. "/" .. scheduler, "is a folder")
        refused(function() drift.model_folder "nowhere" end, "nowhere: there is no such file or folder")
        refused(function() drift.model_folder(3) end, "a path")
        refused(function() drift.model_folder "" end, "a path")
    end)

    it("weights of another size names all of them", function()
        local folder = model_folder(1)
        drift.save_tensors(folder .. "/unet/diffusion_pytorch_model.safetensors", { ["conv_in.weight"] = drift.zeros { 8, 4, 3, 3 }, extra = drift.tensor(1) })
        local m = drift.model_folder(folder)
        refused(function() drift.build(drift.models.deepfloyd_if { config = m.unet.config }, { weights = m:weights "unet" }) end,
                folder .. "/unet does not fit", "missing: add_embedding.norm1.bias [24]",
                "of another shape: conv_in.weight is [8,4,3,3], expected [8,3,3,3]", "not expected: extra []")
    end)
end)

describe("a scheduler's config", function()
    local function of(changes)
        local c = scheduler_config(1)
        for key, value in pairs(changes) do c[key] = value end
        return drift.scheduler_config(c)
    end

    it("may leave out what older releases did not write", function()
        local c = { _class_name = "DDPMScheduler", num_train_timesteps = 1000, beta_schedule = "linear", beta_start = 1e-4, beta_end = 0.03,
                    prediction_type = "epsilon", variance_type = "fixed_large", clip_sample = true }
        local s = drift.scheduler_config(c)
        assert.is_true(s.schedule == drift.schedule.linear { beta_start = 1e-4, beta_end = 0.03 })
        assert.are.equal("beta", s.variance)
        assert.are.same({ kind = "range", min = -1, max = 1 }, s.clip)
        assert.is_true(s.timesteps == drift.timesteps.leading {})
    end)

    it("becomes Drift's components", function()
        assert.is_nil(of { thresholding = false, clip_sample = false }.clip)
        assert.are.same({ kind = "range", min = -2, max = 2 }, of { thresholding = false, clip_sample_range = 2 }.clip)
        assert.is_true(of { beta_schedule = "scaled_linear" }.schedule == drift.schedule.scaled_linear { beta_start = 1e-4, beta_end = 0.02 })
        assert.is_true(of { steps_offset = 1 }.timesteps == drift.timesteps.leading { offset = 1 })
        assert.is_true(of { timestep_spacing = "trailing" }.timesteps == drift.timesteps.trailing {})
        assert.is_true(of { timestep_spacing = "linspace" }.timesteps == drift.timesteps.linspace { first_step = true })
        assert.are.equal("posterior", of { variance_type = "fixed_small_log" }.variance)
    end)
end)
