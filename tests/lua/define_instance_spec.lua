-- Instances of components written in Lua: their parameters and state, what they are lent and for how long; errors name the place,
-- and the program goes on; nothing that a function does on the way ends it.
local drift = require "drift"
local shared = require "lua_components"
local define = drift.define
local B, flow, x0, eps, same, refused, fresh, block, steps = shared.B, shared.flow, shared.x0, shared.eps, shared.same, shared.refused, shared.fresh, shared.block, shared.steps

describe("an instance", function()
  it("has its parameters of every type", function()
    local seen
    local name = fresh "decay"
    define.decay { name = name, doc = "all types", params = {
      { "a", "int", default = 3, min = 0, max = 9 }, { "b", "real", default = 0.5, min = 0, max = 1 }, { "c", "bool", default = true },
      { "d", "string", default = "text" }, { "e", "enum", choices = "x|y|z", default = "y" }, { "f", "ints", min = 0, max = 9 },
      { "g", "reals" }, { "h", "function", signature = "real(real)" }, { "i", "component", kind = "schedule", default = "linear" },
      { "j", "components", kind = "view" }, { "k", "tensor", dtype = "i32" }, { "l", "string" } },
      factor = function(self) seen = self return self.h and self.h(2) or 1 end }
    assert.equal(1, drift.decay[name] {}:factor(1, 2))
    assert.same({ 3, 0.5, true, "text", "y" }, { seen.a, seen.b, seen.c, seen.d, seen.e })
    assert.same({ {}, {} }, { seen.f, seen.g })
    assert.is_nil(seen.h or seen.k or seen.l)
    assert.equal(drift.schedule.linear {}:beta(1, 3), seen.i:beta(1, 3))
    local spec = drift.decay[name] { a = 4, e = "z", f = { 1, 2 }, g = { 0.5 }, h = function(x) return 3 * x end,
                                     i = drift.schedule.lua_linear { beta_end = 0.5 }, j = { "identity", drift.view.flip {} }, k = { 7, 8 }, l = "q" }
    assert.equal(6, spec:factor(1, 2))
    assert.same({ 4, "z", { 1, 2 }, { 0.5 }, "q" }, { seen.a, seen.e, seen.f, seen.g, seen.l })
    assert.equal(0.5, seen.i:beta(2, 3))
    same(seen.j[2]:apply(x0), drift.view.flip {}:apply(x0))
    assert.same({ 7, 8 }, seen.k:totable())
    assert.is_truthy(drift.help(name):find("x, y, z", 1, true))
  end)

  it("has a state of its own, which ends with it", function()
    local name, gone, states = fresh "view", 0, setmetatable({}, { __mode = "k" })
    define.view { name = name, doc = "counts", create = function(self) self.n = 0; states[self] = true end,
                  destroy = function() gone = gone + 1 end,
                  apply = function(self, x) self.n = self.n + 1; return x + self.n end, invert = function(_, x) return x end }
    local a, b = drift.build(drift.view[name] {}), drift.build(drift.view[name] {})
    a:apply(x0)
    same(a:apply(x0), x0 + 2)
    same(b:apply(x0), x0 + 1)
    a, b = nil, nil
    for _ = 1, 3 do collectgarbage() end
    assert.equal(2, gone)
    assert.is_nil(next(states))
  end)

  it("takes with it what was lent to it", function()
    local kept = {}
    local name = fresh "block"
    define.block { name = name, doc = "lends", params = { { "inner", "component", kind = "block" } },
                   create = function(self, b)
                     kept.builder, kept.inner = b, self.inner
                     kept.part = b:child("inner", self.inner or drift.block.linear { in_features = 2, out_features = 2 })
                     kept.weight = kept.part:weight "weight"
                   end,
                   forward = function(self, x, ctx) kept.ctx, kept.x = ctx, x return kept.part(x) end }
    local net = drift.build(drift.block[name] { inner = drift.block.lua_linear { in_features = 2, out_features = 3 } })
    assert.same({ 4, 3 }, net(drift.zeros(4, 2)).shape)
    refused(function() return kept.builder:weight("w", { 1 }) end, "this builder belonged to a call that has ended")
    refused(function() return kept.ctx:training() end, "this context belonged to a call that has ended")
    refused(function() return kept.x:sum() end, "belonged to a scope that has ended")
    assert.same({ 3, 2 }, kept.weight.shape)
    net = nil
    for _ = 1, 3 do collectgarbage() end
    refused(function() return kept.part(drift.zeros(4, 2)) end, "this part belonged to a network that is gone")
    refused(function() return tostring(kept.inner) end, "this component belonged to another one")
    assert.same({ 3, 2 }, kept.weight.shape)
  end)

  it("may call a function among its parameters to its end, and nobody after that", function()
    local kept, last
    local name = fresh "view"
    define.view { name = name, doc = "with a function", params = { { "h", "function", signature = "real(real)" } },
                  create = function(self) kept = self.h end, destroy = function(self) last = self.h(2) end,
                  apply = function(self, x) return x * self.h(2) end, invert = function(_, x) return x end }
    local view = drift.build(drift.view[name] { h = function(x) return 3 * x end })
    same(view:apply(x0), x0 * 6)
    assert.equal(15, kept(5))
    view = nil
    for _ = 1, 3 do collectgarbage() end
    assert.equal(6, last)
    refused(function() return kept(5) end, "this function belonged to a component that is gone")
  end)

  it("makes children of its own parameters, not of another's, which may end before it", function()
    local stolen
    local lender, thief = fresh "block", fresh "block"
    define.block { name = lender, doc = "lends", params = { { "inner", "component", kind = "block" } },
                   create = function(self, b) stolen = self.inner; self.child = b:child("inner", self.inner) end,
                   forward = function(self, x) return self.child(x) end }
    define.block { name = thief, doc = "takes", create = function(self, b) self.child = b:child("stolen", stolen) end,
                   forward = function(self, x) return self.child(x) end }
    local net = drift.build(drift.block[lender] { inner = drift.block.linear { in_features = 2, out_features = 3 } })
    assert.same({ 4, 3 }, net(drift.zeros(4, 2)).shape)
    refused(function() return drift.build(drift.block[thief] {}) end, "child stolen: a block that is built is a child of the one whose parameter it is")
  end)

  it("leaves no memory behind", function()
    local twice = block(function(_, x) local y = x + 1; return y + 1 end)
    local net = drift.build(twice {})
    local m = drift.model(flow, function(x) return x * 2 end)
    local function work()
      drift.scope(function() net(x0) end)
      drift.scope(function() m:sample { sampler = drift.sampler.lua_euler {}, x = eps } end)
      drift.scope(function() drift.noising(drift.process.lua_flow {}, x0, eps, 0.5) end)
      pcall(drift.scope, function() return net(drift.tensor(1) .. "") end)
    end
    for _ = 1, 3 do work() end
    collectgarbage()
    collectgarbage()
    local before = drift.device():memory().in_use
    for _ = 1, 10 do work() end
    assert.equal(before, drift.device():memory().in_use)
  end)

  it("sees training, further inputs, random numbers and sites in a forward", function()
    local spec = block(function(_, x, ctx)
      local y = ctx:input(1) and x + ctx:input(1) or x
      return ctx:training() and y * ctx:rng("drop"):rand_like(y):greater(0.5):cast "f32" or y
    end)
    local net = drift.build(spec {})
    local x = drift.ones(40)
    net:stream(1, 1, 0)
    local first = net(x)
    net:stream(1, 1, 0)
    same(first, net(x))
    net:stream(1, 2, 0)
    assert.is_false(first:tostring_bytes() == net(x):tostring_bytes())
    net:eval()
    same(x, net(x))
    same(x * 3, net(x, x * 2))
    local sited = block(function(_, x2, ctx) return ctx:gate(1, ctx:modulate(1, x2)) end)
    local outer = drift.build(drift.net { name = "outer", children = { b = sited {}, cond = drift.conditioning.lua_time_add { channels = { 2, 1 } } },
      forward = function(n, h, c) local e = n.cond:embed(c); return n.b(h, n.cond:at(2, e)), n.cond:modulate(2, h, e) end })
    local a, b = outer(x0, { time = drift.ones(B) })
    same(a, b)
  end)

  it("may be part of a net, be saved, and loaded", function()
    local model = drift.net { name = "unet", children = { c = drift.block.lua_conv_block { in_channels = 1, out_channels = 2 } },
                              forward = function(net, x) return net.c(x) end }
    local net = drift.build(model, { seed = 4 })
    net:save "lua.safetensors"
    local again = drift.build(model, { seed = 5 }):load "lua.safetensors"
    net:eval()
    again:eval()
    same(net(x0), again(x0))
    assert.equal("c.c1.conv.0.weight", net:named()[1].path)
  end)
end)

