-- DeepFloyd IF on the CUDA device, emulated where there is no GPU: weights that lie in their file, as f32 and f16, texts
-- and images as conditions, views, clips and the learned variance give the processor's pictures, replayed and as written.
-- label: cuda
local drift = require "drift"

local opened = pcall(drift.device, "cuda")
local on_cuda = opened and it or function(name) pending(name .. " (there is no CUDA)") end

local function far(a, b) return (a - b):abs():amax():item() end

-- A network of stage I's or stage II's form, of two levels.
local function network(stage, options)
  local path = ("%s/tests/fixtures/if/stage%d_b/unet/config.json"):format(drift.home, stage)
  local config = drift.json.decode(drift.read_file(path))
  config.block_out_channels, config.layers_per_block = { 8, 16 }, 1
  config.down_block_types = { "ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D" }
  config.up_block_types = { "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D" }
  config.attention_head_dim = 8
  return drift.build(drift.models.deepfloyd_if { config = config }, options)
end

-- A file of its weights in this dtype.
local function file_of(stage, dtype)
  local path = ("stage%d_%s.safetensors"):format(stage, dtype)
  local state = network(stage, { seed = 4 }):state_dict()
  for name, t in pairs(state) do state[name] = t:cast(dtype) end
  drift.save_tensors(path, state)
  return path
end

local function text(step) return drift.randn { 1, 9, 32, purpose = "text", step = step } end

-- Two texts under two views of one picture, each with guidance away from the empty text.
local function draw(stage, net, o)
  local null, side, n = { tokens = text(9) }, 8, stage == 1 and 2 or 1
  local function condition(i)
    local c = { tokens = text(i), null = null }
    if stage == 2 then
      c.image, c.image_level = drift.randn { n, 3, side, side, purpose = "image" }, drift.full({ n }, 250)
    end
    return c
  end
  return drift.sample {
    model = net, shape = { 3, side, side }, n = n, quiet = true, batch = n, seed = 3, conditions = { condition(1), condition(2) },
    process = drift.process.ddpm { T = 1000, schedule = drift.schedule.cosine {}, predict = "eps", time = "index" },
    guidance = { drift.guidance.cfg { scale = 3 }, drift.guidance.anagram { views = { "identity", o.view }, combine = o.combine } },
    clip = drift.clip.dynamic_threshold { ratio = 0.95, max = 1.5 },
    sampler = drift.sampler.ddpm { steps = o.steps, variance = "learned_range", timesteps = drift.timesteps.leading {} } }
end

local function pictures(device, stage, path, o)
  local before = drift.device()
  drift.use(device)
  local ok, y = pcall(function()
    local net = network(stage, { weights = path })
    return draw(stage, net, o):to "cpu"
  end)
  drift.use(before)
  if not ok then error(y, 0) end
  return y
end

describe("on cuda", function()
  local views = { drift.view.rotate { degrees = 180 }, drift.view.jigsaw { pieces = 4 }, drift.view.negate {} }
  for stage = 1, 2 do
    for i, dtype in ipairs { "f32", "f16" } do
      on_cuda(("stage %d, its weights in %s, draws what the processor draws"):format(stage, dtype), function()
        local path = file_of(stage, dtype)
        local o = { view = views[(stage + i) % 3 + 1], combine = i == 1 and "mean" or "alternate", steps = 4 * i }
        local expected, y = pictures("cpu", stage, path, o), pictures("cuda", stage, path, o)
        local apart, saturated = far(expected, y), expected:abs():mean():item()
        assert.is_true(apart < 1e-4 and saturated < 0.9, ("%g apart, mean size %g"):format(apart, saturated))
      end)
    end
  end
end)
