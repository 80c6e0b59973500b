-- adm_unet.lua: the UNet of ADM, and of DDPM++ by its options.     Ho et al. 2020, Song et al. 2021,
-- Dhariwal & Nichol 2021
--   drift.models.adm_unet { hidden = 32, mult = { 1, 2, 2 }, blocks = 1, attention = { 7 }, classes = 10 }
--   mult:          channels of each level, in hiddens; the image is halved from level to level
--   blocks:        residual blocks of a level on the way down; one more on the way up
--   attention:     sides of the image (of `size` pixels) where self-attention follows each block
--   conditioning:  "adagn" (ADM), "embedding_add" (DDPM), any scheme by name, spec or function of the sites' channels
--   site:          where the second norm stands (block res_block); by default as the scheme needs it
--   skip_scaling:  true divides every sum of branch and skip by sqrt 2 (DDPM++)
--   size, in_channels, heads, groups, dropout
-- Convolutions that end a residual branch, and the last one, start at zero. Returns a net spec, called as
-- net(x, { time = [B], label = [B], mask = [B] }).
local drift = require "drift"
local conditioning_for = require "drift.conditioning_for"
local group_count = require "drift.group_count"

local defaults = { hidden = 32, mult = { 1, 2, 2 }, blocks = 1, attention = { 7 }, conditioning = "adagn", classes = 0,
                   skip_scaling = false, size = 28, in_channels = 1, heads = 4, groups = 8, dropout = 0 }
local names = { "hidden", "mult", "blocks", "attention", "conditioning", "classes", "site", "skip_scaling", "size",
                "in_channels", "heads", "groups", "dropout" }
local normalising = { adagn = true, adaln_zero = true }          -- schemes that bring the norm of their site

-- Level by level: `down` is a list of parts in order, each followed by a push; `up` takes one skip per block.
local function forward(plan, net, x, c)
  local e = net.cond:embed(c or {})
  local function run(part, h)
    if part.site then return net[part.name](h, net.cond:at(part.site, e)) end
    return net[part.name](h)
  end

  local h = net.stem(x)                                          -- [B,D,H,W]
  local skips = { h }
  for _, parts in ipairs(plan.down) do                           -- a block with its attention, or a halving
    for _, part in ipairs(parts) do h = run(part, h) end
    skips[#skips + 1] = h
  end
  for _, part in ipairs(plan.middle) do h = run(part, h) end     -- [B,mult D,h,w] of the last level
  for _, parts in ipairs(plan.up) do                             -- a block with its attention, or a doubling
    if parts.skip then h = drift.concat({ h, table.remove(skips) }, 1) end
    for _, part in ipairs(parts) do h = run(part, h) end
  end
  return net.out(net.norm(h))                                    -- [B,in_channels,H,W]
end

local function check(o)
  for _, key in ipairs { "hidden", "blocks", "size", "in_channels", "heads", "groups" } do
    if math.type(o[key]) ~= "integer" or o[key] < 1 then
      drift.fail("adm_unet: %s = %s should be a whole number of at least 1", key, tostring(o[key]))
    end
  end
  if type(o.mult) ~= "table" or #o.mult < 1 then drift.fail "adm_unet: mult lists the channels of each level, in hiddens" end
  local side = o.size
  for level = 1, #o.mult - 1 do
    if side % 2 ~= 0 then
      drift.fail("adm_unet: mult has %d levels, but the image of level %d has %d pixels a side and cannot be halved",
        #o.mult, level, side)
    end
    side = side // 2
  end
  return o
end

local function with_defaults(given)
  local o = {}
  for key, value in pairs(defaults) do o[key] = value end
  for key, value in pairs(drift.accept("adm_unet", given, {}, names)) do o[key] = value end
  return check(o)
end

-- What the network consists of: children in order, the sites' widths, and the plan that forward follows.
local function parts_of(o, site)
  local block, scale = drift.block, o.skip_scaling and math.sqrt(0.5) or 1
  local children, channels, plan = {}, {}, { down = {}, middle = {}, up = {} }
  local function part(name, spec, width)
    children[#children + 1] = { name, spec }
    if width then channels[#channels + 1] = width end
    return { name = name, site = width and #channels or nil }
  end
  local function res(name, from, to, resample)
    return part(name, block.res_block { in_channels = from, out_channels = to, groups = o.groups, dropout = o.dropout,
      site = site, resample = resample, skip_scale = scale, init = "zero" }, to)
  end
  local function attend(name, width)
    return part(name, block.self_attention { channels = width, heads = o.heads, groups = o.groups, skip_scale = scale,
      init = "zero" })
  end
  local function attends(side)
    for _, s in ipairs(o.attention) do
      if s == side then return true end
    end
  end

  local width, side, skips = o.hidden, o.size, { o.hidden }      -- of h as it goes; of the skips
  for level, mult in ipairs(o.mult) do
    for i = 1, o.blocks do
      local name, to = ("down_%d_%d"):format(level, i), mult * o.hidden
      plan.down[#plan.down + 1] = { res(name, width, to), attends(side) and attend(name .. "_attention", to) or nil }
      width, skips[#skips + 1] = to, to
    end
    if level < #o.mult then
      plan.down[#plan.down + 1] = { res(("halve_%d"):format(level), width, width, "down") }
      side, skips[#skips + 1] = side // 2, width
    end
  end
  plan.middle = { res("middle_1", width, width), attend("middle_attention", width), res("middle_2", width, width) }
  for level = #o.mult, 1, -1 do
    for i = 1, o.blocks + 1 do
      local name, to = ("up_%d_%d"):format(level, i), o.mult[level] * o.hidden
      local parts = { res(name, width + table.remove(skips), to), attends(side) and attend(name .. "_attention", to) or nil }
      parts.skip = true
      plan.up[#plan.up + 1], width = parts, to
    end
    if level > 1 then
      plan.up[#plan.up + 1] = { res(("double_%d"):format(level), width, width, "up") }
      side = side * 2
    end
  end
  return children, channels, plan, width
end

return function(given)
  local o = with_defaults(given or {})
  local scheme = type(o.conditioning) == "string" and o.conditioning or drift.is_spec(o.conditioning) and o.conditioning.name
  local site = o.site or normalising[scheme] and "instead_of_norm" or "before_norm"
  local block = drift.block
  local children, channels, plan, width = parts_of(o, site)
  local cond = conditioning_for("adm_unet", o.conditioning, channels, o.classes)
  table.insert(children, 1, { "cond", cond })
  table.insert(children, 2, { "stem", block.conv2d { in_channels = o.in_channels, out_channels = o.hidden,
                                                     kernel_size = 3, padding = 1 } })
  children[#children + 1] = { "norm", block.group_norm { num_groups = group_count(width, o.groups),
                                                         num_channels = width, act = "silu" } }
  children[#children + 1] = { "out", block.conv2d { in_channels = width, out_channels = o.in_channels,
                                                    kernel_size = 3, padding = 1, init = "zero" } }

  return drift.net {
    name = "adm_unet",
    config = { model = "adm_unet", hidden = o.hidden, mult = o.mult, blocks = o.blocks, attention = o.attention,
               conditioning = cond.name, classes = o.classes, site = site, skip_scaling = o.skip_scaling, size = o.size,
               in_channels = o.in_channels, heads = o.heads, groups = o.groups, dropout = o.dropout },
    children = children,
    forward = function(net, x, c) return forward(plan, net, x, c) end,
  }
end
