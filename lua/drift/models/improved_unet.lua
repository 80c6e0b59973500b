-- improved_unet.lua: the digits' UNet with what the diffusion papers added: residual blocks, GroupNorm, SiLU, attention
-- at 7x7, and AdaGN for time and class.     Ho et al. 2020, Dhariwal & Nichol 2021
--   drift.models.improved_unet { hidden = 32, in_channels = 1, classes = 10 }
--   hidden:    channels at 28x28; about the cost of a step of the cs180_unet of the same hidden, so the wide parts are at
--              14x14 and 7x7, where pixels are few
--   classes:   nil: time alone
--   heads, groups, dropout, time (the block that embeds the time, its name or spec), width (of the vector for AdaGN)
-- Returns a net spec, called as net(x, { time = [B], label = [B], mask = [B] }).
local drift = require "drift"
local group_count = require "drift.group_count"

local defaults = { hidden = 32, in_channels = 1, heads = 4, groups = 8, dropout = 0, width = 128,
                   time = "sinusoidal_embedding" }
local names = { "hidden", "in_channels", "classes", "heads", "groups", "dropout", "width", "time" }

-- x [B,i,28,28], c as above -> [B,i,28,28];  D = hidden, E = 3D/2
local function forward(net, x, c)
  local e = net.cond:embed(c or {})
  local function site(i) return net.cond:at(i, e) end

  local a = net.stem(x)                                          -- [B, D,28,28]  ------------------------.
  local b = net.d1(a, site(1))                                   -- [B, E,14,14]  ----------------.       |
  local d = net.d2(b, site(2))                                   -- [B,2D, 7, 7]  --------.       |       |
  local u = net.m2(net.attention(net.m1(d, site(3))), site(4))   -- [B,2D, 7, 7]          |       |       |
  u = net.u1(drift.concat({ u, d }, 1), site(5))                 -- [B, E,14,14]  <-------'       |       |
  u = net.u2(drift.concat({ u, b }, 1), site(6))                 -- [B, E,14,14]  <---------------'       |
  u = net.up(u)                                                  -- [B, D,28,28]                          |
  u = net.u3(drift.concat({ u, a }, 1), site(7))                 -- [B, D,28,28]  <-----------------------'
  return net.out(net.norm(u))                                    -- [B, i,28,28]
end

local function with_defaults(given)
  local o = {}
  for key, value in pairs(defaults) do o[key] = value end
  for key, value in pairs(drift.accept("improved_unet", given, {}, names)) do o[key] = value end
  for _, key in ipairs { "hidden", "in_channels", "heads", "groups", "width" } do
    if math.type(o[key]) ~= "integer" or o[key] < 1 then
      drift.fail("improved_unet: %s = %s should be a whole number of at least 1", key, tostring(o[key]))
    end
  end
  if o.hidden % 2 ~= 0 then drift.fail("improved_unet: hidden = %d should be even", o.hidden) end
  return o
end

return function(given)
  local o = with_defaults(given or {})
  local D, E, block = o.hidden, 3 * o.hidden // 2, drift.block
  local function res(from, to, resample)
    return block.res_block { in_channels = from, out_channels = to, groups = o.groups, dropout = o.dropout,
                             site = "instead_of_norm", resample = resample }
  end

  return drift.net {
    name = "improved_unet",
    config = { model = "improved_unet", hidden = D, in_channels = o.in_channels, classes = o.classes, heads = o.heads,
               groups = o.groups, dropout = o.dropout, width = o.width, time = tostring(o.time) },
    children = {
      { "cond", drift.conditioning.adagn { channels = { E, 2 * D, 2 * D, 2 * D, E, E, D }, classes = o.classes or 0,
                                           groups = o.groups, width = o.width, time = o.time } },
      { "stem", block.conv2d { in_channels = o.in_channels, out_channels = D, kernel_size = 3, padding = 1 } },
      { "d1", res(D, E, "down") },
      { "d2", res(E, 2 * D, "down") },
      { "m1", res(2 * D, 2 * D) },
      { "attention", block.self_attention { channels = 2 * D, heads = o.heads, groups = o.groups } },
      { "m2", res(2 * D, 2 * D) },
      { "u1", res(4 * D, E, "up") },
      { "u2", res(2 * E, E) },
      { "up", block.conv_transpose2d { in_channels = E, out_channels = D, kernel_size = 4, stride = 2, padding = 1 } },
      { "u3", res(2 * D, D) },
      { "norm", block.group_norm { num_groups = group_count(D, o.groups), num_channels = D, act = "silu" } },
      { "out", block.conv2d { in_channels = D, out_channels = o.in_channels, kernel_size = 3, padding = 1 } },
    },
    forward = forward,
  }
end
