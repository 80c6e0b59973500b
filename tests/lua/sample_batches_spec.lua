-- drift.sample cuts its work into batches, which must not show: every image has its own start, its own noise at each
-- step and its own label.
local drift = require "drift"

-- A network whose answer depends on the label, and so does every image from the first step on.
local spec = drift.net {
  name = "by_label",
  children = { { "unused", drift.block.linear { in_features = 1, out_features = 1 } } },
  forward = function(_, x, cond) return x * 0.5 + cond.label:cast("f32"):reshape(-1, 1, 1, 1) end,
}
local net = drift.build(spec)

local function draw(o)
  o.model, o.process, o.shape, o.quiet = net, drift.process.ddpm { T = 4 }, { 1, 2, 2 }, true
  o.sampler = drift.sampler.ddpm {}                                -- draws noise at each step
  return drift.sample(o)
end

describe("drift.sample", function()
  it("gives the same images in batches of any size", function()
    local labels = { 3, 1, 4, 1, 5, 9, 2 }
    local whole = draw { labels = labels, batch = 7 }:totable()
    assert.same(whole, draw { labels = labels, batch = 3 }:totable())
    assert.same(whole, draw { labels = labels, batch = 1 }:totable())
    assert.same({ whole[5], whole[6] }, draw { labels = { 5, 9 }, first = 4 }:totable())
  end)

  it("gives the same bits from a whole UNet, alone and among others", function()
    local unet = drift.build(drift.models.cs180_unet { hidden = 8, time = "add", class = "scale" })
    local labels = {}
    for i = 1, 23 do labels[i] = i % 10 end
    local function sample(o)
      o.model, o.process, o.shape, o.quiet = unet, drift.process.flow_matching {}, { 1, 28, 28 }, true
      o.sampler, o.guidance = drift.sampler.heun { steps = 2 }, drift.guidance.cfg { scale = 5 }
      return drift.sample(o):totable()
    end
    local all = sample { labels = labels, batch = 23 }
    assert.same(all, sample { labels = labels, batch = 4 })
    assert.same({ all[18] }, sample { labels = { labels[18] }, first = 17 })
  end)

  it("gives each image its own noise, and another seed other images", function()
    local labels = { 1, 1 }
    local images = draw { labels = labels }:totable()
    assert.not_same(images[1], images[2])
    assert.not_same(images, draw { labels = labels, seed = 12 }:totable())
  end)

  it("lets guidance ask a further network by name, and leaves its mode as it was", function()
    local other = drift.build(drift.net { name = "other", forward = function(self, x)
      assert.is_false(self:training())
      return x * 0.5
    end })
    other:train()
    local guidance = drift.guidance.autoguidance { scale = 3 }
    local plain = draw { labels = { 2, 7 }, seed = 5 }:totable()
    local guided = draw { labels = { 2, 7 }, seed = 5, guidance = guidance, networks = { weak = other } }:totable()
    assert.not_same(plain, guided)
    assert.same(plain, draw { labels = { 2, 7 }, seed = 5, guidance = guidance, networks = { weak = net } }:totable())
    assert.is_true(other:training())
    assert.has_error(function() draw { labels = { 2 }, guidance = guidance } end)
  end)

  it("starts from noise as strong as the process has it there", function()
    local function start(process, t)                                -- a step of no length changes nothing
      return drift.sample { model = net, process = process, sampler = drift.sampler.euler {}, shape = { 1, 2, 2 },
                            labels = { 1, 2 }, grid = { t, t }, quiet = true }
    end
    local noise = start(drift.process.flow_matching {}, 0)
    local function near(a, b) return (a - b):abs():amax():item() < 1e-4 end
    assert.is_true(near(start(drift.process.edm {}, 80), noise * 80))
    assert.is_true(near(start(drift.process.ve {}, 0.9), noise * drift.process.ve {}:coef(0.9).sigma))
    assert.is_true(near(start(drift.process.vp {}, 1), noise))
  end)
end)
