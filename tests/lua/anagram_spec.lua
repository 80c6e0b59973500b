-- Views and filters as scripts use them, also given by functions; anagrams and hybrids through drift.sample, with guidance
-- towards conditions, clips and inpainting around them.
local drift = require "drift"

local function refused(f, ...)
  local ok, message = pcall(f)
  assert.is_false(ok)
  for _, part in ipairs { ... } do assert.is_truthy(message:find(part, 1, true), message) end
end

local function far(a, b) return (a - b):abs():amax():item() end
local function noise(shape, step)
  return drift.randn { shape[1], shape[2], shape[3], shape[4], purpose = "test", seed = 5, step = step or 0 }
end

describe("a view", function()
  local picture = drift.tensor { { { 1, 2, 3 }, { 4, 5, 6 } } }                       -- [1,2,3]: one channel

  it("is applied to a picture or to a batch, by a spec or an instance", function()
    local flip = drift.view.flip { axis = "rows" }
    assert.are.same({ { { 4, 5, 6 }, { 1, 2, 3 } } }, flip:apply(picture):totable())
    assert.are.same({ 1, 1, 3, 2 }, drift.view.rotate { degrees = 90 }:apply(picture:reshape(1, 1, 2, 3)).shape)
    assert.are.same(picture:totable(), drift.build(flip):invert(flip:apply(picture)):totable())
    assert.are.same({ { { 0, -1, -2 }, { -3, -4, -5 } } }, drift.view.negate { about = 0.5 }:apply(picture):totable())
    assert.are.same(picture:totable(), drift.view.negate { about = 0.5 }:invert(drift.view.negate { about = 0.5 }:apply(picture)):totable())
    refused(function() return flip:apply(drift.tensor { 1, 2 }) end, "view flip takes images [B,C,H,W] or one, [C,H,W], not f32[2]")
    refused(function() return drift.view.rotate { degrees = 45 }:apply(picture) end, "view rotate: degrees")
    refused(function() return drift.view.flip { axis = "diagonal" } end, "axis = 'diagonal' is not one of rows|columns")
  end)

  it("is any permutation of pixels: a list, a tensor, a function", function()
    local square = drift.tensor { { { 1, 2 }, { 3, 4 } } }
    local list, order = {}, drift.tensor({ { 3, 2 }, { 1, 0 } }, "i32")
    assert.are.same({ { { 4, 3 }, { 2, 1 } } }, drift.view.permutation { order = { 3, 2, 1, 0 } }:apply(square):totable())
    assert.are.same({ { { 4, 3 }, { 2, 1 } } }, drift.view.permutation { order = order }:apply(square):totable())
    for i = 1, 32 * 32 do list[i] = (i * 7 - 1) % 1024 end                             -- far more than a list of numbers holds
    local long = drift.view.permutation { order = list }
    local x = noise { 2, 3, 32, 32 }
    assert.are.equal(x[2][3][32][32]:item(), long:invert(long:apply(x))[2][3][32][32]:item())
    assert.are.equal(0, far(long:invert(long:apply(x)), x))
    assert.are.equal(x[1][1][1][7]:item(), long:apply(x)[1][1][1][1]:item())
    local sizes = 0
    local mirror = drift.view.permutation { from = function(row, column, _, W)
      if row == 0 and column == 0 then sizes = sizes + 1 end
      return row * W + W - 1 - column
    end }:instance()
    for _ = 1, 3 do assert.are.same({ { { 3, 2, 1 }, { 6, 5, 4 } } }, mirror:apply(picture):totable()) end
    assert.are.equal(1, sizes)                                                         -- asked once for a size
    local within
    within = drift.view.permutation { from = function(row, column, H, W)                -- which may look through itself
      if H == 16 and row + column == 3 then within:apply(drift.ones { 1, 2, 2 }) end
      return (H - 1 - row) * W + column
    end }:instance()
    local tall = noise { 1, 1, 16, 16 }
    assert.are.equal(0, far(within:apply(tall), drift.view.flip {}:apply(tall)))
    refused(function() return drift.build(drift.view.permutation { order = { 0, 1, 1, 2 } }) end, "pixel 1 is taken twice")
    refused(function() return drift.view.permutation { from = function() return 9 end }:apply(picture) end, "= 9 is outside [0, 5]")
    refused(function() return drift.view.permutation { from = function() error "no idea" end }:apply(picture) end, "no idea")
  end)

  it("is any linear map that the script writes", function()
    local swap = drift.view.custom { apply = function(x) return drift.concat({ x:narrow(1, 1, 2), x:narrow(1, 0, 1) }, 1) end,
                                     invert = function(y) return drift.concat({ y:narrow(1, 2, 1), y:narrow(1, 0, 2) }, 1) end }
    local x = noise { 2, 3, 4, 4 }
    assert.are.equal(0, far(swap:invert(swap:apply(x)), x))
    assert.are.equal(x[1][2][1][1]:item(), swap:apply(x)[1][1][1][1]:item())
    refused(function() return drift.view.custom { apply = function() return 3 end, invert = function() end }:apply(x) end,
            "returned a number", "wants a tensor")
    refused(function() return drift.build(drift.view.custom { invert = function(x_t) return x_t end }) end, "apply is required")
  end)

  it("has a hash of its pixels", function()
    local function permuted(...) return drift.view.permutation { order = { ... } } end
    assert.are.equal(permuted(1, 0, 2, 3):hash(), permuted(1, 0, 2, 3):hash())
    assert.are_not.equal(permuted(1, 0, 2, 3):hash(), permuted(0, 1, 2, 3):hash())
  end)
end)

