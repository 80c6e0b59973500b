-- ffi_spec.lua: C functions that a plugin exports, and Lua functions as C function pointers.
local drift = require "drift"
drift.load_plugin(os.getenv "DRIFT_TEST_PLUGIN_DIR" .. "/good_neighbour.so")

local function refused(f, ...)
    local ok, message = pcall(f)
    assert.is_false(ok)
    for _, part in ipairs { "ffi_spec.lua:", ... } do assert.is_truthy(message:find(part, 1, true), message) end
end

describe("an exported C function", function()
    it("is called by its signature", function()
        assert.are.equal(2.5, drift.export.blend(2, 4, 0.25))
        assert.are.equal("hello", drift.export.greeting(1))
        assert.are.equal("hello all", drift.export.greeting(2))
        assert.are.same({ 2, 4 }, drift.export.twice(drift.tensor { 1, 2 }):totable())
    end)

    it("has its arguments checked and its errors raised", function()
        refused(function() return drift.export.blend(1, 2) end,
                "blend takes 3 arguments", "real(real,real,real)", "got 2")
        refused(function() return drift.export.blend(1, 2, "x") end, "argument 3", "got a string")
        refused(function() return drift.export.greeting(1.5) end, "argument 1")
        refused(function() return drift.export.twice(3) end, "argument 1", "got a number")
        refused(function() return drift.export.fails(3) end, "fails: 3 is never right")
        refused(function() return drift.export.nothing end, "nothing")
    end)

    it("keeps the gradient of tensors, and leaves no memory behind", function()
        local w = drift.tensor({ 1, 2 }):requires_grad(true)
        drift.export.twice(w):sum():backward()
        assert.are.same({ 2, 2 }, w.grad:totable())
        collectgarbage()
        local before = drift.device():memory().in_use
        for _ = 1, 10 do drift.scope(function() drift.export.twice(w:detach()) end) end
        assert.are.equal(before, drift.device():memory().in_use)
    end)

    it("is listed", function()
        local found
        for _, e in ipairs(drift.exports()) do if e.name == "blend" then found = e end end
        assert.are.equal("real(real,real,real)", found.signature)
    end)
end)

describe("a Lua function for C", function()
    local function neighbour(curve) return drift.decay.neighbour { needed = 1, curve = curve } end

    it("is called through a C pointer", function()
        local factor = 3
        local decay = neighbour(function(x) return factor * x end)
        assert.are.equal(6, decay:factor(2, 10))
        factor = 4
        collectgarbage()
        collectgarbage()
        assert.are.equal(8, decay:factor(2, 10))
    end)

    it("works from a coroutine and when it calls itself", function()
        local decay
        decay = neighbour(function(x) return x <= 0 and 1 or x * decay:factor(x - 1, 1) end):instance()
        assert.are.equal(120, decay:factor(5, 1))
        assert.are.equal(24, coroutine.wrap(function() return decay:factor(4, 1) end)())
    end)

    it("may raise: the error arrives, and the next call works", function()
        local broken = true
        local decay = neighbour(function(x) if broken then error("broken at " .. x) end return x end)
        refused(function() return decay:factor(2, 1) end, "broken at 2")
        broken = false
        assert.are.equal(2, decay:factor(2, 1))
    end)

    it("must return what the signature says", function()
        refused(function() return neighbour(function() return "x" end):factor(1, 1) end, "ffi_spec.lua:75 returned a string", "wants a number")
        refused(function() return neighbour(function() end):factor(1, 1) end, "returned a nil")
    end)

    it("may not yield through C", function()
        local decay = neighbour(function(x) coroutine.yield() return x end)
        local co = coroutine.create(function() return decay:factor(1, 1) end)
        local ok, message = coroutine.resume(co)
        assert.is_false(ok)
        assert.is_truthy(message:find("yield", 1, true), message)
    end)
end)
