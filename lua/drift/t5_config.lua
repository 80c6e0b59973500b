-- t5_config.lua: what the config.json of a T5 encoder says, checked: every key is used, changes nothing in an encoder,
-- or is refused by its name and value.
--   t5_config("t5_encoder", path or table)
--     -> { vocab, dim, head_dim, heads, hidden, layers, buckets, max_distance, eps, gated, act }
-- A key that is missing has the value that Hugging Face gives it.
local drift = require "drift"

local null <const> = drift.json.null

local function shown(v)
  if v == nil or v == null then return "null" end
  return type(v) == "table" and drift.json.encode(v) or type(v) == "string" and '"' .. v .. '"' or tostring(v)
end

-- ---- keys -----------------------------------------------------------------------------------------------------------
local whole <const> = {                        -- name in the file = { name here, default, least, most }
  vocab_size = { "vocab", 32128, 1, 1 << 24 },
  d_model = { "dim", 512, 1, 65536 },
  d_kv = { "head_dim", 64, 1, 65536 },
  d_ff = { "hidden", 2048, 1, 1 << 24 },
  num_layers = { "layers", 6, 1, 1024 },
  num_heads = { "heads", 8, 1, 65536 },
  relative_attention_num_buckets = { "buckets", 32, 4, 65536 },
  relative_attention_max_distance = { "max_distance", 128, 2, 1 << 24 },
}
local feed_forward <const> = {                 -- feed_forward_proj = { gated, our name, Hugging Face's }
  relu = { false, "relu", "relu" }, gelu = { false, "gelu", "gelu" }, silu = { false, "silu", "silu" },
  ["gated-gelu"] = { true, "gelu_tanh", "gelu_new" },     -- the form of v1.1 has tanh in it
  ["gated-relu"] = { true, "relu", "relu" }, ["gated-silu"] = { true, "silu", "silu" },
}
local fixed <const> = { model_type = "t5", is_decoder = false, pad_token_id = 0, eos_token_id = 1 }
-- Of training, decoding, the library's own, or said twice.
local idle <const> = {}
for name in ([[architectures bos_token_id chunk_size_feed_forward classifier_dropout cross_attention_hidden_size
    decoder_start_token_id dense_act_fn do_sample dropout_rate dtype early_stopping feed_forward_proj finetuning_task
    gradient_checkpointing id2label initializer_factor is_encoder_decoder is_gated_act label2id layer_norm_epsilon
    length_penalty max_length min_length n_positions no_repeat_ngram_size num_beams num_decoder_layers
    num_return_sequences output_attentions output_hidden_states output_past prefix problem_type pruned_heads
    repetition_penalty return_dict scale_decoder_outputs sep_token_id task_specific_params temperature
    tie_encoder_decoder tie_word_embeddings tokenizer_class top_k top_p torch_dtype torchscript
    transformers_version use_bfloat16 use_cache]]):gmatch "%S+" do
  idle[name] = true
end

local function known(name) return whole[name] or fixed[name] ~= nil or idle[name] or name:sub(1, 1) == "_" end

local function check_names(where, config)
  local names = {}
  for name in pairs(whole) do names[#names + 1] = name end
  for name in pairs(fixed) do names[#names + 1] = name end
  for name in pairs(idle) do names[#names + 1] = name end
  for name, value in pairs(config) do
    if type(name) ~= "string" then drift.fail("%s: should be an object of names and values", where) end
    if not known(name) then
      local near = drift.nearest(name, names)
      drift.fail("%s: %s = %s is not known here%s", where, name, shown(value),
        near and "; did you mean " .. near .. "?" or "")
    end
    if fixed[name] ~= nil and value ~= fixed[name] then
      drift.fail("%s: %s = %s; %s is what can be read", where, name, shown(value), shown(fixed[name]))
    end
  end
end

local function read_feed_forward(where, config, o)
  local name = config.feed_forward_proj == nil and "relu" or config.feed_forward_proj
  local form = feed_forward[name]
  if not form then
    local names = {}
    for each in pairs(feed_forward) do names[#names + 1] = each end
    table.sort(names)
    drift.fail("%s: feed_forward_proj = %s; it may be %s", where, shown(name), table.concat(names, ", "))
  end
  local act, gated = config.dense_act_fn, config.is_gated_act
  if act ~= nil and act ~= form[3] then
    drift.fail("%s: dense_act_fn = %s does not go with feed_forward_proj = %s, which has %s", where, shown(act),
      shown(name), form[3])
  end
  if gated ~= nil and gated ~= form[1] then
    drift.fail("%s: is_gated_act = %s does not go with feed_forward_proj = %s", where, shown(gated), shown(name))
  end
  o.gated, o.act = form[1], form[2]
end

return function(where, given)
  local config = given
  if type(given) == "string" then
    where, config = given, drift.read_json(given)
  elseif given == nil then
    drift.fail("%s: config is missing: the path of a config.json, or a table of what it holds", where)
  end
  if drift.type(config) ~= "table" then drift.fail("%s: should be an object of names and values", where) end
  check_names(where, config)
  local o = {}
  for name, rule in pairs(whole) do
    local value = config[name]
    if value == nil then value = rule[2] end
    if math.type(value) ~= "integer" or value < rule[3] or value > rule[4] then
      drift.fail("%s: %s = %s should be a whole number from %d to %d", where, name, shown(value), rule[3], rule[4])
    end
    o[rule[1]] = value
  end
  o.eps = config.layer_norm_epsilon or 1e-6
  if type(o.eps) ~= "number" or not (o.eps >= 1e-12 and o.eps <= 1) then
    drift.fail("%s: layer_norm_epsilon = %s should be a number from 1e-12 to 1", where, shown(o.eps))
  end
  if o.max_distance <= o.buckets // 4 then
    drift.fail("%s: relative_attention_max_distance = %d should be above a quarter of relative_attention_num_buckets = %d",
      where, o.max_distance, o.buckets)
  end
  read_feed_forward(where, config, o)
  return o
end
