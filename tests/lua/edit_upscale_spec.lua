-- edit_upscale_spec.lua: enlarging by a model that sees the smaller picture, alone and under an anagram.
local drift = require "drift"
local models = require "edit_models"
local edit, view = drift.edit, drift.view

local function most(a, b) return (a - b):abs():amax():item() end

describe("drift.edit.upscale", function()
  local g = models.enlarger(16)
  local small = drift.rand { 2, 3, 4, 4, purpose = "picture" }
  local function enlarge(o)
    local all = { generator = g, image = small, condition = "a prompt", steps = 4, seed = 6 }
    for key, value in pairs(o or {}) do all[key] = value end
    return (edit.upscale(all))
  end

  it("shows the model the picture, brought to its size and noised at a level", function()
    local want = {}
    local recorder = {}
    for key, value in pairs(g) do recorder[key] = value end
    recorder.image_condition = function(self, x, level, eps)
      want.x, want.level, want.eps = x:clone():keep(), level, eps:clone():keep()
      return g.image_condition(self, x, level, eps)
    end
    local y = enlarge { generator = drift.generator(recorder) }
    assert.same({ 2, 3, 16, 16 }, y.shape)
    local enlarged = small:resize { height = 16, width = 16, mode = "bilinear", align_corners = true }
    assert.is_true(most(want.x, enlarged * 2 - 1) < 1e-6)
    assert.equal(250, want.level)
    assert.is_true(most(want.eps, drift.randn { 2, 3, 16, 16, purpose = "upscale picture", seed = 6 }) == 0)
    assert.is_true(most(y, enlarge { level = 10 }) > 1e-3)
    assert.is_true(most(y, enlarge { image = 1 - small }) > 1e-3)
  end)

  it("takes pictures of any size, one or several, a file too, whatever the batch", function()
    local both = enlarge()
    assert.is_true(most(both, enlarge { batch = 1 }) < 1e-5)
    assert.is_true(most(both:narrow(0, 1, 1), enlarge { image = small[2], first = 1 }) < 1e-5)
    assert.same({ 1, 3, 16, 16 }, enlarge { image = drift.rand { 3, 5, 9, purpose = "picture" } }.shape)
    assert.same({ 1, 3, 16, 16 }, enlarge { image = os.getenv "DRIFT_TEST_DATA" .. "/images/disc/3_420.jpg" }.shape)
    assert.same({ 3, 3, 16, 16 }, enlarge { image = small[1], n = 3 }.shape)
    assert.same({ 2, 3, 16, 16 }, enlarge { condition = { "one", "another" } }.shape)
    local seen = {}
    enlarge { each = function(index) seen[#seen + 1] = index end }
    assert.same({ 0, 1, 2, 3, 4 }, seen)
  end)

  it("sees the smaller picture in an anagram's views as well", function()
    -- This model does the same in every view of the pixels; so with one prompt in both views nothing may change, but for the
    -- noise of the two estimates' variances, which are alike as well.
    local plain = enlarge { guidance = drift.guidance.cfg { scale = 2 } }
    local o = { generator = g, image = small, conditions = { "a prompt", "a prompt" }, steps = 4, seed = 6, edit = edit.upscale,
                guidance = drift.guidance.cfg { scale = 2 } }
    for _, other in ipairs { view.flip { axis = "rows" }, view.rotate { degrees = 90 }, view.jigsaw {} } do
      o.views = { view.identity {}, other }
      assert.is_true(most(plain, (edit.anagram(o))) < 1e-4)
    end
    o.views = nil
    assert.is_true(most(plain, (edit.hybrid(o))) < 1e-4)
  end)

  it("refuses a model that sees no picture, and channels that do not fit", function()
    assert.error_matches(function() enlarge { generator = models.text(8) } end, "conv does not enlarge: it sees no picture")
    assert.error_matches(function() enlarge { image = drift.zeros(1, 4, 4) } end, "1 channels, this model's have 3")
    assert.error_matches(function() enlarge { image = drift.zeros(4, 4) } end, "a path or a tensor")
    assert.error_matches(function() edit.iterative { generator = g, condition = "a prompt" } end,
      "edit.iterative: .* draws nothing without a picture to enlarge: drift.edit.upscale")
  end)
end)
