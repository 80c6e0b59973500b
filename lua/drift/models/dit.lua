-- dit.lua: the diffusion transformer, small enough for digits.     Peebles & Xie 2023
--   drift.models.dit { hidden = 96, depth = 4, heads = 4, patch = 4, classes = 10 }
--   patch:         side of the squares that become tokens: 4 gives 49 tokens of a 28x28 image, 2 gives 196
--   conditioning:  "adaln_zero"; any scheme by name, spec or function of the sites' channels
--   mlp_ratio, size (the image's side), in_channels
-- The last layer starts at zero, and with adaln_zero every branch does. Returns a net spec, called as
-- net(x, { time = [B], label = [B], mask = [B] }).
local drift = require "drift"
local conditioning_for = require "drift.conditioning_for"

local defaults = { hidden = 96, depth = 4, heads = 4, patch = 4, mlp_ratio = 4, classes = 0, conditioning = "adaln_zero",
                   size = 28, in_channels = 1 }
local names = { "hidden", "depth", "heads", "patch", "mlp_ratio", "classes", "conditioning", "size", "in_channels" }

-- x [B,i,H,W], c as above -> [B,i,H,W];  D = hidden, L = (H/patch)(W/patch) tokens
local function forward(net, x, c)
  local o, e = net.config, net.cond:embed(c or {})
  if x.rank ~= 4 or x.shape[3] ~= o.size or x.shape[4] ~= o.size then
    drift.fail("dit: made for images [B,%d,%d,%d], got [%s]", o.in_channels, o.size, o.size, table.concat(x.shape, ","))
  end
  local h = net.patches(x)                                       -- [B,L,D], with positions
  for i = 1, o.depth do
    h = net["block_" .. i](h, net.cond:at(2 * i - 1, e))         -- [B,L,D]  attention, then the two-layer network
  end
  h = net.cond:modulate(2 * o.depth + 1, o.norm and net.norm(h) or h, e)
  return net.pixels(h)                                           -- [B,i,H,W]
end

local function with_defaults(given)
  local o = {}
  for key, value in pairs(defaults) do o[key] = value end
  for key, value in pairs(drift.accept("dit", given, {}, names)) do o[key] = value end
  for _, key in ipairs { "hidden", "depth", "heads", "patch", "size", "in_channels" } do
    if math.type(o[key]) ~= "integer" or o[key] < 1 then
      drift.fail("dit: %s = %s should be a whole number of at least 1", key, tostring(o[key]))
    end
  end
  if o.size % o.patch ~= 0 then drift.fail("dit: size = %d cannot be cut into patches of %d", o.size, o.patch) end
  if o.depth > 31 then drift.fail("dit: depth = %d has more sites than a conditioning has (2 depth + 1 of 64)", o.depth) end
  return o
end

return function(given)
  local o = with_defaults(given or {})
  local D, block, channels = o.hidden, drift.block, {}
  for i = 1, 2 * o.depth + 1 do channels[i] = D end
  local cond = conditioning_for("dit", o.conditioning, channels, o.classes)
  local norm = cond.name ~= "adaln_zero" and cond.name ~= "adagn"      -- those bring the norm of their site

  local children = { { "cond", cond },
                     { "patches", block.patch_embed { in_channels = o.in_channels, dim = D, patch = o.patch } } }
  for i = 1, o.depth do
    children[#children + 1] = { "block_" .. i, block.transformer_block { dim = D, heads = o.heads,
                                                                               mlp_ratio = o.mlp_ratio, norm = norm } }
  end
  if norm then children[#children + 1] = { "norm", block.layer_norm { normalized_shape = D } } end
  children[#children + 1] = { "pixels", block.unpatchify { dim = D, out_channels = o.in_channels, patch = o.patch,
                                                           columns = o.size // o.patch, init = "zero" } }
  return drift.net {
    name = "dit",
    config = { model = "dit", hidden = D, depth = o.depth, heads = o.heads, patch = o.patch, mlp_ratio = o.mlp_ratio,
               classes = o.classes, conditioning = cond.name, size = o.size, in_channels = o.in_channels, norm = norm },
    children = children,
    forward = forward,
  }
end
