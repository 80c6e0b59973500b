-- deepfloyd_if.lua: the UNet of DeepFloyd IF, stage I and II, or any network of that form, as its config.json says.
-- Saharia et al. 2022 (Imagen), Dhariwal & Nichol 2021, Nichol et al. 2021 (GLIDE)
--   drift.models.deepfloyd_if { config = "IF-I-M/unet/config.json" }        or a table of what such a file holds
-- Returns a net spec. Its weights have diffusers' names, so net:load(file) takes a diffusers file. Called as
--   net(x, { time = [B], tokens = [B,L,text], image = [B,C,H,W], image_level = [B] }) -> [B,out_channels,H,W]
--   time:         the timestep as diffusers counts, 0 to 999
--   tokens:       the text, all L of them: there is no mask, padding is attended to
--   image:        joined to x as further channels (stage II: the small image, enlarged and noised)
--   image_level:  its noise level, a timestep as well; where the config has class_embed_type = "timestep"
--   watch:        a function(name, tensor) that is shown what the parts make: time_emb, class_emb, aug_emb,
--                 encoder_hid, conv_in, down.0, ..., mid, up.0, ...; a tensor that is to outlive the call needs its :keep()
-- What the network returns is half noise, half a variance where out_channels is twice the image's.
local drift = require "drift"
local unet_config = require "drift.unet_config"

-- ---- forward --------------------------------------------------------------------------------------------------------
-- A UNet is nested: each skip is made on the way down, and ends where the way up takes it. A rung is one such pair:
-- its `down` parts make the skip of the skip before, its `up` parts run on [what comes from below, skip]. Each part runs
-- in a scope of its own, so a map lives only as long as something still needs it.
local function run(net, parts, n, start, c)
  if n == 0 then return start() end
  local part = parts[n]
  return drift.scope(function()
    local h = net[part.name](run(net, parts, n - 1, start, c), part.sees and c[part.sees])
    if part.shown and c.watch then c.watch(part.shown, h) end
    return h
  end)
end

