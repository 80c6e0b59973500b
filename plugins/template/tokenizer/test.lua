-- test.lua: any bytes come back, ids are the bytes, and the end and the padding have ids of their own. make test
local drift = require "drift"

local t = drift.tokenizer.my_tokenizer {}
for _, text in ipairs { "", "a photo", "gr\u{fc}n", "\0\1\255 not UTF-8" } do
  assert(t:decode(t:encode(text)) == text)
end
local ids = t:encode "AZ"
assert(#ids == 2 and ids[1] == 65 and ids[2] == 90)
assert(drift.tokenizer.my_tokenizer { lower = true }:normalize "AZ" == "az")

local padded, mask = t:encode("hi", { length = 5 })
local wanted, kept = { 104, 105, 257, 256, 256 }, { 1, 1, 1, 0, 0 }
for i = 1, 5 do assert(padded[i] == wanted[i] and mask[i] == kept[i], i) end
print "test.lua: all is well"
