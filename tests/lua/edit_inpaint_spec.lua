-- edit_inpaint_spec.lua: known pixels end as they were, the rest is made; re-noised or clean, with and without resampling.
local drift = require "drift"
local models = require "edit_models"
local edit = drift.edit

local function most(a, b) return (a - b):abs():amax():item() end

for name, make in pairs { flow = models.digits, ddpm = models.text } do
  describe("drift.edit.inpaint on a " .. name, function()
    local g = make(8)
    local C = g.shape[1]
    local what = name == "flow" and 2 or "a prompt"
    local image = drift.rand { 1, C, 8, 8, purpose = "picture" }
    local mask = models.right_half(8, 8)
    local function paint(changes)
      local o = { generator = g, image = image, mask = mask, condition = what, n = 2, seed = 4 }
      for key, value in pairs(changes or {}) do o[key] = value end
      return edit.inpaint(o)
    end

    it("keeps known pixels, in every way of walking, and makes the others", function()
      for _, way in ipairs { {}, { known = "clean" }, { jump = 2, resamples = 2 }, { jump = 1, resamples = 3, known = "clean" },
                             { start = 4 }, { start = 4, known = "clean" }, { start = 10 }, { batch = 1 },
                             { stride = 100 } } do                 -- of a chain it ends at t = 1, which is not the data yet
        local y = paint(way)
        assert.same({ 2, C, 8, 8 }, y.shape)
        assert.is_true(most(y:narrow(3, 0, 4), drift.concat({ image, image }, 0):narrow(3, 0, 4)) <= 1e-6)
        local made = y:narrow(3, 4, 4)
        local apart = most(made:narrow(0, 0, 1), made:narrow(0, 1, 1))               -- each its own, but where no step is left
        assert.is_true(way.start == 10 and apart == 0 or apart > 1e-3, apart)
        assert.is_true(most(made, made) == 0)                                       -- and finite
      end
    end)

    it("of a mask that is all 1 is the model's own sample", function()
      local all = drift.ones(1, 8, 8)
      local want = edit.iterative { generator = g, condition = what, n = 2, seed = 4 }
      assert.is_true(most(want, paint { mask = all }) < 1e-5)
      assert.is_true(most(want, paint { mask = all, known = "clean" }) < 1e-5)
      local other = paint { mask = all, jump = 2, resamples = 2 }
      assert.is_true(name == "flow" or most(want, other) > 1e-3)
    end)

    it("re-noises known pixels to each step's level, with fresh noise", function()
      local process, seen = drift.instance(g.process, "process"), {}
      paint { n = 1, each = function(index, t, x)                  -- before known pixels are put in: as the sampler left it
        seen[index] = { t = t, x = x:clone():keep() }
      end }
      -- the sampler's next step began from what was put in; replay the loop by hand
      local function known(t, step)
        local at = process:coef(t)
        local z = drift.randn { 1, C, 8, 8, purpose = "inpaint known", seed = 4, step = step }
        return g:from_picture(image) * at.alpha + z * at.sigma
      end
      local grid = g:times {}
      local m = mask:unsqueeze(0)
      local c = g:conditioned(what, 1)
      for index = 1, 3 do
        local x = seen[index].x * m + known(seen[index].t, index) * (1 - m)
        local nxt = g:sample { condition = c, n = 1, seed = 4, x = x, grid = { grid[index + 1], grid[index + 2] }, step = index }
        assert.is_true(most(nxt, seen[index + 1].x) < 1e-4, index)
      end
    end)

    it("goes back from where it is to where the schedule says, and draws fresh noise in every pass", function()
      local calls, recorder = {}, {}
      for key, value in pairs(g) do recorder[key] = value end
      recorder = drift.generator(recorder)
      function recorder:sample(o)
        calls[#calls + 1] = { step = o.step, from = o.grid[1], to = o.grid[#o.grid] }
        return g:sample(o)
      end
      paint { generator = recorder, steps = 4, jump = 1, resamples = 2 }
      local t = g:times { steps = 4 }                              -- walks 0 1 0 1 2 1 2 3 2 3 4
      local function call(step, from, to) return { step = step, from = t[from + 1], to = t[to + 1] } end
      assert.same({ call(0, 0, 1), call(1, 0, 2), call(3, 1, 3), call(5, 2, 4) }, calls)
    end)

    it("gives each picture its own image and mask", function()
      local images = drift.rand { 2, C, 8, 8, purpose = "picture", seed = 9 }
      local masks = drift.stack({ mask, 1 - mask })
      for _, batch in ipairs { 2, 1 } do
        local y = paint { image = images, mask = masks, batch = batch }
        assert.is_true(most(y:narrow(0, 0, 1):narrow(3, 0, 4), images:narrow(0, 0, 1):narrow(3, 0, 4)) <= 1e-6)
        assert.is_true(most(y:narrow(0, 1, 1):narrow(3, 4, 4), images:narrow(0, 1, 1):narrow(3, 4, 4)) <= 1e-6)
      end
      assert.is_true(most(paint { image = images, mask = masks, batch = 1 }, paint { image = images, mask = masks }) < 1e-5)
    end)

    it("refuses what does not fit", function()
      assert.error_matches(function() paint { mask = drift.zeros(1, 4, 4) } end, "has 4 x 4 pixels, but the picture has 8 x 8")
      assert.error_matches(function() paint { mask = drift.zeros(3, 1, 8, 8), n = 2 } end, "n = 2, but mask has 3 rows")
      assert.error_matches(function() paint { known = "noisy" } end, "known = noisy is not renoised or clean")
      assert.error_matches(function() paint { jump = 0 } end, "jump = 0")
      assert.error_matches(function() paint { resample = 3 } end, "did you mean 'resamples'")
    end)
  end)
end

describe("resampling", function()
  it("makes what is new agree with what is known", function()
    -- Each class of the closed-form model ties left to right: 0.1 c on the left goes with 1 - 0.1 c on the right. Without a
    -- condition it does not know of classes: then resampling only adds steps, and known pixels still stay.
    local g = models.digits(8)
    local y = edit.inpaint { generator = g, image = models.mean(2, 8, 8), mask = models.right_half(8, 8), condition = 2,
                             n = 8, steps = 20, jump = 5, resamples = 3 }
    assert.is_true(math.abs(y:narrow(3, 4, 4):mean():item() - 0.8) < 0.03)
  end)
end)
