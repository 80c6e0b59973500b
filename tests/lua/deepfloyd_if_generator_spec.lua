-- deepfloyd_if_generator_spec.lua: DeepFloyd IF as a model to edit with: where its text comes from, what is said where there is
-- none, and every edit on tiny models of its form.
local drift = require "drift"

local fixtures = os.getenv "DRIFT_FIXTURES"
local stage1, stage2, t5 = fixtures .. "/if/stage1_b", fixtures .. "/if/stage2_b", fixtures .. "/t5/tiny"
local function most(a, b) return (a - b):abs():amax():item() end

if not drift.exists(stage1 .. "/model_index.json") or not drift.exists(t5 .. "/spiece.model") then
  describe("drift.generators.deepfloyd_if", function() pending "no fixtures of DeepFloyd IF" end)
  return
end

local make = drift.generators.deepfloyd_if
local edit = drift.edit

describe("drift.generators.deepfloyd_if", function()
  it("is what the folder's files say", function()
    local g = make { model = stage1, text = t5 }
    assert.same({ 3, 16, 16 }, g.shape)
    assert.same({ 100, "learned_range" }, { g.sampler.params.steps, g.sampler.params.variance })
    assert.equal(7, g.guidance.params.scale)
    assert.same({ 0.95, 1.5 }, { g.clip.params.ratio, g.clip.params.max })
    assert.is_nil(g.image_condition)
    local g2 = make { model = stage2, text = g, steps = 20, scale = 2, size = { 32, 64 } }
    assert.same({ 3, 32, 64 }, g2.shape)
    assert.same({ 20, 2, 1.0, 250 }, { g2.sampler.params.steps, g2.guidance.params.scale, g2.clip.params.max, g2.level })
    local x, eps = drift.rand { 1, 3, 32, 32, purpose = "x" }, drift.randn { 1, 3, 32, 32, purpose = "eps" }
    local c = g2:image_condition(x, 250, eps)                       -- index 250 of the chain is t = 251
    local at = drift.build(drift.process.ddpm { T = 1000, schedule = "cosine" }):coef(251)
    assert.is_true(most(c.image, x * at.alpha + eps * at.sigma) < 1e-6)
    assert.same({ 250 }, c.image_level:totable())
    assert.error_matches(function() make { model = stage1, size = "large" } end, "size = large")
    assert.error_matches(function() make { model = "none" } end, "none: there is no such file or folder")
    assert.error_matches(function() make { modl = stage1 } end, "did you mean 'model'")
  end)

  it("conditions on prompts, in lower case, with the empty prompt or another to lead away from", function()
    local g = make { model = stage1, text = t5 }
    local dog, empty = g:conditioned("A photo of a DOG ", 1), g:conditioned(nil, 1)
    assert.same({ 1, 77, 32 }, dog.tokens.shape)
    assert.is_true(most(dog.tokens, g:conditioned("a photo of a dog", 1).tokens) == 0)
    assert.is_true(most(empty.tokens, dog.null.tokens) == 0 and most(empty.tokens, empty.null.tokens) == 0)
    local cat = g:conditioned({ prompt = "a photo of a dog", negative = "a cat" }, 1)
    assert.is_true(most(cat.tokens, dog.tokens) == 0)
    assert.is_true(most(cat.null.tokens, g:conditioned("a cat", 1).tokens) == 0)
    local away = make { model = stage1, text = g, negative = "a cat" }
    assert.is_true(most(away:conditioned("x", 1).null.tokens, cat.null.tokens) == 0)
    assert.error_matches(function() g:conditioned({ promt = "x" }, 1) end, "did you mean 'prompt'")
    assert.error_matches(function() g:conditioned(7, 1) end, "a prompt is text, not a number")
  end)

  it("opens the text encoder once for all prompts of an edit, and not again for what it knows", function()
    local opened, encoder = 0, drift.text_encoder
    drift.text_encoder = function(...)
      opened = opened + 1
      return encoder(...)
    end
    local function count(fn)
      local before = opened
      fn()
      return opened - before
    end
    local g, alone = make { model = stage1, text = t5, negative = "a cat" }, make { model = stage1, text = t5 }
    local views = { drift.view.identity {}, drift.view.negate {} }
    local ok, problem = pcall(function()
      assert.equal(1, count(function()
        edit.anagram { generator = g, conditions = { "a dog", { "A bird", "a tree" } }, n = 2, views = views, steps = 2 }
      end))
      assert.equal(0, count(function() edit.iterative { generator = g, condition = { "a tree", "a dog" }, steps = 2 } end))
      assert.equal(1, count(function() make { model = stage1, text = t5, negative = "a cat" }:conditioned("a dog", 1) end))
      assert.equal(1, count(function() make { model = stage1, text = t5 }:conditioned({ "", "a dog" }, 2) end))
      assert.equal(1, count(function() g:conditioned({ "a fish", { prompt = "a worm", negative = "a stone" } }, 2) end))
    end)
    drift.text_encoder = encoder
    if not ok then error(problem, 0) end
    for _, prompt in ipairs { "a dog", "a bird", "a cat", "a stone", "" } do
      assert.is_true(most(g:conditioned(prompt, 1).tokens, alone:conditioned(prompt, 1).tokens) < 1e-5, prompt)
    end
  end)

  it("takes saved embeddings in place of a text encoder, by prompt or by file", function()
    local e = drift.text_encoder { text_encoder = t5, tokenizer = t5 }:encode { "a dog", "a cat" }
    e:save "two.safetensors"
    local g, want = make { model = stage1, embeddings = "two.safetensors" }, make { model = stage1, text = t5 }
    for _, prompt in ipairs { "a dog", "A Cat", "" } do
      assert.is_true(most(g:conditioned(prompt, 1).tokens, want:conditioned(prompt, 1).tokens) < 1e-5, prompt)
    end
    assert.error_matches(function() g:conditioned("a dof", 1) end,
      'the prompt "a dof" cannot be encoded: .* has no text_encoder/.*text = FOLDER.*embeddings = FILE.*2 prompts, such as "a dog"')
    drift.text_encoder { text_encoder = t5, tokenizer = t5 }:encode { "a dog" }:save "one.safetensors"
    local none = make { model = stage1 }
    assert.error_matches(function() none:conditioned("a dog", 1) end, "cannot be encoded: .* has no text_encoder/")
    assert.is_true(most(none:conditioned("one.safetensors", 1).tokens, want:conditioned("a dog", 1).tokens) < 1e-5)
    assert.error_matches(function() none:conditioned("two.safetensors", 1) end, "holds embeddings of 2 prompts: say which")
    assert.error_matches(function() none:conditioned("three.safetensors", 1) end, "three.safetensors: there is no such file")

    drift.embeddings.make("test", { tokens = e.tokens:narrow(0, 0, 1):clone() }):save "dog.npy"       -- no empty prompt in it
    drift.embeddings.make("test", { tokens = e.null }):save "null.npy"
    local bare = make { model = stage1 }
    assert.error_matches(function() bare:conditioned("dog.npy", 1) end, "the empty prompt, which guidance leads away from, cannot be encoded")
    local c = make { model = stage1, negative = "null.npy" }:conditioned("dog.npy", 1)
    assert.is_true(most(c.null.tokens, e.null) == 0 and most(c.tokens, e.tokens:narrow(0, 0, 1)) == 0)
    drift.embeddings.make("test", { tokens = e.null:narrow(1, 0, 70):clone() }):save "short.npy"
    assert.error_matches(function() make { model = stage1, negative = "short.npy" }:conditioned("dog.npy", 1) end,
      "the prompt's embedding is %[77,32%] and the negative prompt's %[70,32%]")
  end)

  it("runs every edit, in two stages", function()
    local g = make { model = stage1, text = t5, steps = 3 }
    local g2 = make { model = stage2, text = g, steps = 2 }
    local photo = os.getenv "DRIFT_TEST_DATA" .. "/images/disc/3_420.jpg"
    local views = { drift.view.identity {}, drift.view.rotate { degrees = 180 } }
    local two = { "a dog", "a cat" }
    local results = {
      (edit.iterative { generator = g, condition = two, n = 2 }),
      (edit.image_to_image { generator = g, image = photo, strength = 0.7, condition = "a dog", n = 2 }),
      edit.inpaint { generator = g, image = photo, mask = drift.centre_mask(g.shape), condition = "a dog", n = 2, jump = 1, resamples = 2 },
      (edit.anagram { generator = g, conditions = two, views = views, n = 2 }),
      (edit.hybrid { generator = g, conditions = two, n = 2 }),
      edit.anagram { generator = g, conditions = two, views = views, n = 2, edit = edit.inpaint, image = photo,
                     mask = drift.centre_mask(g.shape), guidance = drift.guidance.cfg { scale = 5 } } }
    for i, x in ipairs(results) do
      assert.same({ 2, 3, 16, 16 }, x.shape)
      local large = i < 4 and edit.upscale { generator = g2, image = x, condition = two }
        or edit.anagram { generator = g2, image = x, conditions = two, views = views, edit = edit.upscale }
      assert.same({ 2, 3, 32, 32 }, large.shape)
      assert.is_true(most(large, large) == 0)                       -- finite
    end
    local known = 1 - drift.centre_mask(g.shape)
    local p = g:pictures(photo, "here")
    for _, i in ipairs { 3, 6 } do assert.is_true(most(results[i] * known, p * known) <= 1e-6) end
    assert.error_matches(function() edit.upscale { generator = g, image = photo } end, "DeepFloyd IF, stage 1 does not enlarge")
    assert.error_matches(function() edit.upscale { generator = g2, image = results[1], condition = "a dog", level = 1000 } end,
      "level = 1000 should be a whole number from 0 to 999")
  end)
end)

describe("drift.generator_of", function()
  it("knows a pretrained folder from a run, and says what is neither", function()
    assert.equal("DeepFloyd IF, stage 1", drift.generator_of(stage1, { text = t5 }).name)
    drift.mkdir "empty"
    assert.error_matches(function() drift.generator_of "empty" end, "empty: has no model_index.json")
    assert.error_matches(function() drift.generator_of "none" end, "there is no such file or folder")
    assert.error_matches(function() drift.generator_of "" end, "takes the path of a model")
  end)
end)
