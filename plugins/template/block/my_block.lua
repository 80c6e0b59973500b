-- my_block.lua: a residual block whose branch starts small.     He et al. 2016; Touvron et al. 2021 (LayerScale)
--   y = x + gain * conv(SiLU(GroupNorm(x)))                       [B,C,H,W] -> [B,C,H,W], gain [1,C,1,1] is learned
local drift = require "drift"

drift.define.block {
  name = "my_block", doc = "A residual block whose branch starts small",
  params = {
    { "channels", "int", required = true, min = 1, max = 65536, doc = "channels of the input, and of the output" },
    { "gain", "real", default = 0.1, min = -10, max = 10, doc = "what the branch is multiplied with at first" },
  },
  example = "2,4,8,8", example_args = { channels = 4 },                       -- what `drift check` builds and calls it with
  -- Weights and children by name, which become their paths in checkpoints. The host owns them.
  create = function(self, b)
    local C = self.channels
    self.norm = b:child("norm", drift.block.group_norm { num_groups = C % 4 == 0 and C // 4 or 1, num_channels = C, act = "silu" })
    self.conv = b:child("conv", drift.block.conv2d { in_channels = C, out_channels = C, kernel_size = 3, padding = 1 })
    self.open = b:weight("gain", { 1, C, 1, 1 }, self.gain)
  end,
  -- Ops have their gradients, so a block needs none of its own.
  forward = function(self, x) return x + self.conv(self.norm(x)) * self.open end,
}
