-- weights_spec.lua: networks that take their weights from files while they are built.
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

local function state_of(seed, dtype)
    local state = drift.build(spec, { seed = seed }):state_dict()
    for name, t in pairs(state) do
        if dtype and t.dtype == "f32" then state[name] = t:cast(dtype) end
    end
    return state
end

-- A file of the net that `seed` makes, in another dtype where one is given.
local function file_of(path, seed, dtype)
    drift.save_tensors(path, state_of(seed, dtype))
    return path
end

local function memory(field) -- MiB
    return tonumber(drift.read_file "/proc/self/status":match(field .. ":%s*(%d+) kB")) / 1024
end

local function is_mapped(path) return drift.read_file "/proc/self/maps":find(path, 1, true) ~= nil end

local function collect() for _ = 1, 3 do collectgarbage() end end

describe("a network built from a file", function()
    it("gives the same bits as one that loads it", function()
        local path = file_of("a.safetensors", 3)
        local net = drift.build(spec, { weights = drift.weights(path) })
        assert.are.same(output(drift.build(spec):load(path):eval()), output(net))
        assert.are.same(output(net), output(drift.build(spec, { weights = path })))          -- a path will do
        assert.are.same(output(net), output(drift.build(spec, { weights = path, trainable = true }):eval()))
        assert.are.equal(drift.build(spec):count(), net:count())
        assert.are_not.same(output(net), output(drift.build(spec, { weights = file_of("a2.safetensors", 4) })))
    end)

    it("keeps large weights in the file's dtype, vectors as f32, buffers as they are", function()
        for _, dtype in ipairs { "f16", "bf16", "f32", "f64" } do
            local net = drift.build(spec, { weights = file_of("b.safetensors", 3, dtype) })
            local state = net:state_dict()
            assert.are.equal(dtype == "f64" and "f32" or dtype, state["d1.d.conv.0.weight"].dtype)
            assert.are.equal("f32", state["d1.d.conv.0.bias"].dtype)
            assert.are.equal("f32", state["d1.d.conv.1.running_mean"].dtype)
            assert.are.equal("i64", state["d1.d.conv.1.num_batches_tracked"].dtype)
            local trained = drift.build(spec, { weights = "b.safetensors", trainable = true }):state_dict()
            assert.are.equal("f32", trained["d1.d.conv.0.weight"].dtype)
            for name, value in pairs(state) do
                assert.are.same(value:cast("f64"):totable(), trained[name]:cast("f64"):totable())
            end
        end
    end)

    it("is frozen: nothing trains it or writes to it, unless it is built trainable", function()
        local path = file_of("c.safetensors", 3)
        local net = drift.build(spec, { weights = path })
        local weight = net:state_dict()["d1.d.conv.0.weight"]
        assert.is_true(net:frozen())
        assert.is_false(net:training())
        for _, p in ipairs(net:parameters()) do assert.is_false(p.tensor:requires_grad()) end
        refused(function() net:requires_grad(true) end, "trainable = true")
        refused(function() drift.optimizer(drift.optim.adam {}, net) end, "cannot be trained", "trainable = true")
        refused(function() weight:requires_grad(true) end, "trainable = true")
        refused(function() net:load(path) end, "cannot load")
        refused(function() net:load_state_dict(state_of(4)) end, "cannot load")
        refused(function() weight:assign(weight * 2) end, "cannot be written")
        net:requires_grad(false):zero_grad()
        assert.are.same(state_of(3)["d1.d.conv.0.weight"]:totable(), weight:totable())

        local copy = drift.build(spec, { weights = path, trainable = true })
        assert.is_false(copy:frozen())
        assert.is_true(copy:training())
        local optimizer = drift.optimizer(drift.optim.sgd { lr = 0.1 }, copy)
        copy(x):mean():backward()
        optimizer:step()
        assert.are_not.same(output(net), output(copy:eval()))
        copy:load(path)
        assert.are.same(output(net), output(copy))
    end)

    it("lets gradients through to what it is called with", function()
        local path = file_of("d.safetensors", 3)
        local function gradient(net)
            local leaf = drift.randn { 2, 1, 28, 28, purpose = "image" }:requires_grad(true)
            net(leaf):sum():backward()
            return leaf.grad:totable()
        end
        assert.are.same(gradient(drift.build(spec):load(path):requires_grad(false):eval()), gradient(drift.build(spec, { weights = path })))
    end)

    it("is saved as it lies, and put together with other things in a checkpoint", function()
        for _, dtype in ipairs { "f32", "f16" } do
            local net = drift.build(spec, { weights = file_of("e.safetensors", 3, dtype) })
            net:save("e2.safetensors", { note = "again" })
            assert.are.equal(dtype, drift.open "e2.safetensors":dtype "d1.d.conv.0.weight")
            assert.are.equal("again", drift.open "e2.safetensors".metadata.note)
            assert.are.same(output(net), output(drift.build(spec, { weights = "e2.safetensors" })))
            drift.writer():net(net, "net."):tensor("step", drift.tensor(3)):commit "e3.safetensors"
            assert.are.equal(dtype, drift.open "e3.safetensors":dtype "net.d1.d.conv.0.weight")
        end
    end)

    it("holds the file while a tensor of it lives, and no longer", function()
        local path = file_of("held.safetensors", 3)
        local expected = output(drift.build(spec, { weights = path }))
        local net = drift.build(spec, { weights = path })
        os.remove(path)
        collect()
        assert.is_true(is_mapped "held.safetensors")
        assert.are.same(expected, output(net))
        local view = net:state_dict()["d1.d.conv.0.weight"]:slice(0, 0, 1)
        net = nil
        collect()
        assert.is_true(is_mapped "held.safetensors")
        view:totable()
        view = nil
        collect()
        assert.is_false(is_mapped "held.safetensors")
    end)

    it("may be one block", function()
        local linear = drift.block.linear { in_features = 3, out_features = 2 }
        drift.build(linear):save "linear.safetensors"
        assert.is_true(drift.build(linear, { weights = "linear.safetensors" }):frozen())
    end)
end)

