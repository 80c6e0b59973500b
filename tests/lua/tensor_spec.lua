-- tensor_spec.lua: tensors in Lua: making them, operators, ops by their schema, indices, gradients, random streams.
local drift = require "drift"

local function list(t) return t:totable() end

local function close(expected, got)
    assert.are.equal(#expected, #got)
    for i, e in ipairs(expected) do
        assert.is_true(math.abs(e - got[i]) < 1e-5, ("%d: %g, expected %g"):format(i, got[i], e))
    end
end

describe("a tensor", function()
    it("is made of nested lists and given back as such", function()
        local t = drift.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
        assert.are.same({ 2, 3 }, t.shape)
        assert.are.equal("f32", t.dtype)
        assert.are.equal(2, t.rank)
        assert.are.equal(6, t:numel())
        assert.are.equal(2, #t)
        assert.are.same({ { 1, 2, 3 }, { 4, 5, 6 } }, list(t))
        assert.are.equal(7, drift.tensor(7):item())
        assert.are.same({}, drift.tensor(7).shape)
        assert.are.same({ 0 }, drift.tensor({}).shape)
    end)

    it("has the dtype asked for, and integers come back as integers", function()
        local t = drift.tensor({ 1, 2, 3 }, "i32")
        assert.are.equal("i32", t.dtype)
        assert.are.equal("integer", math.type(list(t)[1]))
        assert.are.equal("f64", drift.tensor({ 1 }, { dtype = "f64" }).dtype)
        assert.are.equal("f64", drift.zeros(2, "f64").dtype)
        assert.are.equal("i64", t:cast("i64").dtype)
        assert.are.same({ 1, 0 }, list(drift.tensor({ true, false }, "u8")))
    end)

    it("is made by constructors", function()
        assert.are.same({ { 0, 0 } }, list(drift.zeros(1, 2)))
        assert.are.same({ 1, 1 }, list(drift.ones { 2 }))
        assert.are.same({ 2.5, 2.5 }, list(drift.full({ 2 }, 2.5)))
        assert.are.same({ 0, 1, 2 }, list(drift.arange(3)))
        assert.are.same({ 1, 3 }, list(drift.arange(1, 5, 2)))
        assert.are.same({ 3, 2 }, list(drift.arange(3, 1, -1, { dtype = "i32" })))
        assert.are.same({ 1, 2 }, list(drift.from_string(string.pack("<ff", 1, 2), { 2 }, "f32")))
        assert.are.equal(string.pack("<ff", 1, 2), drift.tensor({ 1, 2 }):tostring_bytes())
    end)

    it("refuses lists that are not a box, and what is no number", function()
        for _, bad in ipairs { { { 1, 2 }, { 3 } }, { { 1 }, 2 }, { "1" }, { { { { { { 1 } } } } } }, "1" } do
            local ok, message = pcall(drift.tensor, bad)
            assert.is_false(ok)
            assert.is_truthy(message:find("list", 1, true) or message:find("elements are numbers", 1, true), message)
        end
    end)

    it("prints its shape and first values", function()
        assert.are.equal("f32[3] {1, 2, 3}", tostring(drift.tensor { 1, 2, 3 }))
        assert.are.equal("loss f32[] {2}", "loss " .. drift.tensor(2))
    end)

    it("is indexed from 1 along its first axis", function()
        local t = drift.tensor { { 1, 2 }, { 3, 4 } }
        assert.are.same({ 3, 4 }, list(t[2]))
        assert.are.equal(2, t[1][2]:item())
        assert.is_nil(t[3])
        local rows = 0
        for i, row in ipairs(t) do rows = rows + i * #row end
        assert.are.equal(6, rows)
        t[1] = 9
        t[2] = drift.tensor { 7, 8 }
        assert.are.same({ { 9, 9 }, { 7, 8 } }, list(t))
        t[1][2] = 5
        assert.are.same({ 9, 5 }, list(t[1]))
    end)

    it("has operators with tensors and numbers", function()
        local a, b = drift.tensor { 1, 2, 4 }, drift.tensor { 2, 4, 8 }
        assert.are.same({ 3, 6, 12 }, list(a + b))
        assert.are.same({ -1, -2, -4 }, list(a - b))
        assert.are.same({ 2, 8, 32 }, list(a * b))
        assert.are.same({ 2, 2, 2 }, list(b / a))
        assert.are.same({ 3, 4, 6 }, list(a + 2))
        assert.are.same({ 3, 4, 6 }, list(2 + a))
        assert.are.same({ -1, 0, 2 }, list(a - 2))
        assert.are.same({ 1, 0, -2 }, list(2 - a))
        assert.are.same({ 3, 6, 12 }, list(3 * a))
        assert.are.same({ 0.5, 1, 2 }, list(a / 2))
        close({ 4, 2, 1 }, list(4 / a))
        assert.are.same({ -1, -2, -4 }, list(-a))
        close({ 1, 4, 16 }, list(a ^ 2))
    end)

    it("equals itself only", function()
        local a = drift.tensor { 1 }
        assert.is_true(a == a)
        assert.is_false(a == drift.tensor { 1 })
    end)
end)

describe("an op", function()
    it("takes attributes by name, by position, and lists as numbers in a row", function()
        local x = drift.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
        assert.are.same({ { 1, 2 }, { 3, 4 }, { 5, 6 } }, list(x:reshape(3, 2)))
        assert.are.same({ { 1, 2 }, { 3, 4 }, { 5, 6 } }, list(x:reshape { 3, -1 }))
        assert.are.same({ { 1, 2 }, { 3, 4 }, { 5, 6 } }, list(x:view { shape = { 3, 2 } }))
        assert.are.same({ 6, 15 }, list(x:sum { 1 }))
        assert.are.same({ { 6 }, { 15 } }, list(x:sum({ 1 }, true)))
        assert.are.same({ { 6 }, { 15 } }, list(x:sum(1, { keepdim = true })))
        assert.are.equal(21, x:sum():item())
        assert.are.same({ { 2, 2, 3 }, { 4, 4, 4 } }, list(x:clamp(2, 4)))
        assert.are.same({ { 2, 2, 3 }, { 4, 4, 4 } }, list(x:clamp { min = 2, max = 4 }))
    end)

    it("takes numbers for inputs, and leaves optional ones off", function()
        local x = drift.tensor { -1, 2 }
        assert.are.same({ 0, 2 }, list(x:maximum(0)))
        assert.are.same({ 1, 1 }, list(drift.op.where(drift.tensor { 1, 1 }, 1, x)))
        local image, weight = drift.ones(1, 1, 3, 3), drift.ones(2, 1, 3, 3)
        assert.are.same({ 1, 2, 1, 1 }, image:conv2d(weight).shape)
        assert.are.same({ 1, 2, 2, 2 }, image:conv2d(weight, { stride = 2, padding = 1 }).shape)
        assert.are.equal(10, image:conv2d(weight, drift.ones(2))[1][1][1][1]:item())
    end)

    it("gives as many results as it has outputs", function()
        local y, mean, var = drift.op.batch_norm_act(drift.ones(4, 2), drift.ones(2), drift.zeros(2))
        assert.are.same({ { 4, 2 }, { 2 }, { 2 } }, { y.shape, mean.shape, var.shape })
    end)

    it("joins and stacks lists of tensors", function()
        local a, b = drift.tensor { { 1 } }, drift.tensor { { 2 } }
        assert.are.same({ { 1 }, { 2 } }, list(drift.concat({ a, b }, 0)))
        assert.are.same({ { 1, 2 } }, list(a:concat(b, { dim = 1 })))
        assert.are.same({ 2, 1, 1 }, drift.stack({ a, b }).shape)
    end)

    it("works in place where it says so, and gives the tensor back", function()
        local x = drift.zeros(2)
        assert.is_true(x:fill(3) == x)
        assert.are.same({ 3, 3 }, list(x))
        x:assign(drift.tensor { 1, 2 })
        assert.are.same({ 1, 2 }, list(x))
    end)

    it("has views by PyTorch's names", function()
        local x = drift.arange(6):reshape(1, 2, 3)
        assert.are.same({ 2, 3 }, x:squeeze(0).shape)
        assert.are.same({ 2, 3 }, x:squeeze().shape)
        assert.are.same({ 1, 2, 1, 3 }, x:unsqueeze(2).shape)
        assert.are.same({ 1, 6 }, x:flatten(1).shape)
        assert.are.same({ { { 0, 3 }, { 1, 4 }, { 2, 5 } } }, list(x:transpose(1, 2)))
        assert.are.same({ { { 1, 2 }, { 4, 5 } } }, list(x:narrow(2, 1, 2)))
    end)

    it("says what is wrong, at the script's line", function()
        local function fails(f, ...)
            local ok, message = pcall(f)
            assert.is_false(ok)
            for _, part in ipairs { ... } do assert.is_truthy(message:find(part, 1, true), message) end
        end
        local x = drift.zeros(2, 3)
        fails(function() return x:conv2d(drift.zeros(3)) end,
                "tensor_spec.lua:", "conv2d: x must have 4 axes", "f32[2,3]")
        fails(function() return x + drift.zeros(4) end, "tensor_spec.lua:", "f32[2,3]", "f32[4]")
        fails(function() return x:covn2d() end, "did you mean 'conv2d'?")
        fails(function() return x:clamp(1, 2, 3) end, "too many arguments")
        fails(function() return x:clamp { mni = 1 } end, "did you mean 'min'?")
        fails(function() return x:clamp(0, { min = 1 }) end, "min is given twice")
        fails(function() return x:matmul("a") end, "matmul takes 2 tensors first; argument 2 is string")
        fails(function() return x[0] end, "index 0 is outside [1, 2]")
        fails(function() return x:item() end, "6 elements, not one")
        fails(function() return drift.zeros(-1) end, "tensor_spec.lua:")
        fails(function() return drift.zeros(1 << 40, 1 << 40) end, "tensor_spec.lua:")
        fails(function() return drift.tensor({ 1 }, "f23") end, "did you mean")
    end)
end)

describe("a gradient", function()
    it("comes from backward, adds up, and is cleared", function()
        local w = drift.tensor({ 2, 3 }):requires_grad(true)
        assert.is_true(w:requires_grad())
        assert.is_nil(w.grad)
        for _ = 1, 2 do (w * w):sum():backward() end
        assert.are.same({ 8, 12 }, list(w.grad))
        w:zero_grad()
        assert.is_nil(w.grad)
        local y = w * 3
        y:backward(drift.tensor { 1, 10 })
        assert.are.same({ 3, 30 }, list(w.grad))
    end)

    it("is not recorded in no_grad and behind detach", function()
        local w = drift.tensor({ 2 }):requires_grad(true)
        local y = drift.no_grad(function()
            assert.is_false(drift.grad_enabled())
            return w * 2
        end)
        assert.is_true(drift.grad_enabled())
        assert.has_error(function() y:sum():backward() end)
        local product = w * w:detach()
        product:sum():backward()
        assert.are.same({ 2 }, list(w.grad))
        pcall(drift.no_grad, function() error "x" end)
        assert.is_true(drift.grad_enabled())
    end)

    it("goes through indices, joins and clones", function()
        local w = drift.tensor({ { 1, 2 }, { 3, 4 } }):requires_grad(true)
        drift.stack({ w[2], w[1]:clone() * 10 }):sum():backward()
        assert.are.same({ { 10, 10 }, { 1, 1 } }, list(w.grad))
    end)
end)

describe("random numbers", function()
    it("depend on their key alone", function()
        local a = drift.randn { 4, 2, purpose = "test", seed = 5 }
        local b = drift.randn { 4, 2, purpose = "test", seed = 5 }
        assert.are.same(list(a), list(b))
        assert.are_not.same(list(a), list(drift.randn { 4, 2, purpose = "other", seed = 5 }))
        assert.are_not.same(list(a), list(drift.randn { 4, 2, purpose = "test", seed = 6 }))
        assert.are_not.same(list(a), list(drift.randn { 4, 2, purpose = "test", seed = 5, step = 1 }))
    end)

    it("are those of the sample, whatever the batch", function()
        local all = drift.randn { 4, 2, purpose = "test", seed = 5 }
        local late = drift.randn { 2, 2, purpose = "test", seed = 5, sample = 2 }
        assert.are.same(list(all[3]), list(late[1]))
    end)

    it("need a purpose", function()
        assert.has_error(function() drift.randn { 2 } end)
    end)

    it("are uniform in [0,1) with rand and uniform", function()
        for _, v in ipairs(list(drift.rand { 100, purpose = "test" })) do assert.is_true(v >= 0 and v < 1) end
        local u = drift.uniform({ purpose = "test" }, 3)
        assert.is_true(u >= 0 and u < 1)
        assert.are.equal(u, drift.uniform({ purpose = "test" }, 3))
    end)
end)

describe("a device", function()
    it("is opened by name, and tensors move there", function()
        local ref = drift.device "ref"
        assert.are.equal("ref", ref.name)
        local there = drift.tensor({ 1, 2 }):to(ref)
        assert.are.equal("ref", there.device)
        assert.are.same({ 1, 2 }, list(there))
        assert.are.same({ 2, 4 }, list((there + there):to(drift.device().name)))
        assert.is_true(ref:memory().in_use > 0)
        assert.has_error(function() return drift.device "no_such_device" end)
    end)
end)
