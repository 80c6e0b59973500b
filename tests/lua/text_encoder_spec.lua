-- text_encoder_spec.lua: prompts to tokens: the T5 encoder and its config.json, embeddings in files, .npy.
local drift = require "drift"

local tiny <const> = drift.home .. "/tests/fixtures/t5/tiny/"

local function refused(f, ...)
    local ok, message = pcall(f)
    assert.is_false(ok)
    for _, part in ipairs { "text_encoder_spec.lua:", ... } do
        assert.is_truthy(message:find(part, 1, true), message)
    end
    return message
end

local function largest(t) return t:abs():amax():item() end

-- A model's folder as users have it.
local function folder()
    drift.mkdir "model/text_encoder"
    drift.mkdir "model/tokenizer"
    for from, to in pairs { ["config.json"] = "text_encoder/config.json",
                            ["model.safetensors"] = "text_encoder/model.safetensors",
                            ["spiece.model"] = "tokenizer/spiece.model" } do
        drift.write_file("model/" .. to, drift.read_file(tiny .. from))
    end
    return "model"
end

describe("drift.prompt", function()
    it("is Python's text.lower().strip()", function()
        for text, expected in pairs {
            ["  A Photo of a DOG\t\n"] = "a photo of a dog", [""] = "", [" \u{a0}\u{3000}\x1f "] = "",
            ["ÀÉ Ж ΑΒΓ Ǆ"] = "àé ж αβγ ǆ",
            ["İstanbul"] = "i\u{307}stanbul", ["ΟΔΥΣΣΕΥΣ ΣΟΦΟΣ."] = "οδυσσευς σοφος.", ["Σ"] = "σ", ["ΑΣ'Α"] = "ασ'α",
            ["A\xff B\xe2\x82"] = "a\xff b\xe2\x82", ["A\0B"] = "a\0b", ["\u{1E900}\u{10400}"] = "\u{1E922}\u{10428}",
            ["ẞ"] = "ß",
        } do
            assert.are.equal(expected, drift.prompt(text))
        end
        refused(function() drift.prompt(3) end, "string")
    end)
end)

describe("drift.clean_caption", function()
    it("makes of a caption what diffusers makes of it", function()
        for _, pair in ipairs {
            { "An oil painting of people around a campfire", "an oil painting of people around a campfire" },
            { "A photo of a man wearing a hat (1920x1080)", "a photo of a man wearing a hat" },
            { "this-is-my-cute-cat-photo", "this is my cute cat photo" },
            { "a cat -- sitting, on_a_mat", "a cat - sitting, on_a_mat" },
            { "Visit https://www.example.com/path/page for more", "visit for more" },
            { "mail me@example.com", "mail me" }, { "a &amp; b", "a b" },
            { "&quot;quoted&quot; text", "\"quoted\" text" }, { "<b>bold</b> move", "bold move" },
            { "<person> walking", "person walking" }, { "\"hello world\"", "hello world" },
            { "“curly” ‘quotes’", "curly\" 'quotes" }, { "漢字 and text", "and text" },
            { "dash — en – em ― bar", "dash - en - em - bar" }, { "192.168.0.1 is home", "is home" },
            { "line\\nbreak", "line break" }, { "#12 pencil", "pencil" }, { "id 1234567 end", "id end" },
            { "foo.png bar.jpeg baz", "baz" }, { "\"\"\"SALE\"\"\"", "sale" }, { "wait... what..", "wait what" },
            { "***AUSVERKAUFT***, #AUSVERKAUFT", "ausverkauft , ausverkauft" }, { "jc6640 shoes", "shoes" },
            { "jc6640vc boots", "boots" }, { "worldwide free shipping now", "now" },
            { "click for more stuff", "stuff" }, { "a jpg image", "a" }, { "page 12 of book", "of book" },
            { "10x20 grid", "grid" }, { "3.5×4.5 cm", "cm" }, { "name : value", "name: value" },
            { "a,b.c/d", "a, b. c d" }, { "1,000 dollars", "1,000 dollars" }, { "caf%C3%A9", "café" },
            { "½ cup · sugar © me", "cup sugar me" }, { "@user hello @other", "hello" },
            { "U.S.A. flag", "u. s. a. flag" }, { "trailing-", "trailing" }, { ".hidden", "" },
            { "naïve café, déjà vu", "naïve café, déjà vu" }, { "html &nbsp; space", "html space" },
            { "https://", "" }, { "a < b > c", "a < b > c" },
        } do
            assert.are.equal(pair[2], drift.clean_caption(pair[1]))
        end
    end)

    it("takes any bytes, of any length", function()
        for _, text in ipairs { "", "\0\xff\xfe%", "&#99999999999; &#xFFFFFFF; &#1114112;", ("a."):rep(4000),
            ("<a"):rep(4000), ("x.com"):rep(1600),
                             ("1"):rep(8192), ("a1"):rep(4096) } do
            assert.is_string(drift.clean_caption(text))
        end
        refused(function() drift.clean_caption(3) end, "string")
        refused(function() drift.clean_caption(("a"):rep(8193)) end, "8193 bytes")
    end)
end)