local function descend(plan, net, k, x, c)
  local rung = plan.rungs[k]
  if not rung then return run(net, plan.middle, #plan.middle, function() return x end, c) end
  local function joined()
    return drift.scope(function()
      local skip = run(net, rung.down, #rung.down, function() return x end, c)
      return drift.concat({ descend(plan, net, k + 1, skip, c), skip }, 1)
    end)
  end
  return run(net, rung.up, #rung.up, joined, c)
end

local function say(value) return value and "[" .. table.concat(value.shape, ",") .. "]" or "none" end

local function check_input(plan, x, c)
  local config, B = plan.config, x.shape[1]
  local image = c.image and c.image.shape[2] or 0
  if #x.shape ~= 4 or (c.image and #c.image.shape ~= 4) or x.shape[2] + image ~= config.in_channels then
    drift.fail("the network takes %d channels: x [B,C,H,W] and c.image [B,%d-C,H,W] together; got x %s and image %s",
      config.in_channels, config.in_channels, say(x), say(c.image))
  end
  if not c.tokens or #c.tokens.shape ~= 3 or c.tokens.shape[1] ~= B or c.tokens.shape[3] ~= config.text then
    drift.fail("c.tokens, the text, should be [%d,L,%d]; got %s", B, config.text, say(c.tokens))
  end
  if not c.time then drift.fail "c.time is missing: the timestep of each image, [B]" end
  if config.image_level and not c.image_level then
    drift.fail "c.image_level is missing: this network is told the noise level of c.image, [B]"
  elseif c.image_level and not config.image_level then
    drift.fail "c.image_level is given, but this network has no class_embedding that could take it"
  end
  local side = 1 << (#config.levels - 1)
  if x.shape[3] % side ~= 0 or x.shape[4] % side ~= 0 then
    drift.fail("images of %dx%d pixels cannot be halved %d times: height and width should be multiples of %d",
      x.shape[3], x.shape[4], #config.levels - 1, side)
  end
end

-- Time, noise level and pooled text as one vector [B,emb]; only its time part changes from step to step.
local function embed(plan, net, c, watch)
  local function shown(name, value)
    watch(name, value)
    return value
  end
  local emb = shown("time_emb", net.time_embedding(c.time))
  if plan.config.image_level then emb = emb + shown("class_emb", net.class_embedding(c.image_level)) end
  if plan.config.pool then emb = emb + shown("aug_emb", net.add_embedding(c.tokens)) end
  local config = plan.config
  if config.emb_act then emb = emb[config.emb_act](emb) end
  return config.skip_time_act and emb or emb[config.act](emb)    -- here once, and not in each of the blocks
end

local function forward(plan, net, x, c)
  c = c or {}
  local watch = c.watch or function() end
  check_input(plan, x, c)
  local tokens = plan.config.project and net.encoder_hid_proj(c.tokens) or c.tokens    -- [B,L,tokens]
  if plan.config.project then watch("encoder_hid", tokens) end
  local seen = { emb = embed(plan, net, c, watch), tokens = tokens, watch = c.watch }
  if c.image then x = drift.concat({ x, c.image }, 1) end                              -- [B,in_channels,H,W]
  local h = descend(plan, net, 1, x, seen)                                             -- [B,dim,H,W]
  return net.conv_out(net.conv_norm_out(h))
end

-- ---- parts ----------------------------------------------------------------------------------------------------------
local Builder = {}
Builder.__index = Builder

function Builder:child(name, spec, sees)
  self.children[#self.children + 1] = { name, spec }
  return { name = name, sees = sees }
end

function Builder:conv(name, from, to, kernel)
  return self:child(name, drift.block.conv2d { in_channels = from, out_channels = to, kernel_size = kernel,
                                               padding = kernel // 2 })
end

function Builder:resnet(name, from, to, o)
  local config = self.config
  return self:child(name, drift.block.resnet_block {
    in_channels = from, out_channels = to, emb_features = config.emb, groups = config.groups, eps = config.eps,
    act = config.act, time_embedding_norm = config.time_norm, skip_time_act = true,
    dropout = config.dropout, output_scale_factor = o.scale_factor or config.scale_factor, resample = o.resample }, "emb")
end

function Builder:attention(name, width, head, only_cross)
  local config = self.config
  return self:child(name, drift.block.added_kv_attention {
    channels = width, heads = width // head, token_features = config.tokens, groups = config.groups,
    token_groups = config.token_groups, only_cross_attention = only_cross }, "tokens")
end

-- A resnet, and the attention behind it where the level has one.
function Builder:pair(where, j, from, level, head)
  local parts = { self:resnet(("%s.resnets.%d"):format(where, j), from, level.width, {}) }
  if head then
    parts[2] = self:attention(("%s.attentions.%d"):format(where, j), level.width, head, level.only_cross)
  end
  return parts
end

-- The rungs' ways down, and the width of each one's skip.
function Builder:down(rungs)
  local width = self.config.dim
  local function rung(parts) rungs[#rungs + 1] = { down = parts, width = width } end
  rung { self:conv("conv_in", self.config.in_channels, width, self.config.conv_in) }
  rungs[1].down[1].shown = "conv_in"
  for i, level in ipairs(self.config.levels) do
    local where = ("down_blocks.%d"):format(i - 1)
    for j = 0, level.layers - 1 do
      local parts = self:pair(where, j, width, level, level.down.head)
      width = level.width
      rung(parts)
    end
    if i < #self.config.levels then
      rung { self:resnet(where .. ".downsamplers.0", width, width, { resample = "down" }) }
    end
    local parts = rungs[#rungs].down
    parts[#parts].shown = ("down.%d"):format(i - 1)
  end
  return width
end

-- Each block of the way up takes the newest skip that is left: the rungs from the last to the first.
function Builder:up(rungs, width)
  local levels, k = self.config.levels, #rungs
  for i = 0, #levels - 1 do
    local level, where, parts = levels[#levels - i], ("up_blocks.%d"):format(i), nil
    for j = 0, level.layers do
      parts = self:pair(where, j, width + rungs[k].width, level, level.up.head)
      rungs[k].up, k, width = parts, k - 1, level.width
    end
    if i < #levels - 1 then
      parts[#parts + 1] = self:resnet(where .. ".upsamplers.0", width, width, { resample = "up" })
    end
    parts[#parts].shown = ("up.%d"):format(i)
  end
  return width
end

function Builder:middle(width)
  local mid = self.config.mid
  local parts = { self:resnet("mid_block.resnets.0", width, width, mid),
                  self:attention("mid_block.attentions.0", width, mid.head, mid.only_cross),
                  self:resnet("mid_block.resnets.1", width, width, mid) }
  parts[3].shown = "mid"
  return parts
end

function Builder:embeddings()
  local config, block = self.config, drift.block
  local function times(name)
    self:child(name, block.time_mlp { dim = config.dim, out_features = config.emb, act = config.act, flip = config.flip,
                                      freq_shift = config.freq_shift })
  end
  times "time_embedding"
  if config.image_level then times "class_embedding" end
  if config.pool then
    self:child("add_embedding", block.pooled_text { token_features = config.text, out_features = config.emb,
                                                    heads = config.pool })
  end
  if config.project then
    self:child("encoder_hid_proj", block.linear { in_features = config.text, out_features = config.tokens })
  end
end

return function(given)
  local config = unet_config("deepfloyd_if", drift.accept("deepfloyd_if", given or {}, { "config" }).config)
  local b = setmetatable({ config = config, children = {} }, Builder)
  local plan = { config = config, rungs = {} }
  b:embeddings()
  local width = b:down(plan.rungs)
  plan.middle = b:middle(width)
  width = b:up(plan.rungs, width)
  b:child("conv_norm_out", drift.block.group_norm { num_groups = config.groups, num_channels = width, eps = config.eps,
                                                    act = config.act })
  b:conv("conv_out", width, config.out_channels, config.conv_out)
  return drift.net {
    name = "deepfloyd_if",
    config = { model = "deepfloyd_if", in_channels = config.in_channels, out_channels = config.out_channels,
               text_features = config.text, image_level = config.image_level, sample_size = config.sample_size },
    children = b.children,
    without_mask = true,
    forward = function(net, x, c) return forward(plan, net, x, c) end,
  }
end
