-- t5_encoder.lua: the encoder of T5, v1.1 (and v1.0), as its config.json says.     Raffel et al. 2020
--   drift.models.t5_encoder { config = "text_encoder/config.json" }          or a table of what such a file holds
-- Returns a net spec. Its weights have Hugging Face's names. Called as
--   net(ids, { mask = [B,L] }) -> [B,L,dim] f32          ids [B,L] i32
--   mask:    0 where a token is padding, 1 where it is not
--   watch:   a function(name, tensor) that is shown hidden.0 (the embedding), hidden.1, ... (after each block but the
--   last)
-- Padding is hidden from the others, and has a result of its own. In bf16 the blocks' branches are bf16, the sum f32.
local drift = require "drift"
local t5_config = require "drift.t5_config"

-- The number of the bucket for r = key - query: as many for each direction; below n/2 each distance has its own, from
-- there on they widen by a constant factor, up to max_distance.
--   floor(ln(a/m)/ln(max_distance/m) (n-m)) is exact where the quotient is a whole number, but for rounding: hence 1e-9
local function bucket(config, r)
  local n = config.buckets // 2
  local first, a, m = r > 0 and n or 0, math.abs(r), n // 2
  if a < m then return first + a end
  local step = math.floor(math.log(a / m) / math.log(config.max_distance / m) * (n - m) + 1e-9)
  return first + math.min(n - 1, m + step)
end

-- [1,heads,L,L]: the bias of each head for each pair of places
local function bias(config, net, L)
  local of, ids = {}, {}
  for r = 1 - L, L - 1 do of[r] = bucket(config, r) end
  for query = 1, L do
    for key = 1, L do ids[#ids + 1] = of[key - query] end
  end
  local rows = drift.op.embedding(net.weight, drift.tensor(ids, "i32"))               -- [L L,heads]
  if rows.dtype ~= "f32" then rows = rows:cast "f32" end
  return rows:reshape(1, L, L, config.heads):permute { 0, 3, 1, 2 }
end

-- What is added to the scores: [1,heads,L,L], or [B,heads,L,L] with a mask. A number so low that no score is seen
-- beside it; a power of two, so that what is not hidden gets an exact 0.
local hidden <const> = 2.0 ^ 100
local relative_bias <const> = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"    -- used by all blocks

local function added(net, L, mask)
  local b = net[relative_bias](L)
  return mask and b + (mask * hidden - hidden):reshape(mask.shape[1], 1, 1, L) or b
end

local function forward(config, net, ids, c)
  c = c or {}
  local mask, shape = c.mask, ids.shape
  local size = table.concat(shape, ",")
  if #shape ~= 2 or shape[2] < 1 then drift.fail("t5_encoder: ids should be [B,L], got [%s]", size) end
  if mask and table.concat(mask.shape, ",") ~= size then
    drift.fail("t5_encoder: the mask should be [%s] as the ids are, got [%s]", size, table.concat(mask.shape, ","))
  end
  if ids.dtype ~= "i32" then ids = ids:cast "i32" end
  if mask and mask.dtype ~= "f32" then mask = mask:cast "f32" end
  local x = net.shared(ids)                                                           -- [B,L,dim]
  local plus = added(net, shape[2], mask)
  if drift.precision() == "bf16" then plus = plus:cast "bf16" end
  for i = 1, config.layers do
    if c.watch then c.watch(("hidden.%d"):format(i - 1), x) end
    x = drift.scope(function() return net["encoder.block." .. i - 1](x, plus) end)
  end
  return net["encoder.final_layer_norm"](x)
end

return function(given)
  local config = t5_config("t5_encoder", drift.accept("t5_encoder", given or {}, { "config" }).config)
  local block, children = drift.block, {}
  local function child(name, spec) children[#children + 1] = { name, spec } end
  child("shared", drift.net {
    name = "t5_embedding", weights = { weight = { shape = { config.vocab, config.dim }, init = { normal = 1 } } },
    forward = function(net, ids)
      local x = drift.op.embedding(net.weight, ids)
      return x.dtype == "f32" and x or x:cast "f32"
    end })
  for i = 0, config.layers - 1 do
    child("encoder.block." .. i, block.t5_block {
      dim = config.dim, heads = config.heads, head_dim = config.head_dim, hidden = config.hidden, gated = config.gated,
      act = config.act, eps = config.eps })
  end
  child("encoder.final_layer_norm", block.rms_norm { normalized_shape = config.dim, eps = config.eps })
  child(relative_bias, drift.net {
    name = "t5_relative_attention_bias",
    weights = { weight = { shape = { config.buckets, config.heads }, init = { normal = 1 } } },
    forward = function(net, L) return bias(config, net, L) end })
  return drift.net {
    name = "t5_encoder", config = config, children = children,
    forward = function(net, ids, c) return forward(config, net, ids, c) end,
    methods = { bucket = function(_, r) return bucket(config, r) end },
  }
end
