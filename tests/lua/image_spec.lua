-- image_spec.lua: PNG files and the canvas. Pictures are read back through the image_folder data set.
local drift = require "drift"

local function read_back(path)
    drift.mkdir "pictures/all"
    drift.write_file("pictures/all/one.png", drift.read_file(path))
    return path
end

-- Width, height, bits and color type of a PNG, from its header.
local function header(png)
    assert.are.equal("\x89PNG\r\n\x1a\n", png:sub(1, 8))
    return string.unpack(">I4I4BB", png, 17)
end

local function refused(f, ...)
    local ok, message = pcall(f)
    assert.is_false(ok)
    for _, part in ipairs { "image_spec.lua:", ... } do assert.is_truthy(message:find(part, 1, true), message) end
end

describe("png", function()
    it("takes tensors, rows and canvases", function()
        local w, h, bits, color = header(drift.png(drift.zeros(2, 3)))
        assert.are.same({ 3, 2, 8, 0 }, { w, h, bits, color })
        w, h, bits, color = header(drift.png(drift.zeros(1, 3, 4, 5)))
        assert.are.same({ 5, 4, 8, 2 }, { w, h, bits, color })
        w, h = header(drift.png { { 0, 1, 0.5 } })
        assert.are.same({ 3, 1 }, { w, h })
        w, h, bits, color = header(drift.png(drift.canvas(7, 6)))
        assert.are.same({ 7, 6, 8, 2 }, { w, h, bits, color })
    end)

    it("writes a file that is read back", function()
        drift.png(drift.tensor { { 0, 0.25 }, { 0.5, 1 } }:reshape(1, 1, 2, 2), "p.png")
        read_back "p.png"
        local image = drift.dataset.image_folder { path = "pictures", size = 2, color = "gray" }.train[1]
        local got = image:reshape(-1):totable()
        for i, v in ipairs { 0, 64 / 255, 128 / 255, 1 } do assert.is_true(math.abs(got[i] - v) < 1e-6, got[i]) end
    end)

    it("refuses what is no picture", function()
        refused(function() return drift.png(drift.zeros(2, 3, 3)) end, "C = 1 or 3", "f32[2,3,3]")
        refused(function() return drift.png(drift.zeros(2, 1, 3, 3)) end, "f32[2,1,3,3]")
        refused(function() return drift.png(3) end, "not a number")
        refused(function() return drift.png { 1, 2 } end, "list of rows")
        refused(function() return drift.png { { 1 }, { 1, 2 } } end, "row 2")
        refused(function() return drift.png { { "a" } } end, "row 1, column 1")
        refused(function() return drift.png(drift.zeros(1, 1), "none/x.png") end, "none/x.png")
    end)
end)

describe("a canvas", function()
    local function gray(c, x, y)
        local r, g, b = c:pixel(x, y)
        assert.is_true(r == g and g == b)
        return math.floor(r * 255 + 0.5)
    end

    it("starts in one color and takes pictures enlarged, clipped at its border", function()
        local c = drift.canvas(8, 6, 0.5)
        assert.are.same({ 8, 6 }, { c.width, c.height })
        assert.are.equal(128, gray(c, 0, 0))
        c:blit(drift.tensor { { 0, 1 } }, 1, 1, 2):blit(drift.tensor { { 1 } }, 7, 5, 5)
        c:blit(drift.tensor { { 0 } }, -3, -3, 4)
        assert.are.same({ 0, 128, 0, 0, 255, 255, 128 }, { gray(c, 0, 0), gray(c, 1, 0), gray(c, 1, 1),
                        gray(c, 2, 2), gray(c, 3, 1), gray(c, 4, 2), gray(c, 5, 1) })
        assert.are.equal(255, gray(c, 7, 5))
        c:blit(drift.tensor { { 1 } }, 1e9, -1e9)
        refused(function() return c:pixel(8, 0) end, "outside 8 x 6")
        refused(function() return c:blit(drift.tensor { { 1 } }, 0, 0, 0) end, "scale = 0")
        refused(function() return drift.canvas(0, 5) end, "a canvas of 0 x 5")
        refused(function() return drift.canvas(1 << 20, 5) end, "a canvas of")
        refused(function() return c:circle() end, 'no "circle"')
    end)

    it("draws rectangles and lines in color", function()
        local c = drift.canvas(10, 10):rect(2, 2, 3, 3, { 1, 0, 0 })
        c:line(0, 9, 9, 9, { 0, 0, 1 }):line(0, 0, 9, 9, 0, 1)
        assert.are.same({ 1, 0, 0 }, { c:pixel(4, 2) })
        assert.are.same({ 1, 1, 1 }, { c:pixel(5, 2) })
        assert.are.same({ 0, 0, 1 }, { c:pixel(3, 9) })
        assert.are.equal(0, gray(c, 7, 7))
        refused(function() return c:rect(0, 0, 1, 1, { 1 }) end, "a color")
    end)

    it("writes text of the size that text_size tells", function()
        local width, height = drift.text_size("t = 0.5", 2)
        local c = drift.canvas(width + 20, height + 20):text(10, 10, "t = 0.5", { scale = 2, color = 0 })
        local inked, beyond = 0, 0
        for y = 0, c.height - 1 do
            for x = 0, c.width - 1 do
                if gray(c, x, y) == 0 then
                    inked = inked + 1
                    if x < 10 or y < 10 or x >= 10 + width or y >= 10 + height then beyond = beyond + 1 end
                end
            end
        end
        assert.is_true(inked > 50)
        assert.are.equal(0, beyond)
        local small = select(1, drift.text_size "sigma \u{3c3}")
        assert.are.equal(select(1, drift.text_size "sigma ?"), small)
        c:text(-1000, 5, ("long "):rep(2000), { background = 1 })
    end)
end)
