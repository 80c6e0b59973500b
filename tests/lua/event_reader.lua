-- event_reader.lua: reads an event file by the formats' own words (TFRecord, event.proto, summary.proto), with none of
-- the code that writes them; what it does not know is an error. For tests.
--   local events = dofile(".../event_reader.lua").read(bytes)
--   events[i] = { time =, step =, version =, values = list of { tag =, number = }
--                 or { tag =, width =, height =, channels =, png = } }
local reader = {}

-- CRC-32C bit by bit.
function reader.crc32c(text)
  local crc = 0xffffffff
  for i = 1, #text do
    crc = crc ~ text:byte(i)
    for _ = 1, 8 do crc = crc & 1 == 1 and crc >> 1 ~ 0x82f63b78 or crc >> 1 end
  end
  return crc ~ 0xffffffff
end

local function check(text, at, what)
  local stored = string.unpack("<I4", text, at)
  local turned = (stored - 0xa282ead8) & 0xffffffff
  assert(((turned >> 17) | (turned << 15)) & 0xffffffff == reader.crc32c(what), "the checksum does not fit")
end

local function varint(text, at)
  local n, shift = 0, 0
  while true do
    local byte = text:byte(at)
    n, shift, at = n | (byte & 127) << shift, shift + 7, at + 1
    if byte < 128 then return n, at end
  end
end

-- A message's fields, each at most once unless it is in `lists`: by the names that `names` gives their numbers.
local function message(text, names, lists)
  local fields, at = {}, 1
  while at <= #text do
    local key, value
    key, at = varint(text, at)
    local name, wire = names[key >> 3], key & 7
    assert(name, "field " .. (key >> 3) .. " is not known")
    if wire == 0 then value, at = varint(text, at)
    elseif wire == 1 then value, at = string.unpack("<d", text, at)
    elseif wire == 5 then value, at = string.unpack("<f", text, at)
    else
      assert(wire == 2, "wire type " .. wire)
      local n
      n, at = varint(text, at)
      assert(at + n - 1 <= #text, "a field ends after its message")
      value, at = text:sub(at, at + n - 1), at + n
    end
    if lists and lists[name] then
      fields[name] = fields[name] or {}
      table.insert(fields[name], value)
    else
      assert(fields[name] == nil, name .. " is there twice")
      fields[name] = value
    end
  end
  return fields
end

local function value_of(text)
  local v = message(text, { "tag", "number", [4] = "image" })
  if not v.image then return v end
  local i = message(v.image, { "height", "width", "channels", "png" })
  return { tag = v.tag, width = i.width, height = i.height, channels = i.channels, png = i.png }
end

local function event_of(text)
  local e = message(text, { "time", "step", "version", [5] = "summary" })
  local list = e.summary and message(e.summary, { "values" }, { values = true }).values or {}
  local values = {}
  for i, value in ipairs(list) do values[i] = value_of(value) end
  return { time = e.time, step = e.step, version = e.version, values = values }
end

function reader.read(bytes)
  local events, at = {}, 1
  while at <= #bytes do
    local length = string.unpack("<I8", bytes, at)
    check(bytes, at + 8, bytes:sub(at, at + 7))
    local data = bytes:sub(at + 12, at + 11 + length)
    assert(#data == length, "the file ends inside a record")
    check(bytes, at + 12 + length, data)
    events[#events + 1] = event_of(data)
    at = at + 16 + length
  end
  return events
end

return reader
