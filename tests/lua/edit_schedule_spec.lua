-- edit_schedule_spec.lua: RePaint's order, and masks.
local drift = require "drift"

-- What the paper's own schedule says, t = steps - 1 - position: written out by hand from its description.
describe("drift.repaint_schedule", function()
  it("is the plain order without resampling", function()
    assert.same({ 0, 1, 2, 3, 4 }, drift.repaint_schedule(4, 10, 1))
    assert.same({ 0, 1, 2, 3, 4 }, drift.repaint_schedule(4, 2, 1))
    assert.same({ 0 }, drift.repaint_schedule(0, 10, 3))
  end)

  it("walks each stretch as often as it is told, as the paper does", function()
    -- t: 5 4 3 2 | 4 3 2 1 0 | 2 1 0 -1
    assert.same({ 0, 1, 2, 3, 1, 2, 3, 4, 5, 3, 4, 5, 6 }, drift.repaint_schedule(6, 2, 2))
    -- t: 3 2 1 | 2 1 | 2 1 0 | 1 0 | 1 0 -1 and before it t = 2 | 3 2 | 3 2
    assert.same({ 0, 1, 0, 1, 0, 1, 2, 1, 2, 1, 2, 3, 2, 3, 2, 3, 4 }, drift.repaint_schedule(4, 1, 3))
    -- a jump as long as the grid never happens
    assert.same({ 0, 1, 2, 3 }, drift.repaint_schedule(3, 3, 5))
  end)

  it("has the paper's 4570 transitions of 250 steps, jump 10, 10 resamples", function()
    local order, transitions = drift.repaint_schedule(250, 10, 10), 0
    for i = 2, #order do transitions = transitions + math.abs(order[i] - order[i - 1]) end
    assert.equal(4570, transitions)
    assert.equal(250, order[#order])
  end)

  it("refuses what cannot be", function()
    assert.error_matches(function() drift.repaint_schedule(4, 0, 1) end, "jump = 0")
    assert.error_matches(function() drift.repaint_schedule(4, 1, 0) end, "resamples = 0")
  end)
end)

describe("drift.read_mask", function()
  local folder = os.getenv "DRIFT_TEST_DATA"
  local photo = folder .. "/images/disc/3_420.jpg"                  -- 48 x 36
  local function mask_of(width, height, left)                       -- white from column `left` on
    local rows = {}
    for y = 1, height do
      rows[y] = {}
      for x = 1, width do rows[y][x] = x > left and 1 or 0 end
    end
    local path = ("mask_%d_%d.png"):format(width, height)
    drift.png(rows, path)
    return path
  end
  local function row(m) return m:narrow(2, 3, 1):reshape(-1):totable() end

  it("takes a file of the size asked for, or of the photograph's size, cropped as that is", function()
    assert.same({ 0, 0, 0, 0, 0, 0, 1, 1 }, row(drift.read_mask(mask_of(8, 8, 6), { size = { 8, 8 } })))
    local m = drift.read_mask(mask_of(48, 36, 24), { size = { 6, 6 }, image = photo })
    assert.same({ 1, 1, 6, 6 }, m.shape)
    local v = row(m)
    assert.is_true(v[1] == 0 and v[2] == 0 and v[5] == 1 and v[6] == 1 and v[3] < v[4])
  end)

  it("refuses another size with both sizes, or stretches it where told", function()
    local small = mask_of(10, 5, 5)
    assert.error_matches(function() drift.read_mask(small, { size = 8 }) end, "read_mask: size is { height, width }")
    assert.error_matches(function() drift.read_mask(small, { size = { 8, 8 } }) end, "10 x 5 pixels, but the picture has 8 x 8")
    assert.error_matches(function() drift.read_mask(small, { size = { 8, 8 }, image = photo }) end,
      "10 x 5 pixels, but the picture .* has 48 x 36")
    assert.error_matches(function() drift.read_mask(drift.zeros(1, 4, 4), { size = { 8, 8 } }) end,
      "has 4 x 4 pixels, but the picture has 8 x 8")
    assert.same({ 1, 1, 8, 8 }, drift.read_mask(small, { size = { 8, 8 }, resize = true }).shape)
    assert.same({ 1, 1, 8, 8 }, drift.read_mask(drift.zeros(1, 4, 4), { size = { 8, 8 }, resize = true }).shape)
  end)

  it("keeps soft values, or makes them hard where told", function()
    local soft = drift.tensor { { 0, 0.25, 0.5, 1 } }
    assert.same({ 0, 0.25, 0.5, 1 }, drift.read_mask(soft, { size = { 1, 4 } }):reshape(-1):totable())
    assert.same({ 0, 0, 1, 1 }, drift.read_mask(soft, { size = { 1, 4 }, threshold = 0.5 }):reshape(-1):totable())
  end)

  it("refuses what is no mask", function()
    assert.error_matches(function() drift.read_mask(drift.full({ 2, 2 }, 2), { size = { 2, 2 } }) end, "values from 2 to 2")
    assert.error_matches(function() drift.read_mask(drift.full({ 2, 2 }, 0 / 0), { size = { 2, 2 } }) end, "the mask has values")
    assert.error_matches(function() drift.read_mask(drift.zeros(3, 2, 2), { size = { 2, 2 } }) end, "not %[3,2,2%]")
    assert.error_matches(function() drift.read_mask(7, { size = { 2, 2 } }) end, "a path or a tensor")
    assert.error_matches(function() drift.read_mask("none.png", { size = { 2, 2 } }) end, "No such file")
  end)
end)
