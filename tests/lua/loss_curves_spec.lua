-- loss_curves_spec.lua: losses of several runs in one picture that can be read without the script.
local drift = require "drift"

local function records(steps, level)
  local list = {}
  for step = 1, steps do list[step] = { step = step, epoch = 1, loss = level / step } end
  list[#list + 1] = { step = steps, epoch = 1, epoch_loss = level }
  return list
end

local function count(text, what) return select(2, text:gsub(what, "")) end

describe("drift.loss_curves", function()
  it("draws each run in a colour of its own, with a legend", function()
    local svg = drift.loss_curves { runs = { records(50, 0.5), { records = records(30, 0.25) } }, labels = { "a <first>", "second & last" },
                                    title = "two of them", path = "two.svg" }
    assert.equal(svg, drift.read_file "two.svg")
    assert.equal(4, count(svg, "<polyline"))
    assert.truthy(svg:find("a &lt;first>  (last epoch: 0.5000)", 1, true))
    assert.truthy(svg:find("second &amp; last  (last epoch: 0.2500)", 1, true))
    assert.truthy(svg:find(">two of them<", 1, true))
    local colors = {}
    for color in svg:gmatch '<polyline fill="none" stroke="(#%x+)"' do colors[color] = (colors[color] or 0) + 1 end
    local n = 0
    for _, times in pairs(colors) do n = n + 1 assert.equal(2, times) end
    assert.equal(2, n)
  end)

  it("has a logarithmic axis on which equal ratios are equal lengths", function()
    local list = {}
    for i, loss in ipairs { 1, 0.1, 0.01, 0.001 } do list[i] = { step = i, loss = loss } end
    local svg = drift.loss_curves { runs = { list }, log = true }
    local y = {}
    for value in svg:match 'opacity="0.3" points="([^"]*)"':gmatch ",([%d.]+)" do y[#y + 1] = tonumber(value) end
    assert.equal(4, #y)
    assert.is_true(math.abs((y[3] - y[2]) - (y[4] - y[3])) < 0.2 and y[3] - y[2] > 50)
  end)

  it("draws nothing before there are two steps, and refuses labels of other runs", function()
    assert.is_nil(drift.loss_curves { runs = { records(1, 1) }, path = "none.svg" })
    assert.is_false(drift.exists "none.svg")
    assert.error_matches(function() drift.loss_curves { runs = { records(2, 1) }, labels = { "a", "b" } } end,
      "loss_curves: 2 labels for 1 runs")
  end)
end)
