-- precision.lua: what networks compute in. drift.precision "bf16" sets it, drift.precision() tells it; default: f32.
-- tf32 is f32 on a device that was opened with it: products and convolutions round their factors to 10 bits, and all else
-- here is as in f32.
-- In bf16 the activations are bf16 and everything else stays f32: weights and their gradients, statistics, losses, the
-- optimizer, times and masks. The change is made where a network is called from outside (net.lua) and nowhere else:
-- images and tokens are rounded on the way in, the result is f32 again; all between follows the dtype of activations.
local core = require "drift.core"

local known = { f32 = true, bf16 = true, tf32 = true }
local current = "f32"

local function check_tf32(device)
    local on = device:option "tf32"
    if on == 1 then return end
    if on then
        core.fail("precision tf32: device %s was opened without it: --precision tf32, or drift.device(\"cuda\", { tf32 = true })",
            device.name)
    end
    core.fail("precision tf32: device %s computes f32 in full; TF32 is of cuda devices", device.name)
end

local function check(name, device)
    if not known[name] then core.fail("precision is f32, bf16 or tf32, not %s", tostring(name)) end
    if name == "tf32" then return check_tf32(device) end
    if name == "f32" or device:computes(name) then return end
    core.fail("precision %s: device %s has no arithmetic in it (%s). The processor needs AMX-BF16 or AVX512-BF16, and "
        .. "kernels built for it; f32, the default, needs neither and is what is quickest here",
        name, device.name, device:describe())
end

local precision = {}

-- A value as it is, but tensors of `from` with at least `axes` axes cast to `to`, also those in a plain table.
local function converted(value, from, to, axes)
    local kind = core.type(value)
    if kind == "tensor" then
        return value.dtype == from and #value.shape >= axes and value:cast(to) or value
    end
    if kind ~= "table" or getmetatable(value) then return value end
    local copy = {}
    for key, item in next, value do
        copy[key] = core.type(item) == "tensor" and converted(item, from, to, axes) or item
    end
    return copy
end

local function all_converted(values, from, to, axes)
    for i = 1, values.n do values[i] = converted(values[i], from, to, axes) end
    return table.unpack(values, 1, values.n)
end

-- call(net, ...) with images and tokens in the precision of the moment, and f32 results. A number a row stays f32:
-- times up to 1000 do not fit into 8 bits.
function precision.around(call, net, ...)
    if current ~= "bf16" then return call(net, ...) end
    local results = table.pack(call(net, all_converted(table.pack(...), "f32", current, 2)))
    return all_converted(results, current, "f32", 0)
end

precision.check = check                        -- for tests

return setmetatable(precision, { __call = function(_, name)
    if name ~= nil then
        if name ~= "f32" or not known[name] then check(name, known[name] and core.device()) end
        current = name
    end
    return current
end })
