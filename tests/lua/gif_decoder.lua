-- gif_decoder.lua: reads a GIF by the specification (GIF89a), with none of the code that writes them. For tests.
--   local gif = dofile(".../gif_decoder.lua")(bytes)
--   gif.width, gif.height, gif.loop (times; 0 for ever; nil once)
--   gif.frames[i] = { delay = hundredths of a second, [y * width + x + 1] = 0xRRGGBB }

-- Data sub-blocks from `at` on, joined; and where they end.
local function sub_blocks(s, at)
  local parts = {}
  while true do
    local n = s:byte(at)
    if n == 0 then return table.concat(parts), at + 1 end
    parts[#parts + 1] = s:sub(at + 1, at + n)
    at = at + 1 + n
  end
end

local function palette(s, at, flags)
  if flags & 0x80 == 0 then return nil, at end
  local colors = {}
  for i = 0, (2 << (flags & 7)) - 1 do colors[i] = string.unpack(">I3", s, at + 3 * i) end
  return colors, at + 3 * (2 << (flags & 7))
end

-- LZW with codes of growing width, lowest bit first -> list of palette indices.
local function unpack_lzw(data, bits)
  local clear, stop = 1 << bits, (1 << bits) + 1
  local out, words, width, before = {}, {}, bits + 1, nil
  local function reset()
    words, width, before = {}, bits + 1, nil
    for i = 0, clear - 1 do words[i] = string.char(i) end
    words[clear], words[stop] = "", ""
  end
  reset()
  local held, count, at, free = 0, 0, 1, stop + 1
  while true do
    while count < width do
      held, count, at = held | (assert(data:byte(at), "the image ends early") << count), count + 8, at + 1
    end
    local code = held & ((1 << width) - 1)
    held, count = held >> width, count - width
    if code == stop then return table.concat(out) end
    if code == clear then
      reset()
      free = stop + 1
    else
      local word = words[code]
      if not word then
        assert(before and code == free, "a code that cannot be")
        word = before .. before:sub(1, 1)
      end
      out[#out + 1] = word
      if before and free < 4096 then
        words[free], free = before .. word:sub(1, 1), free + 1
        if free == 1 << width and width < 12 then width = width + 1 end
      end
      before = word
    end
  end
end

local function read_image(s, at, gif, delay)
  local x, y, w, h, flags = string.unpack("<I2I2I2I2B", s, at)
  assert(x == 0 and y == 0 and w == gif.width and h == gif.height, "a frame that is not whole")
  assert(flags & 0x40 == 0, "interlaced")
  local own, after = palette(s, at + 9, flags)
  local data, next_at = sub_blocks(s, after + 1)
  local indices = unpack_lzw(data, s:byte(after))
  assert(#indices == w * h, "a frame of too many or too few pixels")
  local frame, colors = { delay = delay, own_palette = own ~= nil }, own or gif.colors
  for i = 1, #indices do frame[i] = assert(colors[indices:byte(i)]) end
  gif.frames[#gif.frames + 1] = frame
  return next_at
end

return function(s)
  assert(s:sub(1, 6) == "GIF89a", "no GIF89a")
  local width, height, flags = string.unpack("<I2I2B", s, 7)
  local gif, at, delay = { width = width, height = height, frames = {} }, 14, nil
  gif.colors, at = palette(s, at, flags)
  while true do
    local kind = s:byte(at)
    if kind == 0x3B then
      assert(at == #s, "bytes after the end")
      return gif
    elseif kind == 0x21 then
      local label, data = s:byte(at + 1), nil
      local first = s:sub(at + 3, at + 2 + s:byte(at + 2))
      data, at = sub_blocks(s, at + 2)
      if label == 0xF9 then delay = string.unpack("<I2", data, 2) end
      if label == 0xFF and first == "NETSCAPE2.0" then gif.loop = string.unpack("<I2", data, 13) end
    elseif kind == 0x2C then
      at = read_image(s, at + 1, gif, delay)
    else
      error(("a block of kind %s"):format(kind))
    end
  end
end
