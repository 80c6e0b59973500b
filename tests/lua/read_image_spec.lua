-- read_image_spec.lua: pictures from files: what each form of PNG and JPEG becomes, how sizes are reached, what is refused.
local drift = require "drift"

local folder = os.getenv "DRIFT_TEST_DATA"
local function path(name) return folder .. "/" .. name end
local function values(t) return t:reshape(-1):totable() end

local function assert_close(want, got, tolerance, what)
  assert.equal(#want, #got)
  for i = 1, #want do
    assert.is_true(math.abs(want[i] - got[i]) <= tolerance, ("%s: value %d is %g, not %g"):format(what or "", i, got[i], want[i]))
  end
end

local function flipped(x, dim)
  local parts = {}
  for i = x.shape[dim + 1] - 1, 0, -1 do parts[#parts + 1] = x:narrow(dim, i, 1) end
  return drift.concat(parts, dim)
end

-- What make_images.py draws, [3,H,W].
local function drawn(shape, width, height)
  local reach, v = math.min(width, height) / 4, {}
  for c = 1, 3 do
    for y = 0, height - 1 do
      for x = 0, width - 1 do
        local dx, dy = x + 0.5 - width / 2, y + 0.5 - height / 2
        local inside = shape == "disc" and dx * dx + dy * dy <= reach * reach
          or shape == "square" and math.max(math.abs(dx), math.abs(dy)) <= reach
        v[#v + 1] = (inside and ({ 240, 200, 40 })[c] or 16 + ({ 0, 48 * x // width, 96 * y // height })[c]) / 255
      end
    end
  end
  return v
end

describe("drift.read_image", function()
  it("gives the pixels of every form of PNG as they are", function()
    for name, form in pairs { ["disc/0_rgb.png"] = { 32, 32 }, ["disc/2_rgba.png"] = { 28, 40 },
                              ["disc/7_interlaced.PNG"] = { 35, 29 }, ["square/6_16bit.png"] = { 31, 37 } } do
      local x = drift.read_image(path("images/" .. name))
      assert.same({ 3, form[2], form[1] }, x.shape)
      assert.equal("f32", x.dtype)
      assert_close(drawn(name:match "^(%a+)/", form[1], form[2]), values(x), 1e-7, name)
    end
  end)

  it("reads gray, palette and one bit as RGB or as gray", function()
    for _, name in ipairs { "disc/1_gray.png", "square/7_1bit.png", "disc/4_gray.jpeg" } do
      local rgb, gray = drift.read_image(path("images/" .. name)), drift.read_image(path("images/" .. name), { channels = 1 })
      assert.equal(1, gray.shape[1])
      for c = 0, 2 do assert_close(values(gray), values(rgb:narrow(0, c, 1)), 2e-7, name) end
    end
    local palette = drift.read_image(path "images/disc/6_palette.png")   -- 30 x 34: the shape, and one colour elsewhere
    assert_close({ 240 / 255, 200 / 255, 40 / 255 }, { palette[1][17][15]:item(), palette[2][17][15]:item(), palette[3][17][15]:item() }, 1e-7)
    assert_close({ 16 / 255, 32 / 255, 64 / 255 }, { palette[1][1][1]:item(), palette[2][1][1]:item(), palette[3][1][1]:item() }, 1e-7)
    local x = drift.read_image(path "images/disc/0_rgb.png", { channels = 1 })
    assert_close({ (0.299 * 16 + 0.587 * 16 + 0.114 * 16) / 255 }, { x[1][1][1]:item() }, 1e-6)
  end)

  it("lays transparency over white", function()
    for _, name in ipairs { "rgba", "rgba_16bit", "palette", "gray_alpha" } do
      local x = drift.read_image(path("images_alpha/" .. name .. ".png"))
      assert.same({ 3, 4, 6 }, x.shape)
      local colour = name == "gray_alpha" and { 240, 240, 240 } or { 240, 200, 40 }
      for c = 1, 3 do
        local row, v = values(x[c][3]), colour[c]
        local half = (v * 128 + 255 * 127) / 255
        assert_close({ v / 255, v / 255, half / 255, half / 255, 1, 1 }, row, 0.6 / 255, name)
      end
    end
  end)

  it("reads JPEG, progressive or not, near to what was drawn", function()
    for name, form in pairs { ["3_420.jpg"] = { 48, 36 }, ["5_progressive.JPG"] = { 33, 47 } } do
      local x = drift.read_image(path("images/disc/" .. name))
      local want, got, sum = drawn("disc", form[1], form[2]), values(x), 0
      for i = 1, #want do sum = sum + math.abs(want[i] - got[i]) end
      assert.is_true(sum / #want < 0.03, sum / #want)
    end
  end)

  it("crops, pads or stretches to a size", function()
    local wide = path "images/disc/1_gray.png"                     -- 40 wide, 28 tall
    local whole = drift.read_image(wide, { channels = 1 })         -- [1,28,40]
    local crop = drift.read_image(wide, { channels = 1, size = 28 })
    assert_close(values(whole:narrow(2, 6, 28)), values(crop), 1e-7, "the middle")
    local tall = drift.read_image(wide, { channels = 1, size = { 28, 14 } })
    assert_close(values(whole:narrow(2, 13, 14)), values(tall), 1e-7, "the middle, of other proportions")
    local pad = drift.read_image(wide, { channels = 1, size = 40, fit = "pad" })
    assert_close(values(whole), values(pad:narrow(1, 6, 28)), 1e-7, "all of it")
    assert.equal(0, (pad:narrow(1, 0, 6) - 1):abs():amax():item())
    assert.equal(0, (pad:narrow(1, 34, 6) - 1):abs():amax():item())
    assert.same({ 1, 10, 10 }, drift.read_image(wide, { channels = 1, size = 10, fit = "stretch" }).shape)
  end)

  it("averages where it reduces, so that a fine pattern becomes gray", function()
    local rows = {}
    for y = 1, 128 do
      rows[y] = {}
      for x = 1, 128 do rows[y][x] = (x + y) % 2 end
    end
    drift.png(rows, "checker.png")
    for _, size in ipairs { 64, 48, 17 } do
      local x = drift.read_image("checker.png", { channels = 1, size = size })
      local inner = x:narrow(1, 1, size - 2):narrow(2, 1, size - 2)
      assert.is_true((inner - 0.5):abs():amax():item() < 0.02, size)
    end
  end)

  it("is bilinear where it enlarges", function()
    drift.png({ { 0, 1 } }, "step.png")
    assert_close({ 0, 0.25, 0.75, 1 }, values(drift.read_image("step.png", { channels = 1, size = { 1, 4 } })), 1e-6)
  end)

  -- EXIF as a camera writes it, in an APP1 of its own behind the JPEG's first two bytes.
  local function with_exif(jpeg, exif)
    local body = "Exif\0\0" .. exif
    return jpeg:sub(1, 2) .. "\xff\xe1" .. string.pack(">I2", #body + 2) .. body .. jpeg:sub(3)
  end

  local function exif_of(orientation, order)
    return (order == ">" and "MM\0*" or "II*\0") .. string.pack(order .. "I4 I2 I2I2I4I2I2 I4", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
  end

  it("turns as EXIF says, whatever the byte order", function()
    local jpeg = drift.read_file(path "images/disc/5_progressive.JPG")   -- 33 wide, 47 tall
    local x = drift.read_image(path "images/disc/5_progressive.JPG")     -- [3,47,33]
    local up, left = flipped(x, 1), flipped(x, 2)
    local want = { x, left, flipped(up, 2), up, x:transpose(1, 2), up:transpose(1, 2), flipped(up, 2):transpose(1, 2), left:transpose(1, 2) }
    for orientation = 1, 8 do
      for _, order in ipairs { "<", ">" } do
        drift.write_file("turned.jpg", with_exif(jpeg, exif_of(orientation, order)))
        local got = drift.read_image "turned.jpg"
        assert.same(want[orientation].shape, got.shape)
        assert_close(values(want[orientation]), values(got), 0, "orientation " .. orientation)
      end
    end
    assert.same({ 33, 47 }, drift.export.image_size_of "turned.jpg":totable())   -- height and width as it stands
  end)

  it("reads on where EXIF makes no sense", function()
    local jpeg = drift.read_file(path "images/disc/5_progressive.JPG")
    local whole = exif_of(6, "<")
    local odd = { "", "II*\0", "II*\0\xff\xff\xff\xff", whole:sub(1, -8), exif_of(9, ">"), exif_of(0, "<"), "XX" .. whole:sub(3),
                  "II*\0" .. string.pack("<I4I2", 8, 65535), "II*\0" .. string.pack("<I4I2 I2I2I4I4", 8, 1, 0x0112, 4, 1, 6) }
    for i, exif in ipairs(odd) do
      drift.write_file("odd.jpg", with_exif(jpeg, exif))
      assert.same({ 3, 47, 33 }, drift.read_image "odd.jpg".shape, i)
    end
  end)

  it("refuses what is no whole picture, and names the file", function()
    local function refused(name, ...)
      local ok, message = pcall(drift.read_image, name, { size = 8 })
      assert.is_false(ok, name)
      for _, part in ipairs { name, ... } do assert.is_truthy(message:find(part, 1, true), message) end
    end
    for _, name in ipairs { "truncated.png", "header_only.png", "bad_crc.png", "zero_width.png", "no_pixels.png", "wide.png" } do
      refused(path("images_bad/" .. name), "a damaged PNG")
    end
    for _, name in ipairs { "cut_short.jpg", "header_only.jpg" } do refused(path("images_bad/" .. name), "a damaged JPEG") end
    for _, name in ipairs { "huge.png", "large.png", "huge.jpg" } do refused(path("images_bad/" .. name), "pixels") end
    refused(path "images_bad/text.png", "neither a PNG nor a JPEG by its content")
    refused(path "images_bad/empty.png", "the file is empty")
    refused(path "images_bad/cmyk.jpg", "a CMYK JPEG; convert it to RGB")
    refused(path "images", "not a file")
    refused("none.png", "No such file or directory")
  end)

  it("refuses arguments that cannot be", function()
    local good = path "images/disc/0_rgb.png"
    for _, size in ipairs { 0, -1, 4097, 2.5, { 8 }, { 8, 0 } } do
      assert.error_matches(function() drift.read_image(good, { size = size }) end, "read_image: size")
    end
    assert.error_matches(function() drift.read_image(good, { channels = 4 }) end, "channels = 4")
    assert.error_matches(function() drift.read_image(good, { fit = "fill" }) end, "fit = fill is not crop, pad or stretch")
    assert.error_matches(function() drift.read_image(good, { sise = 4 }) end, "did you mean 'size'")
    assert.error_matches(function() drift.read_image(nil) end, "a file's path is text")
    assert.error_matches(function() drift.read_image "a.png\0b" end, "a zero byte")
  end)
end)
