-- The UNet of DeepFloyd IF: which configs it refuses and what it says; that files of diffusers' names load; what of it is
-- computed once for a text; that it trains, keeps little memory, and is near f32 in bf16. Its values against diffusers:
-- tests/parity/if_unet.lua.
local drift = require "drift"

drift.use "cpu"

local folder <const> = drift.home .. "/tests/fixtures/if/"

-- A small network of either stage; `extra` changes keys of its config, false takes one out.
local function config(stage, extra)
  local c = drift.json.decode(drift.read_file(folder .. (stage == 2 and "stage2_b" or "stage1_b") .. "/unet/config.json"))
  for key, value in pairs(extra or {}) do c[key] = value end
  return c
end

local function build(stage, extra, seed)
  return drift.build(drift.models.deepfloyd_if { config = config(stage, extra) }, { seed = seed or 1 })
end

local function noise(purpose, ...) return drift.randn { purpose = purpose, ... } end

-- x and the condition of B images of side x side pixels.
local function inputs(stage, B, side, step)
  local c = { time = drift.full({ B }, 400 + 10 * (step or 0)), tokens = noise("text", B, 9, 32) }
  if stage == 2 then c.image, c.image_level = noise("image", B, 3, side, side), drift.full({ B }, 250) end
  return drift.randn { purpose = "x", step = step or 0, B, 3, side, side }, c
end

local function distance(a, b) return (a - b):abs():amax():item() end

