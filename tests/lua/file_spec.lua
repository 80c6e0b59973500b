-- file_spec.lua: safetensors, JSON, files and folders, hashes, the machine.
local drift = require "drift"

local function refused(f, ...)
    local ok, message = pcall(f)
    assert.is_false(ok)
    for _, part in ipairs { "file_spec.lua:", ... } do assert.is_truthy(message:find(part, 1, true), message) end
end

describe("safetensors", function()
    it("hold tensors by name, with texts", function()
        local tensors = { a = drift.tensor { { 1, 2 }, { 3, 4 } }, ["b.c"] = drift.tensor({ 5 }, "i64"),
                          scalar = drift.tensor(6) }
        drift.save_tensors("t.safetensors", tensors, { key = "text" })
        local back, metadata = drift.load_tensors "t.safetensors"
        for name, tensor in pairs(tensors) do
            assert.are.same(tensor:totable(), back[name]:totable())
            assert.are.equal(tensor.dtype, back[name].dtype)
        end
        assert.are.same({ key = "text" }, metadata)
        local f = drift.open "t.safetensors"
        local names = f:names()
        table.sort(names)
        assert.are.same({ "a", "b.c", "scalar" }, names)
        assert.is_true(f:has "a")
        assert.is_false(f:has "z")
        assert.are.same({ 2, 2 }, f:shape "a")
        assert.are.equal("i64", f:dtype "b.c")
        assert.are.equal("f64", f:tensor("a", "f64").dtype)
        assert.are.equal("t.safetensors", f.path)
        refused(function() return f:tensor "z" end, "t.safetensors", "z")
        refused(function() return f:shape "z" end, "t.safetensors", "z")
    end)

    it("that are missing or broken are refused with their name", function()
        refused(function() return drift.open "none.safetensors" end, "none.safetensors")
        drift.write_file("bad.safetensors", ("x"):rep(100))
        refused(function() return drift.load_tensors "bad.safetensors" end, "bad.safetensors")
    end)

    it("are written whole or not at all", function()
        drift.save_tensors("kept.safetensors", { a = drift.tensor { 1 } })
        refused(function() drift.save_tensors("no/such/folder/t.safetensors", { a = drift.tensor { 1 } }) end,
                "no/such/folder")
        refused(function() drift.save_tensors("kept.safetensors", { a = 3 }) end, "expected a tensor")
        refused(function() drift.save_tensors("kept.safetensors", { a = drift.tensor { 2 } }, { k = 1 }) end,
                "metadata")
        assert.are.equal(1, drift.load_tensors "kept.safetensors".a:item())
        local w = drift.writer():tensor("a", drift.tensor { 3 })
        w:commit "kept.safetensors"
        assert.are.equal(3, drift.load_tensors "kept.safetensors".a:item())
        refused(function() w:tensor("b", drift.tensor { 1 }) end, "was committed")
    end)
end)

describe("JSON", function()
    local json = drift.json

    it("comes from and goes to Lua", function()
        local value = { name = "x", list = { 1, 2.5, true }, nested = { empty = {}, none = json.array {} },
                        text = "a\"b\n\u{e9}" }
        local text = json.encode(value)
        assert.are.equal('{"list": [1, 2.5, true], "name": "x", "nested": {"empty": {}, "none": []}, ' ..
                         '"text": "a\\"b\\n\u{e9}"}', text)
        local back = json.decode(text)
        assert.are.equal("x", back.name)
        assert.are.equal("integer", math.type(back.list[1]))
        assert.are.equal(2.5, back.list[2])
        assert.are.equal(value.text, back.text)
        assert.are.equal(text, json.encode(back))
        assert.is_true(json.decode "null" == json.null)
        assert.are.equal("[0.0003,0.1]", (json.encode { 3e-4, 0.1 }:gsub("%s", "")))  -- no more digits than needed ...
        assert.are.equal(1 / 3, json.decode(json.encode { 1 / 3 })[1])                 -- ... but all that are
        assert.are.equal("null", json.encode(json.null))
    end)

    it("writes the same text for the same value, and null for what is no number", function()
        assert.are.equal('{"a": 1, "b": 2}', json.encode { b = 2, a = 1 })
        assert.are.equal("[null, null, 1]", json.encode { 0 / 0, math.huge, 1 })
        assert.are.equal('{\n  "a": 1\n}', json.encode({ a = 1 }, { indent = 2 }))
        assert.are.equal(0.1, json.decode(json.encode(0.1)))
    end)

    it("refuses what it cannot say", function()
        refused(function() return json.decode '{"a": 1, "a": 2}' end, "duplicate")
        refused(function() return json.decode "{" end, "line 1")
        refused(function() return json.encode { f = print } end, "a function cannot be JSON")
        refused(function() return json.encode { [1.5] = 1 } end, "keys")
        refused(function() return json.encode "\xff" end, "UTF-8")
        local circle = {}
        circle.me = circle
        refused(function() return json.encode(circle) end, "circle")
        refused(function() return json.decode(("["):rep(100000)) end, "json.decode")
    end)
end)

