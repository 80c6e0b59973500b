-- unet_config.lua: what the config.json of a diffusers UNet (UNet2DConditionModel) says, checked, for the networks of
-- DeepFloyd IF's form: every key is used, changes nothing in this form, or is refused by its name and value.
--   unet_config("deepfloyd_if", path or table) -> {
--     in_channels, out_channels, groups, eps, dropout, act, conv_in, conv_out,      of convolutions and norms
--     dim, emb, flip, freq_shift, emb_act, time_norm, skip_time_act, image_level    the time's vector, of length emb
--     text, tokens, project, pool                                                   widths of the text and its keys; heads
--     token_groups, scale_factor, mid = { head, only_cross, scale_factor },
--     levels = { { width, layers, down = { head }, up = { head }, only_cross } },   head: channels of one; nil: no attention
--     sample_size }
-- A key that is missing has the value that diffusers gives it.
local drift = require "drift"

local null <const> = drift.json.null

-- ---- values ---------------------------------------------------------------------------------------------------------
local function shown(v)
  if v == nil or v == null then return "null" end
  if type(v) == "table" then return (drift.json.encode(v)) end
  return type(v) == "string" and '"' .. v .. '"' or tostring(v)
end

-- A rule is the default and a test of the value, with the words for what the test lets through.
local function whole(default, least, most)
  most = most or 65536
  return { default, function(v) return math.type(v) == "integer" and v >= least and v <= most end,
           ("a whole number from %d to %d"):format(least, most) }
end
local function real(default, low, high)
  return { default, function(v) return type(v) == "number" and v >= low and v <= high end,
           ("a number from %g to %g"):format(low, high) }
