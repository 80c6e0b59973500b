-- fixed_noise_spec.lua: a denoiser's process, from all of the image (signal = 1) to pure noise (signal = 0).
local drift = require "drift"

local x0 = drift.rand { 3, 1, 4, 4, purpose = "images" }
local eps = drift.randn { 3, 1, 4, 4, purpose = "noise" }

describe("fixed_noise", function()
  it("shows the image at any noise level", function()
    local process = drift.process.fixed_noise { sigma = 0.5 }
    for _, sigma in ipairs { 0, 0.2, 1 } do
      local x_t = drift.noising(process, x0, eps, sigma).x_t
      assert.is_true((x_t - x0 - eps * sigma):pow(2):mean():item() < 1e-13)            -- rounded once or twice
    end
  end)

  it("shows nothing but noise where signal is 0, and asks for the image", function()
    local process = drift.process.fixed_noise { sigma = 1, signal = 0 }
    local n = drift.noising(process, x0, eps, drift.draw_times(process, { purpose = "time" }, 3))
    assert.same(eps:totable(), n.input:totable())
    assert.same(x0:totable(), n.target:totable())
  end)

  it("gives the network's answer in one step of Euler's, with all, half or none of the image", function()
    local answer = drift.rand { 3, 1, 4, 4, purpose = "answer" }
    for _, signal in ipairs { 1, 0.5, 0 } do
      local model = drift.model(drift.process.fixed_noise { sigma = 2, signal = signal }, function() return answer end)
      local got = model:sample { sampler = drift.sampler.euler { steps = 1 }, x = eps, rng = { purpose = "none" } }
      local error = (got - answer):pow(2):mean():item()
      assert.is_true(error < 1e-12, error)
    end
  end)

  it("refuses to ask for the noise where there is nothing else", function()
    assert.error_matches(function() drift.build(drift.process.fixed_noise { signal = 0, predict = "eps" }) end,
      "process fixed_noise: signal = 0 shows the network nothing but eps")
  end)
end)
