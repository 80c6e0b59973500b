-- if_sampling.lua: DeepFloyd IF's numbers between network and image, through drift.sample, with the file's noise.
--   if_ddpm_scheduler  single steps from given outputs of a network: threshold, estimate, variance, next sample
--   if_pipeline        diffusers' pipelines: text to image, image to image, inpainting, super-resolution
--   if_strided         CS180's loops: from noise, from an image (SDEdit), with known pixels re-noised (RePaint)
--   if_e2e             a prompt's bytes -> T5 -> stage I -> stage II
-- The models are the diffusers folders beside the file. diffusers' timestep i is our t = i + 1, and its -1 our t = 0.
-- Run by parity.c, once for each such file.
local drift = require "drift"
local run = assert(loadfile(drift.home .. "/tests/parity/check.lua", "t"))()

local path = os.getenv "DRIFT_PARITY_FILE" or drift.fail "DRIFT_PARITY_FILE must name a file"
local folder = path:match "^(.*/)" or "./"
local metadata = drift.open(path).metadata
local function decoded(name) return metadata[name] and drift.json.decode(metadata[name]) end

-- ---- what a scheduler's config says -------------------------------------------------------------------------------

local process, sampler, clip

local function process_of(s)
  return drift.build(drift.process.ddpm { T = s.T, schedule = s.schedule, predict = s.predict, time = "index" })
end

-- config: as diffusers has it; changed: fields of it that the file says otherwise
local function use(config, changed)
  local c = { _class_name = "DDPMScheduler" }
  for _, fields in ipairs { config, changed or {} } do
    for name, value in pairs(fields) do c[name] = value end
  end
  local s = drift.scheduler_config(c)
  process, sampler = process_of(s), drift.sampler.ddpm { variance = s.variance, timesteps = s.timesteps }
  clip = s.clip and drift.clip[s.clip.kind] { ratio = s.clip.ratio, min = s.clip.min, max = s.clip.max }
  return s
end

local function config_of(model, part)
  return drift.read_json(("%s%s/%s/scheduler_config.json"):format(folder, model, part))
end

-- ---- the file's noise in place of the sampler's own ---------------------------------------------------------------

-- log s^2 of the noise from t to t_next, with the network's variance output v (a fixed variance needs its shape alone)
local function log_variance(t, t_next, v)
  local now, next = process:coef(t), process:coef(t_next)
  local beta = now.sigma ^ 2 - (now.alpha / next.alpha * next.sigma) ^ 2
  local most, least = math.log(beta), math.log(math.max(beta * next.sigma ^ 2 / now.sigma ^ 2, 1e-20))
  local middle = { beta = most, posterior = least }
  if middle[sampler.params.variance] then return v * 0 + middle[sampler.params.variance] end
  return v * ((most - least) / 2) + (most + least) / 2
end

-- y, where a step from t to t_next came to, with z in place of the noise that rng gave; a step from index 0 has none, and
-- of those to the data only one of learned variance has
local function with_noise(y, t, t_next, v, z, rng)
  if t == 1 or (process:coef(t_next).sigma == 0 and sampler.params.variance ~= "learned_range") then return y end
  local own = drift.randn { y.shape[1], y.shape[2], y.shape[3], y.shape[4], purpose = rng.purpose, seed = rng.seed,
                            step = rng.step, sample = 0 }
  return y + (z - own) * (log_variance(t, t_next, v or y) * 0.5):exp()
end

-- One step of a model alone.
local function step(m, x, t, t_next, z)
  local rng = { purpose = "parity", seed = 1, step = 0, sample = 0 }
  local y = m:sample { sampler = sampler, x = x, rng = rng, grid = { t, t_next } }
  return with_noise(y, t, t_next, m:variance(), z, rng)
end