describe("files", function()
    it("are written, read, listed", function()
        drift.mkdir "d/e/f"
        drift.mkdir "d/e/f"
        drift.write_file("d/b.txt", "two\0bytes")
        drift.write_file("d/a.txt", "")
        assert.are.equal("two\0bytes", drift.read_file "d/b.txt")
        assert.are.same({ "a.txt", "b.txt", "e" }, drift.files "d")
        assert.is_true(drift.exists "d/a.txt")
        assert.is_false(drift.exists "d/c.txt")
        assert.is_true(drift.is_folder "d")
        assert.is_false(drift.is_folder "d/a.txt")
        refused(function() return drift.read_file "d/c.txt" end, "d/c.txt")
        refused(function() return drift.read_file "d" end, "d: ")
        refused(function() return drift.mkdir "d/a.txt/g" end, "d/a.txt")
        refused(function() return drift.mkdir "d/a.txt" end, "not a folder")
        refused(function() return drift.files "none" end, "none")
        refused(function() return drift.write_file("none/x", "") end, "none/x")
    end)

    it("have hashes", function()
        local empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        assert.are.equal(empty, drift.sha256 "")
        drift.write_file("empty", "")
        assert.are.equal(empty, drift.sha256_file "empty")
        refused(function() return drift.sha256_file "none" end, "none")
    end)
end)

describe("the machine", function()
    it("has clocks, memory, processors", function()
        local t = drift.clock()
        drift.sleep(0.01)
        assert.is_true(drift.clock() - t >= 0.009)
        assert.is_true(drift.memory() > 1 << 20 and drift.peak_memory() >= drift.memory() / 2)
        assert.is_true(drift.cpus() >= 1)
        assert.are.equal("boolean", type(drift.isatty "stdout"))
    end)

    it("hands on the lines of the core and of plugins", function()
        local lines = {}
        drift.on_note(function(line) lines[#lines + 1] = line end)
        drift.note("%d of %s", 3, "x")
        drift.on_note(nil)
        assert.are.same({ "3 of x" }, lines)
    end)

    it("parses the command line's values", function()
        local parse = drift.parse
        assert.are.same({ 3, 1e-3, true, false, "abc", "" },
                        { parse "3", parse "1e-3", parse "true", parse "false", parse "abc", parse "" })
        assert.are.equal("integer", math.type(parse "3"))
        assert.is_nil(parse "nil")
        assert.are.same({ 1, 2.5, "x" }, parse "1, 2.5,x")
        assert.are.same({ 1 }, parse "{1}")
        assert.are.same({}, parse "{}")
    end)

    it("puts places before errors", function()
        local ok, message = pcall(drift.within, "epoch 3", function() error("oh", 0) end)
        assert.are.same({ false, "epoch 3: oh" }, { ok, message })
        ok, message = pcall(drift.within, "epoch 3", function() return drift.zeros(2) + drift.zeros(3) end)
        assert.is_truthy(message:find("epoch 3: add:", 1, true), message)
        assert.are.same({ 1, 2 }, { drift.within("x", function(...) return ... end, 1, 2) })
        refused(function() drift.fail("%d is wrong", 3) end, "3 is wrong")
        assert.is_truthy(drift.where():match "file_spec.lua:%d+$")
    end)
end)
