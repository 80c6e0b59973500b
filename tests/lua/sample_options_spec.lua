-- What drift.sample takes beside noise and labels: conditions with rows for each image, clips, a start of one's own, and
-- a callback whose result goes on in place of x.
local drift = require "drift"

-- x/2 + label + first token + the image's pixel: the estimate of the data.
local spec = drift.net {
  name = "sum",
  forward = function(_, x, c)
    local y = x * 0.5
    if c.label then y = y + c.label:cast("f32"):reshape(-1, 1, 1, 1) end
    if c.tokens then y = y + c.tokens:narrow(1, 0, 1):reshape(-1, 1, 1, 1) end
    if c.image then y = y + c.image end
    if c.image_level then y = y + c.image_level:reshape(-1, 1, 1, 1) end
    return y
  end,
}
local net = drift.build(spec)

local function draw(o)
  local given = { model = net, process = drift.process.ddpm { T = 4, predict = "x0" }, shape = { 1, 2, 2 }, quiet = true,
                  sampler = drift.sampler.ddpm {} }
  for key, value in pairs(o) do given[key] = value end
  if o.x then given.shape = nil end
  return drift.sample(given)
end

local function column(list) return drift.tensor(list):reshape(-1, 1, 1) end
local function pixel(list) return drift.tensor(list):reshape(-1, 1, 1, 1) end
local function same(a, b) return (a - b):abs():amax():item() == 0 end

describe("drift.sample with conditions", function()
  local condition = { label = { 1, 2, 3, 4, 5 }, tokens = column { 10, 20, 30, 40, 50 }, image = pixel { 5, 4, 3, 2, 1 },
                      image_level = { 250, 250, 250, 250, 251 }, null = { tokens = column { -1 } } }

  it("gives each image its own rows, in batches of any size", function()
    local all = draw { condition = condition }
    assert.same({ 5, 1, 2, 2 }, all.shape)
    assert.is_true(same(all, draw { condition = condition, batch = 2 }))
    assert.is_true(same(all:narrow(0, 4, 1), draw { first = 4, n = 1, condition = {
      label = 5, tokens = column { 50 }, image = pixel { 1 }, image_level = 251 } }))
  end)

  it("takes one row for all", function()
    local each = draw { condition = { tokens = column { 3, 3, 3 }, image_level = { 2, 2, 2 } }, batch = 2 }
    assert.is_true(same(each, draw { condition = { tokens = column { 3 }, image_level = 2 }, n = 3, batch = 2 }))
  end)

  it("guides against the null tokens", function()
    local guided = draw { condition = { tokens = column { 3, 4 }, null = { tokens = column { 1 } } },
                          guidance = drift.guidance.cfg { scale = 2 }, grid = { 1, 0 } }
    assert.is_true(same(guided, draw { condition = { tokens = column { 5, 7 } }, grid = { 1, 0 } }))
  end)

  it("hands the first of several to what asks for one", function()
    local one, two = { tokens = column { 3, 4 } }, { tokens = column { 30, 40 } }
    assert.is_true(same(draw { conditions = { one, two } }, draw { condition = one }))
    assert.is_false(same(draw { conditions = { two, one } }, draw { condition = one }))
  end)

  it("takes labels beside it, and says what does not fit", function()
    local tokens = column { 3, 4 }
    assert.is_true(same(draw { labels = { 7, 8 }, condition = { tokens = tokens } },
                        draw { condition = { tokens = tokens, label = { 7, 8 } } }))
    local function fails(text, o) assert.error_matches(function() draw(o) end, text) end
    fails("give labels, or n", {})
    fails("condition.tokens has 2 rows; give 3, one for each image, or 1 for all",
          { n = 3, condition = { tokens = tokens } })
    fails("condition 2.null.tokens has 2 rows",
          { n = 3, conditions = { {}, { tokens = column { 1 }, null = { tokens = tokens } } } })
    fails("no option 'token'; did you mean 'tokens'", { n = 2, condition = { token = tokens } })
    fails("tokens is a number, not a tensor", { n = 2, condition = { tokens = 3 } })
    fails("label 2 is 1.5, not a whole number", { condition = { label = { 1, 1.5 } } })
    fails("give labels, or condition.label", { labels = { 1 }, condition = { label = 1 } })
    fails("give each of the conditions its label", { labels = { 1 }, conditions = { {}, {} } })
    fails("give condition, or a list of conditions", { n = 1, condition = {}, conditions = { {} } })
    fails("x has 3 rows, for 2 images", { n = 2, x = drift.zeros { 3, 1, 2, 2 } })
    fails("step = %-1 should be", { n = 2, step = -1 })
  end)
end)