-- ---- errors ---------------------------------------------------------------------------------------------------------
describe("an error", function()
  local function broken(f) return drift.build(drift.net { name = "unet", children = { d1 = block(f) {} }, forward = function(net, x) return net.d1(x) end }) end

  it("names the script's line, the module's path and the definition's line, and the next call works", function()
    local fail = true
    local net = broken(function(_, x) if fail then error "no forward today" end return x end)
    local message = refused(function() return net(x0) end, "unet.d1", "no forward today", "block block_")
    assert.equal(2, select(2, message:gsub("_spec.lua:%d+", "")), message)
    fail = false
    same(x0, net(x0))
  end)

  it("of the core inside names the place once", function()
    local message = refused(function() return broken(function(_, x) return x:matmul(drift.zeros(7, 7)) end)(x0) end, "unet.d1", "matmul")
    assert.equal(1, select(2, message:gsub("unet%.d1", "")), message)
  end)

  it("may be any value", function()
    refused(function() return broken(function() error { code = 7 } end)(x0) end, "unet.d1", "table: ")
    refused(function() return broken(function() error() end)(x0) end, "nil")
    refused(function() return broken(function() error(setmetatable({}, { __tostring = function() return "a sorry table" end })) end)(x0) end, "a sorry table")
    refused(function() return broken(function() error(setmetatable({}, { __tostring = function() error "no" end })) end)(x0) end, "unet.d1")
  end)

  it("is raised where the wrong thing is returned", function()
    refused(function() return broken(function() return 3 end)(x0) end, "unet.d1", "forward of", "must return a tensor, got a number")
    refused(function() return broken(function() end)(x0) end, "got a nil")
    local process = fresh "process"
    define.process { name = process, doc = "wrong", draw_t = function() return "x" end, range = function() return 0 end, coef = function() return { alpa = 1 } end }
    refused(function() return drift.process[process] {}:coef(1) end, "coef must return", "alpha is a nil")
    refused(function() return drift.process[process] {}:range() end, "range of", "t_noise, t_data")
    refused(function() return drift.draw_times(drift.process[process] {}, { purpose = "t" }, 2) end, "must return a number, got a string")
    local coupling = fresh "coupling"
    define.coupling { name = coupling, doc = "wrong", pair = function() return { 1, 1, 2 } end }
    refused(function() return drift.coupling[coupling] {}:pair(x0, eps) end, "no permutation of 3 rows")
    local typo = fresh "process"
    define.process { name = typo, doc = "typo", draw_t = function(_, u) return u end, range = function() return 0, 1 end,
                     coef = function(_, t) return { alpha = t, sigma = 1 - t, dalpha = 1, dsigma = -1, p = 1, q = -1, wieght = 2 } end }
    refused(function() return drift.process[typo] {}:coef(0.5) end, "coef returned a field 'wieght'; did you mean 'weight'?")
  end)

  it("of a yield is clear, and a coroutine may call a component", function()
    refused(function() return broken(function(_, x) coroutine.yield(x) end)(x0) end, "cannot yield")
    local net = broken(function(_, x) return x + coroutine.wrap(function() coroutine.yield(1) end)() end)
    same(x0 + 1, coroutine.wrap(function() return net(x0) end)())
    assert.is_false((coroutine.resume(coroutine.create(function() return broken(function() coroutine.yield() end)(x0) end))))
  end)

  it("ends a component that calls itself, and not the program", function()
    local name = fresh "block"
    local net
    define.block { name = name, doc = "itself", forward = function(_, x) return net(x) end }
    net = drift.build(drift.block[name] {})
    refused(function() return net(x0) end, "inside one another")
    local endless = fresh "block"
    define.block { name = endless, doc = "itself", create = function(_, b) b:child("again", drift.block[endless] {}) end, forward = function(_, x) return x end }
    refused(function() return drift.build(drift.block[endless] {}) end, "inside one another")
    same(x0, drift.build(block(function(_, x) return x end) {})(x0))
  end)

  it("in a sampler or a network ends the sampling alone", function()
    local m = drift.model(flow, function() error "no network" end)
    refused(function() return m:sample { sampler = drift.sampler.lua_euler {}, x = eps } end, "no network")
    local name = fresh "sampler"
    define.sampler { name = name, doc = "wrong", params = steps, step = function(_, _, x) return x:narrow(0, 0, 1) end }
    refused(function() return drift.model(flow, function(x) return x end):sample { sampler = drift.sampler[name] {}, x = eps } end, "x f32[3,1,4,4]")
    refused(function()
      local loud = fresh "sampler"
      define.sampler { name = loud, doc = "loud", params = steps, step = function() error "no step" end }
      return drift.model(flow, function(x) return x end):sample { sampler = drift.sampler[loud] {}, x = eps }
    end, "no step")
  end)

  it("in create leaves no network, and in destroy is a note", function()
    local name = fresh "view"
    define.view { name = name, doc = "ends badly", apply = function(_, x) return x end, invert = function(_, x) return x end, destroy = function() error "no end" end }
    local notes = {}
    drift.on_note(function(line) notes[#notes + 1] = line end)
    local v = drift.build(drift.view[name] {})
    v = nil
    for _ = 1, 3 do collectgarbage() end
    drift.on_note(nil)
    assert.is_truthy((notes[1] or ""):find("no end", 1, true), notes[1])
    refused(function() return drift.build(block(function(_, x) return x end, { create = function(self, b) b:weight("mix", { 2, -1 }) end }) {}) end, "weight 'mix': dimension 1 is -1")
    refused(function() return drift.build(block(function(_, x) return x end, { create = function(self, b) b:child("c", drift.schedule.linear {}) end }) {}) end, "only a block can be a child")
  end)
end)

describe("what a function does on the way", function()
  it("may collect garbage, let go of what runs, and redefine itself", function()
    local name = fresh "block"
    local net
    define.block { name = name, doc = "careless", create = function(self, b) collectgarbage(); self.w = b:weight("w", { 1 }, 2) collectgarbage() end,
                   forward = function(self, x)
                     net = nil
                     for _ = 1, 3 do collectgarbage() end
                     define.block { name = name, doc = "another", replace = true, forward = function(_, y) return y end }
                     collectgarbage()
                     return x * self.w
                   end }
    net = drift.build(drift.block[name] {})
    same(x0 * 2, net(x0))
    same(x0, drift.build(drift.block[name] {})(x0))
    local view, made = fresh "view", 0
    define.view { name = view, doc = "makes another at its end", apply = function(_, x) return x end, invert = function(_, x) return x end,
                  destroy = function() made = made + 1 if made < 3 then drift.build(drift.view[view] {}):apply(x0) end end }
    drift.build(drift.view[view] {})
    for _ = 1, 6 do collectgarbage() end
    assert.equal(3, made)
  end)

  it("may spoil its own self, and its arguments", function()
    local spec = block(function(self, x)
      for key in pairs(self) do self[key] = nil end
      setmetatable(self, { __index = function() error "no field" end })
      return x
    end, { params = { { "a", "int", default = 1 } }, create = function(self, b) self.b = b; self.self = self end })
    local net = drift.build(spec {})
    same(x0, net(x0))
    same(x0, net(x0))
    local name = fresh "optim"
    define.optim { name = name, doc = "spoils", slots = { "m" }, params = { { "lr", "real", default = 1, min = 0, max = 9 } },
                   step = function(_, s) for i = 1, s.n do s.param[i]:assign(s.param[i] - s.grad[i]) end s.param, s.slot.m = nil, 3 end }
    local w = drift.tensor({ 5 }):requires_grad(true)
    local opt = drift.optimizer(drift.optim[name] {}, { { path = "w", tensor = w } })
    for _ = 1, 2 do w:sum():backward() opt:step() end
    assert.same({ 3 }, w:totable())
  end)

  it("may fail in a data set, a metric, a tokenizer", function()
    local name, fail = fresh "dataset", nil
    define.dataset { name = name, doc = "fails", open = function() if fail == "open" then error "no file" end end,
                     close = function() if fail == "close" then error "no close" end end,
                     info = function() if fail == "info" then return { n = 2, channels = 0, height = 1, width = 1 } end
                       return { n = 2, channels = 1, height = 2, width = 2, classes = fail == "labels" and 2 or 0 } end,
                     read = function(_, _, i)
                       if fail == "read" then error "no image" end
                       return fail == "small" and drift.zeros(3) or fail == "number" and 3 or drift.full({ 1, 2, 2 }, i), fail == "labels" and "one" or nil
                     end }
    local function all() return drift.build(drift.dataset[name] {}).train:batch { 1, 2 } end
    assert.same({ 2, 1, 2, 2 }, all().shape)
    for what, message in pairs { open = "no file", info = "channels", read = "no image", small = "info promises 4 numbers", number = "an image, a tensor [C,H,W], got a number",
                                 labels = "an image and its label, got a string" } do
      fail = what
      refused(all, message)
      local data = what ~= "open" and what ~= "info" and drift.build(drift.dataset[name] {})
      if data then refused(function() return data:loader { batch = 2 }:read(1, 1) end, message) end
    end
    fail = nil
    same(drift.ones(1, 1, 2, 2), all():narrow(0, 1, 1):contiguous())
    local wrong = fresh "tokenizer"
    define.tokenizer { name = wrong, doc = "wrong", info = function() return { pieces = 3 } end, encode = function(_, text) return { text == "a" and -1 or 1.5 } end,
                       decode = function() return {} end, normalize = function() end }
    local t = drift.tokenizer[wrong] {}
    refused(function() return t:encode "a" end, "encode returned the id -1")
    refused(function() return t:encode "b" end, "a list of ids, got a number")
    refused(function() return t:decode { 1 } end, "a string, got a table")
    refused(function() return t:normalize "x" end, "a string, got a nil")
    local m = fresh "metric"
    define.metric { name = m, doc = "two", values = { { "a" }, { "b", 0, 1, better = "lower" } }, reset = function() end, update = function() end,
                    samples = function() return 3 end, evaluate = function() return { 1 } end }
    refused(function() return drift.metric[m] {}:result {} end, "the metric's values: 2 of them, got 1")
  end)
end)
