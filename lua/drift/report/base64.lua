-- base64.lua: bytes as base64 (RFC 4648), for pictures that lie within a page.
local ALPHABET <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local pair = {}                                                    -- 12 bits -> two characters
for i = 0, 4095 do
  local high, low = (i >> 6) + 1, (i & 63) + 1
  pair[i] = ALPHABET:sub(high, high) .. ALPHABET:sub(low, low)
end

return function(bytes)
  local out, whole = {}, #bytes - #bytes % 3
  for i = 1, whole, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local bits = a << 16 | b << 8 | c
    out[#out + 1] = pair[bits >> 12]
    out[#out + 1] = pair[bits & 4095]
  end
  local rest = #bytes - whole
  if rest > 0 then
    local a, b = bytes:byte(whole + 1, whole + 2)
    local bits = a << 16 | (b or 0) << 8
    out[#out + 1] = pair[bits >> 12] .. (rest == 2 and pair[bits & 4095]:sub(1, 1) .. "=" or "==")
  end
  return table.concat(out)
end
