-- event_file.lua: the bytes of TensorBoard's event files.
--   local file = drift.event_file()
--   file:scalars(step, { loss = 0.5, lr = 1e-3 })                one event, its tags in order of name
--   file:png(step, "samples", bytes)                             false where the bytes are no PNG
--   file:bytes()
-- A file is a list of TFRecords (length u64, its checksum, data, its checksum; little endian), and each record's data
-- is an Event of TensorFlow's event.proto. An event's time is its step, in seconds, and not the clock's: the same
-- records and pictures give the same bytes.
local crc32c = require "drift.crc32c"

-- ---- protobuf -------------------------------------------------------------------------------------------------------
local function varint(n)
  local bytes = {}
  while n > 127 or n < 0 do
    bytes[#bytes + 1] = string.char(n & 127 | 128)
    n = n >> 7
  end
  return table.concat(bytes) .. string.char(n)
end

local function key(field, wire) return varint(field << 3 | wire) end
local function integer(field, n) return key(field, 0) .. varint(n) end
local function double(field, x) return key(field, 1) .. string.pack("<d", x) end
local function bytes_of(field, text) return key(field, 2) .. varint(#text) .. text end     -- a text or a message
local function float(field, x) return key(field, 5) .. string.pack("<f", x) end

local function event(step, content) return double(1, step) .. integer(2, step) .. content end
local function summary(values) return bytes_of(5, values) end
local function value(tag, content) return bytes_of(1, bytes_of(1, tag) .. content) end

-- ---- TFRecords ------------------------------------------------------------------------------------------------------
-- Turned and moved, since a checksum of data that hold checksums of the same kind is weak.
local function masked(text)
  local crc = crc32c(text)
  return string.pack("<I4", (crc >> 15 | crc << 17) + 0xa282ead8 & 0xffffffff)
end

local function framed(data)
  local length = string.pack("<I8", #data)
  return length .. masked(length) .. data .. masked(data)
end

-- ---- PNG ------------------------------------------------------------------------------------------------------------
local CHANNELS <const> = { [0] = 1, [2] = 3, [3] = 3, [4] = 2, [6] = 4 }     -- of a PNG's colour type

-- -> width, height, channels; nil of other files
local function png_header(bytes)
  if #bytes < 33 or bytes:sub(1, 8) ~= "\x89PNG\r\n\x1a\n" or bytes:sub(13, 16) ~= "IHDR" then return nil end
  local width, height, _, color = string.unpack(">I4I4BB", bytes, 17)
  return width, height, CHANNELS[color] or 3
end

-- ---- a file ---------------------------------------------------------------------------------------------------------
local methods = {}
local meta = { __index = methods }

function methods:scalars(step, numbers)
  local tags, values = {}, {}
  for tag in pairs(numbers) do tags[#tags + 1] = tag end
  table.sort(tags)
  for i, tag in ipairs(tags) do values[i] = value(tag, float(2, numbers[tag])) end
  self[#self + 1] = framed(event(step, summary(table.concat(values))))
end

function methods:png(step, tag, bytes)
  local width, height, channels = png_header(bytes)
  if not width then return false end
  local image = integer(1, height) .. integer(2, width) .. integer(3, channels) .. bytes_of(4, bytes)
  self[#self + 1] = framed(event(step, summary(value(tag, bytes_of(4, image)))))
  return true
end

function methods:bytes() return table.concat(self) end

return function()
  return setmetatable({ framed(double(1, 0) .. bytes_of(3, "brain.Event:2")) }, meta)
end
