-- upscale.lua: a picture of any size, enlarged by a model that sees it beside its noise (stage II of DeepFloyd IF).
-- The picture is brought to the model's size (bilinear, align_corners), noised at a level, and joined to x at every
-- step.
--
--   drift.edit.upscale { generator = stage2, image = pictures, condition = "a lighthouse" }          -- [n,3,256,256]
--
-- level: the noise's, as the model's schedule counts it (generator.level by default: 250 of DeepFloyd's 1000); more
-- leaves the model more freedom. conditions and guidance go through, so an anagram is enlarged as one: edit =
-- drift.edit.upscale in drift.edit.anagram. every, each as in drift.edit.iterative.
local drift = require "drift"
local arguments = require "drift.edit_arguments"

local function enlarged(image, g)
  if type(image) == "string" then image = drift.read_image(image, { channels = g.shape[1] }) end
  if drift.type(image) ~= "tensor" or image.rank < 3 or image.rank > 4 then
    drift.fail "edit.upscale: image is a path or a tensor [C,h,w] or [n,C,h,w]"
  end
  local x = image.rank == 3 and image:unsqueeze(0) or image
  if x.shape[2] ~= g.shape[1] then
    drift.fail("edit.upscale: the picture has %d channels, this model's have %d", x.shape[2], g.shape[1])
  end
  x = x:to(drift.device()):cast "f32"
  return x:resize { height = g.shape[2], width = g.shape[3], mode = "bilinear", align_corners = true }
end

return function(o)
  local a = arguments("edit.upscale", o, { "image" }, { "level", "every", "each" })
  local g = a.generator
  if not g.image_condition then
    drift.fail("edit.upscale: %s does not enlarge: it sees no picture beside its noise", g.name or "this model")
  end
  local x = a:rows(g:from_picture(enlarged(o.image, g)))                                    -- [n,C,H,W]
  local under = a:conditions(g:image_condition(x, o.level or g.level, a:noise "upscale picture"))
  return drift.edit.iterative {
    generator = g, condition = under.condition, conditions = under.conditions, guidance = a.guidance or false,
    clip = o.clip, grid = a.grid, n = a.n, seed = o.seed, first = o.first, batch = o.batch, quiet = o.quiet,
    every = o.every, each = o.each }
end
