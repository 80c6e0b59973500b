-- scope_spec.lua: how long tensors live: scopes, keep, what a scope returns, and memory outside of scopes.
local drift = require "drift"

local function in_use() return drift.device():memory().in_use end

describe("a scope", function()
    it("ends the tensors made in it, and says so when one is used later", function()
        local outside
        drift.scope(function() outside = drift.zeros(4) end)
        local ok, message = pcall(function() return outside + 1 end)
        assert.is_false(ok)
        assert.is_truthy(message:find("belonged to a scope that has ended", 1, true), message)
        assert.are.equal("tensor of a scope that has ended", tostring(outside))
    end)

    it("gives memory back at once, without the collector", function()
        collectgarbage "stop"
        local before, inside = in_use(), nil
        drift.scope(function()
            local t = drift.zeros(1000, 1000)
            for _ = 1, 3 do t = t + 1 end
            inside = in_use()
        end)
        collectgarbage "restart"
        assert.is_true(inside >= before + 4 * 4000000)
        assert.are.equal(before, in_use())
    end)

    it("lets out what it returns, also in tables, and what is kept", function()
        local kept
        local a, t = drift.scope(function()
            kept = drift.full({ 1 }, 3):keep()
            local lost = drift.zeros(1)
            return lost + 1, { deep = { lost + 2 } }
        end)
        assert.are.equal(1, a:item())
        assert.are.equal(2, t.deep[1]:item())
        assert.are.equal(3, kept:item())
    end)

    it("nests: results belong to the scope around", function()
        local escaped
        local sum = drift.scope(function()
            local inner = drift.scope(function() return drift.full({ 1 }, 5) end)
            escaped = inner
            return inner * 2
        end)
        assert.are.equal(10, sum:item())
        assert.has_error(function() return escaped:item() end)
    end)

    it("ends when its function raises, and passes arguments and results", function()
        local t
        local ok, message = pcall(drift.scope, function() t = drift.zeros(1) error "on purpose" end)
        assert.is_false(ok)
        assert.is_truthy(message:find "on purpose")
        assert.has_error(function() return t:item() end)
        assert.are.same({ 1, nil, 3 }, { drift.scope(function(...) return ... end, 1, nil, 3) })
    end)

    it("leaves weights and what they hold alone", function()
        local w = drift.tensor({ 2 }):requires_grad(true)
        drift.scope(function() (w * w):sum():backward() end)
        assert.are.equal(4, w.grad:item())
    end)
end)

describe("no_grad", function()
    it("ends with its function, also when that raises", function()
        local inside
        drift.no_grad(function() inside = drift.grad_enabled() end)
        assert.is_false(inside)
        assert.is_true(drift.grad_enabled())
        assert.is_false((pcall(drift.no_grad, function() error "on purpose" end)))
        assert.is_true(drift.grad_enabled())
    end)
end)

describe("outside of scopes", function()
    it("the collector keeps up with tensors that are dropped", function()
        collectgarbage()
        collectgarbage()
        local before = in_use()
        for _ = 1, 400 do local _ = drift.zeros(256, 1024) end        -- 400 MiB in all
        assert.is_true(in_use() - before <= 2 * (64 << 20) + before)
    end)
end)