end
local function flag(default) return { default, function(v) return type(v) == "boolean" end, "true or false" } end
local function one_of(default, ...)
  local names, words = { ... }, {}
  for i, name in ipairs(names) do words[i] = shown(name) end
  return { default, function(v)
    for _, name in ipairs(names) do
      if v == name then return true end
    end
    return false
  end, (#words == 1 and "" or "one of ") .. table.concat(words, ", ") }
end
local function or_null(rule)
  return { rule[1], function(v) return v == null or rule[2](v) end, rule[3] .. ", or null" }
end
local function or_list(rule)              -- of one for each level
  return { rule[1], function(v)
    if type(v) ~= "table" then return rule[2](v) end
    for _, item in ipairs(v) do
      if not rule[2](item) then return false end
    end
    return #v > 0
  end, rule[3] .. ", or a list of such for each level" }
end
local function list_of(rule)
  return { rule[1], function(v) return type(v) == "table" and or_list(rule)[2](v) end, "a list, each item " .. rule[3] }
end

-- ---- keys -----------------------------------------------------------------------------------------------------------
local acts <const> = { gelu = "gelu", silu = "silu", swish = "silu", relu = "relu" }
local plain_down <const>, text_down <const> = "ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"
local plain_up <const>, text_up <const> = "ResnetUpsampleBlock2D", "SimpleCrossAttnUpBlock2D"

local rules <const> = {
  act_fn = one_of("silu", "gelu", "silu", "swish", "relu"),
  addition_embed_type = one_of(null, null, "text"),
  addition_embed_type_num_heads = whole(64, 1),
  attention_head_dim = or_list(or_null(whole(8, 1))),
  block_out_channels = list_of(whole({ 320, 640, 1280, 1280 }, 1)),
  class_embed_type = one_of(null, null, "timestep"),
  conv_in_kernel = one_of(3, 1, 3, 5, 7),
  conv_out_kernel = one_of(3, 1, 3, 5, 7),
  cross_attention_dim = or_list(whole(1280, 1)),
  cross_attention_norm = one_of(null, null, "group_norm"),
  down_block_types = list_of(one_of({ "CrossAttnDownBlock2D" }, plain_down, text_down)),
  dropout = real(0, 0, 0.99),
  encoder_hid_dim = or_null(whole(null, 1)),
  encoder_hid_dim_type = one_of(null, null, "text_proj"),
  flip_sin_to_cos = flag(true),
  freq_shift = real(0, 0, 1),
  in_channels = whole(4, 1),
  layers_per_block = or_list(whole(2, 1, 64)),
  mid_block_only_cross_attention = or_null(flag(null)),
  mid_block_scale_factor = real(1, 1e-3, 1e3),
  mid_block_type = one_of("UNetMidBlock2DCrossAttn", "UNetMidBlock2DSimpleCrossAttn"),
  norm_eps = real(1e-5, 1e-12, 1),
  norm_num_groups = whole(32, 1),
  only_cross_attention = or_list(flag(false)),
  out_channels = whole(4, 1),
  resnet_out_scale_factor = real(1, 1e-3, 1e3),
  resnet_skip_time_act = flag(false),
  resnet_time_scale_shift = one_of("default", "default", "scale_shift"),
  time_embedding_act_fn = one_of(null, null, "gelu", "silu", "swish", "relu"),
  time_embedding_dim = or_null(whole(null, 1)),
  up_block_types = list_of(one_of({ "UpBlock2D" }, plain_up, text_up)),
  -- What would change the network, and is not built.
  center_input_sample = one_of(false, false),
  class_embeddings_concat = one_of(false, false),
  num_attention_heads = one_of(null, null),
  num_class_embeds = one_of(null, null),
  time_cond_proj_dim = one_of(null, null),
  time_embedding_type = one_of("positional", "positional"),
  timestep_post_act = one_of(null, null),
  _class_name = one_of("UNet2DConditionModel", "UNet2DConditionModel"),
}

-- They are of other blocks or embeddings than those above, or of the pipeline, and change nothing here.
local idle <const> = {}
for name in ([[addition_time_embed_dim attention_type downsample_padding dual_cross_attention sample_size
    projection_class_embeddings_input_dim reverse_transformer_layers_per_block transformer_layers_per_block
    upcast_attention use_linear_projection]]):gmatch "%S+" do
  idle[name] = true
end

local function known_names()
  local names = {}
  for name in pairs(rules) do names[#names + 1] = name end
  for name in pairs(idle) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local Config = {}
Config.__index = Config

function Config:fail(format, ...) drift.fail("%s: %s: " .. format, self.model, self.from, ...) end

-- The keys' values, each by its rule.
local function accepted(model, from, given)
  local c = setmetatable({ model = model, from = from, v = {} }, Config)
  local names = {}
  for name in pairs(given) do names[#names + 1] = tostring(name) end
  table.sort(names)                                          -- the same config gives the same message
  for _, name in ipairs(names) do
    if not rules[name] and not idle[name] and name:sub(1, 1) ~= "_" then
      local near = drift.nearest(name, known_names())
      c:fail("%s = %s is not known%s", name, shown(given[name]), near and "; did you mean " .. near .. "?" or "")
    end
  end
  local keys = {}
  for name in pairs(rules) do keys[#keys + 1] = name end
  table.sort(keys)
  for _, name in ipairs(keys) do
    local default, fits, words = table.unpack(rules[name])
    local v = given[name]
    if v == nil then v = default end
    if not fits(v) then
      c:fail("%s = %s%s is not supported; it should be %s", name, shown(v),
             given[name] == nil and " (what diffusers takes where it is missing)" or "", words)
    end
    c.v[name] = v
  end
  c.v.sample_size = given.sample_size
  return c
end

-- ---- what fits together ---------------------------------------------------------------------------------------------
-- One value for each level, from one for all or a list.
local function per_level(c, name)
  local v, n, list = c.v[name], #c.v.block_out_channels, {}
  for i = 1, n do list[i] = v end
  if type(v) ~= "table" then return list end
  if #v ~= n then c:fail("%s lists %d values for the %d levels of block_out_channels", name, #v, n) end
  return v
end

local function divides(c, what, width, name, by)
  if width % by ~= 0 then c:fail("%s, %d channels, cannot be split by %s = %d", what, width, name, by) end
end

local function tokens_width(c)
  local v = c.v.cross_attention_dim
  if type(v) ~= "table" then return v end
  for _, width in ipairs(per_level(c, "cross_attention_dim")) do
    if width ~= v[1] then c:fail("cross_attention_dim = %s: levels of different widths are not supported", shown(v)) end
  end
  return v[1]
end

local function check_text(c, text, tokens)
  if c.v.encoder_hid_dim == null and c.v.encoder_hid_dim_type ~= null then
    c:fail("encoder_hid_dim_type = %s needs encoder_hid_dim, the width of the text", shown(c.v.encoder_hid_dim_type))
  end
  if c.v.addition_embed_type == "text" then
    divides(c, "the text", text, "addition_embed_type_num_heads", c.v.addition_embed_type_num_heads)
  end
  if c.v.cross_attention_norm == "group_norm" then
    divides(c, "cross_attention_dim", tokens, "the 32 groups of cross_attention_norm", 32)
  end
end

-- diffusers hands attention_head_dim to the upward blocks in the order in which they run, the coarsest first, and does
-- not turn the list around as it does with all others: so networks with a list are as they were trained.
local function levels_of(c)
  local v = c.v
  local n, widths = #v.block_out_channels, v.block_out_channels
  if n > 12 then c:fail("block_out_channels lists %d levels: 12 at most", n) end
  local down, up = per_level(c, "down_block_types"), per_level(c, "up_block_types")
  local head, layers = per_level(c, "attention_head_dim"), per_level(c, "layers_per_block")
  local only = per_level(c, "only_cross_attention")
  local levels = {}
  for i = 1, n do
    local width = widths[i]
    divides(c, ("level %d"):format(i), width, "norm_num_groups", v.norm_num_groups)
    local function attention(text, place)
      if not text then return {} end
      local d = head[place] == null and width or head[place]
      divides(c, ("level %d"):format(i), width, "attention_head_dim", d)
      return { head = d }
    end
    levels[i] = { width = width, layers = layers[i], only_cross = only[i], down = attention(down[i] == text_down, i),
                  up = attention(up[n + 1 - i] == text_up, n + 1 - i) }
  end
  if head[n] == null then c:fail("attention_head_dim of the last level is null: the middle block needs it") end
  divides(c, "the middle block", widths[n], "attention_head_dim", head[n])
  local mid_only = v.mid_block_only_cross_attention
  if mid_only == null then mid_only = type(v.only_cross_attention) == "boolean" and v.only_cross_attention end
  return levels, { head = head[n], only_cross = mid_only, scale_factor = v.mid_block_scale_factor }
end

local function read(model, given)
  if type(given) == "table" then return "config", given end
  if type(given) ~= "string" then
    drift.fail("%s: config is the path of a config.json or a table of its content, not a %s", model, drift.type(given))
  end
  local ok, content = pcall(function() return drift.json.decode(drift.read_file(given)) end)
  if not ok then drift.fail("%s: %s cannot be read: %s", model, given, tostring(content)) end
  if type(content) ~= "table" then drift.fail("%s: %s holds no JSON object", model, given) end
  return given, content
end

return function(model, given)
  local from, content = read(model, given)
  local c = accepted(model, from, content)
  local v = c.v
  local tokens = tokens_width(c)
  local project = v.encoder_hid_dim ~= null
  local text = project and v.encoder_hid_dim or tokens
  check_text(c, text, tokens)
  local levels, mid = levels_of(c)
  local dim = v.block_out_channels[1]
  if dim < 4 then
    c:fail("block_out_channels = %s: the first, the length of the time's waves, should be 4 at least", shown(v.block_out_channels))
  end
  return {
    in_channels = v.in_channels, out_channels = v.out_channels, groups = v.norm_num_groups, eps = v.norm_eps,
    dropout = v.dropout, act = acts[v.act_fn], conv_in = v.conv_in_kernel, conv_out = v.conv_out_kernel,
    dim = dim, emb = v.time_embedding_dim ~= null and v.time_embedding_dim or 4 * dim, flip = v.flip_sin_to_cos,
    freq_shift = v.freq_shift, emb_act = acts[v.time_embedding_act_fn], time_norm = v.resnet_time_scale_shift,
    skip_time_act = v.resnet_skip_time_act, image_level = v.class_embed_type == "timestep",
    text = text, tokens = tokens, project = project,
    pool = v.addition_embed_type == "text" and v.addition_embed_type_num_heads or nil,
    token_groups = v.cross_attention_norm == "group_norm" and 32 or 0, scale_factor = v.resnet_out_scale_factor,
    mid = mid, levels = levels, sample_size = v.sample_size ~= null and v.sample_size or nil,
  }
end