describe("weights that do not fit", function()
    it("are named all at once, with what was expected", function()
        local state = state_of(3)
        state["d1.d.conv.0.weight"] = drift.zeros { 8, 8, 3 }
        state["out.bias"] = drift.tensor({ 1 }, "i64")
        state["init.c1.conv.0.bias"], state["u1.u.conv.0.weight"] = nil, nil
        state["another.weight"], state["one.more"] = drift.zeros { 2, 3 }, drift.tensor(1)
        drift.save_tensors("bad.safetensors", state)
        for _, trainable in ipairs { false, true } do
            refused(function() drift.build(spec, { weights = "bad.safetensors", trainable = trainable }) end,
                    "bad.safetensors does not fit net unet", "missing: init.c1.conv.0.bias [8], u1.u.conv.0.weight [",
                    "of another shape: d1.d.conv.0.weight is [8,8,3], expected [8,8,3,3]",
                    "of another type: out.bias is I64, expected F32, F16 or BF16",
                    "not expected: another.weight [2,3], one.more []")
        end
        collect()
    end)

    it("may be of a type or rank that Drift has no tensor of, until a network wants them", function()
        local header = '{"weight":{"dtype":"F8_E4M3","shape":[2,3],"data_offsets":[0,6]},'
            .. '"bias":{"dtype":"F32","shape":[1,1,1,1,1,2],"data_offsets":[6,14]}}'
        drift.write_file("f8.safetensors", string.pack("<I8", #header) .. header .. ("\0"):rep(14))
        local W = drift.weights "f8.safetensors"
        refused(function() W:tensor "weight" end, "f8.safetensors", "F8_E4M3")
        refused(function() drift.build(drift.block.linear { in_features = 3, out_features = 2 }, { weights = W }) end,
                "weight is F8_E4M3, expected F32, F16 or BF16", "bias is [1,1,1,1,1,2], expected [2]")
    end)

    it("are cut short where there are very many", function()
        local message = refused(function() drift.build(spec, { weights = drift.weights("a.safetensors"):renamed(
            function(name) return "x." .. name end) }) end, "in all)")
        assert.is_true(#message < 10000)
    end)

    it("do not leave a build half done: the next one is right", function()
        file_of("g.safetensors", 3)
        local W = drift.weights "g.safetensors"
        local wrong = drift.models.cs180_unet { hidden = 16, residual = true }
        refused(function() drift.build(wrong, { weights = W }) end, "of another shape")
        assert.are.same(output(drift.build(spec, { weights = "g.safetensors" })), output(drift.build(spec, { weights = W })))
    end)

    it("and options that are not known, are refused", function()
        refused(function() drift.build(spec, { weight = "g.safetensors" }) end, "did you mean 'weights'?")
        refused(function() drift.build(spec, { weights = 3 }) end, "weights must be")
        refused(function() drift.build(spec, { weights = {} }) end, "weights must be")
        refused(function() drift.build(spec, { trainable = true }) end, "trainable")
    end)
end)

-- A file of zeros that takes no room on the disk: `count` matrices [n,n] and a vector.
local function sparse_file(path, count, n, dtype, bytes)
    local entries, at = {}, 0
    for i = 1, count do
        entries[i] = ('"w%d.weight":{"dtype":"%s","shape":[%d,%d],"data_offsets":[%d,%d]}'):format(i, dtype, n, n, at,
            at + n * n * bytes)
        at = at + n * n * bytes
    end
    local header = "{" .. table.concat(entries, ",") .. "}"
    header = header .. (" "):rep(-#header % 8)
    drift.write_file(path, string.pack("<I8", #header) .. header)
    assert(os.execute(("truncate -s %d %s"):format(8 + #header + at, path)))
    return at
end

local function matrices(count, n)
    local children = {}
    for i = 1, count do children["w" .. i] = drift.block.linear { in_features = n, out_features = n, bias = false } end
    return drift.net { name = "matrices", children = children }
end

describe("a large file", function()
    it("takes no memory when a network is built of it, and copies do", function()
        sparse_file("large.safetensors", 4, 4096, "F32", 4)                                   -- 256 MiB
        collect()
        local before, anonymous = memory "VmRSS", memory "RssAnon"
        local net = drift.build(matrices(4, 4096), { weights = "large.safetensors" })
        assert.is_true(memory "VmRSS" - before < 16, "built in place: " .. memory "VmRSS" - before)
        assert.are.equal(4 * 4096 * 4096, net:count())
        drift.no_grad(function() return net.w1(drift.zeros { 1, 4096 }) end)
        assert.is_true(memory "RssAnon" - anonymous < 140, "used once: " .. memory "RssAnon" - anonymous)
        before = memory "VmRSS"
        local copy = drift.build(matrices(4, 4096), { weights = "large.safetensors", trainable = true })
        assert.is_true(memory "VmRSS" - before > 200, "this test cannot see memory")
        assert.is_false(copy:frozen())
    end)

    it("of the size of the largest model is opened within a second", function()
        local bytes = sparse_file("largest.safetensors", 1076, 2000, "F16", 2)                -- 8.6 GB
        assert.is_true(bytes > 8.6e9)
        local before, start = memory "VmRSS", drift.clock()
        local net = drift.build(matrices(1076, 2000), { weights = drift.weights "largest.safetensors" })
        local seconds = drift.clock() - start
        assert.is_true(seconds < 1, "took " .. seconds)
        assert.is_true(memory "VmRSS" - before < 32, "took MiB: " .. memory "VmRSS" - before)
        assert.are.equal("f16", net:state_dict()["w1076.weight"].dtype)
        os.remove "largest.safetensors"
    end)
end)

describe("weights under other names", function()
    local state = state_of(3)
    drift.save_tensors("names.safetensors", state)
    local W = drift.weights "names.safetensors"

    it("are found by a table or a function", function()
        local other = {}
        for name, t in pairs(state) do other["model." .. name] = t end
        drift.save_tensors("prefixed.safetensors", other)
        local V = drift.weights "prefixed.safetensors":renamed(function(name) return (name:gsub("^model%.", "")) end)
        assert.are.same(W:names(), V:names())
        assert.are.same(output(drift.build(spec, { weights = W })), output(drift.build(spec, { weights = V })))
        local U = W:renamed { ["out.bias"] = "out.offset" }
        assert.is_true(U:has "out.offset" and not U:has "out.bias" and W:has "out.bias")
        assert.are.same(state["out.bias"]:totable(), U:tensor "out.offset":totable())
        assert.are.same({ 1 }, U:shape "out.offset")
        assert.are.equal("f16", U:tensor("out.offset", "f16").dtype)
        refused(function() U:shape "out.bias" end, "has no tensor 'out.bias'")
        refused(function() U:tensor "out.ofset" end, "did you mean 'out.offset'?")
    end)

    it("may be left out, so that nobody has to ask for them", function()
        state["again"] = state["out.weight"]
        drift.save_tensors("twice.safetensors", state)
        refused(function() drift.build(spec, { weights = "twice.safetensors" }) end, "not expected: again [")
        drift.build(spec, { weights = drift.weights("twice.safetensors", { ignore = { "again" } }) })
        drift.build(spec, { weights = drift.weights "twice.safetensors":ignoring { "again", "and others" } })
        drift.build(spec, { weights = drift.weights "twice.safetensors":renamed { again = false } })
        state["again"] = nil
    end)

    it("may be rows of a tensor, in another shape", function()
        local rows = drift.arange(24):reshape { 12, 2, 1 }                                    -- [12,2,1]: rows 0..11
        drift.save_tensors("rows.safetensors", { qkv = rows, bias = drift.arange(12) })
        local V = drift.weights "rows.safetensors":renamed {
            qkv = { { name = "q", every = 6, first = 0, rows = 2, shape = { 4, 2 } },
                    { name = "k", every = 6, first = 2, rows = 2, shape = { 4, 2 } },
                    { name = "v", every = 6, first = 4, rows = 2 } },
            bias = { { name = "b", every = 4, first = 3, rows = 1 } },
        }
        assert.are.same({ { 0, 1 }, { 2, 3 }, { 12, 13 }, { 14, 15 } }, V:tensor "q":totable())
        assert.are.same({ { 4, 5 }, { 6, 7 }, { 16, 17 }, { 18, 19 } }, V:tensor "k":totable())
        assert.are.same({ 4, 2, 1 }, V:shape "v")
        assert.are.same({ { { 8 }, { 9 } }, { { 10 }, { 11 } }, { { 20 }, { 21 } }, { { 22 }, { 23 } } },
                        V:tensor "v":totable())
        assert.are.same({ 3, 7, 11 }, V:tensor "b":totable())
        local linear = drift.build(drift.block.linear { in_features = 2, out_features = 4, bias = false },
                                   { weights = V:renamed { q = "weight", k = false, v = false, b = false } })
        assert.are.same({ { 0, 1 }, { 2, 3 }, { 12, 13 }, { 14, 15 } }, linear:state_dict().weight:totable())
        assert.is_true(linear:frozen())
    end)

    it("that cannot be are refused", function()
        local function becomes(value) return function() return W:renamed({ ["out.bias"] = value }):tensor "new" end end
        refused(function() W:renamed { ["out.bias"] = "out.weight" } end, "'out.bias'", "'out.weight'")
        refused(function() W:renamed(3) end, "a table")
        refused(becomes(3), "'out.bias' becomes a number")
        refused(becomes { { "x" } }, "'out.bias' becomes a table")
        refused(becomes { name = "new", shape = { 2 } }, "names.safetensors", "out.bias")
        refused(becomes { name = "new", every = 2, first = 0, rows = 1 }, "names.safetensors", "no rows")
        refused(becomes { name = "new", every = 1, first = 1, rows = 1 }, "no rows")
        refused(becomes { name = "new", every = 1, first = -1, rows = 1 }, "no rows")
        refused(becomes { name = "new", every = -1, first = 0, rows = 1 }, "no rows")
    end)
end)

-- Every model of the repository from a file in f16: as with the same numbers in f32.
local function small_models()
    local m = drift.models
    return {
        cs180_unet = m.cs180_unet { hidden = 4, conditioning = "film", classes = 10 },
        improved_unet = m.improved_unet { hidden = 8, classes = 10, width = 16 },
        adm_unet = m.adm_unet { hidden = 8, mult = { 1, 2, 2 }, size = 16, attention = { 4, 8 }, heads = 2, classes = 10 },
        dit = m.dit { hidden = 16, depth = 2, heads = 2, patch = 4, size = 16, classes = 10 },
    }
end

for name, model in pairs(small_models()) do
    it("halved weights of a " .. name .. " compute what their numbers in f32 do", function()
        local net = drift.build(model, { seed = 5 })
        local state = {}
        for path, t in pairs(net:state_dict()) do
            if t.dtype == "f32" and #t.shape >= 2 and t:abs():amax():item() == 0 then                -- a gate that starts shut
                t = t + drift.randn { t.shape[1], purpose = path }:reshape(table.pack(t.shape[1], table.unpack({ 1, 1, 1 }, 1, #t.shape - 1))) * 0.1
            end
            state[path] = t.dtype == "f32" and t:cast "f16" or t
        end
        drift.save_tensors("half.safetensors", state)
        local size = name == "cs180_unet" and 28 or 16
        local input = drift.randn { 2, 1, size, size, purpose = "image" }
        local c = { time = drift.tensor { 0.25, 0.75 }, label = drift.tensor({ 1, 2 }, "i32") }
        local function of(trainable)
            local built = drift.build(model, { weights = "half.safetensors", trainable = trainable }):eval()
            return drift.no_grad(function() return built(input, c) end)
        end
        local half, full = of(false), of(true)
        assert.are.equal("f32", half.dtype)
        assert.is_true(full:abs():amax():item() > 1e-3)
        assert.is_true((half - full):abs():amax():item() <= 2e-5 * full:abs():amax():item(), name)
    end)
end

it("weights at odd places of a file are copied, to the same values", function()
    local header = '{"weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"bias":{"dtype":"F32","shape":[1],'
        .. '"data_offsets":[8,12]}}'
    header = header .. (" "):rep((3 - #header) % 8)                                          -- data begin 3 past a multiple of 8
    drift.write_file("odd.safetensors", string.pack("<I8", #header) .. header .. string.pack("<fff", 2, -3, 0.5))
    local net = drift.build(drift.block.linear { in_features = 2, out_features = 1 }, { weights = "odd.safetensors" })
    assert.are.equal(2 * 5 - 3 * 7 + 0.5, net(drift.tensor { { 5, 7 } }):item())
end)
