-- net_spec.lua: networks wired in Lua: building, names of weights, calls, conditioning, errors with the module's path,
-- files, optimizers.
local drift = require "drift"

local function linear(i, o) return drift.block.linear { in_features = i, out_features = o } end

local function mlp(hidden)
    return drift.net {
        name = "mlp", config = { hidden = hidden },
        children = { { "first", linear(2, hidden) }, { "second", linear(hidden, 1) } },
        forward = function(net, x) return net.second(net.first(x):relu()) end,
    }
end

-- A net of one child, which does all.
local function through(name, child, spec)
    local function forward(net, x) return net[child](x) end
    return drift.net { name = name, children = { { child, spec } }, forward = forward }
end

local function refused(f, ...)
    local ok, message = pcall(f)
    assert.is_false(ok)
    for _, part in ipairs { ... } do assert.is_truthy(message:find(part, 1, true), message) end
end

local function paths(net)
    local list = {}
    for i, weight in ipairs(net:named()) do list[i] = weight.path end
    return list
end

describe("a net", function()
    it("names its weights by the children's paths, in their order", function()
        local net = drift.build(mlp(3))
        assert.are.same({ "first.weight", "first.bias", "second.weight", "second.bias" }, paths(net))
        assert.are.equal(2 * 3 + 3 + 3 + 1, net:count())
        assert.are.equal("first", net.first.path)
        assert.are.equal(3, net.config.hidden)
        assert.are.equal("module", drift.type(net))
        local map = drift.net { name = "map", children = { b = linear(1, 1), a = linear(1, 1) } }
        assert.are.same({ "a.weight", "a.bias", "b.weight", "b.bias" }, paths(drift.build(map)))
    end)

    it("puts the weights of inline children at its own place, and nests", function()
        local spec = drift.net {
            name = "outer",
            children = { { "inner", through("inner", "l", linear(1, 1)) } },
            inline = { cond = drift.conditioning.time_add { channels = { 4 } } },
            forward = function(net, x) return net.inner(x) end,
        }
        local net = drift.build(spec)
        local found = {}
        for _, path in ipairs(paths(net)) do found[path] = true end
        assert.is_true(found["inner.l.weight"] and found["t1.net.0.weight"])
        assert.are.equal("outer.inner.l", net.inner.l.place)
    end)

    it("starts from the seed and the path alone", function()
        local a, b = drift.build(mlp(3), { seed = 1 }), drift.build(mlp(3), { seed = 1 })
        local c = drift.build(mlp(3), { seed = 2 })
        local function first(net) return net:parameters()[1].tensor:totable() end
        assert.are.same(first(a), first(b))
        assert.are_not.same(first(a), first(c))
    end)

    it("is a spec with a hash until it is built; the spec can be called", function()
        assert.is_true(mlp(3) == mlp(3))
        assert.is_false(mlp(3) == mlp(4))
        assert.are.equal("net.mlp{hidden=3}", tostring(mlp(3)))
        local t = mlp(3):table()
        assert.are.equal(3, t.params.hidden)
        assert.are.equal("linear", t.children.first.name)
        local spec = mlp(3)
        assert.are.same({ 5, 1 }, spec(drift.zeros(5, 2)).shape)
        assert.is_true(rawequal(spec:instance(), spec:instance()))
        assert.are.equal(4, #spec:parameters())
        assert.are.equal("first", spec.first.path)
    end)

    it("gives back the memory of its forward, but for what it returns", function()
        local net, x = drift.build(mlp(100)), drift.zeros(1000, 2)
        drift.no_grad(function()
            drift.scope(net, x)                                    -- what kernels allocate once
            collectgarbage()
            collectgarbage "stop"
            local before = drift.device():memory().in_use
            drift.scope(function()
                local y = net(x)
                assert.is_true(drift.device():memory().in_use - before < 3 * 4000)
                assert.are.same({ 1000, 1 }, y.shape)
            end)
            assert.are.equal(before, drift.device():memory().in_use)
            collectgarbage "restart"
        end)
    end)

    it("gives every weight a gradient", function()
        local net = drift.build(mlp(3))
        net(drift.randn { 4, 2, purpose = "x" }):square():mean():backward()
        for _, weight in ipairs(net:parameters()) do assert.is_not_nil(weight.tensor.grad, weight.path) end
        net:zero_grad()
        for _, weight in ipairs(net:parameters()) do assert.is_nil(weight.tensor.grad) end
    end)

    it("passes nil and further inputs, and calls its methods in a scope", function()
        local got, lost
        local spec = drift.net {
            name = "n", forward = function(_, ...) got = table.pack(...) return (...) end,
            methods = { double = function(_, x) lost = x + 1 return x * 2 end },
        }
        local net = drift.build(spec)
        local x = drift.ones(1)
        assert.is_true(net(x, nil, 3) == x)
        assert.are.equal(3, got.n)
        assert.are.equal(2, net:double(x):item())
        assert.has_error(function() return lost:item() end)
    end)

    it("says where it was wired wrongly", function()
        refused(function() return drift.net { nme = "x" } end, "net_spec.lua:", "did you mean 'name'?")
        refused(function() return drift.net { name = "x", children = { a = drift.sampler.heun {} } } end,
                "net x: child a must be a block")
        refused(function() return drift.net { name = "x", children = { save = linear(1, 1) } } end,
                "a child cannot be called 'save'")
        local twice = drift.net { name = "x", children = { { "a", linear(1, 1) }, { "a", linear(1, 1) } } }
        refused(function() return drift.build(twice) end, "two weights have the name 'a.weight'")
        refused(function() return drift.build(mlp(3)).frist end, "did you mean 'first'?")
        refused(function() return drift.build(drift.net { name = "x" })(drift.ones(1)) end, "net x has no forward")
    end)

    it("puts the module's path before an error inside", function()
        local net = drift.build(through("unet", "d1", through("i", "l", linear(3, 1))))
        refused(function() return net(drift.zeros(1, 4)) end,
                "net_spec.lua:", "unet.d1.l: linear: weight expects 3 features, got 4")
        local broken = drift.build(drift.net { name = "broken", forward = function(_, x) return x.nothing.at_all end })
        refused(function() return broken { 1 } end, "net_spec.lua:", "(in net broken)")
        local lua = drift.net { name = "z", forward = function() error "my own" end }
        lua = drift.build(through("outer", "in1", lua))
        refused(function() return lua(drift.ones(1)) end, "my own (in net outer.in1)")
    end)
end)

describe("a block written wholly in Lua", function()
    local function scaled(init)
        return drift.net {
            name = "scaled", weights = { gain = { shape = { 2 }, init = init or 1 }, mix = { shape = { 2, 2 }, init = { normal = 0.5 } } },
            forward = function(net, x) return x:linear(net.mix) * net.gain end,
        }
    end

    it("has weights of its own, with names, start values, gradients and files like any other", function()
        local net = drift.build(drift.net { name = "outer", children = { inner = scaled(3) },
                                            forward = function(net, x) return net.inner(x) end })
        assert.same({ "inner.gain", "inner.mix" }, paths(net))
        assert.same({ 3, 3 }, net.inner.gain:totable())
        net(drift.ones(4, 2)):sum():backward()
        for _, weight in ipairs(net:parameters()) do assert.is_true(weight.tensor.grad:abs():sum():item() > 0) end
        net:save "scaled.safetensors"
        local other = drift.build(drift.net { name = "outer", children = { inner = scaled(0) },
                                              forward = function(net, x) return net.inner(x) end }, { seed = 9 })
        other:load "scaled.safetensors"
        assert.same(net(drift.ones(1, 2)):totable(), other(drift.ones(1, 2)):totable())
    end)

    it("learns with an optimizer", function()
        local net = drift.build(scaled())
        local optimizer = drift.optimizer(drift.optim.adam { lr = 0.05 }, net)
        local x, y = drift.tensor { { 1, 0 }, { 0, 1 } }, drift.tensor { { 2, 0 }, { 0, -1 } }
        local first, last
        for _ = 1, 200 do
            local loss = net(x):mse(y)
            loss:backward()
            optimizer:step()
            last = loss:item()
            first = first or last
        end
        assert.is_true(last < 0.01 * first)
    end)

    it("is refused where it cannot be", function()
        refused(function() drift.net { name = "n", weights = { gain = { 2 } } } end, "weight gain must be { shape")
        refused(function() drift.net { name = "n", weights = { train = { shape = { 2 } } } } end, "a weight cannot be called 'train'")
        refused(function()
            drift.build(drift.net { name = "n", weights = { w = { shape = { 2 } } }, children = { w = linear(1, 1) } })
        end, "two things are called 'w'")
    end)
end)

describe("conditioning", function()
    it("embeds once and modulates at each site, counted from 1", function()
        local cond = drift.build(drift.conditioning.class_time { channels = { 4, 2 }, classes = 3 })
        local e = cond:embed { time = drift.tensor { 0.1, 0.9 }, label = drift.tensor({ 0, 2 }, "i32"),
                               mask = drift.tensor { 1, 0 } }
        assert.are.same({ 2, 4, 5, 5 }, cond:modulate(1, drift.ones(2, 4, 5, 5), e).shape)
        assert.are.same({ 2, 2, 5, 5 }, cond:modulate(2, drift.ones(2, 2, 5, 5), e).shape)
        assert.has_error(function() return cond:modulate(0, drift.ones(2, 2, 5, 5), e) end)
        assert.has_error(function() return cond:modulate(17, drift.ones(2, 2, 5, 5), e) end)
        assert.has_error(function() return cond:embed { time = 3 } end)
    end)
end)

describe("files of weights", function()
    local path = os.tmpname()

    it("come back as they were", function()
        local a, b = drift.build(mlp(3), { seed = 1 }), drift.build(mlp(3), { seed = 2 })
        a:save(path, { note = "kept" })
        b:load(path)
        for name, tensor in pairs(a:state_dict()) do
            assert.are.same(tensor:totable(), b:state_dict()[name]:totable())
        end
        assert.are.equal("kept", drift.open(path).metadata.note)
        local c = drift.build(mlp(3), { seed = 3 }):load_state_dict(a:state_dict())
        assert.are.same(a.first:parameters()[1].tensor:totable(), c.first:parameters()[1].tensor:totable())
    end)

    it("that do not fit are refused, with every reason, and change nothing", function()
        drift.build(mlp(3)):save(path)
        local other = drift.build(mlp(4))
        local before = other:parameters()[1].tensor:totable()
        refused(function() return other:load(path) end,
                path, "does not fit net mlp", "first.weight is [3,2], expected [4,2]")
        assert.are.same(before, other:parameters()[1].tensor:totable())
        local more = drift.net { name = "more", children = { { "first", linear(2, 3) }, { "third", linear(1, 1) } } }
        refused(function() return drift.build(more):load(path) end,
                "missing: third.bias, third.weight", "not expected: second.bias, second.weight")
        local loose = drift.build(more, { seed = 9 })
        loose:load(path, { strict = false })
        local saved = drift.load_tensors(path)["first.weight"]
        assert.are.same(saved:totable(), loose.first:parameters()[1].tensor:totable())
        refused(function() return other:load "no_such_file" end, "no_such_file")
    end)

    it("hold a network and its optimizer under prefixes", function()
        local net = drift.build(mlp(3), { seed = 1 })
        local opt = drift.optimizer(drift.optim.adam { lr = 1e-2 }, net)
        local x = drift.randn { 8, 2, purpose = "x" }
        local function step(n, o)
            n(x):square():mean():backward()
            o:step()
        end
        step(net, opt)
        drift.writer():net(net, "model."):optimizer(opt, "optim."):metadata("epoch", "1"):commit(path)
        local file = drift.open(path)
        local net2 = drift.build(mlp(3), { seed = 5 }):load(file, { prefix = "model." })
        local opt2 = drift.optimizer(drift.optim.adam { lr = 1e-2 }, net2)
        opt2:load(file, "optim.")
        assert.are.equal(1, opt2:steps())
        step(net, opt)
        step(net2, opt2)
        for name, tensor in pairs(net:state_dict()) do
            assert.are.same(tensor:totable(), net2:state_dict()[name]:totable())
        end
        os.remove(path)
    end)
end)

describe("an optimizer", function()
    it("learns", function()
        local net = drift.build(mlp(16), { seed = 1 })
        local opt = drift.optimizer(drift.optim.adam { lr = 1e-2 }, net)
        local x = drift.randn { 64, 2, purpose = "x" }
        local y = x:narrow(1, 0, 1) * x:narrow(1, 1, 1)
        local first, last
        for _ = 1, 100 do
            last = drift.scope(function()
                local loss = net(x):mse(y)
                loss:backward()
                opt:step()
                return loss:item()
            end)
            first = first or last
        end
        assert.is_true(last < first / 2, ("%g after %g"):format(last, first))
        assert.are.equal(100, opt:steps())
        assert.are.equal(1e-2, opt.lr)
        refused(function() return opt.nothing end, "an optimizer has no")
        refused(function() return drift.optimizer(drift.sampler.heun {}, net) end,
                "expected an optim, got sampler heun")
    end)
end)
