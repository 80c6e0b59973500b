-- tokenizer_spec.lua: vocabularies: SentencePiece's models and tokenizer.json, what they do with any text, and files
-- that are cut short or altered.
local drift = require "drift"

local tiny <const> = drift.home .. "/tests/data/tokenizer/"
local fixture <const> = drift.home .. "/tests/fixtures/t5/"
local sentencepiece, unigram = drift.tokenizer.sentencepiece, drift.tokenizer.unigram

local function refused(f, ...)
    local ok, message = pcall(f)
    assert.is_false(ok)
    for _, part in ipairs { "tokenizer_spec.lua:", ... } do assert.is_truthy(message:find(part, 1, true), message) end
    return message
end

-- drift.write_file waits for the disk, thousands of times here.
local function write(path, bytes)
    local f = assert(io.open(path, "wb"))
    f:write(bytes)
    f:close()
end

-- Texts with all that a table, a vocabulary and a terminal can stumble over.
local function texts()
    local list = { "", " ", "a photo of a boat", "  leading and   inner  ", "the lake\tand\nthe sea",
                   "e\u{301} and \u{fb03}", "\u{3000}wide\u{3000}", "\u{ad}soft\u{ad}", "\u{2026}",
                   "\u{2581}low\u{2581} line", "</s> <pad> <unk>",
                   "nul\0in the night", "bad \xff byte", "cut \xe2\x82", "\xc0\xaf", "\xed\xa0\x80", ("boat "):rep(40),
                   "xyz\u{4e00}\u{4e01} zzz", "<extra_id_0> boat" }
    local f = drift.open(fixture .. "tokens.safetensors")
    for _, name in ipairs(f:names()) do
        local t = name:find "text$" and f:tensor(name)
        if t and t:numel() > 0 then list[#list + 1] = t:tostring_bytes() end
    end
    return list
end

describe("a tokenizer", function()
    it("encodes, decodes and says what it has", function()
        local t = sentencepiece { path = tiny .. "spiece.model" }
        assert.are.equal(44, t:size())
        assert.are.same({ pad = 0, eos = 1, unk = 2 }, t:special())
        local ids = t:encode "the boat"
        assert.is_true(#ids > 0)
        assert.are.equal("the boat", t:decode(ids))
        assert.are.equal("\u{2581}the\u{2581}boat", t:normalize "the  boat ")
        assert.are.equal("", t:decode {})
    end)

    it("cuts, ends and pads a text to a length", function()
        local t = sentencepiece { path = tiny .. "spiece.model" }
        local all = t:encode "a photo of a boat"
        local ids, mask = t:encode("a photo of a boat", { length = #all + 3 })
        for i, id in ipairs(all) do assert.are.equal(id, ids[i]) end
        assert.are.same({ 1, 0, 0 }, { table.unpack(ids, #all + 1) })
        assert.are.same({ 1, 1, 0, 0 }, { table.unpack(mask, #all) })
        ids, mask = t:encode("a photo of a boat", { length = 3 })
        assert.are.same({ all[1], all[2], 1 }, ids)
        assert.are.same({ 1, 1, 1 }, mask)
        assert.are.same({ { 1, 0 }, { 1, 0 } }, { t:encode("", { length = 2 }) })
        refused(function() t:encode("a", { length = -1 }) end, "length = -1")
    end)

    it("refuses ids that no piece has, and texts beyond all measure", function()
        local t = sentencepiece { path = tiny .. "spiece.model" }
        refused(function() t:decode { 3, 44 } end, "id 2 of the list", "[0, 43]")
        refused(function() t:decode { -1 } end, "id 1 of the list")
        refused(function() t:decode { 1.5 } end, "id 1 of the list")
        refused(function() t:encode(("a "):rep(1 << 20)) end, "bytes")
        refused(function() t:encode {} end, "string expected")
    end)

    it("takes special pieces in a text for text", function()
        local model, json = sentencepiece { path = tiny .. "spiece.model" }, unigram { path = tiny .. "tokenizer.json" }
        for _, t in ipairs { model, json } do
            for _, id in ipairs(t:encode "</s> <pad> <extra_id_0>") do assert.is_true(id > 1 and id < 44) end
        end
    end)

    it("without a file, or with one that is none, says so", function()
        for _, kind in ipairs { sentencepiece, unigram } do
            refused(function() kind {}:size() end, "path")
            refused(function() kind { path = "none.model" }:size() end, "none.model")
            refused(function() kind { path = drift.home }:size() end, drift.home)
            write("empty", "")
            refused(function() kind { path = "empty" }:size() end, "empty")
        end
    end)
end)

describe("tokenizer.json", function()
    it("gives the ids of the spiece.model that it was made from", function()
        local model, compared = sentencepiece { path = tiny .. "spiece.model" }, 0
        for _, name in ipairs { "tokenizer.json", "tokenizer_joined.json" } do
            local json = unigram { path = tiny .. name }
            assert.are.same(model:special(), json:special())
            for _, text in ipairs(texts()) do
                assert.are.same(model:encode(text), json:encode(text), ("%q"):format(text))
                assert.are.equal(model:normalize(text), json:normalize(text))
                compared = compared + 1
            end
        end
        assert.is_true(compared > 80)
    end)

    local function altered(change)
        local root = drift.json.decode(drift.read_file(tiny .. "tokenizer.json"))
        change(root)
        write("altered.json", drift.json.encode(root))
        return function() return unigram { path = "altered.json" }:size() end
    end

    it("as it is written again, and as older versions wrote it, still opens", function()
        assert.are.equal(48, altered(function() end)())
        altered(function(r)
            r.pre_tokenizer.pretokenizers[2] = { type = "Metaspace", replacement = "\u{2581}", str_rep = "\u{2581}",
                                                 add_prefix_space = true }
            r.post_processor = nil
        end)()
        local old, new = unigram { path = "altered.json" }, unigram { path = tiny .. "tokenizer.json" }
        assert.are.same(new:special(), old:special())
        for _, text in ipairs(texts()) do assert.are.same(new:encode(text), old:encode(text)) end
    end)

    it("cuts words before it looks for pieces: one that reaches over a space is never found", function()
        local plain = unigram { path = tiny .. "tokenizer.json" }:encode "the boat"
        local function with_piece(split)
            altered(function(r)
                r.model.vocab[44] = drift.json.array { "\u{2581}the\u{2581}boat", 0 }
                r.pre_tokenizer = { type = "Metaspace", replacement = "\u{2581}", prepend_scheme = "always", split = split }
                r.normalizer = { type = "Sequence", normalizers = drift.json.array {
                    r.normalizer, { type = "Strip", strip_left = false, strip_right = true },
                    { type = "Replace", pattern = { Regex = " {2,}" }, content = "\u{2581}" } } }
            end)()
            return unigram { path = "altered.json" }:encode "the boat"
        end
        assert.are.same(plain, with_piece(true))
        assert.are.same({ 43 }, with_piece(false))
    end)

    it("that would tokenize differently is refused by the name of what does", function()
        refused(altered(function(r) r.model.type = "BPE" end), "altered.json", "BPE")
        refused(altered(function(r) r.model.byte_fallback = true end), "byte_fallback")
        refused(altered(function(r) r.normalizer = { type = "NFKC" } end), "NFKC")
        local lower = { type = "Sequence", normalizers = drift.json.array { { type = "Lowercase" } } }
        refused(altered(function(r) r.normalizer = lower end), "Lowercase")
        local replace = { type = "Replace", pattern = { String = "a" }, content = "b" }
        refused(altered(function(r) r.normalizer = replace end), "Replace")
        refused(altered(function(r) r.pre_tokenizer = { type = "ByteLevel" } end), "ByteLevel")
        refused(altered(function(r) r.pre_tokenizer = drift.json.null end), "pre_tokenizer")
        refused(altered(function(r) r.pre_tokenizer = { type = "Metaspace", replacement = "_" } end), "\"_\"")
        refused(altered(function(r) r.pre_tokenizer = r.pre_tokenizer.pretokenizers[2] end), "spaces")
        refused(altered(function(r) r.pre_tokenizer.pretokenizers[2].prepend_scheme = "never" end), "WhitespaceSplit")
        refused(altered(function(r) r.pre_tokenizer.pretokenizers[2].prepend_scheme = "last" end), "last")
        refused(altered(function(r) r.pre_tokenizer.pretokenizers[1].type = "Punctuation" end), "Sequence")
        refused(altered(function(r) r.post_processor.type = "BertProcessing" end), "BertProcessing")
        refused(altered(function(r) table.insert(r.post_processor.single, 1, { SpecialToken = { id = "<s>" } }) end),
            "post_processor")
        refused(altered(function(r) r.added_tokens[4].special = false end), "<extra_id_3>", "special")
    end)

    it("that is malformed is refused", function()
        refused(altered(function(r) r.model = drift.json.null end), "model")
        refused(altered(function(r) r.model.vocab = drift.json.array {} end), "vocab")
        refused(altered(function(r) r.model.vocab[5] = drift.json.array { "a" } end), "piece 4")
        refused(altered(function(r) r.model.vocab[5][2] = "0" end), "piece 4")
        refused(altered(function(r) r.model.vocab[5][1] = "" end), "piece 4")
        refused(altered(function(r) r.model.vocab[5][1] = r.model.vocab[6][1] end), "already defined")
        refused(altered(function(r) r.model.vocab[5][2] = 1e300 end), "score")
        refused(altered(function(r) r.model.unk_id = 1000 end), "unk_id")
        refused(altered(function(r) r.model.unk_id = drift.json.null end), "unk_id")
        refused(altered(function(r) r.added_tokens[2].id = 5 end), "added token")
        refused(altered(function(r) r.normalizer.precompiled_charsmap = "AAQ!" end), "base64")
        refused(altered(function(r) r.normalizer.precompiled_charsmap = "AAQA" end), "precompiled_charsmap")
        refused(altered(function(r) r.normalizer.precompiled_charsmap = drift.json.null end), "precompiled_charsmap")
        write("altered.json", drift.read_file(tiny .. "tokenizer.json"):sub(1, 5000))
        refused(function() unigram { path = "altered.json" }:size() end, "altered.json", "JSON")
    end)
end)

-- What opens must also work; what does not must name the file. Returns whether it opened.
local function open_or_refuse(bytes, probe)
    write("altered.model", bytes)
    local ok, t = pcall(function() return sentencepiece { path = "altered.model" }:instance() end)
    if not ok then
        assert.is_truthy(t:find("altered.model", 1, true), t)
        return false
    end
    for _, text in ipairs(probe) do
        local ids = t:encode(text)
        t:decode(ids)
    end
    return true
end

describe("a model that is", function()
    local probe = { "a photo of a boat", "\u{fb03} e\u{301} \u{ff21} \u{1e9b}\u{323} \u{3300}", "\xff\0\x80 </s>" }

    it("cut short is refused", function()
        for _, file in ipairs { tiny .. "spiece.model", fixture .. "tiny/spiece.model" } do
            local model = drift.read_file(file)
            local opened = 0
            for n = 0, #model - 3, #model > 10000 and 997 or 7 do   -- an empty part stands at the end
                if open_or_refuse(model:sub(1, n), probe) then opened = opened + 1 end
            end
            assert.are.equal(0, opened)
            assert.is_true(open_or_refuse(model, probe))
        end
    end)

    it("altered in single bytes opens or is refused, and never does harm", function()
        local opened, tried = 0, 0
        for _, file in ipairs { tiny .. "spiece.model", fixture .. "tiny/spiece.model" } do
            local model = drift.read_file(file)
            for i = 1, #model, #model > 10000 and 1499 or 3 do
                local flip = ({ 0x01, 0x80, 0xff, 0x10 })[i % 4 + 1]
                local altered = model:sub(1, i - 1) .. string.char(model:byte(i) ~ flip) .. model:sub(i + 1)
                if open_or_refuse(altered, probe) then opened = opened + 1 end
                tried = tried + 1
            end
        end
        assert.is_true(opened > 0 and opened < tried, ("%d of %d opened"):format(opened, tried))
    end)

    -- Fields of a ModelProto, written by hand.
    local function field(number, bytes) return string.pack("B s1", number << 3 | 2, bytes) end
    local function piece(text, score, kind)
        return field(1, field(1, text) .. string.pack("<B f B B", 2 << 3 | 5, score, 3 << 3, kind))
    end
    local settings = field(2, "") .. field(3, "")              -- trainer, normalizer

    it("without what it needs is refused", function()
        local function why(bytes)
            write("altered.model", bytes .. settings)
            return refused(function() sentencepiece { path = "altered.model" }:size() end, "altered.model")
        end
        assert.is_truthy(why(""):find "without a piece")
        assert.is_truthy(why(piece("a", 0, 1)):find "unk")
        assert.is_truthy(why(piece("<unk>", 0, 2) .. piece("", 0, 1)):find "piece 1 is empty")
        assert.is_truthy(why(piece("<unk>", 0, 2) .. piece("a\0b", 0, 1)):find "NUL")
        assert.is_truthy(why(piece("<unk>", 0, 2) .. piece("a", 0 / 0, 1)):find "finite")
        assert.is_truthy(why(piece("<unk>", 0, 2) .. piece("a", 0, 9)):find "type 9")
        local nested = { piece("<unk>", 0, 2) }
        for n = 1, 65 do nested[n + 1] = piece(("a"):rep(n), 0, 4) end
        assert.is_truthy(why(table.concat(nested)):find "64 user%-defined")
        why "not a model at all, but a text of some length"
    end)

    -- A table of normalisation: 4 bytes size, units of a double array, replacements.
    local function with_table(units, replacements)
        local map = string.pack("<I4", 4 * #units)
        for _, u in ipairs(units) do map = map .. string.pack("<I4", u) end
        map = map .. replacements
        local function length(n) return n < 128 and string.char(n) or string.char(n & 127 | 128, n >> 7) end
        local message = string.char(2 << 3 | 2) .. length(#map) .. map
        return piece("<unk>", 0, 2) .. piece("a", -1, 1) .. field(2, "")
            .. string.char(3 << 3 | 2) .. length(#message) .. message
    end

    it("made to lead out of its table is refused", function()
        local function units(changes)
            local list = {}
            for i = 1, 512 do list[i] = 0x80000000 end
            list[1] = 0                                        -- offset 0: from place 0
            for i, u in pairs(changes) do list[i + 1] = u end
            return list
        end
        local function why(...)
            write("altered.model", with_table(...))
            return refused(function() sentencepiece { path = "altered.model" }:size() end, "altered.model",
                "precompiled_charsmap")
        end
        -- 'a' leads from place 0 to unit 97, from there by offset 256 to place 353, which holds a value.
        local way = { [97] = 97 | 1 << 8 | 256 << 10, [353] = 0x80000000 }
        assert.is_true(open_or_refuse(with_table(units(way), "b\0"), { "aaa" }))
        assert.is_truthy(why(units { [97] = 97 | 1 << 8 | 4096 << 10 }, "b\0"):find "leads out")
        assert.is_truthy(why(units { [97] = 97 | 1 << 8 | 256 << 10, [353] = 0x80000002 },
            "b\0"):find "replacement that is not there")
        assert.is_truthy(why(units(way), "b"):find "last replacement")
        assert.is_truthy(why(units { [0] = 512 << 10 }, "b\0"):find "leads out")
        -- 'a' leads from a place back to it, with a value each time: more values than the library has room for.
        assert.is_truthy(why(units { [97] = 97 | 1 << 8 | 97 << 10 }, "b\0"):find "too many")
    end)
end)