describe("a filter", function()
  it("is applied to a picture or to a batch, and may be a function", function()
    local picture = drift.ones { 3, 28, 28 } * 0.25
    assert.is_true(far(drift.filter.gaussian_blur {}:apply(picture), picture) < 1e-6)
    local half = drift.filter.custom { apply = function(x) return x * 0.5 end }
    assert.are.equal(0, far(half:apply(picture), picture * 0.5))
    refused(function() return drift.build(drift.filter.box { kernel = 4 }) end, "kernel = 4 must be odd")
  end)
end)

-- A network of flow matching's velocity, whose condition is a label; without it the answer is that of label 0.
local net = drift.build(drift.net {
  name = "tilted",
  forward = function(_, x, c)
    local rows = drift.arange(8):reshape(1, 1, 8, 1) * 0.1 - 0.35
    local label = (c.label:cast "f32" * c.mask):reshape(-1, 1, 1, 1)
    return label * rows - x * 0.5
  end,
})
local process = drift.process.flow_matching {}

local function draw(o)
  o.model, o.process, o.shape, o.quiet, o.n = net, process, { 2, 8, 8 }, true, o.labels and #o.labels or o.n or 3
  o.sampler = o.sampler or drift.sampler.euler { steps = 4 }
  return drift.sample(o)
end