describe("the T5 encoder", function()
    local function config(change)
        local c = drift.read_json(tiny .. "config.json")
        for key, value in pairs(change or {}) do c[key] = value end
        return c
    end

    it("refuses what it does not know in config.json, by name and value", function()
        local function why(change, ...)
            refused(function() drift.models.t5_encoder { config = config(change) } end, ...)
        end
        why({ feed_forward_proj = "gated-tanh" }, "feed_forward_proj", "gated-tanh", "gated-gelu")
        why({ dense_act_fn = "relu" }, "dense_act_fn", "gelu_new")
        why({ is_gated_act = false }, "is_gated_act")
        why({ model_type = "bert" }, "model_type", "bert")
        why({ is_decoder = true }, "is_decoder")
        why({ num_heads = 0 }, "num_heads = 0")
        why({ d_model = "32" }, "d_model")
        why({ layer_norm_epsilon = 2 }, "layer_norm_epsilon")
        why({ relative_attention_num_buckets = 3 }, "relative_attention_num_buckets")
        why({ relative_attention_num_buckets = 30, relative_attention_max_distance = 7 }, "relative_attention_max_distance")
        why({ num_head = 4 }, "num_head", "did you mean num_heads")
        refused(function() drift.models.t5_encoder {} end, "config")
        refused(function() drift.models.t5_encoder { config = "none.json" } end, "none.json")
    end)

    it("knows v1.0's plain network as well", function()
        local net = drift.build(drift.models.t5_encoder { config = config {
            feed_forward_proj = "relu", dense_act_fn = "relu", is_gated_act = false } })
        local names = {}
        for _, w in ipairs(net:named()) do names[w.path] = true end
        assert.is_true(names["encoder.block.2.layer.1.DenseReluDense.wi.weight"])
        assert.is_nil(names["encoder.block.2.layer.1.DenseReluDense.wi_0.weight"])
        local ids = drift.tensor({ { 5, 6, 1 } }, "i32")
        assert.are.same({ 1, 3, 32 }, net(ids).shape)
    end)

    it("hides padding: what stands there changes nothing before it", function()
        local net = drift.build(drift.models.t5_encoder { config = tiny .. "config.json" }, { weights = tiny })
        local mask = drift.tensor { { 1, 1, 1, 0, 0 } }
        local a = net(drift.tensor({ { 5, 6, 1, 0, 0 } }, "i32"), { mask = mask })
        local b = net(drift.tensor({ { 5, 6, 1, 40, 41 } }, "i32"), { mask = mask })
        assert.are.equal(0, largest(a:narrow(1, 0, 3) - b:narrow(1, 0, 3)))
        assert.is_true(largest(a:narrow(1, 3, 2) - b:narrow(1, 3, 2)) > 0.1)
        assert.is_true(largest(a - net(drift.tensor({ { 5, 6, 1, 0, 0 } }, "i32"))) > 0.01)
        refused(function() net(drift.tensor({ 5, 6 }, "i32")) end, "[B,L]")
        refused(function() net(drift.tensor({ { 5, 6 } }, "i32"), { mask = mask }) end, "mask")
        refused(function() net(drift.tensor({ { 5, 1000 } }, "i32")) end, "1000")
    end)

    it("in bf16 and with f16 weights is near to f32", function()
        local spec, W = drift.models.t5_encoder { config = tiny .. "config.json" }, drift.weights(tiny)
        local half = {}
        for _, name in ipairs(W:names()) do half[name] = W:tensor(name, "f16") end
        drift.save_tensors("half.safetensors", half)
        local ids = drift.tensor({ { 5, 29, 9, 10, 5, 54, 155, 1, 0, 0 } }, "i32")
        local mask = drift.tensor { { 1, 1, 1, 1, 1, 1, 1, 1, 0, 0 } }
        local exact = drift.build(spec, { weights = W })(ids, { mask = mask })
        local net = drift.build(spec, { weights = "half.safetensors" })
        local y = net(ids, { mask = mask })
        assert.are.equal("f32", y.dtype)
        assert.is_true(largest(y - exact) < 0.02 and largest(y - exact) > 0)
        if not drift.device():computes "bf16" then return end
        drift.precision "bf16"
        local ok, narrow = pcall(net, ids, { mask = mask })
        drift.precision "f32"
        assert.is_true(ok, narrow)
        assert.are.equal("f32", narrow.dtype)
        assert.is_true(largest(narrow - exact) < 0.3 and largest(narrow - y) > 0, tostring(largest(narrow - exact)))
    end)
end)

