-- edit_steps_spec.lua: generators, and the edits that only noise and denoise: noised, blurred, one_step, iterative,
-- image_to_image, on a flow in [0,1] and on a DDPM with learned variance in [-1,1].
local drift = require "drift"
local models = require "edit_models"
local edit = drift.edit

local function most(a, b) return (a - b):abs():amax():item() end
local function picture(g, seed) return drift.rand { 1, g.shape[1], g.shape[2], g.shape[3], purpose = "picture", seed = seed or 1 } end
local function column(list, name)
  local values = {}
  for i, item in ipairs(list) do values[i] = item[name] end
  return values
end

describe("a generator", function()
  local digits, text = models.digits(8), models.text(8)

  it("refuses what is not one, at once", function()
    local good = {}
    for key, value in pairs(digits) do good[key] = value end
    local function refused(changes, message)
      local o = {}
      for key, value in pairs(good) do o[key] = value end
      for key, value in pairs(changes) do o[key] = value ~= "none" and value or nil end
      assert.error_matches(function() drift.generator(o) end, message)
    end
    refused({ net = "none" }, "net is missing")
    refused({ net = 3 }, "net is a network")
    refused({ sampler = "euler" }, "sampler is a spec")
    refused({ shape = { 8, 8 } }, "shape is {")
    refused({ shape = { 1, 0, 8 } }, "shape%[2%] = 0")
    refused({ range = { 1, 0 } }, "range is { black, white }")
    refused({ condition = { label = 1 } }, "condition is a function")
    refused({ smapler = 1 }, "did you mean 'sampler'")
  end)

  it("maps pictures to the model's range and back without clipping", function()
    local x = drift.tensor { { { { -3, -1, 0, 1, 2 } } } }
    assert.same({ -1, 0, 0.5, 1, 1.5 }, text:to_picture(x):reshape(-1):totable())
    assert.is_true(most(x, text:from_picture(text:to_picture(x))) < 1e-6)
    assert.is_true(most(x, digits:to_picture(x)) == 0)
  end)

  it("says both sizes where a picture does not fit", function()
    assert.error_matches(function() digits:pictures(drift.zeros(1, 8, 9), "here") end,
      "here: the picture has 1 channels, 9 x 8; this model's have 1 channels, 8 x 8")
    assert.error_matches(function() digits:pictures(drift.zeros(8, 8), "here") end, "rank 2")
    assert.error_matches(function() digits:pictures(7, "here") end, "a path or a tensor, not a number")
    local file = os.getenv "DRIFT_TEST_DATA" .. "/images/disc/3_420.jpg"
    assert.same({ 1, 1, 8, 8 }, digits:pictures(file, "here").shape)
    assert.same({ 1, 3, 8, 8 }, text:pictures(file, "here").shape)
  end)

  it("lays times by steps, by stride as the course does, or as given", function()
    assert.equal(5, #digits:times { steps = 4 })
    assert.same({ 901, 801, 701, 601, 501, 401, 301, 201, 101, 1, 0 }, text:times {})
    local strided = text:times { stride = 30 }
    assert.same({ 34, 991, 961, 1 }, { #strided, strided[1], strided[2], strided[34] })
    assert.same({ 0.5, 1 }, digits:times { grid = { 0.5, 1 } })
    assert.same({ 251, 751, 1 }, { text:time_at(250), text:time_at(750), text:time_at(0) })
    local even = digits:times { stride = 250 }                     -- a flow: the same shares of the way
    assert.same({ 0.25, 0.5, 0.75, 1 }, even)
    local short = drift.generator { net = digits.net, process = drift.process.ddpm { T = 300 }, sampler = digits.sampler,
                                    shape = { 1, 8, 8 }, range = { 0, 1 }, condition = digits.condition }
    assert.same({ 226, 151, 76, 1 }, short:times { stride = 250 })
    assert.error_matches(function() short:times { stride = 1 } end, "stride = 1 is less than a step")
    assert.error_matches(function() text:time_at(1000) end, "outside")
    assert.error_matches(function() text:times { stride = 0 } end, "stride = 0")
    assert.error_matches(function() text:times { stride = 30, steps = 3 } end, "one of steps, stride and grid")
    assert.error_matches(function() text:times { grid = { 3 } } end, "two times or more")
    assert.error_matches(function() text:times { grid = { 5000, 1 } } end, "grid%[1%] = 5000 is outside of this process's %[0, 1000%]")
    assert.error_matches(function() digits:times { grid = { 0, "x" } } end, "grid%[2%] = x is outside")
  end)

  it("takes a list of conditions, one for each image, and conditions as they are", function()
    assert.same({ 3, 7 }, digits:conditioned({ 3, 7 }, 2).label:totable())
    local c = text:conditioned({ "one", "three" }, 2)
    assert.same({ 2, 5, 4 }, c.tokens.shape)
    assert.same({ 2, 5, 4 }, c.null.tokens.shape)
    assert.is_true(most(c.tokens[2], text:conditioned("three", 1).tokens[1]) == 0)
    assert.is_true(c == text:conditioned(c, 2))
    assert.error_matches(function() digits:conditioned({ 3, 7 }, 3) end, "a list of 2 conditions for 3 images")
    assert.error_matches(function() edit.iterative { generator = digits, conditions = { 1 }, condition = 1 } end, "not both")
    assert.error_matches(function() edit.iterative { generator = {}, condition = 1 } end, "drift.generator")
    assert.error_matches(function() edit.iterative { generator = digits, condtion = 1 } end, "did you mean 'condition'")
    assert.error_matches(function() edit.iterative { generator = digits, condition = { 1, 2 }, n = 3 } end, "n = 3, but condition has 2 rows")
    assert.error_matches(function() edit.iterative { generator = digits, condition = 1, each = 3 } end, "each is a function")
    assert.error_matches(function() edit.iterative { generator = digits, condition = 1, first = -1 } end, "first = %-1 should be")
  end)
end)

for name, make in pairs { flow = models.digits, ddpm = models.text } do
  describe("on a " .. name, function()
    local g = make(8)
    local t_noise, t_data = drift.instance(g.process, "process"):range()
    local middle = name == "flow" and 0.4 or 501
    local what = name == "flow" and 3 or "a prompt"

    it("noised is the forward process, the same noise at every t, another for each picture", function()
      local p = picture(g)
      local at = drift.instance(g.process, "process"):coef(middle)
      local eps = drift.randn { 2, g.shape[1], 8, 8, purpose = "edit noise", seed = 5, sample = 3 }
      local want = g:to_picture(g:from_picture(p) * at.alpha + eps * at.sigma)
      local got = edit.noised { generator = g, image = p, t = middle, n = 2, seed = 5, first = 3 }
      assert.same({ 2, g.shape[1], 8, 8 }, got.shape)
      assert.is_true(most(want, got) < 1e-6)
      assert.is_true(most(p, edit.noised { generator = g, image = p[1], t = t_data }) < 1e-6)
      local grid = g:times {}
      assert.is_true(most(edit.noised { generator = g, image = p, start = 4 }, edit.noised { generator = g, image = p, t = grid[5] }) == 0)
      assert.error_matches(function() edit.noised { generator = g, image = p } end, "say t, or start")
      assert.error_matches(function() edit.noised { generator = g, image = p, t = -1 } end, "t = %-1 is outside")
      assert.error_matches(function() edit.noised { generator = g, image = p, start = 11 } end, "from 0 %(noise%) to 10")
    end)

    it("one_step is the network's estimate of the picture", function()
      local noisy = edit.noised { generator = g, image = picture(g), t = middle, n = 2 }
      local c = g:conditioned(what, 1)
      local function rows(t) return t and drift.concat({ t, t }, 0) end
      local model = drift.model(drift.instance(g.process, "process"), drift.instance(g.net, "net"),
        { label = rows(c.label), tokens = rows(c.tokens), clip = g.clip })
      local want = drift.no_grad(function() return g:to_picture(model:x0(g:from_picture(noisy), middle)) end)
      assert.is_true(most(want, edit.one_step { generator = g, image = noisy, t = middle, condition = what }) < 1e-5)
      assert.is_true(most(want, edit.one_step { generator = g, image = noisy, t = middle, condition = what, clip = false }) > 1e-4
        or g.clip == nil)
      assert.error_matches(function() edit.one_step { generator = g, image = noisy } end, "say t, or start")
    end)

    it("iterative is drift.sample from noise, and from any index on what is left of its grid", function()
      local got, strip = edit.iterative { generator = g, condition = what, n = 3, seed = 2, every = 4, batch = 2 }
      local want = g:sample { condition = g:conditioned(what, 3), n = 3, seed = 2 }
      assert.is_true(most(g:to_picture(want), got) < 1e-5)
      assert.same({ 0, 4, 8, 10 }, column(strip, "index"))
      assert.same({ t_noise == 0 and 0 or 901, t_data }, { strip[1].t, strip[4].t })
      assert.same({ 3, g.shape[1], 8, 8 }, strip[2].image.shape)
      assert.is_true(most(strip[4].image, got) < 1e-5)

      -- from the picture at index 4 it goes where it would have gone
      local late, rest = edit.iterative { generator = g, condition = what, image = strip[2].image, start = 4, every = 100, seed = 2 }
      assert.same({ 4, 10 }, column(rest, "index"))
      assert.is_true(most(got, late) < 1e-4, most(got, late))
      assert.is_true(most(rest[1].image, strip[2].image) < 1e-6)
      assert.error_matches(function() edit.iterative { generator = g, condition = what, start = 4 } end, "needs image")
      assert.error_matches(function() edit.iterative { generator = g, condition = what, every = 0 } end, "every = 0")
    end)

    it("image_to_image keeps more of the picture the later it starts, and all of it at the end", function()
      local p, distance = picture(g, 3), {}
      for _, start in ipairs { 1, 5, 9, 10 } do
        local y = edit.image_to_image { generator = g, image = p, start = start, condition = what, n = 4, clip = false }
        distance[#distance + 1] = ((y - p) ^ 2):mean():item()
      end
      assert.is_true(distance[1] > distance[2] and distance[2] > distance[3] and distance[3] > distance[4],
        table.concat(distance, " "))
      assert.is_true(distance[4] < 1e-10)
    end)

    it("image_to_image counts strength as diffusers does", function()
      local p = picture(g)
      for _, case in ipairs { { 5, 0.7, 3 }, { 80, 0.7, 56 }, { 10, 1, 10 }, { 10, 0, 0 }, { 7, 0.99, 6 } } do
        local seen = {}
        edit.image_to_image { generator = g, image = p, strength = case[2], steps = case[1], condition = what,
                              each = function(index) seen[#seen + 1] = index end }
        local want = {}                                            -- from the start to the last of N
        for index = case[1] - case[3], case[3] > 0 and case[1] or -1 do want[#want + 1] = index end
        assert.same(want, seen)
      end
      assert.error_matches(function() edit.image_to_image { generator = g, image = p, strength = 1.5 } end, "outside %[0, 1%]")
      assert.error_matches(function() edit.image_to_image { generator = g, image = p } end, "say start, or strength")
      assert.error_matches(function() edit.image_to_image { generator = g, image = p, start = 1, strength = 1 } end, "say start, or strength")
    end)

    it("a picture does not depend on how many are made beside it", function()
      local all = edit.image_to_image { generator = g, image = picture(g), start = 3, condition = what, n = 3, seed = 8 }
      local one = edit.image_to_image { generator = g, image = picture(g), start = 3, condition = what, seed = 8, first = 2 }
      assert.is_true(most(all:narrow(0, 2, 1), one) < 1e-6)
    end)
  end)
end

describe("drift.edit.blurred", function()
  it("is a Gaussian that reflects at the edges", function()
    local p = drift.rand { 1, 3, 9, 9, purpose = "picture" }
    assert.is_true(most(edit.blurred { image = p, kernel = 5, sigma = 1.5 }, p:gaussian_blur { kernel_size = 5, sigma = 1.5 }) == 0)
    assert.same({ 3, 9, 9 }, edit.blurred { image = p[1] }.shape)
    assert.is_true(most(edit.blurred { image = drift.full({ 1, 1, 8, 8 }, 0.3) }, drift.full({ 1, 1, 8, 8 }, 0.3)) < 1e-6)
    assert.same({ 1, 1, 8, 8 }, edit.blurred { generator = models.digits(8), image = os.getenv "DRIFT_TEST_DATA" .. "/images/disc/3_420.jpg" }.shape)
    assert.error_matches(function() edit.blurred { image = "a.png" } end, "a path needs a generator")
  end)
end)
