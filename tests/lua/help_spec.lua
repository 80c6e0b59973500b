-- `drift help NAME` is all that a reader needs to use a component: what it is, its equation, its paper, its parameters.
local drift = require "drift"

-- Kinds that are methods of some paper, and their components that are older than papers, or no method.
local FROM_PAPERS = { sampler = true, guidance = true, process = true, coupling = true, time_sampling = true,
                      weighting = true, ema = true, schedule = true, metric = true, conditioning = true }
local NO_PAPER = { euler = true, midpoint = true, rk4 = true, fixed_noise = true, custom = true, independent = true, uniform = true,
                   process = true, class_accuracy = true, time_add = true, time_scale = true, class_time = true, fixed = true }
local NO_EQUATION = { backend = true, dataset = true, op = true }

describe("drift help", function()
  it("shows each component's equation", function()
    for _, c in ipairs(drift.components()) do
      if not NO_EQUATION[c.kind] then
        assert.is_string(c.comment, c.kind .. " " .. c.name .. " has no opening comment")
        assert.is_truthy(c.comment:find "[=|~]" or c.comment:find "->", c.kind .. " " .. c.name .. ": no equation in its opening comment")
      end
    end
  end)

  it("names the paper of each method", function()
    for _, c in ipairs(drift.components()) do
      if FROM_PAPERS[c.kind] and not NO_PAPER[c.name] then
        assert.is_truthy(c.comment:find "%f[%d][12][09]%d%d%f[%D]", c.kind .. " " .. c.name .. ": no paper in its opening comment")
      end
    end
  end)

  it("says equation, paper, parameters, defaults and ranges of a component", function()
    local text = drift.help "cfg_interval"
    for _, part in ipairs { "u + scale (c - u)", "2024", "scale", "[-1000, 1000]", "0.25", "drift.guidance.cfg_interval {" } do
      assert.is_truthy(text:find(part, 1, true), part)
    end
  end)

  it("knows the networks beside the components", function()
    assert.is_truthy(drift.list():find("improved_unet", 1, true))
    assert.is_truthy(drift.list "model":find("dit", 1, true))
    local text = drift.help "dit"
    for _, part in ipairs { "model dit: the diffusion transformer", "Peebles & Xie 2023", "drift.models.dit {" } do
      assert.is_truthy(text:find(part, 1, true), part)
    end
    assert.error_matches(function() drift.help "improved_unte" end, "improved_unet")
  end)

  it("proposes what was meant, and not a syllable of what was said", function()
    assert.equal("heun", drift.nearest("heun_karras", { "ve", "heun" }))
    assert.equal("improved_unet", drift.nearest("improved_unte", { "ve", "unet", "improved_unet" }))
    assert.is_nil(drift.nearest("improved_thing", { "ve" }))
    assert.is_nil(drift.nearest("a_name_with_all_in_the_middle", { "all" }))
  end)
end)
