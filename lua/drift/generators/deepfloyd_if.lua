-- deepfloyd_if.lua: DeepFloyd IF as a model to edit with: stage I (pictures of 64 x 64) or stage II (which enlarges
-- to 256).
--
--   local g = drift.generators.deepfloyd_if { model = "IF-I-M-v1.0" }         a diffusers folder, see drift.model_folder
--   drift.edit.iterative { generator = g, condition = "a photo of a lighthouse", n = 4 }
--   local g2 = drift.generators.deepfloyd_if { model = "IF-II-M-v1.0", text = g }
--   drift.edit.upscale { generator = g2, image = pictures, condition = "a photo of a lighthouse" }
--
-- A condition is a prompt, { prompt =, negative = }, the path of a saved embedding (.safetensors, .npy), or nil: the
-- empty prompt. Text is encoded by
--   text         a folder with a T5 encoder and its tokenizer, or another generator, whose text this one shares
--   embeddings   a file of embeddings that were saved (drift.embeddings), in place of it
-- or else by the model folder's own text_encoder/ and tokenizer/. The encoder (9.5 GB in fp16) is opened when a prompt
-- comes that is not known yet, and let go before images are made (drift.text_encoder).
-- precision ("bf16", "f32") sets drift.precision; variant ("fp16") says which of the folder's weights are taken; steps,
-- scale (of classifier-free guidance), negative, size, batch have the pipelines' values by default.
local drift = require "drift"

local STAGE = { { steps = 100, scale = 7, batch = 4 }, { steps = 50, scale = 4, batch = 1 } }

-- ---- text -----------------------------------------------------------------------------------------------------------
local Text = {}
Text.__index = Text

local function is_saved(what) return what:find "%.safetensors$" or what:find "%.npy$" end

-- Rows of saved embeddings, by what was embedded; "" is the empty prompt.
function Text:learn(e)
  for i, prompt in ipairs(e.prompts or {}) do self.known[drift.prompt(prompt)] = e.tokens:narrow(0, i - 1, 1):keep() end
  if e.null and not self.known[""] then self.known[""] = e.null:keep() end
end