describe("drift.sample on its way", function()
  it("holds estimates within a clip", function()
    local y = draw { labels = { 5, -5 }, clip = drift.clip.range { min = -2, max = 3 } }
    assert.same({ { { { 3, 3 }, { 3, 3 } } }, { { { -2, -2 }, { -2, -2 } } } }, y:totable())
  end)

  it("starts from what it is given", function()
    local x = drift.randn { 3, 1, 2, 2, purpose = "start" }
    local seen
    local y = draw { x = x, grid = { 2, 2 }, sampler = drift.sampler.ddim {}, batch = 3,
                     each = function(k, _, _, at) if k == 0 then seen = at:keep() end end }
    assert.is_true(same(seen, x))
    assert.is_true((y - x):abs():amax():item() < 1e-6)            -- a step of no length
  end)

  it("draws other noise with another step", function()
    local x = drift.zeros { 2, 1, 2, 2 }
    local y = draw { x = x, grid = { 4, 3 } }
    assert.is_true(same(y, draw { x = x, grid = { 4, 3 }, step = 0 }))
    assert.is_false(same(y, draw { x = x, grid = { 4, 3 }, step = 1 }))
    local whole = draw { x = x, grid = { 4, 3, 2 } }              -- the second step of one run is the first of the next
    assert.is_true(same(whole, draw { x = y, grid = { 3, 2 }, step = 1 }))
  end)

  it("goes on from what each returns, also at the start", function()
    local firsts, replaced = {}, pixel { 1, 2, 3 } * drift.ones { 3, 1, 2, 2 }
    local y = draw { n = 3, batch = 2, each = function(k, steps, _, x, first)
      if k == 0 then firsts[#firsts + 1] = first end
      if k == steps then return replaced:narrow(0, first - 1, x.shape[1]) end
    end }
    assert.same({ 1, 3 }, firsts)
    assert.is_true(same(y, replaced))
    local from = draw { x = replaced }
    assert.is_true(same(from, draw { n = 3, each = function(k) if k == 0 then return replaced end end }))
    local stop = draw { x = replaced, grid = { 4, 3, 2 } }
    assert.is_true(same(draw { x = stop, grid = { 2, 1, 0 }, step = 2 },
                        draw { n = 3, each = function(k) if k == 2 then return stop end end }))
    assert.error_matches(function() draw { n = 3, each = function() return drift.zeros { 1 } end } end, "shape")
    local function narrow(k) return k == 1 and drift.zeros { 3, 1, 2, 1 } or nil end
    assert.error_matches(function() draw { n = 3, each = narrow } end,
                         "what goes on in place of x f32%[3,1,2,2%] is f32%[3,1,2,1%]")
    assert.error_matches(function() draw { n = 3, each = function(k) return k == 1 end } end, "tensor")
  end)

  it("goes back to more noise", function()
    local process = drift.process.ddpm { T = 4 }
    local x, z = drift.ones { 2, 1, 2, 2 }, drift.randn { 2, 1, 2, 2, purpose = "z" }
    local c = drift.instance(process, "process"):coef(3)
    local forward = drift.renoise(process, x, 0, 3, z)
    assert.is_true((forward - (x * c.alpha + z * c.sigma)):abs():amax():item() < 1e-6)
    assert.is_true(same(forward, drift.model(process, net):renoise(x, 0, 3, z)))
    assert.error_matches(function() drift.renoise(process, x, 3, 2, z) end,
                         "renoise: t = 3 to 2 does not go towards the noise")
  end)
end)

describe("A model", function()
  it("shows the variance output of its last estimate", function()
    local m = drift.model(drift.process.ddpm {}, function(x) return drift.concat({ x, x * 2 }, 1) end)
    assert.is_nil(m:variance())
    local x = drift.randn { 2, 3, 2, 2, purpose = "x" }
    assert.is_true(same(m:eps(x, 5), x))
    assert.is_true(same(m:variance(), x * 2))
  end)

  it("says what a condition does not have", function()
    local function model(o) return drift.model(drift.process.ddpm {}, net, o) end
    assert.error_matches(function() model { conditions = { { labels = 1 } } } end, "condition 1 has no 'labels'")
    assert.error_matches(function() model { conditions = {} } end, "conditions lists 0")
    assert.error_matches(function() model { tokens = column { 1 }, null = { image = 1 } } end,
                         "a condition's null has no 'image'")
    assert.error_matches(function() model { clip = drift.sampler.ddim {} } end, "clip")
  end)
end)