describe("a text encoder", function()
    it("makes embeddings of prompts, and of the empty one", function()
        local text = drift.text_encoder(folder())
        local e = text:encode { "A photo of a man ", "a dog" }
        assert.are.same({ 2, 77, 32 }, e.tokens.shape)
        assert.are.same({ 2, 77 }, e.mask.shape)
        assert.are.same({ 1, 77, 32 }, e.null.shape)
        assert.are.equal(0, largest(text:encode("a photo of a man").tokens - e.tokens:narrow(0, 0, 1)))
        assert.are.equal(0, largest(text:encode("").tokens - e.null))
        local padding = e.null:narrow(1, 1, 76)                -- one end, and 76 rows of padding
        assert.is_true(largest(padding - e.tokens:narrow(0, 0, 1):narrow(1, 1, 76)) > 0.1)
        local c = e:condition { "A DOG", 1 }
        assert.are.equal(0, largest(c.tokens:narrow(0, 0, 1) - e.tokens:narrow(0, 1, 1)))
        assert.are.equal(0, largest(c.null.tokens - e.null))
        assert.are.same({ 2, 77, 32 }, e:condition().tokens.shape)
        refused(function() e:condition "a dof" end, "a dof", "a dog")
        refused(function() e:condition(3) end, "1 to 2")
    end)

    it("encodes many prompts as it encodes each", function()
        local text, prompts = drift.text_encoder { folder = folder(), length = 30, keep = true }, {}
        for i = 1, 19 do prompts[i] = ("photo "):rep(i) .. "of a boat" end
        local e = text:encode(prompts)
        for _, i in ipairs { 1, 8, 9, 19 } do
            assert.is_true(largest(text:encode(prompts[i]).tokens - e:condition(i).tokens) < 1e-5)
        end
    end)

    it("notes what is cut off, and takes any bytes", function()
        local text, notes = drift.text_encoder(folder()), {}
        drift.on_note(function(line) notes[#notes + 1] = line end)
        text:encode { "short", ("very "):rep(100) .. "long", "\xff\xfe\0bad" }
        drift.on_note(nil)
        assert.are.equal(1, #notes)
        assert.is_truthy(notes[1]:find "prompt 2 has %d+ pieces")
    end)

    it("takes the embedding under its other names", function()
        local path, tensors = folder(), drift.load_tensors(tiny .. "model.safetensors")
        local expected = drift.text_encoder(path):encode("a dog").tokens
        tensors["encoder.embed_tokens.weight"] = tensors["shared.weight"]
        drift.save_tensors(path .. "/text_encoder/model.safetensors", tensors)
        assert.are.equal(0, largest(drift.text_encoder(path):encode("a dog").tokens - expected))
        tensors["shared.weight"] = nil
        tensors["decoder.final_layer_norm.weight"] = drift.ones(32)
        drift.save_tensors(path .. "/text_encoder/model.safetensors", tensors)
        assert.are.equal(0, largest(drift.text_encoder(path):encode("a dog").tokens - expected))
        tensors["encoder.block.1.layer.0.SelfAttention.q.weight"] = nil
        drift.save_tensors(path .. "/text_encoder/model.safetensors", tensors)
        refused(function() drift.text_encoder(path):encode "a dog" end,
            "encoder.block.1.layer.0.SelfAttention.q.weight")
    end)

    it("says what is missing", function()
        refused(function() drift.text_encoder "none" end, "none/text_encoder", "embeddings")
        refused(function() drift.text_encoder {} end, "folder")
        refused(function() drift.text_encoder { folder = folder(), lenght = 3 } end, "length")
        refused(function() drift.text_encoder(folder()):encode {} end, "empty list")
        refused(function() drift.text_encoder(folder()):encode { "a", 3 } end, "prompt 2")
        local apart = { text_encoder = tiny, tokenizer = drift.home .. "/tests/data/tokenizer" }
        refused(function() drift.text_encoder(apart):encode(3) end, "number")
        local c = drift.read_json(tiny .. "config.json")
        c.vocab_size = 100
        drift.write_file(folder() .. "/text_encoder/config.json", drift.json.encode(c))
        refused(function() drift.text_encoder "model" end, "229", "100")
    end)
end)

describe("embeddings", function()
    local function some(n) return drift.randn { n, 7, 5, purpose = "embeddings", step = n } end

    it("come back from a file as they were", function()
        local e = drift.embeddings.make("here", { tokens = some(2), null = some(1), mask = drift.ones(2, 7),
                                                  prompts = { "a \xff", "b" },
                                                  model = "m" })
        e:save "e.safetensors"
        local b = drift.embeddings.load "e.safetensors"
        for _, name in ipairs { "tokens", "null", "mask" } do assert.are.same(e[name]:totable(), b[name]:totable()) end
        assert.are.same({ "a \u{FFFD}", "b" }, b.prompts)
        assert.are.equal("m", b.model)
        e:save "e.npy"
        b = drift.embeddings.load("e.npy", { null = "e.safetensors" })
        assert.are.same({ e.tokens:totable(), e.null:totable() }, { b.tokens:totable(), b.null:totable() })
        assert.is_nil(b.prompts)
        assert.is_nil(drift.embeddings.load "e.npy":condition(2).null)
        refused(function() e:save "e.txt" end, "e.txt")
    end)

    it("of others are taken", function()
        drift.save_tensors("d.safetensors", { prompt_embeds = some(1):cast "f16", negative_prompt_embeds = some(1) })
        local e = drift.embeddings.load "d.safetensors"
        assert.are.same({ 1, 7, 5 }, e.null.shape)
        assert.are.equal("f32", e.tokens.dtype)
        drift.save_tensors("n.safetensors", { ["a man in a hat"] = some(1), ["a dog"] = some(1):reshape(7, 5) * 2,
            null = some(1) * 3 })
        e = drift.embeddings.load "n.safetensors"
        assert.are.same({ "a dog", "a man in a hat" }, e.prompts)
        assert.is_true(largest(e:condition("A dog").tokens - some(1) * 2) < 1e-6)
        assert.is_true(largest(e.null - some(1) * 3) < 1e-6)
    end)

    it("that do not fit are refused", function()
        local function why(tensors, ...)
            drift.save_tensors("w.safetensors", tensors)
            refused(function() drift.embeddings.load "w.safetensors" end, "w.safetensors", ...)
        end
        why({ tokens = drift.ones(3) }, "[3]")
        why({ tokens = drift.ones(0, 7, 5) }, "[0,7,5]")
        why({ tokens = some(1) / 0 }, "finite")
        why({ tokens = some(2), null = some(2) }, "empty prompt")
        why({ tokens = some(2), mask = drift.ones(2, 6) }, "mask")
        why({ ["a"] = drift.ones(1, 7, 5), ["b"] = drift.ones(1, 7, 6) }, "'b'")
        drift.save_tensors("w.safetensors", { tokens = some(2) }, { prompts = "[\"a\"]" })
        refused(function() drift.embeddings.load "w.safetensors" end, "1 prompts for 2 rows")
        drift.save_tensors("w.safetensors", { tokens = some(2) }, { prompts = "nonsense" })
        refused(function() drift.embeddings.load "w.safetensors" end, "JSON")
        drift.write_file("w.pth", "x")
        refused(function() drift.embeddings.load "w.pth" end, "pickle", "w.safetensors")
        refused(function() drift.embeddings.load "none.safetensors" end, "none.safetensors")
        refused(function() drift.embeddings.load(3) end, "number")
    end)
end)

describe("a .npy file", function()
    local function file(header, numbers, version)
        local form = (version or 1) == 1 and "<s2" or "<s4"
        local f = assert(io.open("x.npy", "wb"))
        f:write("\x93NUMPY", string.char(version or 1, 0), string.pack(form, header), numbers)
        f:close()
        return function() return drift.npy.read "x.npy" end
    end
    local six = string.pack("<ffffff", 1, 2, 3, 4, 5, 6)

    it("of each type, version, order and way to write its header is read", function()
        assert.are.same({ { 1, 2, 3 }, { 4, 5, 6 } },
            file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }      \n", six)():totable())
        assert.are.same({ { 1, 3, 5 }, { 2, 4, 6 } },
            file("{\"fortran_order\":True,\"shape\":(2,3),\"descr\":\"<f4\"}\n", six, 2)():totable())
        assert.are.same({ 1, 2, 3, 4, 5, 6 },
            file("{'descr': '<f4', 'fortran_order': False, 'shape': (6,)}\n", six, 3)():totable())
        assert.are.same({ { 1, 2, 3 }, { 4, 5, 6 } },
            file("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L)}", six)():totable())
        local d = file("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", string.pack("<dd", 0.1, 2))()
        assert.are.equal("f64", d.dtype)
        assert.are.equal(0.1, d:totable()[1])
        local scalar = file("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", string.pack("<f", 2.5))()
        assert.are.equal(2.5, scalar:item())
        assert.are.same({ 0, 4 }, file("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }", "")().shape)
        local h = file("{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }", "\0\x3c\0\xc0")()
        assert.are.same({ 1, -2 }, h:cast "f32":totable())
    end)

    it("is written as it is read", function()
        for _, shape in ipairs { { 2, 3, 4 }, { 5 }, { 0, 3 }, { 1, 1, 1, 1, 2 } } do
            local n = 1
            for _, size in ipairs(shape) do n = n * size end
            local t = drift.arange(n):cast "f32":reshape(table.unpack(shape))
            for _, dtype in ipairs { "f16", "f32", "f64" } do
                drift.npy.write("y.npy", t:cast(dtype))
                local back = drift.npy.read "y.npy"
                assert.are.same({ dtype, shape }, { back.dtype, back.shape })
                assert.are.same(t:totable(), back:cast "f32":totable())
            end
            assert.are.equal(0, (drift.read_file("y.npy"):find "\n") % 64)
        end
        refused(function() drift.npy.write("y.npy", drift.tensor({ 1 }, "i32")) end, "i32")
    end)

    it("that is malformed is refused, each with its reason", function()
        local function why(f, ...) refused(f, "x.npy", ...) end
        local good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
        why(file(good, six:sub(1, 20)), "24 bytes", "20 follow")
        why(file(good, six .. "x"), "25 follow")
        why(file(good:gsub("<f4", ">f4"), six), ">f4")
        why(file(good:gsub("<f4", "|O"), six), "pickle")
        why(file(good:gsub("<f4", "<i4"), six), "<i4")
        why(file(good:gsub("'<f4'", "[('a', '<f4')]"), six), "parts")
        why(file(good:gsub("2, 3", "-2, 3"), six), "header")
        why(file(good:gsub("2, 3", "2 3"), six), "shape")
        why(file(good:gsub("2, 3", ", 6"), six), "shape")
        why(file(good:gsub("2, 3", "6"), six), "shape")
        why(file(good:gsub("2, 3", "4294967296, 4294967296"), six), "too large")
        why(file(good:gsub("2, 3", "99999999999999999999"), six), "shape")
        why(file(good:gsub("2, 3", "1, 1, 1, 1, 2, 3"), six), "6 axes")
        why(file(good:gsub("False", "0"), six), "header")
        why(file(good:gsub("'shape'", "'size'"), six), "header")
        why(file(good:gsub("'descr': '<f4', ", ""), six), "header")
        why(file(good:gsub("{", "{'descr': '<f4', "), six), "twice")
        why(file(good .. "import os", six), "header")
        why(file("__import__('os').system('touch ran')", six), "header")
        assert.is_false(drift.exists "ran")
        why(file("", six), "header")
        why(file(("x"):rep(70000), six, 2), "claims 70000")
        why(file(good, six, 4), "version")
        local whole = "\x93NUMPY\1\0" .. string.pack("<s2", good) .. six
        for n = 0, #whole - 1 do
            local f = assert(io.open("x.npy", "wb"))
            f:write(whole:sub(1, n))
            f:close()
            why(function() return drift.npy.read "x.npy" end)
        end
        refused(function() drift.npy.read "none.npy" end, "none.npy")
        refused(function() drift.npy.read "." end, "folder")
    end)
end)
