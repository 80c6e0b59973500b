-- weight_files_spec.lua: which files of a folder drift.weights takes, and what it says where they are not as they should be.
local drift = require "drift"

local function refused(f, ...)
    local ok, message = pcall(f)
    assert.is_false(ok, "was not refused")
    for _, part in ipairs { "weight_files_spec.lua:", ... } do assert.is_truthy(message:find(part, 1, true), message) end
    return message
end

local function file(path, tensors) drift.save_tensors(path, tensors) end
local function value(W, name) return W:tensor(name):item() end
local function one(x) return drift.tensor { x } end

local folders = 0
local function folder()
    folders = folders + 1
    local path = "folder" .. folders
    drift.mkdir(path)
    return path
end

local function index(path, map, name)
    local text = type(map) == "string" and map or drift.json.encode { metadata = { total_size = 8 }, weight_map = map }
    drift.write_file(path .. "/" .. (name or "diffusion_pytorch_model.safetensors.index.json"), text)
end

describe("one file", function()
    it("is a path, or all of a folder", function()
        local f = folder()
        file(f .. "/diffusion_pytorch_model.safetensors", { a = one(1), b = drift.zeros { 2, 3 } })
        drift.write_file(f .. "/config.json", "{}")
        drift.write_file(f .. "/pytorch_model.bin", "PK")
        for _, path in ipairs { f, f .. "/", f .. "/diffusion_pytorch_model.safetensors" } do
            local W = drift.weights(path)
            assert.are.same({ "a", "b" }, W:names())
            assert.are.same({ 2, 3 }, W:shape "b")
            assert.are.equal("f32", W:dtype "b")
            assert.is_true(W:has "a" and not W:has "c")
            assert.are.equal(1, value(W, "a"))
            assert.is_truthy(tostring(W):find("2 tensors", 1, true))
        end
    end)

    it("is the one that is called as diffusers and transformers call it, where there are more", function()
        local f = folder()
        file(f .. "/model.safetensors", { a = one(1) })
        file(f .. "/zzz.safetensors", { a = one(2) })
        assert.are.equal(1, value(drift.weights(f), "a"))
        f = folder()
        file(f .. "/first.safetensors", { a = one(1) })
        file(f .. "/second.safetensors", { a = one(2) })
        refused(function() return drift.weights(f) end, f, "2 files of weights", "first.safetensors, second.safetensors")
        refused(function() return drift.weights { f .. "/first.safetensors", f .. "/second.safetensors" } end, "both have a tensor 'a'")
        file(f .. "/second.safetensors", { b = one(2) })
        local both = drift.weights { f .. "/first.safetensors", f .. "/second.safetensors" }
        assert.are.equal(3, value(both, "a") + value(both, "b"))
        refused(function() return drift.weights {} end, "empty")
    end)

    it("that is missing, or is none, is named", function()
        local f = folder()
        refused(function() return drift.weights "nowhere" end, "nowhere")
        refused(function() return drift.weights(f) end, f .. ": no *.safetensors file")
        refused(function() return drift.weights(3) end, "a file, a folder or a list")
        refused(function() return drift.weights(f, { varient = "fp16" }) end, "did you mean 'variant'?")
        refused(function() return drift.weights(f, { variant = 16 }) end, "variant must be a string")
    end)
end)

describe("a variant", function()
    it("is chosen by its name", function()
        local f = folder()
        file(f .. "/diffusion_pytorch_model.safetensors", { a = one(1) })
        file(f .. "/diffusion_pytorch_model.fp16.safetensors", { a = one(2) })
        file(f .. "/diffusion_pytorch_model.non_ema.safetensors", { a = one(3) })
        assert.are.equal(1, value(drift.weights(f), "a"))
        assert.are.equal(2, value(drift.weights(f, { variant = "fp16" }), "a"))
        assert.are.equal(3, value(drift.weights(f, { variant = "non_ema" }), "a"))
        assert.are.equal("fp16", drift.weights(f, { variant = "fp16" }).variant)
        refused(function() return drift.weights(f, { variant = "bf16" }) end, f, "no variant 'bf16'", "the plain one, fp16, non_ema")
    end)

    it("need not be named where it is the only one", function()
        local f = folder()
        file(f .. "/model.fp16.safetensors", { a = one(2) })
        local W = drift.weights(f)
        assert.are.equal(2, value(W, "a"))
        assert.are.equal("fp16", W.variant)
        file(f .. "/model.bf16.safetensors", { a = one(3) })
        refused(function() return drift.weights(f) end, "which variant", "bf16, fp16")
    end)

    it("may be in shards, whose index has one of two names", function()
        for _, name in ipairs { "model.safetensors.index.fp16.json", "model.fp16.safetensors.index.json" } do
            local f = folder()
            file(f .. "/model.safetensors", { a = one(1), b = one(1) })
            file(f .. "/model.fp16-00001-of-00002.safetensors", { a = one(5) })
            file(f .. "/model.fp16-00002-of-00002.safetensors", { b = one(6) })
            index(f, { a = "model.fp16-00001-of-00002.safetensors", b = "model.fp16-00002-of-00002.safetensors" }, name)
            local W = drift.weights(f, { variant = "fp16" })
            assert.are.equal(11, value(W, "a") + value(W, "b"))
            assert.are.equal(1, value(drift.weights(f), "a"))
        end
    end)
end)

