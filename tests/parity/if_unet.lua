-- if_unet.lua: kind `if_unet_forward`: the UNet of DeepFloyd IF, both stages, from the diffusers folder beside the file:
-- its output and what its parts make. Run by parity.c, once for each such file.
local drift = require "drift"
local run = assert(loadfile(drift.home .. "/tests/parity/check.lua", "t"))()

local folder <const> = (os.getenv "DRIFT_PARITY_FILE" or drift.fail "DRIFT_PARITY_FILE must name a file"):match "^(.*/)" or "./"
local parts <const> = { time_emb = true, class_emb = true, aug_emb = true, encoder_hid = true, conv_in = true, mid = true }

run(function(p)
  local metadata = p.file.metadata
  local unet = folder .. metadata.model .. "/unet/"
  local net = drift.build(drift.models.deepfloyd_if { config = unet .. "config.json" })
  net:load(unet .. (metadata.weights or "diffusion_pytorch_model.safetensors")):eval()
  local levels = #drift.json.decode(drift.read_file(unet .. "config.json")).block_out_channels

  for _, case in ipairs(drift.json.decode(metadata.cases)) do
    local function input(name, dtype)
      name = case .. ".in." .. name
      return p:has(name) and p:input(name, dtype) or nil
    end
    local x, level = input "x", input("noise_level", "f32")
    local image
    if level then x, image = x:narrow(1, 0, 3), x:narrow(1, 3, 3) end       -- stage II: [x_t, small image]
    local seen = {}
    local y = drift.no_grad(function()
      return net(x, { time = input("t", "f32"), tokens = input "embeds", image = image, image_level = level,
                      watch = function(name, value) seen[name] = value:keep() end })
    end)
    p:compare(y, case .. ".out.sample")
    for name in pairs(parts) do
      if p:has(("%s.out.%s"):format(case, name)) then p:compare(seen[name], ("%s.out.%s"):format(case, name)) end
    end
    for i = 0, levels - 1 do
      for _, way in ipairs { "down", "up" } do
        local name = ("%s.%d"):format(way, i)
        if p:has(("%s.out.%s"):format(case, name)) then p:compare(seen[name], ("%s.out.%s"):format(case, name)) end
      end
    end
  end
end)
