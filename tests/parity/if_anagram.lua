-- if_anagram.lua: kind `if_anagram_hybrid`: one step's estimates of an anagram and of a hybrid with DeepFloyd IF's network
-- from the diffusers folder beside the file, guided towards each of two prompts; the network's own outputs and the mean
-- variance outputs as well. Run by parity.c.
local drift = require "drift"
local run = assert(loadfile(drift.home .. "/tests/parity/check.lua", "t"))()

local folder <const> = (os.getenv "DRIFT_PARITY_FILE" or drift.fail "DRIFT_PARITY_FILE must name a file"):match "^(.*/)" or "./"

local function network(metadata)
  local unet = folder .. metadata.model .. "/unet/"
  local net = drift.build(drift.models.deepfloyd_if { config = unet .. "config.json" })
  return net:load(unet .. "diffusion_pytorch_model.safetensors"):eval()
end

run(function(p)
  local metadata = p.file.metadata
  local config, net = drift.json.decode(metadata.config), network(metadata)
  local process = drift.build(drift.process.ddpm { T = 1000, schedule = "cosine", time = "index" })
  local t <const> = config.t + 1                                           -- diffusers' timestep i is our t = i + 1
  local x, null = p:input "in.x", { tokens = p:input "in.uncond" }         -- [1,3,32,32], [1,L,D]
  local prompts = { { tokens = p:input "in.cond", null = null }, { tokens = p:input "in.cond2", null = null } }
  local cfg, flip = drift.guidance.cfg { scale = config.gamma }, drift.view.flip { axis = "rows" }
  local low = drift.filter.gaussian_blur { sigma = config.sigma, kernel = config.kernel, reference_size = 0 }

  local function raw(seen, prompt)                                         -- [2,6,32,32]: without it, under it
    return net(drift.concat({ seen, seen }, 0),
               { time = drift.full({ 2 }, config.t), tokens = drift.concat({ null.tokens, prompt.tokens }, 0) })
  end
  local function model(conditions, guidance) return drift.model(process, net, { conditions = conditions, guidance = guidance }) end

  drift.no_grad(function()
    p:compare(raw(x, prompts[1]), "out.raw.p1")
    p:compare(raw(x, prompts[2]), "out.raw.p2")
    p:compare(raw(flip:apply(x), prompts[2]), "out.raw.p2_flip")

    local anagram = model(prompts, { cfg, drift.guidance.anagram { views = { "identity", flip } } })
    p:compare(anagram:eps(x, t), "out.anagram")
    p:compare(anagram:variance(), "out.anagram_var")
    p:compare(anagram:x0(x, t), "out.x0.anagram")

    local hybrid = model(prompts, { cfg, drift.guidance.hybrid { filters = { low } } })
    p:compare(hybrid:eps(x, t), "out.hybrid")
    p:compare(hybrid:variance(), "out.hybrid_var")
    p:compare(hybrid:x0(x, t), "out.x0.hybrid")

    local first, second = model({ prompts[1] }, cfg):eps(x, t), model({ prompts[2] }, cfg):eps(x, t)
    p:compare(low:apply(first), "out.low1")
    p:compare(second - low:apply(second), "out.high2")
  end)
end)
