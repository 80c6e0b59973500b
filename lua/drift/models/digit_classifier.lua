-- digit_classifier.lua: a small convolutional network that reads digits, for 28x28 images in [0,1].
--   drift.models.digit_classifier { in_channels = 1, classes = 10 }
-- Returns a net spec, called as net(x) -> logits [B,10]; net:features(x) -> [B,128], the layer before the last, in
-- which Frechet distance, KID, precision and recall are measured; net:read(x) -> logits, features. The trained one:
-- drift.digit_classifier(), made by experiments/train_classifier.lua.
local drift = require "drift"

local FEATURES = 128

-- x [B,i,28,28] -> [B,128]
local function features(net, x)
  local h = net.c1(x):max_pool2d(2)                              -- [B,16,14,14]
  h = net.c2(h):max_pool2d(2)                                    -- [B,32, 7, 7]
  h = net.c3(h):max_pool2d(2)                                    -- [B,64, 3, 3]
  return net.fc1(h:flatten(1)):gelu()                            -- [B,128]
end

local function read(net, x)
  local h = features(net, x)
  return net.fc2(h), h
end

return function(given)
  local o = drift.accept("digit_classifier", given or {}, {}, { "in_channels", "classes" })
  local in_channels, classes, block = o.in_channels or 1, o.classes or 10, drift.block
  return drift.net {
    name = "digit_classifier",
    config = { model = "digit_classifier", in_channels = in_channels, classes = classes, features = FEATURES },
    children = {
      { "c1", block.conv { in_channels = in_channels, out_channels = 16 } },
      { "c2", block.conv { in_channels = 16, out_channels = 32 } },
      { "c3", block.conv { in_channels = 32, out_channels = 64 } },
      { "fc1", block.linear { in_features = 64 * 3 * 3, out_features = FEATURES } },
      { "fc2", block.linear { in_features = FEATURES, out_features = classes } },
    },
    forward = function(net, x) return (read(net, x)) end,
    methods = { features = features, read = read },
  }
end