function Text:cannot(prompt)
  local saved = {}
  for known in pairs(self.known) do if known ~= "" then saved[#saved + 1] = known end end
  table.sort(saved)
  local near = drift.nearest(prompt, saved) or saved[1]
  drift.fail('the %s cannot be encoded: %s. Give the folder of a T5 encoder (text = FOLDER), or embeddings that were '
    .. "saved where there is one (embeddings = FILE, or a FILE in place of a prompt; docs/editing.md)%s",
    prompt == "" and "empty prompt, which guidance leads away from," or ('prompt "%s"'):format(prompt), self.why,
    near and ("; there are embeddings of %d prompts, such as \"%s\""):format(#saved, near) or "")
end

-- [1,L,D] of a prompt, or of a file with one saved embedding. Each is encoded once.
function Text:tokens(what)
  if type(what) ~= "string" then drift.fail("a prompt is text, not a %s", drift.type(what)) end
  local key = is_saved(what) and what or drift.prompt(what)
  if not self.known[key] and is_saved(what) then
    local e = drift.embeddings.load(what)
    if e.tokens.shape[1] ~= 1 then
      drift.fail("%s holds embeddings of %d prompts: say which (embeddings = the file, and the prompt)", what,
        e.tokens.shape[1])
    end
    self.known[key] = e.tokens:keep()
    self:learn(e)
  elseif not self.known[key] then
    if not self.source then self:cannot(key) end
    local e = drift.text_encoder(self.source):encode { what }                 -- with the empty prompt's
    self.known[key] = e.tokens:keep()
    self:learn { null = e.null }
  end
  return self.known[key]
end

-- Those of several prompts that are not known yet, in one go, with the empty prompt's: opening the encoder may mean
-- 9.5 GB to read.
function Text:ahead(prompts)
  local new, seen = {}, {}
  for _, what in ipairs(prompts) do
    local key = type(what) == "string" and not is_saved(what) and drift.prompt(what)
    if key and key ~= "" and not self.known[key] and not seen[key] then new[#new + 1], seen[key] = what, true end
  end
  if #new > 0 and self.source then self:learn(drift.text_encoder(self.source):encode(new)) end
end

-- A pipeline's folder (text_encoder/, tokenizer/), also in Hugging Face's cache, or one with all in it side by side.
local function encoder_folder(path)
  if type(path) == "string" and drift.is_folder(path .. "/snapshots") then return drift.model_folder(path) end
  if type(path) ~= "string" or drift.exists(path .. "/text_encoder") then return path end
  return { text_encoder = path, tokenizer = drift.exists(path .. "/tokenizer") and path .. "/tokenizer" or path }
end

local function text_of(o, folder)
  if type(o.text) == "table" and o.text.text then return o.text.text end
  local self = setmetatable({ known = {} }, Text)
  if o.embeddings then self:learn(drift.embeddings.load(o.embeddings)) end
  if o.text ~= nil then
    self.source = encoder_folder(o.text)
  elseif folder.text_encoder and folder.tokenizer then
    self.source = folder
  else
    self.why = ("%s has no %s"):format(folder.path, folder.text_encoder and "tokenizer/" or "text_encoder/")
  end
  return self
end

-- ---- the model ------------------------------------------------------------------------------------------------------
local function process_of(s)
  return drift.process.ddpm { T = s.T, schedule = s.schedule, predict = s.predict, time = "index" }
end

local function clip_of(clip)
  if not clip then return nil end
  local params = {}
  for key, value in pairs(clip) do params[key] = key ~= "kind" and value or nil end
  return drift.clip[clip.kind](params)
end

-- What a user says -> tokens, and in the null condition those of the negative prompt.
local function condition(self, what)
  local text = self.text
  local prompt, negative = what or "", self.negative
  if type(what) == "table" then
    drift.accept("a condition", what, { "prompt" }, { "negative" })
    prompt, negative = what.prompt, what.negative or negative
  end
  text:ahead { prompt, negative }
  local c = { tokens = text:tokens(prompt), null = { tokens = text:tokens(negative) } }
  local a, b = c.tokens.shape, c.null.tokens.shape
  if a[2] ~= b[2] or a[3] ~= b[3] then
    drift.fail("the prompt's embedding is [%d,%d] and the negative prompt's [%d,%d]", a[2], a[3], b[2], b[3])
  end
  return c
end

-- The prompts of several conditions, as `condition` takes them, and of lists of such.
local function ahead(self, conditions)
  local prompts = {}
  local function add(what)
    if type(what) == "string" then prompts[#prompts + 1] = what end
    if type(what) ~= "table" then return end
    add(what.prompt)
    add(what.negative)
    for _, item in ipairs(what) do add(item) end
  end
  add(conditions)
  add(self.negative)
  self.text:ahead(prompts)
end

-- Stage II's second input: the enlarged picture, noised at `level` by a schedule of its own.
local function image_condition(noising, T)
  return function(_, x, level, eps)
    if math.type(level) ~= "integer" or level < 0 or level >= T then
      drift.fail("level = %s should be a whole number from 0 to %d", tostring(level), T - 1)
    end
    local at = noising:coef(level + 1)                                                -- index `level` is t = level + 1
    return { image = x * at.alpha + eps * at.sigma, image_level = drift.full({ x.shape[1] }, level) }
  end
end

local function sides(o, config)
  local size = o.size or config.sample_size
  local H, W = size, size
  if type(size) == "table" then H, W = size[1], size[2] end
  if math.type(H) ~= "integer" or math.type(W) ~= "integer" or H < 1 or W < 1 then
    drift.fail("deepfloyd_if: size = %s is not a number of pixels", tostring(size))
  end
  return H, W
end

return function(o)
  drift.accept("deepfloyd_if", o, { "model" },
    { "text", "embeddings", "precision", "variant", "steps", "scale", "negative", "size", "batch" })
  local folder = type(o.model) == "table" and o.model or drift.model_folder(o.model, { variant = o.variant })
  if o.precision then drift.precision(o.precision) end
  local default, s = STAGE[folder.stage], folder.scheduler
  local H, W = sides(o, folder.unet.config)
  local given = {
    name = ("DeepFloyd IF, stage %d"):format(folder.stage),
    net = drift.build(drift.models.deepfloyd_if { config = folder.unet.config }, { weights = folder:weights "unet" }),
    process = process_of(s), clip = clip_of(s.clip), shape = { folder.image_channels, H, W }, range = { -1, 1 },
    sampler = drift.sampler.ddpm { steps = o.steps or default.steps, variance = s.variance, timesteps = s.timesteps },
    guidance = drift.guidance.cfg { scale = o.scale or default.scale },
    batch = o.batch or default.batch, condition = condition, text = text_of(o, folder) }
  if folder.stage == 2 then
    local noising, T = drift.instance(process_of(folder.image_noising), "process"), folder.image_noising.T
    given.image_condition, given.level = image_condition(noising, T), math.min(250, T - 1)
  end
  local g = drift.generator(given)
  g.negative, g.ahead = o.negative or "", ahead
  return g
end
