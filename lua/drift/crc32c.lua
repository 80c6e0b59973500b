-- crc32c.lua: CRC-32C (Castagnoli), the checksum of TensorBoard's event files.
--   drift.crc32c "123456789" -> 0xe3069283
-- A table for each of four bytes, so that four go in one step: a run's pictures are some megabytes.
local POLYNOMIAL <const> = 0x82f63b78                             -- its bits in reverse order

local t0, t1, t2, t3 = {}, {}, {}, {}
for i = 0, 255 do
  local crc = i
  for _ = 1, 8 do crc = crc >> 1 ~ (crc & 1) * POLYNOMIAL end
  t0[i] = crc
end
for i = 0, 255 do t1[i] = t0[i] >> 8 ~ t0[t0[i] & 255] end
for i = 0, 255 do t2[i] = t1[i] >> 8 ~ t0[t1[i] & 255] end
for i = 0, 255 do t3[i] = t2[i] >> 8 ~ t0[t2[i] & 255] end

return function(text)
  local crc, whole = 0xffffffff, #text - #text % 4
  for at = 1, whole, 4 do
    crc = crc ~ string.unpack("<I4", text, at)
    crc = t3[crc & 255] ~ t2[crc >> 8 & 255] ~ t1[crc >> 16 & 255] ~ t0[crc >> 24]
  end
  for at = whole + 1, #text do crc = crc >> 8 ~ t0[(crc ~ text:byte(at)) & 255] end
  return ~crc & 0xffffffff
end
