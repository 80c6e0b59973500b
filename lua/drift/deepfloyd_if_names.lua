-- deepfloyd_if_names.lua: DeepFloyd IF's UNet as its first release names its tensors (input_blocks.3.1.qkv), seen under
-- diffusers' names (down_blocks.0.attentions.2.to_q), and the configuration that a file's names and shapes tell.
--   local names = drift.deepfloyd_if_names
--   if names.is_original(W) then W = names.renamed(W) end     names.config(W) -> what unet/config.json would say
-- Which blocks make a level is read off the way up: its last block carries the ResBlock that enlarges. The rows of qkv
-- interleave per head, [q 64, k 64, v 64, q 64, ...], those of encoder_kv [k 64, v 64]: these are copied; all else
-- stays in the file. head_dim, groups, heads: 64, 32 and 64 in all released models; no shape tells them.
local core = require "drift.core"

local names = {}

function names.is_original(W) return W:has "input_blocks.0.0.weight" end

-- ---- the levels -----------------------------------------------------------------------------------------------------
-- Which blocks there are: { [n] = { attention = bool, up = index of the ResBlock that enlarges, or nil } }, from 1 on.
local function blocks_of(W, side)
    local blocks = {}
    for _, name in ipairs(W:names()) do
        local n, k, rest = name:match("^" .. side .. "%.(%d+)%.(%d+)%.(.+)$")
        n, k = tonumber(n), tonumber(k)
        if n then
            blocks[n] = blocks[n] or { attention = false }
            if rest:find "^qkv" then blocks[n].attention = true end
            if k > 0 and rest:find "^in_layers" then blocks[n].up = k end
        end
    end
    return blocks
end