-- A whole run from x along the grid by drift.sample: noise[k] enters step k, then after(k, y, x before) may change what
-- has come of it, and watch(k, x, outputs) sees each step's end and what the network said at its beginning (k from 1).
local function sample(o)
  local watched, before = drift.model(process, o.net, { guidance = o.guidance, conditions = { o.condition } }), o.x
  return drift.sample {
    model = o.net, process = process, sampler = sampler, guidance = o.guidance, clip = o.clip, condition = o.condition,
    x = o.x, grid = o.grid, seed = 7, quiet = true,
    each = function(k, _, t, y)
      if k == 0 then return end
      local eps = watched:eps(before, o.grid[k])
      local v = watched:variance()
      local x = with_noise(y, o.grid[k], t, v, o.noise[k], { purpose = "sample noise", seed = 7, step = k - 1 })
      if o.after then x = o.after(k, x, before) end
      if o.watch then o.watch(k, x, drift.concat({ eps, v }, 1)) end
      before = x:keep()
      return x
    end,
  }
end

local function network(name)
  local unet = folder .. name .. "/unet/"
  local net = drift.build(drift.models.deepfloyd_if { config = unet .. "config.json" })
  return net:load(unet .. "diffusion_pytorch_model.safetensors"):eval()
end

local function guidance(scale) return scale > 1 and drift.guidance.cfg { scale = scale } or nil end

-- x0 at t, noised with eps
local function forward(x0, t, eps, by)
  local c = (by or process):coef(t)
  return x0 * c.alpha + eps * c.sigma
end