describe("the config", function()
  local null <const> = drift.json.null
  local refused <const> = {                                        -- the key, its value, and what else the message says
    { "act_fn", "mish", 'should be one of "gelu", "silu", "swish", "relu"' },
    { "addition_embed_type", "image", 'should be one of null, "text"' },
    { "addition_embed_type_num_heads", 5, "the text, 32 channels, cannot be split" },
    { "attention_head_dim", { 4, 4, 4 }, "lists 3 values for the 4 levels" },
    { "attention_head_dim", 5, "level 2, 16 channels, cannot be split", stage = 1 },
    { "attention_head_dim", { 4, 4, 4, null }, "of the last level is null: the middle block needs it" },
    { "block_out_channels", { 8, 16, 24, 30 }, "level 4, 30 channels, cannot be split by norm_num_groups = 4", said = "30" },
    { "block_out_channels", { 8, 16 }, "lists 4 values for the 2 levels", said = "block_types" },
    { "block_out_channels", { 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8 }, "lists 13 levels: 12 at most" },
    { "center_input_sample", true, "should be false" },
    { "class_embed_type", "projection", 'should be one of null, "timestep"' },
    { "class_embeddings_concat", true, "should be false" },
    { "conv_in_kernel", 4, "should be one of 1, 3, 5, 7" },
    { "cross_attention_dim", 48, "cross_attention_dim, 48 channels, cannot be split by the 32 groups of cross_attention_norm" },
    { "cross_attention_dim", { 64, 64, 32, 64 }, "different widths are not supported" },
    { "cross_attention_norm", "layer_norm", 'should be one of null, "group_norm"' },
    { "down_block_types", { "DownBlock2D" }, 'each item one of "ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"' },
    { "dropout", 1.5, "a number from 0 to 0.99" },
    { "encoder_hid_dim", null, "needs encoder_hid_dim", said = "encoder_hid_dim_type" },
    { "encoder_hid_dim_type", "image_proj", 'should be one of null, "text_proj"' },
    { "in_channels", 0, "a whole number from 1" },
    { "in_channels", 3.5, "a whole number from 1" },
    { "layers_per_block", { 1, 0, 1, 1 }, "a whole number from 1" },
    { "layers_per_block", 65, "a whole number from 1 to 64" },
    { "mid_block_type", "UNetMidBlock2DCrossAttn", 'should be "UNetMidBlock2DSimpleCrossAttn"' },
    { "norm_num_groups", 3, "cannot be split by norm_num_groups = 3", said = "level 1, 8 channels" },
    { "num_attention_heads", 8, "should be null" },
    { "num_class_embeds", 1000, "should be null" },
    { "only_cross_attention", "yes", "true or false" },
    { "resnet_time_scale_shift", "spatial", 'should be one of "default", "scale_shift"' },
    { "time_cond_proj_dim", 256, "should be null" },
    { "time_embedding_act_fn", "softplus", "should be one of null" },
    { "time_embedding_type", "fourier", 'should be "positional"' },
    { "timestep_post_act", "silu", "should be null" },
    { "up_block_types", { "SimpleCrossAttnUpBlock2D", "UpBlock2D", "ResnetUpsampleBlock2D" }, "each item one of" },
    { "use_bias", false, "is not known" },
    { "attention_head_dims", 8, "did you mean attention_head_dim?" },
    { "_class_name", "PriorTransformer", 'should be "UNet2DConditionModel"' },
  }

  for _, case in ipairs(refused) do
    local key, value, says = table.unpack(case)
    local shown = type(value) == "table" and drift.json.encode(value) or value == null and "null" or tostring(value)
    it(("with %s = %s is refused by name and value"):format(key, shown), function()
      local ok, message = pcall(drift.models.deepfloyd_if, { config = config(1, { [key] = value }) })
      assert.is_false(ok)
      message = tostring(message)
      assert.is_truthy(message:find(says, 1, true), message)
      assert.is_truthy(message:find(case.said or key, 1, true), message)
      if type(value) ~= "table" and not case.said then assert.is_truthy(message:find(tostring(shown), 1, true), message) end
    end)
  end

  it("without block types is refused, with what diffusers takes then", function()
    local c = config(1)
    c.down_block_types = nil
    assert.error_matches(function() drift.models.deepfloyd_if { config = c } end,
      'down_block_types = %["CrossAttnDownBlock2D"%] %(what diffusers takes where it is missing%)')
  end)

  it("is a table or a path, and neither a number nor a file that is no JSON", function()
    local by_path = drift.models.deepfloyd_if { config = folder .. "stage1_b/unet/config.json" }
    assert.equal(tostring(drift.models.deepfloyd_if { config = config(1) }), tostring(by_path))
    assert.error_matches(function() drift.models.deepfloyd_if { config = 3 } end, "path of a config.json or a table")
    for path, says in pairs { ["/no/such.json"] = "such.json cannot be read", [drift.home .. "/README.md"] = "README.md cannot be read" } do
      assert.error_matches(function() drift.models.deepfloyd_if { config = path } end, says)
    end
    assert.error_matches(function() drift.models.deepfloyd_if {} end, "config is missing")
  end)

  it("has an effect by each key that is taken", function()
    local function outcome(key, value)
      local net = build(2, key and { [key] = value }):eval()
      local x, c = inputs(2, 1, 16)
      if value == null and key == "class_embed_type" then c.image_level = nil end
      local shapes = {}
      for _, w in ipairs(net:named()) do shapes[#shapes + 1] = w.path .. table.concat(w.tensor.shape, ",") end
      return net(x, c), table.concat(shapes, " ")
    end
    local y, shapes = outcome()
    for key, value in pairs {
      act_fn = "silu", norm_eps = 0.1, norm_num_groups = 2, attention_head_dim = 16, addition_embed_type_num_heads = 8,
      flip_sin_to_cos = false, freq_shift = 1, time_embedding_act_fn = null, resnet_skip_time_act = false,
      resnet_time_scale_shift = "default", resnet_out_scale_factor = 1, mid_block_scale_factor = 1, time_embedding_dim = 48,
      cross_attention_norm = null, only_cross_attention = { true, true, false }, mid_block_only_cross_attention = false,
      class_embed_type = null, addition_embed_type = null, cross_attention_dim = 32, conv_in_kernel = 5, conv_out_kernel = 1,
      layers_per_block = 2,
      down_block_types = { "ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D" },
      up_block_types = { "SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D" },
      block_out_channels = { 8, 16, 40 },
    } do
      local other, others_shapes = outcome(key, value)
      assert.is_true(others_shapes ~= shapes or distance(y, other) > 1e-4, key)
    end
    assert.same({ 1, 3, 16, 16 }, outcome("out_channels", 3).shape)
  end)

  it("may hold what changes nothing in networks of this form", function()
    local idle = { sample_size = null, use_linear_projection = true, upcast_attention = true, _name_or_path = "somewhere",
                   transformer_layers_per_block = 3 }
    drift.models.deepfloyd_if { config = config(1, idle) }
  end)
end)

describe("the network", function()
  it("has diffusers' names: a file loads, and one of another network does not", function()
    for stage, name in ipairs { "stage1_b", "stage2_b" } do
      local file = folder .. name .. "/unet/diffusion_pytorch_model.safetensors"
      build(stage):load(file)
      assert.error_matches(function() build(stage, { layers_per_block = 3 }):load(file) end, "missing: down_blocks")
    end
  end)

  it("gives [B,out_channels,H,W], also of images that are not square", function()
    for stage = 1, 2 do
      local net, _, c = build(stage):eval(), inputs(stage, 2, 16)
      if stage == 2 then c.image = noise("image", 2, 3, 16, 32) end
      assert.same({ 2, 6, 16, 32 }, net(noise("x", 2, 3, 16, 32), c).shape)
    end
  end)

  it("takes stage II's image joined to x or beside it", function()
    local net, x, c = build(2):eval(), inputs(2, 2, 16)
    local y = net(x, c)
    local joined = net(drift.concat({ x, c.image }, 1), { time = c.time, tokens = c.tokens, image_level = c.image_level })
    assert.equal(0, distance(y, joined))
  end)

  it("depends on time, text, image and its noise level", function()
    local net, x, c = build(2):eval(), inputs(2, 2, 16)
    local y = net(x, c)
    local others = { time = drift.full({ 2 }, 10), tokens = noise("other text", 2, 9, 32),
                     image = noise("other", 2, 3, 16, 16), image_level = drift.full({ 2 }, 0) }
    for key, value in pairs(others) do
      local changed = { time = c.time, tokens = c.tokens, image = c.image, image_level = c.image_level }
      changed[key] = value
      assert.is_true(distance(y, net(x, changed)) > 1e-4, key)
    end
  end)

  it("treats each image alone", function()
    for stage = 1, 2 do
      local net, x, c = build(stage):eval(), inputs(stage, 2, 16)
      local both = net(x, c)
      for i = 0, 1 do
        local own = {}
        for key, value in pairs(c) do own[key] = value:narrow(0, i, 1) end
        assert.is_true(distance(net(x:narrow(0, i, 1), own), both:narrow(0, i, 1)) < 1e-5)
      end
    end
  end)

  it("says what is missing, or of another shape", function()
    local one, x, c = build(1):eval(), inputs(1, 2, 16)
    local two = build(2):eval()
    local _, c2 = inputs(2, 2, 16)
    local function says(pattern, net, image, change, of)
      local changed = {}
      for key, value in pairs(of or c) do changed[key] = value end
      for key, value in pairs(change) do changed[key] = value or nil end
      assert.error_matches(function() net(image, changed) end, pattern)
    end
    says("c.tokens, the text, should be %[2,L,32%]; got none", one, x, { tokens = false })
    says("should be %[2,L,32%]; got %[2,9,31%]", one, x, { tokens = noise("text", 2, 9, 31) })
    says("should be %[2,L,32%]; got %[1,9,32%]", one, x, { tokens = noise("text", 1, 9, 32) })
    says("c.time is missing", one, x, { time = false })
    says("c.image_level is given, but this network", one, x, { image_level = c.time })
    says("takes 3 channels", one, noise("x", 2, 4, 16, 16), {})
    says("takes 3 channels.*and image %[2,3,16,16%]", one, x, { image = x })
    says("images of 16x12 pixels cannot be halved 3 times.*multiples of 8", one, noise("x", 2, 3, 16, 12), {})
    says("takes 6 channels", two, x, { image = false }, c2)
    says("c.image_level is missing", two, x, { image_level = false }, c2)
  end)

  it("gives every weight a gradient, and learns", function()
    for stage = 1, 2 do
      local net, x, c = build(stage), inputs(stage, 2, 16)
      local target = noise("target", 2, 6, 16, 16)
      local optimizer, first, last = drift.optimizer(drift.optim.adam { lr = 3e-3 }, net), nil, nil
      for step = 1, 12 do
        drift.scope(function()
          local loss = drift.op.mse(net(x, c), target)
          loss:backward()
          for _, w in ipairs(step == 1 and net:parameters() or {}) do
            local size = w.tensor.grad and w.tensor.grad:abs():amax():item() or 0
            assert.is_true(size > 0 and size < math.huge, w.path .. " has the gradient " .. size)
          end
          optimizer:step()
          net:zero_grad()
          last = loss:item()
          first = first or last
        end)
      end
      assert.is_true(last < 0.8 * first, ("stage %d: %g of %g is left"):format(stage, last, first))
    end
  end)
end)

-- 16 attentions in stage I here, each with a norm of the text and two products; the pooled text has 4 more and its norms.
describe("over the steps of a run", function()
  it("what follows from the text alone is computed once, with the same bits", function()
    for stage, attentions in ipairs { 16, 6 } do
      local net = build(stage):eval()
      local _, c = inputs(stage, 2, 16)
      local function evaluate(i)
        return net(i.x, { time = i.time, tokens = c.tokens, image = c.image, image_level = c.image_level })
      end
      local plan = drift.plan(evaluate, { name = "the network" })
      drift.no_grad(function()
        for step = 1, 6 do
          local x, own = inputs(stage, 2, 16, step)
          assert.equal(0, distance(plan { x = x, time = own.time }, evaluate { x = x, time = own.time }))
        end
      end)
      local state = plan:state()
      assert.is_true(state.replays and state.once >= 3 * attentions + 7, ("%d of %d"):format(state.once, state.launches))
    end
  end)
end)

describe("guidance", function()
  it("drops the text by null tokens, and is refused without them: the network has no mask", function()
    local function sampled(condition, guidance)
      return drift.sample { model = build(1), process = drift.process.ddpm { T = 1000, schedule = drift.schedule.cosine {}, time = "index" },
                            sampler = drift.sampler.ddpm { steps = 2, variance = "learned_range" }, guidance = guidance, n = 1,
                            shape = { 3, 8, 8 }, condition = condition, quiet = true }
    end
    local tokens, cfg = noise("text", 1, 9, 32), drift.guidance.cfg { scale = 4 }
    local null = { tokens = noise("none", 1, 9, 32) }
    assert.error_matches(function() sampled({ tokens = tokens }, cfg) end, "no mask that could drop it: give condition.null")
    local guided, plain = sampled({ tokens = tokens, null = null }, cfg), sampled { tokens = tokens }
    assert.is_true(distance(guided, plain) > 1e-3)
    assert.equal(0, distance(plain, sampled { tokens = tokens, null = null }))
  end)
end)

-- Outputs and gradients of all weights together, relative norms: the bounds of precision_spec for networks of this depth.
describe("in bf16", function()
  local function outcome(precision, stage)
    drift.precision(precision)
    local net, x, c = build(stage), inputs(stage, 2, 16)
    local y = net(x, c)
    drift.op.mse(y, noise("target", 2, 6, 16, 16)):backward()
    drift.precision "f32"
    local grads = {}
    for i, w in ipairs(net:parameters()) do grads[i] = w.tensor.grad end
    return y, grads
  end
  local function relative(a, b)
    local off, size = 0, 0
    for i = 1, #b do off, size = off + (a[i] - b[i]):square():sum():item(), size + b[i]:square():sum():item() end
    return math.sqrt(off / size)
  end

  it("it is near to f32, in outputs and gradients", function()
    if not drift.device():computes "bf16" then return pending "this processor has no bf16" end
    for stage = 1, 2 do
      local y, grads = outcome("f32", stage)
      local y16, grads16 = outcome("bf16", stage)
      assert.equal("f32", y16.dtype)
      local output, gradient = relative({ y16 }, { y }), relative(grads16, grads)
      local said = ("stage %d: %.3f, %.3f"):format(stage, output, gradient)
      assert.is_true(output > 0 and output < 0.05 and gradient > 0 and gradient < 0.08, said)
    end
  end)
end)

-- Of the 27 maps that the finest level makes, few are there at a time: the skips, and what one block
-- needs. Nothing is computed on this device.
describe("memory", function()
  it("is for the skips and one block, as written too", function()
    drift.use "null"
    local net = drift.build(drift.models.deepfloyd_if { config = config(2, { sample_size = 256 }) }):eval()
    local x, c = inputs(2, 1, 256)
    local before = drift.device():memory().in_use
    drift.no_grad(function() net(x, c) end)
    local maps = (drift.device():memory().peak - before) / (8 * 256 * 256 * 4)   -- of the finest level, [1,8,256,256] f32
    drift.use "cpu"
    assert.is_true(maps < 10, ("%.1f maps"):format(maps))
  end)
end)
