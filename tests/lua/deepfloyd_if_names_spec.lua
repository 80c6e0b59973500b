-- deepfloyd_if_names_spec.lua: DeepFloyd IF's UNet under the names of its first release is the same network.
local drift = require "drift"
local names = drift.deepfloyd_if_names

local function refused(f, ...)
    local ok, message = pcall(f)
    assert.is_false(ok, "was not refused")
    for _, part in ipairs { "deepfloyd_if_names_spec.lua:", ... } do assert.is_truthy(message:find(part, 1, true), message) end
end

local HEAD, GROUPS, POOL = 8, 4, 4
local options = { head_dim = HEAD, groups = GROUPS, heads = POOL }

-- Both stages, small. The second has levels of equal width and different numbers of ResBlocks.
local function config(stage)
    local null, second = drift.json.null, stage == 2
    local plain, text = "ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"
    local plain_up, text_up = "ResnetUpsampleBlock2D", "SimpleCrossAttnUpBlock2D"
    local scale = second and 1 / 0.7071 or 1.0
    return {
        _class_name = "UNet2DConditionModel", act_fn = "gelu", addition_embed_type = "text",
        addition_embed_type_num_heads = POOL, attention_head_dim = HEAD, block_out_channels = second and { 8, 16, 16, 16 } or { 8, 16, 24 },
        center_input_sample = false, class_embed_type = second and "timestep" or null, conv_in_kernel = 3, conv_out_kernel = 3,
        cross_attention_dim = 32, cross_attention_norm = "group_norm",
        down_block_types = second and { plain, plain, text, text } or { plain, text, text },
        encoder_hid_dim = 24, encoder_hid_dim_type = "text_proj", flip_sin_to_cos = true, freq_shift = 0,
        in_channels = second and 6 or 3, layers_per_block = second and { 1, 2, 1, 3 } or { 3, 3, 3 },
        mid_block_scale_factor = scale, mid_block_type = "UNetMidBlock2DSimpleCrossAttn", norm_eps = 1e-5,
        norm_num_groups = GROUPS, only_cross_attention = second, out_channels = 6, resnet_out_scale_factor = scale,
        resnet_skip_time_act = second, resnet_time_scale_shift = "scale_shift", sample_size = second and 256 or 64,
        time_embedding_act_fn = second and "gelu" or null, time_embedding_dim = 32, time_embedding_type = "positional",
        transformer_layers_per_block = 1,
        up_block_types = second and { text_up, text_up, plain_up, plain_up } or { text_up, text_up, plain_up },
    }
end