-- From the coarsest level to the finest: { layers = ResBlocks on the way up, first = number of the first of them }.
local function levels_of(W)
    local up, levels, first, n = blocks_of(W, "output_blocks"), {}, 0, 0
    while up[n] do
        if up[n].up or not up[n + 1] then
            levels[#levels + 1] = { layers = n - first + 1, first = first, attention = up[n].attention }
            first = n + 1
        end
        n = n + 1
    end
    if #levels == 0 then
        core.fail("%s: has input_blocks but no output_blocks: it is not DeepFloyd IF's UNet", W.path)
    end
    return levels, up
end

-- Where each block goes: ["input_blocks.3.0"] = "down_blocks.0.resnets.2", ...
local function places(W)
    local levels, up = levels_of(W)
    local place, n = { ["input_blocks.0.0"] = "conv_in" }, 1
    for i = 0, #levels - 1 do                  -- the way down: one ResBlock less a level, then a smaller image
        local level = levels[#levels - i]
        for j = 0, level.layers - 2 do
            place[("input_blocks.%d.0"):format(n)] = ("down_blocks.%d.resnets.%d"):format(i, j)
            place[("input_blocks.%d.1"):format(n)] = ("down_blocks.%d.attentions.%d"):format(i, j)
            n = n + 1
        end
        if i < #levels - 1 then
            place[("input_blocks.%d.0"):format(n)] = ("down_blocks.%d.downsamplers.0"):format(i)
            n = n + 1
        end
    end
    for i, level in ipairs(levels) do
        for j = 0, level.layers - 1 do
            local block = level.first + j
            place[("output_blocks.%d.0"):format(block)] = ("up_blocks.%d.resnets.%d"):format(i - 1, j)
            place[("output_blocks.%d.1"):format(block)] = ("up_blocks.%d.attentions.%d"):format(i - 1, j)
            if up[block].up then
                place[("output_blocks.%d.%d"):format(block, up[block].up)] = ("up_blocks.%d.upsamplers.0"):format(i - 1)
            end
        end
    end
    return place
end

-- ---- the names ------------------------------------------------------------------------------------------------------
local whole = {
    ["time_embed.0"] = "time_embedding.linear_1", ["time_embed.2"] = "time_embedding.linear_2",
    ["aug_proj.0"] = "class_embedding.linear_1", ["aug_proj.2"] = "class_embedding.linear_2",
    ["encoder_pooling.0"] = "add_embedding.norm1", ["encoder_pooling.1"] = "add_embedding.pool",
    ["encoder_pooling.2"] = "add_embedding.proj", ["encoder_pooling.3"] = "add_embedding.norm2",
    ["encoder_pooling.1.q_proj"] = "add_embedding.pool.q_proj",
    ["encoder_pooling.1.k_proj"] = "add_embedding.pool.k_proj",
    ["encoder_pooling.1.v_proj"] = "add_embedding.pool.v_proj",
    ["encoder_proj"] = "encoder_hid_proj", ["out.0"] = "conv_norm_out", ["out.2"] = "conv_out",
    ["middle_block.0"] = "mid_block.resnets.0", ["middle_block.1"] = "mid_block.attentions.0",
    ["middle_block.2"] = "mid_block.resnets.1",
}
local within = {                               -- a ResBlock, an attention
    ["in_layers.0"] = "norm1", ["in_layers.2"] = "conv1", ["emb_layers.1"] = "time_emb_proj",
    ["out_layers.0"] = "norm2", ["out_layers.3"] = "conv2", ["skip_connection"] = "conv_shortcut",
    ["norm"] = "group_norm", ["norm_encoder"] = "norm_cross", ["proj_out"] = "to_out.0",
}

-- Parts of a tensor [heads x #targets x head_dim, in, 1] or [rows], each [heads x head_dim, in].
local function interleaved(W, name, shape, at, tail, targets, head_dim)
    local every = head_dim * #targets
    if shape[1] % every ~= 0 then
        core.fail("%s: %s has %d rows, which are no heads of %d x %d; head_dim = ... says what a head has", W.path,
            name, shape[1], #targets, head_dim)
    end
    local list = {}
    for i, target in ipairs(targets) do
        list[i] = { name = ("%s.%s.%s"):format(at, target, tail),
                    every = every, first = (i - 1) * head_dim, rows = head_dim,
                    shape = { shape[1] // #targets, shape[2] } }
    end
    return list
end

local function without_last_axis(name, shape)
    return { name = name, shape = #shape == 3 and { shape[1], shape[2] } or shape }
end

local function attention_parts(W, name, shape, at, part, tail, head_dim)
    if part == "encoder_kv" then
        return interleaved(W, name, shape, at, tail, { "add_k_proj", "add_v_proj" }, head_dim)
    end
    local norm = name:gsub("qkv%.%w+$", "norm.weight")
    local channels = W:has(norm) and W:shape(norm)[1] or shape[2]
    if shape[1] == channels then return without_last_axis(at .. ".to_q." .. tail, shape) end -- queries alone
    return interleaved(W, name, shape, at, tail, { "to_q", "to_k", "to_v" }, head_dim)
end

local function becomes(W, place, name, shape, head_dim)
    local stem, tail = name:match "^(.+)%.([^.]+)$"
    if not stem then return nil end
    if whole[stem] then return whole[stem] .. "." .. tail end
    if place[stem] then return place[stem] .. "." .. tail end
    local block, part = stem:match "^(%l+_blocks%.%d+%.%d+)%.(.+)$"
    if not block then block, part = stem:match "^(middle_block%.%d+)%.(.+)$" end
    local at = block and (place[block] or whole[block])
    if not at then return nil end
    if part == "qkv" or part == "encoder_kv" then return attention_parts(W, name, shape, at, part, tail, head_dim) end
    if part == "proj_out" then return without_last_axis(at .. ".to_out.0." .. tail, shape) end
    return within[part] and at .. "." .. within[part] .. "." .. tail
end

-- W under diffusers' names. What has no name there keeps its own, so that a network says that it is not expected.
function names.renamed(W, options)
    local head_dim = options and options.head_dim or 64
    local place = places(W)
    return W:renamed(function(name, shape) return becomes(W, place, name, shape, head_dim) end)
end

-- ---- the configuration ----------------------------------------------------------------------------------------------
local function rows(W, name) return W:has(name) and W:shape(name)[1] or nil end

local function count(W, pattern)
    local n = 0
    while W:has(pattern:format(n)) do n = n + 1 end
    return n
end

local function down_levels(W)
    local width, layers, types = {}, {}, {}
    for i = 0, count(W, "down_blocks.%d.resnets.0.conv1.weight") - 1 do
        local at = ("down_blocks.%d."):format(i)
        width[i + 1] = rows(W, at .. "resnets.0.conv1.weight")
        layers[i + 1] = count(W, at .. "resnets.%d.conv1.weight")
        types[i + 1] = W:has(at .. "attentions.0.to_q.weight") and "SimpleCrossAttnDownBlock2D"
            or "ResnetDownsampleBlock2D"
    end
    return width, layers, types
end

-- What unet/config.json says, of W under diffusers' names. The second stage is the one that is told a noise level.
function names.config(W, options)
    options = options or {}
    local width, layers, down = down_levels(W)
    if #width == 0 then core.fail("%s: has no down_blocks: it is not DeepFloyd IF's UNet", W.path) end
    local up, json, second = {}, core.json, W:has "class_embedding.linear_1.weight"
    for i = #down, 1, -1 do
        up[#up + 1] = down[i] == "SimpleCrossAttnDownBlock2D" and "SimpleCrossAttnUpBlock2D" or "ResnetUpsampleBlock2D"
    end
    local scale = second and 1 / 0.7071 or 1.0
    local text = W:has "encoder_hid_proj.weight" and W:shape "encoder_hid_proj.weight"
    return {
        _class_name = "UNet2DConditionModel", act_fn = "gelu", addition_embed_type = "text",
        addition_embed_type_num_heads = options.heads or 64, attention_head_dim = options.head_dim or 64,
        block_out_channels = width, center_input_sample = false, class_embed_type = second and "timestep" or json.null,
        conv_in_kernel = 3, conv_out_kernel = 3,
        cross_attention_dim = W:has "mid_block.attentions.0.add_k_proj.weight"
            and W:shape "mid_block.attentions.0.add_k_proj.weight"[2]
            or rows(W, "mid_block.attentions.0.norm_cross.weight"),
        cross_attention_norm = "group_norm", down_block_types = down, encoder_hid_dim = text and text[2] or json.null,
        encoder_hid_dim_type = text and "text_proj" or json.null, flip_sin_to_cos = true, freq_shift = 0,
        in_channels = W:shape "conv_in.weight"[2], layers_per_block = layers, mid_block_scale_factor = scale,
        mid_block_type = "UNetMidBlock2DSimpleCrossAttn", norm_eps = 1e-5, norm_num_groups = options.groups or 32,
        only_cross_attention = not W:has "mid_block.attentions.0.to_k.weight",
        out_channels = rows(W, "conv_out.weight"),
        resnet_out_scale_factor = scale, resnet_skip_time_act = second, resnet_time_scale_shift = "scale_shift",
        sample_size = second and 256 or 64, time_embedding_act_fn = second and "gelu" or json.null,
        time_embedding_dim = rows(W, "time_embedding.linear_1.weight"), time_embedding_type = "positional",
        transformer_layers_per_block = 1, up_block_types = up,
    }
end

return names
