-- edit_guided_spec.lua: anagrams and hybrids, and edits within edits: guidance lists go through every one of them.
local drift = require "drift"
local models = require "edit_models"
local edit, view = drift.edit, drift.view

local function most(a, b) return (a - b):abs():amax():item() end
local function flipped(x) return drift.instance(view.flip { axis = "rows" }, "view"):apply(x) end

for name, make in pairs { flow = models.digits, ddpm = models.text } do
  describe("on a " .. name, function()
    local g = make(8)
    local C = g.shape[1]
    local two = name == "flow" and { 2, 7 } or { "one prompt", "another prompt" }
    local t = name == "flow" and 0.5 or 401
    local image = drift.rand { 1, C, 8, 8, purpose = "picture" }
    local noisy = edit.noised { generator = g, image = image, t = t }
    local cfg = drift.guidance.cfg { scale = 3 }
    local flip = { view.identity {}, view.flip { axis = "rows" } }
    local function estimate(condition, x, guidance)
      return edit.one_step { generator = g, image = x, t = t, condition = condition, guidance = guidance, clip = false }
    end

    it("an anagram's estimate is the mean of both, each made in its view", function()
      for _, guidance in ipairs { cfg, false } do
        local want = (estimate(two[1], noisy, guidance) + flipped(estimate(two[2], flipped(noisy), guidance))) * 0.5
        local got = edit.anagram { generator = g, conditions = two, views = flip, guidance = guidance, edit = edit.one_step,
                                   image = noisy, t = t, clip = false }
        assert.is_true(most(want, got) < 1e-4, most(want, got))
      end
    end)

    it("a hybrid's estimate has the low frequencies of one and the high ones of the other", function()
      local low = drift.filter.gaussian_blur {}
      local function of(x) return drift.instance(low, "filter"):apply(x) end
      local a, b = estimate(two[1], noisy, cfg), estimate(two[2], noisy, cfg)
      local want = of(a) + b - of(b)
      local function hybrid(filters)
        return edit.hybrid { generator = g, conditions = two, filters = filters, guidance = cfg, edit = edit.one_step, image = noisy,
                             t = t, clip = false }
      end
      assert.is_true(most(want, hybrid(nil)) < 1e-4)
      assert.is_true(most(want, hybrid { low }) == most(want, hybrid(nil)))
    end)

    it("cfg in an anagram in an inpainting keeps what is known and makes the rest by both", function()
      local function paint(o)
        local all = { generator = g, conditions = two, views = flip, guidance = cfg, edit = edit.inpaint, image = image,
                      mask = models.right_half(8, 8), n = 2, jump = 2, resamples = 2, seed = 3 }
        for key, value in pairs(o or {}) do all[key] = value end
        return edit.anagram(all)
      end
      local y = paint()
      assert.same({ 2, C, 8, 8 }, y.shape)
      assert.is_true(most(y:narrow(3, 0, 4), drift.concat({ image, image }, 0):narrow(3, 0, 4)) <= 1e-6)
      local made = y:narrow(3, 4, 4)
      assert.is_true(most(made, paint { guidance = false }:narrow(3, 4, 4)) > 1e-3)            -- cfg counts
      assert.is_true(most(made, paint { conditions = { two[1], two[1] } }:narrow(3, 4, 4)) > 1e-3)
      assert.is_true(most(made, paint { batch = 1 }:narrow(3, 4, 4)) < 1e-4)
    end)

    it("hybrids and anagrams run from a picture, and from noise", function()
      for _, o in ipairs { { image = image, start = 4, edit = edit.image_to_image }, { n = 2 } } do
        for _, make_one in ipairs { { edit.anagram, { views = flip, combine = "alternate" } }, { edit.hybrid, {} } } do
          local all = { generator = g, conditions = two, guidance = cfg }
          for _, part in ipairs { o, make_one[2] } do for key, value in pairs(part) do all[key] = value end end
          local y = make_one[1](all)
          assert.same({ o.n or 1, C, 8, 8 }, y.shape)
          assert.is_true(most(y, y) == 0)
        end
      end
    end)

    it("an anagram takes a view of the script's own", function()
      local function transposed(x) return x:transpose(2, 3) end
      local own = view.custom { apply = transposed, invert = transposed }
      local want = (estimate(two[1], noisy, cfg) + transposed(estimate(two[2], transposed(noisy), cfg))) * 0.5
      local got = edit.anagram { generator = g, conditions = two, views = { view.identity {}, own }, guidance = cfg,
                                 edit = edit.one_step, image = noisy, t = t, clip = false }
      assert.is_true(most(want, got) < 1e-4, most(want, got))
    end)

    it("refuse what does not fit", function()
      assert.error_matches(function() edit.anagram { generator = g, conditions = two, views = { view.identity {}, view.identity {}, view.identity {} } } end, "3 views for 2 conditions")
      assert.error_matches(function() edit.anagram { generator = g, conditions = two } end, "views is a list")
      assert.error_matches(function() edit.anagram { generator = g, views = flip } end, "conditions is a list")
      assert.error_matches(function() edit.hybrid { generator = g } end, "conditions is a list")
      assert.error_matches(function() edit.anagram { generator = g, conditions = two, views = flip, stps = 3 } end, "did you mean 'steps'")
      assert.error_matches(function() edit.anagram { generator = g, conditions = two, views = flip, edit = "inpaint" } end,
        "edit is one of drift.edit, such as drift.edit.inpaint, not a string")
    end)
  end)
end
