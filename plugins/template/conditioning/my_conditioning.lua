-- my_conditioning.lua: time and class open and close channels.     after Hu et al. 2018 (squeeze-and-excitation)
--   h_i' = h_i 2 sigmoid(Linear_i(v)),   v = SiLU(Linear(time features) + row of the class)
-- The Linear_i start at zero, so the network begins as one that knows neither.
local drift = require "drift"
local linear = drift.block.linear

drift.define.conditioning {
  name = "my_conditioning", doc = "Time and class open and close channels",
  params = {                                    -- networks (drift.models) fill in `channels` and `classes`
    { "channels", "ints", min = 1, max = 65536, doc = "widths of the sites in the network, in order; required" },
    { "classes", "int", default = 10, min = 0, max = 1 << 20, doc = "labels go from 0 to classes - 1; 0: time alone" },
    { "width", "int", default = 64, min = 2, max = 65536, doc = "length of v" },
  },
  create = function(self, b)
    if #self.channels == 0 then drift.fail "conditioning my_conditioning: channels should list the widths of the sites" end
    local n = self.width
    self.features = b:child("features", drift.block.sinusoidal_embedding { dim = n })
    self.time = b:child("time", linear { in_features = n, out_features = n })
    if self.classes > 0 then self.rows = b:weight("rows", { self.classes, n }, { normal = 0.02 }) end
    self.site = {}
    for i, C in ipairs(self.channels) do
      self.site[i] = b:child("site" .. i, linear { in_features = n, out_features = C, init = "zero" })
    end
  end,
  -- Once per call of the network. Where a row's mask is 0 nothing may depend on its label.
  embed = function(self, ctx, c)
    if not c.time then drift.fail "conditioning my_conditioning: the network is called without a time" end
    local v = self.time(self.features(c.time))                                -- [B,width]
    if self.rows and c.label then
      local row = drift.op.embedding(self.rows, c.label)
      v = v + (c.mask and row * c.mask:reshape(-1, 1) or row)
    end
    v = v:silu()
    local scale = {}
    for i, site in ipairs(self.site) do scale[i] = site(v):sigmoid() * 2 end  -- [B,C_i]
    return { scale = scale }
  end,
  -- At each site, of h's shape: a map [B,C,H,W] or tokens [B,L,C].
  modulate = function(self, ctx, site, h, e)
    local C = self.channels[site]
    if not C then drift.fail("conditioning my_conditioning: there is no site %d", site) end
    return h * (h.rank == 4 and e.scale[site]:reshape(-1, C, 1, 1) or e.scale[site]:reshape(-1, 1, C))
  end,
}