describe("shards", function()
    local function shards(map)
        local f = folder()
        file(f .. "/m-00001-of-00002.safetensors", { a = one(1), unnamed = one(9) })
        file(f .. "/m-00002-of-00002.safetensors", { b = one(2) })
        index(f, map or { a = "m-00001-of-00002.safetensors", b = "m-00002-of-00002.safetensors" })
        return f
    end

    it("are put together as their index says", function()
        local W = drift.weights(shards())
        assert.are.same({ "a", "b" }, W:names())
        assert.are.equal(2, value(W, "b"))
    end)

    it("build a network, in place", function()
        local linear = drift.block.linear { in_features = 2, out_features = 1 }
        local f = folder()
        file(f .. "/m-00001-of-00002.safetensors", { weight = drift.tensor({ { 2, 3 } }, "f16") })
        file(f .. "/m-00002-of-00002.safetensors", { bias = one(4) })
        index(f, { weight = "m-00001-of-00002.safetensors", bias = "m-00002-of-00002.safetensors" })
        local net = drift.build(linear, { weights = drift.weights(f) })
        assert.are.equal("f16", net:state_dict().weight.dtype)
        assert.are.equal(2 * 10 + 3 * 100 + 4, net(drift.tensor { { 10, 100 } }):item())
    end)

    it("without an index are refused", function()
        local f = shards()
        os.remove(f .. "/diffusion_pytorch_model.safetensors.index.json")
        refused(function() return drift.weights(f) end, f, "2 shards", "no index")
    end)

    local here = "m-00001-of-00002.safetensors"
    local wrong = {
        ["a shard that is missing"] = { { a = "m-00003-of-00003.safetensors" }, "m-00003-of-00003.safetensors, where 'a' is, is missing" },
        ["a name that its shard lacks"] = { { a = here, c = here }, "'c' should be in " .. here .. ", which has no tensor of that name" },
        ["a path upwards"] = { { a = "../m.safetensors" }, "'a' is in '../m.safetensors': a shard must lie in the same folder" },
        ["an absolute path"] = { { a = "/etc/m.safetensors" }, "must lie in the same folder" },
        ["a folder below"] = { { a = "x/m.safetensors" }, "must lie in the same folder" },
        ["two dots alone"] = { { a = "..safetensors" }, "must lie in the same folder" },
        ["a path of another system"] = { { a = "x\\m.safetensors" }, "must lie in the same folder" },
        ["no name"] = { { a = "" }, "must lie in the same folder" },
        ["a pickle"] = { { a = "m-00001-of-00002.bin" }, "is a pickle" },
        ["another file"] = { { a = "m.index" }, "is no safetensors file" },
        ["a number"] = { { a = 3 }, "the file of 'a' must be a string, not a number" },
        ["no names at all"] = { {}, "weight_map" },
        ["text that is no JSON"] = { "{ weight_map", "is not valid JSON" },
        ["a list"] = { "[1]", "has no weight_map" },
        ["a list for a map"] = { '{"weight_map":["a"]}', "weight_map" },
        ["null"] = { "null", "has no weight_map" },
        ["no map"] = { '{"metadata":{}}', "has no weight_map" },
    }
    for what, case in pairs(wrong) do
        it("are refused where their index has " .. what, function()
            local f = shards(case[1])
            refused(function() return drift.weights(f) end, f .. "/", case[2])
        end)
    end

    it("that are cut short are named", function()
        local f = shards()
        local path = f .. "/m-00002-of-00002.safetensors"
        local whole = drift.read_file(path)
        for _, length in ipairs { 0, 7, 40, #whole - 1 } do
            drift.write_file(path, whole:sub(1, length))
            refused(function() return drift.weights(f) end, path)
        end
    end)
end)

describe("a pickle", function()
    it("is never read, and the message says how to convert it", function()
        for _, ending in ipairs { "bin", "ckpt", "pt", "pth" } do
            local f = folder()
            drift.write_file(f .. "/model." .. ending, "PK\3\4")
            for _, path in ipairs { f, f .. "/model." .. ending } do
                refused(function() return drift.weights(path) end, f .. "/model." .. ending .. " is a pickle",
                        "python3 -c", "weights_only=True", f .. "/model.safetensors")
            end
        end
        drift.write_file("renamed.safetensors", "PK\3\4\0\0\0\0\0\0\0\0")
        refused(function() return drift.weights "renamed.safetensors" end, "renamed.safetensors: header")
    end)
end)

-- What a message must say of a file whose name begins so.
local reasons = {
    empty = "header length", short = "header length", length = "header", not_json = "header", json = "header",
    invalid_utf8 = "not valid JSON", overlong = "not valid JSON", bom = "begin with '{'", leading = "begin with '{'",
    nul = "not valid JSON", deep = "depth", entry = "its entry must be an object", missing = "is missing", dtype = "dtype",
    shape = "", size = "data_offsets span", offsets = "", hole = "leave 4 bytes", trailing = "belong to none",
    truncated = "cut short", duplicate = "duplicate object key", metadata = "__metadata__",
}

describe("a malformed file", function()
    local set = os.getenv "DRIFT_FIXTURES" .. "/bad_safetensors"
    local seen = 0
    for line in drift.read_file(set .. "/manifest.tsv"):gmatch "[^\n]+" do
        local name, verdict = line:match "^([^\t]*)\t([^\t]*)\t"
        if verdict ~= "verdict" then
            seen = seen + 1
            it(verdict .. ": " .. name, function()
                local path = set .. "/" .. name
                local ok, message = pcall(drift.weights, path)
                if verdict == "accept" then assert.is_true(ok, message) end
                if ok then
                    for _, tensor in ipairs(message:names()) do message:shape(tensor) end
                    assert.are_not.equal("reject", verdict)
                    return
                end
                local reason = reasons[name:match "^%a+_utf8" or name:match "^not_json" or name:match "^%a+"]
                refused(function() return drift.weights(path) end, path .. ": ", reason)
                refused(function() return drift.build(drift.block.linear { in_features = 1, out_features = 1 }, { weights = path }) end, path)
            end)
        end
    end
    it("is one of many", function() assert.is_true(seen >= 80) end)
end)
