-- if_unet.lua: kind `if_unet_forward`: the UNet of DeepFloyd IF, both stages, from the diffusers folder beside the file:
-- its output and what its parts make. Run by parity.c, once for each such file.
local drift = require "drift"
local run = assert(loadfile(drift.home .. "/tests/parity/check.lua", "t"))()

local path <const> = os.getenv "DRIFT_PARITY_FILE" or drift.fail "DRIFT_PARITY_FILE must name a file"
local folder <const> = path:match "^(.*/)" or "./"

local function check_case(p, case, net, names)
  local function input(name, dtype)
    name = case .. ".in." .. name
    return p:has(name) and p:input(name, dtype) or nil
  end
  local x, level = input "x", input("noise_level", "f32")
  local image
  if level then x, image = x:narrow(1, 0, x.shape[2] // 2), x:narrow(1, x.shape[2] // 2, x.shape[2] // 2) end  -- [x_t, small image]
  local seen = {}
  seen.sample = drift.no_grad(function()
    return net(x, { time = input("t", "f32"), tokens = input "embeds", image = image, image_level = level,
                    watch = function(name, value) seen[name] = value:keep() end })
  end)
  for _, name in ipairs(names) do
    name = case .. ".out." .. name
    if p:has(name) then p:compare(seen[name:match "out%.(.*)"], name) end
  end
end

-- With weights that were copied, and with weights that lie in the file as they are.
run(function(p)
  local metadata = p.file.metadata
  local unet = folder .. metadata.model .. "/unet/"
  local file = unet .. (metadata.weights or "diffusion_pytorch_model.safetensors")
  local spec = drift.models.deepfloyd_if { config = unet .. "config.json" }
  local names = { "sample", "time_emb", "class_emb", "aug_emb", "encoder_hid", "conv_in", "mid" }
  for i = 0, #drift.json.decode(drift.read_file(unet .. "config.json")).block_out_channels - 1 do
    names[#names + 1] = "down." .. i
    names[#names + 1] = "up." .. i
  end
  for _, net in ipairs { drift.build(spec):load(file), drift.build(spec, { weights = file }) } do
    net:eval()
    for _, case in ipairs(drift.json.decode(metadata.cases)) do check_case(p, case, net, names) end
  end
end)