describe("an anagram", function()
  local flip = drift.view.flip {}
  local anagram = drift.guidance.anagram { views = { "identity", flip } }
  local cfg = drift.guidance.cfg { scale = 3 }

  it("of one condition seen upside down is a picture that looks the same both ways", function()
    local x = noise { 3, 2, 8, 8 }
    x = (x + flip:apply(x)) * 0.5
    local conditions = { { label = 2 }, { label = 2 } }
    local y = draw { conditions = conditions, guidance = { cfg, anagram }, x = x }
    assert.are.equal(0, far(flip:apply(y), y))
    assert.is_true(far(draw { labels = { 2, 2, 2 }, guidance = cfg, x = x }, y) > 0.1)
  end)

  it("is the same in batches of any size, and with cfg inside or outside", function()
    local conditions = { { label = { 1, 2, 3 } }, { label = { 3, 1, 1 } } }
    local all = draw { conditions = conditions, guidance = { cfg, anagram } }
    assert.are.equal(0, far(draw { conditions = conditions, guidance = { cfg, anagram }, batch = 2 }, all))
    assert.is_true(far(draw { conditions = conditions, guidance = { anagram, cfg } }, all) < 1e-5)
  end)

  it("is as far with labels swapped as its picture is upside down", function()
    local x = noise { 3, 2, 8, 8 }
    local one = draw { conditions = { { label = 1 }, { label = 3 } }, guidance = { cfg, anagram }, x = x }
    local other = draw { conditions = { { label = 3 }, { label = 1 } }, guidance = { cfg, anagram }, x = flip:apply(x) }
    assert.is_true(far(flip:apply(one), other) < 1e-6)
  end)

  it("stands inside clips and inpainting", function()
    local known = noise { 3, 2, 8, 8 } * 0.2
    local mask = drift.zeros { 1, 1, 8, 8 }
    mask[1][1][2] = 1
    local y = draw { conditions = { { label = 1 }, { label = 3 } }, guidance = { cfg, anagram }, clip = drift.clip.range { min = -0.5, max = 0.5 },
                     each = function(step, steps, _, x) return step == steps and mask * x + (1 - mask) * known or x end }
    assert.are.equal(0, far(y * (1 - mask), known * (1 - mask)))
    assert.is_true((y * mask):abs():amax():item() <= 0.5 + 1e-6)
  end)

  it("takes turns, a view a step", function()
    local turns = drift.guidance.anagram { views = { "identity", flip }, combine = "alternate" }
    local x = noise { 1, 2, 8, 8 }
    local conditions = { { label = 1 }, { label = 3 } }
    local function from(start, times, step)
      return draw { conditions = conditions, guidance = turns, x = start, grid = times, step = step, n = 1 }
    end
    local first = from(x, { 0, 0.5 }, 0)
    assert.is_true(far(first, draw { labels = { 1 }, x = x, grid = { 0, 0.5 } }) < 1e-6)
    local second = flip:apply(draw { labels = { 3 }, x = flip:apply(first), grid = { 0.5, 1 } })
    assert.is_true(far(from(x, { 0, 0.5, 1 }), second) < 1e-6)
    assert.is_true(far(from(first, { 0.5, 1 }, 1), second) < 1e-6)                    -- a run that goes on counting
  end)

  it("says what it misses", function()
    refused(function() return draw { labels = { 1, 2, 3 }, guidance = anagram } end, "2 views take a condition each", "there is 1")
    refused(function() return draw { conditions = { { label = 1 }, { label = 2 }, { label = 3 }, { label = 4 } }, guidance = anagram } end,
            "more were given than the guidance uses")
    refused(function() return drift.guidance.anagram { views = { "identity", drift.filter.box {} } } end,
            "guidance anagram: views[2] must be a view, not filter box")
    refused(function() return drift.guidance.anagram { views = { "flop" } } end, "views[1]", "did you mean 'flip'?")
  end)
end)

describe("a hybrid", function()
  it("has the low-pass of one condition's picture and the rest of another's", function()
    local low = drift.filter.box { kernel = 3, reference_size = 0 }
    local x = noise { 3, 2, 8, 8 }
    local far_one, near_one = draw { labels = { 1, 1, 1 }, x = x }, draw { labels = { 3, 3, 3 }, x = x }
    local y = draw { conditions = { { label = 1 }, { label = 3 } }, guidance = drift.guidance.hybrid { filters = { low } }, x = x }
    assert.is_true(far(y, low:apply(far_one) + near_one - low:apply(near_one)) < 1e-5)
  end)

  it("may be made of anagrams, four conditions in all", function()
    local guidance = { drift.guidance.anagram { views = { "identity", drift.view.negate {} } },
                       drift.guidance.hybrid { filters = { drift.filter.grayscale {} } } }
    local y = draw { conditions = { { label = 1 }, { label = 2 }, { label = 3 }, { label = 4 } }, guidance = guidance }
    assert.are.same({ 3, 2, 8, 8 }, y.shape)
    refused(function() return draw { conditions = { { label = 1 }, { label = 2 } }, guidance = guidance } end,
            "2 views take a condition each")
  end)
end)