-- diffusers' timesteps and the end
local function grid_of(timesteps)
  local grid = {}
  for i, t in ipairs(timesteps) do grid[i] = t + 1 end
  grid[#grid + 1] = 0
  return grid
end

-- ---- single steps -------------------------------------------------------------------------------------------------

local check = {}

function check.if_ddpm_scheduler(p)
  local s = use(decoded "config")
  for _, case in ipairs(decoded "cases") do
    local function input(name) return p:input(case.name .. ".in." .. name) end
    local function compare(got, name) p:compare(got, case.name .. ".out." .. name) end
    local t, t_next, x, output = case.t + 1, case.prev_t + 1, input "sample", input "model_output"
    local function net() return output * 1 end             -- a network returns what it has made
    local plain = drift.model(process, net)
    local m = drift.model(process, net, { clip = clip })
    if p:has(case.name .. ".out.threshold") then
      compare(drift.export.dynamic_thresholds(plain:x0(x, t), s.clip.ratio, s.clip.max), "threshold")
    end
    compare(m:x0(x, t), "pred_x0")
    if p:has(case.name .. ".out.log_variance") then compare(log_variance(t, t_next, m:variance()), "log_variance") end
    compare(step(m, x, t, t_next, input "noise"), "prev_sample")
  end
end

-- ---- pipelines ----------------------------------------------------------------------------------------------------

local function image01(x) return (x * 0.5 + 0.5):clamp(0, 1) end
local function image_u8(image) return (image * 255 + 0.5):permute(0, 2, 3, 1):cast "u8" end

-- The stages of diffusers' pipelines: what each starts from, and how many draws come before the steps'.
local starts = {}

function starts.IFPipeline(p) return { x = p:input "in.noise.0", draws = 1 } end

function starts.IFImg2ImgPipeline(p, grid)
  return { x = forward(p:input "in.image", grid[1], p:input "in.noise.0"), draws = 1 }
end

-- The known pixels stay as they are, un-noised, whatever the level. A mask is cut at a half.
local function inpainted(image, mask, grid, eps)
  mask = ((mask - 0.5) * 1e30 + 1):clamp(0, 1)
  local function put(x, known) return (1 - mask) * known + mask * x end
  return { x = put(forward(image, grid[1], eps), image), draws = 1,
           after = function(_, x, before) return put(x, before) end }
end

function starts.IFInpaintingPipeline(p, grid)
  return inpainted(p:input "in.image", p:input "in.mask_image", grid, p:input "in.noise.0")
end

-- The small image is enlarged to x's size and noised by a schedule of its own: what stage II is conditioned on.
local function enlarged(image, x, model, level, eps)
  local size = { mode = "bilinear", height = x.shape[3], width = x.shape[4], align_corners = true }
  local noising = process_of(drift.scheduler_config(config_of(model, "image_noising_scheduler")))
  return forward(image:resize(size), level + 1, eps, noising)
end

-- `start`, with the enlarged picture beside it.
local function beside_enlarged(start, p, args)
  local level = args.noise_level
  start.image = enlarged(p:input "in.image", start.x, metadata.model, level, p:input "in.noise.1")
  p:compare(start.image, "out.upscaled")
  start.image_level, start.draws = drift.full({ 1 }, level), 2
  return start
end

function starts.IFSuperResolutionPipeline(p, _, args) return beside_enlarged({ x = p:input "in.noise.0" }, p, args) end

function starts.IFImg2ImgSuperResolutionPipeline(p, grid, args)
  return beside_enlarged({ x = forward(p:input "in.original_image", grid[1], p:input "in.noise.0") }, p, args)
end

function starts.IFInpaintingSuperResolutionPipeline(p, grid, args)
  local original, mask = p:input "in.original_image", p:input "in.mask_image"
  return beside_enlarged(inpainted(original, mask, grid, p:input "in.noise.0"), p, args)
end

-- Our grid of as many steps is the file's, or ends as it does where it begins later (strength).
local function check_grid(grid, args)
  if args.timesteps then return end
  local N = args.num_inference_steps
  local own = drift.model(process, function(x) return x end):grid(sampler:with { steps = N })
  local from = #own - #grid
  if args.strength and #grid - 1 ~= math.floor(N * args.strength) then
    drift.fail("strength %g of %d steps leaves %d, not %d", args.strength, N, math.floor(N * args.strength), #grid - 1)
  end
  for i, t in ipairs(grid) do
    if own[from + i] ~= t then drift.fail("step %d begins at t = %g, should be %g", i, own[from + i] or -1, t) end
  end
end

function check.if_pipeline(p)
  local args, timesteps = decoded "args", decoded "timesteps"
  local begin = starts[metadata.pipeline] or drift.fail("no check of pipeline %s is built yet", metadata.pipeline)
  use(config_of(metadata.model, "scheduler"), decoded "scheduler")
  local grid = grid_of(timesteps)
  check_grid(grid, args)
  local start = begin(p, grid, args)
  local condition = { tokens = p:input "in.prompt_embeds", null = { tokens = p:input "in.negative_prompt_embeds" },
                      image = start.image, image_level = start.image_level }
  local o = { net = network(metadata.model), guidance = guidance(args.guidance_scale), condition = condition,
              x = start.x, grid = grid, after = start.after, noise = {}, clip = clip }
  for k, t in ipairs(timesteps) do                            -- index 0 draws none
    if t > 0 then o.noise[k] = p:input("in.noise." .. start.draws + k - 1) end
  end
  p:compare(start.x, "out.x_start")
  function o.watch(k, x, output)
    p:compare(output, "out.model_output." .. k - 1)
    p:compare(x, "out.x." .. k - 1)
  end
  local image = image01(sample(o))
  p:compare(image, "out.image01")
  p:compare(image_u8(image), "out.image_u8")

  for k = 1, #timesteps do                                    -- each step alone, from the file's x
    local forced = {}
    for key, value in pairs(o) do forced[key] = value end
    forced.x = p:input(k == 1 and "out.x_start" or "out.x." .. k - 2)
    forced.grid, forced.noise = { grid[k], grid[k + 1] }, { o.noise[k] }
    function forced.watch(_, x, output)
      p:compare(output, "out.forced.model_output." .. k - 1)
      p:compare(x, "out.forced.x." .. k - 1)
    end
    sample(forced)
  end
end

-- ---- CS180's loops ------------------------------------------------------------------------------------------------

-- They end at the last timestep, which is not the data yet.
function check.if_strided(p)
  local config = decoded "config"
  use(config_of(metadata.model, "scheduler"), { thresholding = false, clip_sample = false })
  local first = (config.i_start or 0) + 1
  local grid = table.move(grid_of(config.timesteps), first, #config.timesteps, 1, {})
  local z, x, after = p:input "in.z", nil, nil
  if p:has "in.x_T" then x = p:input "in.x_T" else x = forward(p:input "in.im", grid[1], p:input "in.noise") end
  if p:has "out.x_start" then p:compare(x, "out.x_start") end
  if p:has "in.mask" then
    local mask, image, noise = p:input "in.mask", p:input "in.im", p:input "in.zf"
    function after(k, y) return mask * y + (1 - mask) * forward(image, grid[k + 1], noise[k]) end
  end
  sample { net = network(metadata.model), guidance = guidance(config.gamma), x = x, grid = grid, noise = z,
           after = after, condition = { tokens = p:input "in.cond", null = { tokens = p:input "in.uncond" } },
           watch = function(k, y) p:compare(y, "out.x." .. k - 1) end }
end

-- ---- from a prompt to a picture -----------------------------------------------------------------------------------

-- [2,77,D]: of the prompt and of the negative one
local function embeddings(p, prompts)
  local t5 = folder .. "../" .. decoded("models").t5
  local tokenizer = drift.tokenizer.sentencepiece { path = t5 .. "/spiece.model" }
  local ids, mask = {}, {}
  for i, prompt in ipairs(prompts) do ids[i], mask[i] = tokenizer:encode(drift.prompt(prompt), { length = 77 }) end
  ids, mask = drift.tensor(ids, "i32"), drift.tensor(mask, "i32")
  p:compare(ids, "out.ids")
  p:compare(mask, "out.mask")
  local encoder = drift.build(drift.models.t5_encoder { config = t5 .. "/config.json" })
  local embeds = encoder:load(t5 .. "/model.safetensors"):eval()(ids, { mask = mask:cast "f32" })
  p:compare(embeds, "out.embeds")
  return embeds
end

-- One stage with its own scheduler, from noise[1]; `condition` also has stage II's image.
local function stage(model, steps, scale, condition, noise)
  local timesteps = use(config_of(model, "scheduler")).timesteps
  local m = drift.model(process, function(x) return x end)
  return sample { net = network(model), guidance = guidance(scale), condition = condition, clip = clip, x = noise[1],
                  grid = m:grid(sampler:with { steps = steps, timesteps = timesteps }),
                  noise = table.move(noise, 2, #noise, 1, {}) }
end

function check.if_e2e(p)
  local args, models = decoded "args", decoded "models"
  local embeds = embeddings(p, { p:input("in.prompt"):tostring_bytes(), args.negative })
  local condition = { tokens = embeds:narrow(0, 0, 1), null = { tokens = embeds:narrow(0, 1, 1) } }
  local count = args.steps1                                   -- of stage I's draws: its start, and all steps but the last
  local function draws(first, last)
    local list = {}
    for i = first, last do list[#list + 1] = p:input("in.noise." .. i) end
    return list
  end
  local small = stage(models.stage1, args.steps1, args.guidance1, condition, draws(0, count - 1))
  p:compare(small, "out.stage1")

  local start, low = p:input("in.noise." .. count), p:input("in.noise." .. count + 1)
  condition.image = enlarged(small, start, models.stage2, args.noise_level, low)
  condition.image_level = drift.full({ 1 }, args.noise_level)
  local noise = { start, table.unpack(draws(count + 2, count + args.steps2)) }
  local large = stage(models.stage2, args.steps2, args.guidance2, condition, noise)
  p:compare(large, "out.stage2")
  p:compare(image_u8(image01(large)), "out.stage2_u8")
end

run(function(p) drift.no_grad(function() check[metadata.kind](p) end) end)
