-- my_tokenizer.lua: a text's bytes are its pieces.     Xue et al. 2022 (ByT5)
--   id = byte,  0..255;  256 pads, 257 ends a text
local drift = require "drift"

drift.define.tokenizer {
  name = "my_tokenizer", doc = "A text's bytes are its pieces",
  params = { { "lower", "bool", default = false, doc = "A to Z become a to z first" } },
  info = function(self) return { pieces = 258, pad = 256, eos = 257 } end,
  normalize = function(self, text)
    return self.lower and (text:gsub("%u", function(c) return string.char(c:byte() + 32) end)) or text
  end,
  -- Without the id that ends a text: the host adds it, cuts and pads.
  encode = function(self, text)
    local ids = {}
    for i = 1, #text do ids[i] = text:byte(i) end
    return ids
  end,
  decode = function(self, ids)
    local text = {}
    for i, id in ipairs(ids) do text[i] = id < 256 and string.char(id) or "" end
    return table.concat(text)
  end,
}
