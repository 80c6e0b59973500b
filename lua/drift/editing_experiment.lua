-- editing_experiment.lua: an experiment with a model that was trained already (spec A): drift.experiment with the
-- parameters that name the model, and that model as a generator.
--
--   local run, g, g2 = drift.editing_experiment { prompt = "...", stride = 30, presets = { smoke = { stride = 250 } } }
--
-- model     a folder: DeepFloyd IF stage I, or a run (experiments/mnist_flow.lua); required
-- stage2    a folder: DeepFloyd IF stage II, for g2, which is nil without; required with needs_stage2 = true
-- image     where the script has that parameter: paths, several separated by "|"; required (drift.editing_images)
-- text, embeddings, variant, negative    see drift.generators.deepfloyd_if
-- threshold true: estimates of the picture are held in its range, as the model's scheduler says; false: the course
-- prompt and the like: several are separated by "|" (drift.prompts); for a run they are classes.
local drift = require "drift"

local SHARED = { model = "", stage2 = "", text = "", embeddings = "", variant = "", negative = "", threshold = false }

local function optional(text) return text ~= "" and text or nil end

-- Pictures that cannot be read are refused, by name.
local function check_pictures(text)
  for _, path in ipairs(drift.editing_images { image = text }) do drift.export.image_size_of(path) end
end

-- Before the run's folder is made: what must be said, and is not; files that are not there, or no pictures.
local function check(defaults)
  local function said(key)
    return drift.options.resume or optional(drift.set[key] or "") or optional(defaults[key] or "")
  end
  if not said "model" then
    drift.fail("this experiment edits with a pretrained model: --set model=FOLDER, the folder of DeepFloyd IF's stage I "
      .. "as diffusers has it, or of a run of experiments/mnist_flow.lua. How to get one: docs/editing.md")
  end
  if defaults.image and not said "image" then
    drift.fail "this experiment edits a picture: --set image=PATH, a PNG or JPEG of any size"
  end
  if defaults.needs_stage2 and not said "stage2" then
    drift.fail "this experiment enlarges: --set stage2=FOLDER, the folder of DeepFloyd IF's stage II"
  end
  for _, key in ipairs { "model", "stage2", "text", "embeddings", "mask" } do
    local path = optional(drift.set[key] or "")
    if path and not drift.exists(path) then drift.fail("%s = %s: there is no such file or folder", key, path) end
  end
  if drift.options.resume then return end
  if defaults.image then check_pictures(said "image") end
  if optional(drift.set.mask or "") then drift.export.image_size_of(drift.set.mask) end
end

return function(given)
  local defaults = {}
  for key, value in pairs(SHARED) do defaults[key] = value end
  for key, value in pairs(given) do defaults[key] = value end
  check(defaults)
  defaults.needs_stage2 = nil
  local run = drift.experiment(defaults)
  local text = { text = optional(run.text), embeddings = optional(run.embeddings), variant = optional(run.variant),
                 negative = run.negative, precision = run.precision }
  local g, g2 = drift.generator_of(run.model, text), nil
  if g.image_condition then drift.fail("model = %s is stage II: that is stage2, and model is stage I", run.model) end
  if not run.threshold then g.clip = nil end
  if run.stage2 ~= "" then
    text.text, text.embeddings = g.text and g or text.text, nil
    g2 = drift.generator_of(run.stage2, text)
    if not g2.image_condition then
      drift.fail("stage2 = %s is not stage II: it sees no picture to enlarge", run.stage2)
    end
  end
  return run, g, g2
end