-- ---- the way back, written apart from what is tested ----------------------------------------------------------------
-- Rows of the parts in turn, HEAD of each: [q 8, k 8, v 8, q 8, ...], and an axis of 1 where they are matrices.
local function interleave(parts)
    local rows, heads = {}, parts[1].shape[1] // HEAD
    for h = 0, heads - 1 do
        for _, part in ipairs(parts) do rows[#rows + 1] = part:slice(0, h * HEAD, HEAD) end
    end
    return drift.concat(rows, 0)
end

local function with_axis(t)
    if #t.shape == 1 then return t end
    return t:reshape { t.shape[1], t.shape[2], 1 }
end

local function put_resnet(to, at, state, from)
    for new, old in pairs { norm1 = "in_layers.0", conv1 = "in_layers.2", time_emb_proj = "emb_layers.1", norm2 = "out_layers.0",
                            conv2 = "out_layers.3", conv_shortcut = "skip_connection" } do
        for _, tail in ipairs { "weight", "bias" } do
            to[("%s.%s.%s"):format(at, old, tail)] = state[("%s.%s.%s"):format(from, new, tail)]
        end
    end
end

local function put_attention(to, at, state, from)
    for _, tail in ipairs { "weight", "bias" } do
        local function get(name) return state[("%s.%s.%s"):format(from, name, tail)] end
        to[at .. ".norm." .. tail], to[at .. ".norm_encoder." .. tail] = get "group_norm", get "norm_cross"
        to[at .. ".proj_out." .. tail] = with_axis(get "to_out.0")
        to[at .. ".encoder_kv." .. tail] = with_axis(interleave { get "add_k_proj", get "add_v_proj" })
        to[at .. ".qkv." .. tail] = with_axis(get "to_k" and interleave { get "to_q", get "to_k", get "to_v" } or get "to_q")
    end
end

local function original(state, c)
    local to, n, levels = {}, 1, #c.block_out_channels
    local function put(old, new)
        for name, t in pairs(state) do
            if name:sub(1, #new + 1) == new .. "." then to[old .. name:sub(#new + 1)] = t end
        end
    end
    put("time_embed.0", "time_embedding.linear_1")
    put("time_embed.2", "time_embedding.linear_2")
    put("aug_proj.0", "class_embedding.linear_1")
    put("aug_proj.2", "class_embedding.linear_2")
    put("encoder_proj", "encoder_hid_proj")
    put("encoder_pooling.0", "add_embedding.norm1")
    put("encoder_pooling.1", "add_embedding.pool")
    put("encoder_pooling.2", "add_embedding.proj")
    put("encoder_pooling.3", "add_embedding.norm2")
    put("input_blocks.0.0", "conv_in")
    put("out.0", "conv_norm_out")
    put("out.2", "conv_out")
    for i = 0, levels - 1 do
        for j = 0, c.layers_per_block[i + 1] - 1 do
            put_resnet(to, ("input_blocks.%d.0"):format(n), state, ("down_blocks.%d.resnets.%d"):format(i, j))
            if c.down_block_types[i + 1]:find "Attn" then
                put_attention(to, ("input_blocks.%d.1"):format(n), state, ("down_blocks.%d.attentions.%d"):format(i, j))
            end
            n = n + 1
        end
        if i < levels - 1 then
            put_resnet(to, ("input_blocks.%d.0"):format(n), state, ("down_blocks.%d.downsamplers.0"):format(i))
            n = n + 1
        end
    end
    put_resnet(to, "middle_block.0", state, "mid_block.resnets.0")
    put_attention(to, "middle_block.1", state, "mid_block.attentions.0")
    put_resnet(to, "middle_block.2", state, "mid_block.resnets.1")
    n = 0
    for i = 0, levels - 1 do
        local attention = c.up_block_types[i + 1]:find "Attn"
        for j = 0, c.layers_per_block[levels - i] do
            put_resnet(to, ("output_blocks.%d.0"):format(n), state, ("up_blocks.%d.resnets.%d"):format(i, j))
            if attention then
                put_attention(to, ("output_blocks.%d.1"):format(n), state, ("up_blocks.%d.attentions.%d"):format(i, j))
            end
            if j == c.layers_per_block[levels - i] and i < levels - 1 then
                put_resnet(to, ("output_blocks.%d.%d"):format(n, attention and 2 or 1), state, ("up_blocks.%d.upsamplers.0"):format(i))
            end
            n = n + 1
        end
    end
    return to
end

-- ---- the promise ----------------------------------------------------------------------------------------------------
local function half(state)
    local to = {}
    for name, t in pairs(state) do to[name] = t:cast "f16" end
    return to
end

local function output(net, stage)
    local c = { time = drift.tensor { 10, 700 }, tokens = drift.randn { 2, 5, 24, purpose = "text" } }
    if stage == 2 then
        c.image = drift.randn { 2, 3, 16, 16, purpose = "small" }
        c.image_level = drift.tensor { 250, 3 }
    end
    return drift.no_grad(function() return net(drift.randn { 2, 3, 16, 16, purpose = "image" }, c):totable() end)
end

for stage = 1, 2 do
    describe("stage " .. stage .. " under its first names", function()
        local c = config(stage)
        local spec = drift.models.deepfloyd_if { config = c }
        local state = drift.build(spec, { seed = stage }):state_dict()
        for name, t in pairs(state) do                               -- norms start equal, and would hide an exchange
            state[name] = t + 0.1 * drift.randn { t:numel(), purpose = name }:reshape(t.shape)
        end
        drift.save_tensors(stage .. "new.safetensors", state)
        drift.save_tensors(stage .. "old.safetensors", original(state, c))
        drift.save_tensors(stage .. "new16.safetensors", half(state))
        drift.save_tensors(stage .. "old16.safetensors", half(original(state, c)))
        local old, new = drift.weights(stage .. "old.safetensors"), drift.weights(stage .. "new.safetensors")

        it("has every tensor of the later names, with the same values", function()
            assert.is_true(names.is_original(old))
            assert.is_false(names.is_original(new))
            local view = names.renamed(old, options)
            assert.are.same(new:names(), view:names())
            for _, name in ipairs(new:names()) do
                assert.are.same(new:shape(name), view:shape(name))
                assert.are.same(new:tensor(name):totable(), view:tensor(name):totable())
            end
        end)

        it("gives the same bits, in f32 and in f16", function()
            for _, file in ipairs { stage .. "%s.safetensors", stage .. "%s16.safetensors" } do
                local view = names.renamed(drift.weights(file:format "old"), options)
                local a = output(drift.build(spec, { weights = view }), stage)
                local b = output(drift.build(spec, { weights = file:format "new" }), stage)
                assert.are.same(b, a)
            end
        end)

        it("tells its configuration", function()
            for _, W in ipairs { names.renamed(old, options), new } do
                local told = names.config(W, options)
                for key, value in pairs(c) do assert.are.same(value, told[key], key) end
                for key in pairs(told) do assert.is_true(c[key] ~= nil, key) end
                local built = drift.build(drift.models.deepfloyd_if { config = told }, { weights = W })
                assert.are.same(output(drift.build(spec, { weights = new }), stage), output(built, stage))
            end
        end)

        it("keeps a name that has no place, so that it is seen", function()
            local more = original(state, c)
            more["input_blocks.1.0.in_layers.5.weight"] = drift.zeros { 3 }
            drift.save_tensors("more.safetensors", more)
            refused(function() drift.build(spec, { weights = names.renamed(drift.weights "more.safetensors", options) }) end,
                    "not expected: input_blocks.1.0.in_layers.5.weight [3]")
            more["input_blocks.1.0.in_layers.5.weight"], more["middle_block.0.in_layers.0.bias"] = nil, nil
            drift.save_tensors("more.safetensors", more)
            refused(function() drift.build(spec, { weights = names.renamed(drift.weights "more.safetensors", options) }) end,
                    "missing: mid_block.resnets.0.norm1.bias [" .. c.block_out_channels[#c.block_out_channels] .. "]")
        end)

        it("with heads that do not divide it is refused", function()
            refused(function() names.renamed(old, { head_dim = 7 }) end, stage .. "old.safetensors", "head_dim")
        end)
    end)
end

it("a file that is another network is refused", function()
    drift.save_tensors("other.safetensors", { ["input_blocks.0.0.weight"] = drift.zeros { 3, 3, 3, 3 } })
    refused(function() names.renamed(drift.weights "other.safetensors") end, "no output_blocks")
    refused(function() names.config(drift.weights "other.safetensors") end, "no down_blocks")
end)
