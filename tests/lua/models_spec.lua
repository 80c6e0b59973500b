-- The models beside the cs180_unet, tiny: shapes, gradients, files, the null class, rows that do not see each other, and
-- that each can learn. And the blocks and sites that they are made of, against ops put together by hand.
local drift = require "drift"

drift.use "cpu"

-- Each as a function of { classes =, channels = }, and the side of its images.
local models = {
  improved_unet = { 16, function(o) return drift.models.improved_unet { hidden = 8, classes = o.classes, in_channels = o.channels, width = 16 } end },
  adm_unet = { 16, function(o)
    return drift.models.adm_unet { hidden = 8, mult = { 1, 2, 2 }, size = 16, attention = { 4, 8 }, heads = 2,
                                   classes = o.classes, in_channels = o.channels }
  end },
  ddpmpp = { 16, function(o)
    return drift.models.adm_unet { hidden = 8, mult = { 1, 2 }, size = 16, attention = {}, heads = 2, conditioning = "embedding_add",
                                   skip_scaling = true, classes = o.classes, in_channels = o.channels }
  end },
  dit = { 16, function(o)
    return drift.models.dit { hidden = 16, depth = 2, heads = 2, patch = 4, size = 16, classes = o.classes, in_channels = o.channels }
  end },
  cs180_film = { 28, function(o)
    return drift.models.cs180_unet { hidden = 4, conditioning = "film", classes = o.classes or 0, in_channels = o.channels }
  end },
}
local names = {}
for name in pairs(models) do names[#names + 1] = name end
table.sort(names)

local function build(name, options, seed) return drift.build(models[name][2](options or { classes = 10 }), { seed = seed or 1 }) end
local function images(name, n, channels, purpose)
  return drift.randn { n, channels or 1, models[name][1], models[name][1], purpose = purpose or "image" }
end
local function condition() return { time = drift.tensor { 0.25, 0.75 }, label = drift.tensor({ 3, 7 }, "i32") } end
local function distance(a, b) return (a - b):abs():amax():item() end

-- Zeros at the start would hide what is behind them.
local function shake(net)
  drift.no_grad(function()
    for i, w in ipairs(net:parameters()) do
      local noise = drift.randn { purpose = "shake", step = i, table.unpack(w.tensor.shape) }
      w.tensor:assign(w.tensor + noise * 0.1)
    end
  end)
  return net
end

for _, name in ipairs(names) do
  describe(name, function()
    it("keeps the image's shape", function()
      local side = models[name][1]
      assert.same({ 2, 1, side, side }, build(name)(images(name, 2), condition()).shape)
      assert.same({ 1, 3, side, side }, build(name, { channels = 3 })(images(name, 1, 3), { time = drift.tensor { 0.5 } }).shape)
    end)

    it("gives every weight a gradient", function()
      local net = shake(build(name))
      local y = net(images(name, 2), condition())
      drift.op.mse(y, images(name, 2, 1, "target")):backward()
      for _, w in ipairs(net:parameters()) do
        assert.is_truthy(w.tensor.grad, w.path .. " has no gradient")
        local size = w.tensor.grad:abs():amax():item()
        assert.is_true(size > 0 and size < math.huge, w.path .. " has the gradient " .. size)
      end
    end)

    it("depends on time and class, and is the null class where the mask drops it", function()
      local net, x = shake(build(name)):eval(), images(name, 2)
      local c = condition()
      local y = net(x, c)
      assert.is_true(distance(y, net(x, { time = drift.tensor { 0.5, 0.75 }, label = c.label })) > 1e-4)
      assert.is_true(distance(y, net(x, { time = c.time, label = drift.tensor({ 4, 7 }, "i32") })) > 1e-4)
      local null = net(x, { time = c.time })
      local dropped = net(x, { time = c.time, label = c.label, mask = drift.tensor { 0, 0 } })
      assert.equal(0, distance(null, dropped))
      local half = net(x, { time = c.time, label = c.label, mask = drift.tensor { 1, 0 } })
      assert.is_true(distance(half[1], y[1]) < 1e-5)
      assert.is_true(distance(half[2], null[2]) < 1e-5)
      assert.is_true(distance(y, null) > 1e-4)
    end)

    it("knows nothing of classes without them", function()
      local net, x, c = shake(build(name, {})):eval(), images(name, 2), condition()
      assert.equal(0, distance(net(x, c), net(x, { time = c.time })))
    end)

    it("treats each image alone", function()
      local net, x, c = shake(build(name)):eval(), images(name, 2), condition()
      local both = net(x, c)
      for i = 0, 1 do
        local own = { time = c.time:narrow(0, i, 1), label = c.label:narrow(0, i, 1) }
        assert.is_true(distance(net(x:narrow(0, i, 1), own), both:narrow(0, i, 1)) < 1e-4)
      end
    end)

    it("survives a file", function()
      local first, second = shake(build(name)):eval(), build(name, nil, 2):eval()
      local x, c = images(name, 2), condition()
      assert.is_true(distance(first(x, c), second(x, c)) > 1e-3)
      local path = os.tmpname()
      first:save(path)
      second:load(path)
      os.remove(path)
      assert.equal(0, distance(first(x, c), second(x, c)))
    end)

    it("learns eight images by heart", function()
      local net = build(name)
      local opt = drift.optimizer(drift.optim.adam { lr = 5e-3 }, net)
      local digits = drift.instance(drift.dataset.mnist { path = drift.home .. "/tests/data/mnist" }, "dataset").train
      local x0, label = digits:batch { 1, 2, 3, 4, 5, 6, 7, 8 }
      local side = models[name][1]
      x0 = x0:narrow(2, (28 - side) // 2, side):narrow(3, (28 - side) // 2, side)
      local time, eps = drift.tensor { .1, .2, .3, .4, .5, .6, .7, .8 }, images(name, 8)
      local t = time:reshape(8, 1, 1, 1)
      local x_t, target = x0 * t + eps * (1 - t), x0 - eps
      local first, last
      for _ = 1, 30 do
        drift.scope(function()
          local loss = drift.op.mse(net(x_t, { time = time, label = label }), target)
          loss:backward()
          opt:step()
          last = loss:item()
          first = first or last
        end)
      end
      print(("# %s: %.3f -> %.3f"):format(name, first, last))
      assert.is_true(last < 0.5 * first, ("%g became %g"):format(first, last))
    end)
  end)
end

describe("models", function()
  it("that start at zero give zero", function()
    for _, name in ipairs { "adm_unet", "dit" } do
      assert.equal(0, build(name)(images(name, 2), condition()):abs():amax():item())
    end
  end)

  it("say what they cannot be", function()
    local function message(f, ...) return select(2, pcall(f, ...)) end
    assert.matches("level 3 has 7 pixels a side and cannot be halved", message(drift.models.adm_unet, { mult = { 1, 2, 2, 2 } }))
    assert.matches("size = 28 cannot be cut into patches of 3", message(drift.models.dit, { patch = 3 }))
    assert.matches("no option 'hiden'; did you mean 'hidden'", message(drift.models.improved_unet, { hiden = 4 }))
    assert.matches("hidden = 0 should be a whole number", message(drift.models.improved_unet, { hidden = 0 }))
    assert.matches("conditioning is a scheme's name", message(drift.models.dit, { conditioning = 3 }))
    assert.matches("instead of time and class", message(drift.models.cs180_unet, { conditioning = "film", time = "add" }))
    local net = build "improved_unet"
    assert.matches("without a time", message(net, images("improved_unet", 1)))
    assert.matches("made for images %[B,1,16,16%]", message(build "dit", images("cs180_film", 1), { time = drift.tensor { 0.5 } }))
    local odd = drift.models.adm_unet { hidden = 4, heads = 1, attention = {} }
    assert.matches("29x29 pixels cannot be halved", message(odd, drift.randn { 1, 1, 29, 29, purpose = "odd" }, { time = drift.tensor { 0.5 } }))
  end)

  it("take any scheme at their sites, by name, as a spec or as a function", function()
    local x, c, other = images("cs180_film", 2), condition(), condition()
    other.label = drift.tensor({ 4, 7 }, "i32")
    local choices = { function(channels) return drift.conditioning.cross_attention { channels = channels, width = 16 } end,
                      drift.conditioning.film { width = 16, time = drift.block.fourier_embedding { dim = 8, scale = 2 } } }
    for _, scheme in ipairs(drift.components "conditioning") do
      if scheme.plugin == "conditioning" then choices[#choices + 1] = scheme.name end
    end
    assert.is_true(#choices >= 10)
    for _, choice in ipairs(choices) do
      local net = shake(drift.build(drift.models.cs180_unet { hidden = 2, conditioning = choice }, { seed = 1 })):eval()
      local y = net(x, c)
      assert.same({ 2, 1, 28, 28 }, y.shape)
      local later = distance(y, net(x, { time = drift.tensor { 0.5, 0.75 }, label = c.label }))
      assert.is_true(later > 0, ("%s: time changes nothing"):format(tostring(choice)))
      if choice ~= "time_add" and choice ~= "time_scale" then assert.is_true(distance(y, net(x, other)) > 0, tostring(choice)) end
    end
  end)

  it("have a skip from the first map to the last", function()
    local net, c = shake(build "improved_unet"):eval(), condition()
    drift.no_grad(function()
      net.up:named()[1].tensor:fill(0)                           -- nothing comes from below
      net.up:named()[2].tensor:fill(0)
    end)
    assert.is_true(distance(net(images("improved_unet", 2), c), net(images("improved_unet", 2, 1, "other"), c)) > 1e-3)
  end)

  it("drop values in training alone", function()
    local net = shake(drift.build(drift.models.adm_unet { hidden = 8, mult = { 1, 2 }, size = 16, attention = {}, dropout = 0.5 }, { seed = 1 }))
    local x, c = images("adm_unet", 2), condition()
    net:stream(0, 0, 0)
    local first = net:train()(x, c)
    net:stream(0, 0, 0)
    assert.equal(0, distance(first, net(x, c)))                  -- keyed by the step, not by the order of calls
    net:stream(0, 0, 2)
    assert.is_true(distance(first, net(x, c)) > 1e-3)
    net:eval()
    assert.equal(0, distance(net(x, c), net(x, c)))
  end)
end)

-- The attention of a transformer_block, from its weights, for tokens [2,5,8] and two heads.
local function attention_of(w)
  return function(h)
    local function heads(y) return y:reshape(2, 5, 2, 4):transpose(1, 2) end
    local q = heads(h:linear(w["attention.q.weight"], w["attention.q.bias"]))
    local kv = h:linear(w["attention.kv.weight"], w["attention.kv.bias"])
    local y = drift.op.attention(q, heads(kv:narrow(2, 0, 8)), heads(kv:narrow(2, 8, 8)))
    return y:transpose(1, 2):reshape(2, 5, 8):linear(w["attention.out.weight"], w["attention.out.bias"])
  end
end

-- ---- what they are made of, by hand -----------------------------------------------------------------------------------
describe("blocks", function()
  it("embed a time as the op does, and as random waves", function()
    local t = drift.tensor { 0, 0.2, 0.7 }
    local block = drift.build(drift.block.sinusoidal_embedding { dim = 10, scale = 100, flip = true })
    local expected = (t * 100):timestep_embedding { dim = 10, flip = true }
    assert.is_true(distance(block(t), expected) < 1e-6)
    assert.is_true(distance(block(t:reshape(3, 1)), expected) < 1e-6)
    assert.same({ 3, 128 }, drift.build(drift.block.sinusoidal_embedding {})(t).shape)

    local spec = drift.block.fourier_embedding { dim = 200, scale = 4 }
    local a, b = drift.build(spec, { seed = 1 }), drift.build(spec, { seed = 2 })
    local f = a:named()[1]
    assert.equal("frequencies", f.path)
    assert.is_true(f.buffer)
    local spread = (f.tensor ^ 2):mean():item() ^ 0.5            -- 100 draws: 4 within a quarter
    assert.is_true(spread > 3 and spread < 5, "deviation " .. spread)
    local angle = t:reshape(3, 1) * f.tensor * (2 * math.pi)
    assert.is_true(distance(a(t), drift.concat({ angle:cos(), angle:sin() }, 1)) < 1e-6)
    assert.is_true(distance(a(t), b(t)) > 0.1)
    b:load_state_dict(a:state_dict())
    assert.equal(0, distance(a(t), b(t)))
  end)

  it("attend as the ops do", function()
    local net = shake(drift.build(drift.block.self_attention { channels = 8, heads = 2, groups = 2, skip_scale = 0.5 }, { seed = 1 }))
    local w, x = net:state_dict(), drift.randn { 2, 8, 3, 4, purpose = "x" }
    local h = x:group_norm_act(w["norm.weight"], w["norm.bias"], { groups = 2 })
    h = h:reshape(2, 8, 12):transpose(1, 2)                      -- [2,12,8]
    local function heads(y) return y:reshape(2, 12, 2, 4):transpose(1, 2) end   -- [2,2,12,4]
    local q = heads(h:linear(w["attention.q.weight"], w["attention.q.bias"]))
    local kv = h:linear(w["attention.kv.weight"], w["attention.kv.bias"])
    local k, v = heads(kv:narrow(2, 0, 8)), heads(kv:narrow(2, 8, 8))
    local scores = (q:matmul(k:transpose(2, 3)) / 2):softmax(-1) -- sqrt(4)
    local y = scores:matmul(v):transpose(1, 2):reshape(2, 12, 8)
    y = y:linear(w["attention.out.weight"], w["attention.out.bias"]):transpose(1, 2):reshape(2, 8, 3, 4)
    assert.is_true(distance(net(x), (x + y) * 0.5) < 1e-5)
  end)

  it("have a site before, after and instead of their norm", function()
    local x, e_of = drift.randn { 2, 4, 6, 6, purpose = "x" }, { time = drift.tensor { 0.2, 0.7 } }
    local cond = shake(drift.build(drift.conditioning.film { channels = { 3, 8 }, classes = 0, width = 8 }, { seed = 1 }))
    local e = cond:embed(e_of)
    for _, site in ipairs { "before_norm", "after_norm", "instead_of_norm" } do
      local net = shake(drift.build(drift.block.res_block { in_channels = 4, out_channels = 8, groups = 2, site = site, resample = "up" }, { seed = 1 }))
      local w = net:state_dict()
      local function up(v) return v:resize { mode = "nearest", height = 12, width = 12 } end
      local h = up(x:group_norm_act(w["norm1.weight"], w["norm1.bias"], { groups = 1, act = "silu" }))
      h = h:conv2d(w["conv1.weight"], w["conv1.bias"], { padding = 1 })
      local function film(v) return v * e.scale[2]:reshape(2, 8, 1, 1) + e.shift[2]:reshape(2, 8, 1, 1) end
      local function norm(v) return v:group_norm_act(w["norm2.weight"], w["norm2.bias"], { groups = 2 }) end
      if site == "before_norm" then h = norm(film(h)) elseif site == "after_norm" then h = film(norm(h)) else h = film(h) end
      h = h:silu():conv2d(w["conv2.weight"], w["conv2.bias"], { padding = 1 })
      local expected = up(x):conv2d(w["skip.weight"], w["skip.bias"]) + h
      assert.is_true(distance(net(x, cond:at(2, e)), expected) < 1e-4, site)
      assert.is_true(distance(net(x), expected) > 1e-3, site)
    end
  end)

  it("gate their branches", function()
    local x = drift.randn { 2, 5, 8, purpose = "x" }
    local cond = drift.build(drift.conditioning.adaln_zero { channels = { 8, 8 }, width = 8 }, { seed = 1 })
    local net = drift.build(drift.block.transformer_block { dim = 8, heads = 2, norm = false }, { seed = 1 })
    local c = condition()
    assert.equal(0, distance(net(x, cond:at(1, cond:embed(c))), x)) -- zero gates: x itself
    local e = shake(cond):embed(c)
    local function branch(site, v, f)
      local gate = e.gate[site]:reshape(2, 1, 8)
      local h = cond:modulate(site, v, e)
      assert.is_true(distance(cond:gate(site, h, e), h * gate) < 1e-6)
      return v + f(h) * gate
    end
    local res = drift.build(drift.block.res_block { in_channels = 8, out_channels = 8, site = "instead_of_norm" }, { seed = 1 })
    local map = drift.randn { 2, 8, 4, 4, purpose = "map" }
    assert.is_true(distance(res(map, cond:at(1, e)), map) > 1e-3)
    local fresh = drift.build(drift.conditioning.adaln_zero { channels = { 8 }, width = 8 }, { seed = 1 })
    assert.equal(0, distance(res(map, fresh:at(1, fresh:embed(c))), map))
    local w = net:state_dict()
    local h = branch(1, x, attention_of(w))
    h = branch(2, h, function(v)
      return v:linear(w["mlp.0.weight"], w["mlp.0.bias"]):gelu("tanh"):linear(w["mlp.2.weight"], w["mlp.2.bias"])
    end)
    assert.is_true(distance(net(x, cond:at(1, e)), h) < 1e-5)
  end)

  it("cut images into patches and put them together again", function()
    local x = drift.randn { 2, 3, 4, 8, purpose = "x" }
    local cut = drift.build(drift.block.patch_embed { in_channels = 3, dim = 12, patch = 2, positions = false }, { seed = 1 })
    local join = drift.build(drift.block.unpatchify { dim = 12, out_channels = 3, patch = 2, columns = 4 }, { seed = 1 })
    local one = {}                                               -- token feature (u, v, c) is pixel (u, v) of channel c
    for f = 0, 11 do
      local u, v, c = f // 6, f // 3 % 2, f % 3
      for ch = 0, 2 do
        for i = 0, 3 do one[#one + 1] = (ch == c and i == 2 * u + v) and 1 or 0 end
      end
    end
    drift.no_grad(function()
      local w = cut:state_dict()
      w["project.weight"]:assign(drift.tensor(one):reshape(12, 3, 2, 2))
      w["project.bias"]:fill(0)
      w = join:state_dict()
      local eye = {}
      for i = 0, 143 do eye[i + 1] = i // 12 == i % 12 and 1 or 0 end
      w["project.weight"]:assign(drift.tensor(eye):reshape(12, 12))
      w["project.bias"]:fill(0)
    end)
    assert.same({ 2, 8, 12 }, cut(x).shape)
    assert.is_true(distance(join(cut(x)), x) < 1e-6)

    local placed = drift.build(drift.block.patch_embed { in_channels = 3, dim = 12, patch = 2 }, { seed = 1 })
    placed:load_state_dict(cut:state_dict())
    local position = (placed(x) - cut(x)):totable()[2]            -- the same for all images; token l = 4 row + column
    for row = 0, 1 do
      for column = 0, 3 do
        local token = position[4 * row + column + 1]
        for i = 0, 2 do
          local f = 10000 ^ (-i / 3)
          for k, expected in ipairs { math.sin(row * f), math.cos(row * f), math.sin(column * f), math.cos(column * f) } do
            assert.is_true(math.abs(token[3 * (k - 1) + i + 1] - expected) < 1e-5)
          end
        end
      end
    end
  end)
end)
