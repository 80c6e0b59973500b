-- gif_spec.lua: animations come back from the file with the pixels, delays and loop that were asked for. They are read
-- by a decoder that shares no code with what writes them.
local drift = require "drift"
local decode = dofile(drift.home .. "/tests/lua/gif_decoder.lua")

local function refused(f, message)
  local ok, text = pcall(f)
  assert.is_false(ok)
  assert.is_truthy(text:find(message, 1, true), text)
  assert.is_truthy(text:find("gif_spec.lua:", 1, true), text)
end

local function colors_of(canvas)
  local list = {}
  for y = 0, canvas.height - 1 do
    for x = 0, canvas.width - 1 do
      local value = 0
      for _, v in ipairs { canvas:pixel(x, y) } do value = value << 8 | math.floor(v * 255 + 0.5) end
      list[#list + 1] = value
    end
  end
  return list
end

local function same_pixels(want, frame)
  for i, v in ipairs(want) do
    if v ~= frame[i] then error(("pixel %d is %06x and not %06x"):format(i, frame[i] or -1, v)) end
  end
  assert.equal(#want, #frame)
end

describe("drift.gif", function()
  it("keeps every gray exactly", function()
    local ramp, rows = {}, {}
    for i = 0, 255 do ramp[i + 1] = i / 255 end
    for y = 1, 3 do rows[y] = ramp end
    local gif = decode(drift.gif { rows, drift.tensor(rows) * -1 + 1 })
    assert.same({ 256, 3, 2 }, { gif.width, gif.height, #gif.frames })
    for i = 0, 255 do
      assert.equal(i * 0x010101, gif.frames[1][256 + i + 1])
      assert.equal((255 - i) * 0x010101, gif.frames[2][256 + i + 1])
    end
    assert.is_false(gif.frames[1].own_palette)
  end)

  it("keeps large frames of noise, where codes grow to their full width", function()
    local noise = drift.rand { 150, 170, purpose = "noise" }
    local canvas = drift.canvas(170, 150):blit(noise, 0, 0)
    same_pixels(colors_of(canvas), decode(drift.gif { canvas }).frames[1])
    same_pixels(colors_of(canvas), decode(drift.gif { noise }).frames[1])
  end)

  it("keeps up to 256 colours exactly, in one frame between gray ones", function()
    local gray = drift.canvas(20, 20, 0.25):text(1, 1, "t")
    local colored = drift.canvas(20, 20, { 1, 0.5, 0 })
    for i = 1, 250 do colored:rect(i % 20, i // 20, 1, 1, { i / 255, 1 - i / 255, 0.3 }) end
    local gif = decode(drift.gif { gray, colored, gray })
    same_pixels(colors_of(gray), gif.frames[1])
    same_pixels(colors_of(colored), gif.frames[2])
    same_pixels(colors_of(gray), gif.frames[3])
  end)

  it("comes near more colours", function()
    local image = drift.stack { drift.arange(64):reshape(1, 64) / 63 + drift.zeros(64, 64),
                                drift.arange(64):reshape(64, 1) / 63 + drift.zeros(64, 64), drift.full({ 64, 64 }, 0.5) }
    local frame = decode(drift.gif { image }).frames[1]
    local sum = 0
    for y = 0, 63 do
      for x = 0, 63 do
        local v = frame[y * 64 + x + 1]
        sum = sum + math.abs((v >> 16) - 255 * x / 63) + math.abs((v >> 8 & 255) - 255 * y / 63) + math.abs((v & 255) - 127.5)
      end
    end
    local mean = sum / (3 * 64 * 64)                              -- 4096 colours in 256: 16 x 16 of them, 16 apart
    assert.is_true(mean < 8, mean)
  end)

  it("has the delays and the loop that it was given", function()
    local a, b = { { 0, 1 } }, { { 1, 0 } }
    local function delays(gif)
      local list = {}
      for i, frame in ipairs(gif.frames) do list[i] = frame.delay end
      return list
    end
    local gif = decode(drift.gif { a, b, a })
    assert.same({ 10, 10, 10 }, delays(gif))
    assert.equal(0, gif.loop)
    gif = decode(drift.gif({ a, b, a }, nil, { delay = 0.25, last = 2, loop = false }))
    assert.same({ 25, 25, 200 }, delays(gif))
    assert.is_nil(gif.loop)
    assert.same({ 0, 7, 65535 }, delays(decode(drift.gif({ a, b, a }, nil, { delay = { 0, 0.07, 655.35 } }))))
  end)

  it("writes the same bytes to a file", function()
    local frames = { drift.zeros(3, 2), drift.ones(1, 3, 2) }
    drift.gif(frames, "two.gif", { delay = 0.5 })
    assert.equal(drift.gif(frames, nil, { delay = 0.5 }), drift.read_file "two.gif")
    refused(function() drift.gif(frames, "nowhere/two.gif") end, "nowhere/two.gif")
  end)

  it("refuses what cannot be an animation", function()
    local a = drift.zeros(2, 3)
    refused(function() drift.gif {} end, "gif: 0 frames")
    refused(function() drift.gif(a) end, "frames are a list of pictures, not a tensor")
    refused(function() drift.gif { a, drift.zeros(3, 2) } end, "gif: frame 2 is 2 x 3, the first is 3 x 2")
    refused(function() drift.gif { a, 3 } end, "not a number")
    refused(function() drift.gif({ a, a }, nil, { delay = { 1 } }) end, "gif: 1 delays for 2 frames")
    refused(function() drift.gif({ a }, nil, { delay = -1 }) end, "gif: delay = -1")
    refused(function() drift.gif({ a }, nil, { delay = "slow" }) end, "gif: delay is a number of seconds")
    refused(function() drift.gif({ a }, nil, { last = 1000 }) end, "gif: last = 1000")
    refused(function() drift.gif({ a }, nil, { delays = 1 }) end, "gif: there is no option 'delays'")
  end)
end)
