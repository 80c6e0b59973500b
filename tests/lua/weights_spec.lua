-- weights_spec.lua: networks that take their weights from files while they are built; which files of a folder those are.
local drift = require "drift"

local function refused(f, ...)
    local ok, message = pcall(f)
    assert.is_false(ok, "was not refused")
    for _, part in ipairs { "weights_spec.lua:", ... } do assert.is_truthy(message:find(part, 1, true), message) end
    return message
end

local spec = drift.models.cs180_unet { hidden = 8, residual = true }
local x = drift.randn { 2, 1, 28, 28, purpose = "image" }
local function output(net) return drift.no_grad(function() return net(x):totable() end) end

-- A file of the net that `seed` makes; its tensors in another dtype where `dtype` is given.
local function file_of(path, seed, dtype)
    local state = drift.build(spec, { seed = seed }):state_dict()
    for name, t in pairs(state) do
        if dtype and t.dtype == "f32" then state[name] = t:cast(dtype) end
    end
    drift.save_tensors(path, state)
    return path
end

describe("a network built from a file", function()
    it("gives the same bits as one that loads it", function()
        local path = file_of("a.safetensors", 3)
        local net = drift.build(spec, { weights = drift.weights(path) })
        assert.are.same(output(drift.build(spec):load(path):eval()), output(net))
        assert.are.same(output(net), output(drift.build(spec, { weights = path })))          -- a path will do
        assert.are.same(output(net), output(drift.build(spec, { weights = path, trainable = true }):eval()))
        assert.are.equal(drift.build(spec):count(), net:count())
    end)

    it("keeps large weights in the file's dtype, vectors as f32, buffers as they are", function()
        for _, dtype in ipairs { "f16", "bf16", "f32", "f64" } do
            local net = drift.build(spec, { weights = file_of("b.safetensors", 3, dtype) })
            local state = net:state_dict()
            assert.are.equal(dtype == "f64" and "f32" or dtype, state["d1.d.conv.0.weight"].dtype)
            assert.are.equal("f32", state["d1.d.conv.0.bias"].dtype)
            assert.are.equal("f32", state["d1.d.conv.1.running_mean"].dtype)
            assert.are.equal("i64", state["d1.d.conv.1.num_batches_tracked"].dtype)
        end
    end)
end)
