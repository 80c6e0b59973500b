-- cs180_unet.lua: the UNet of the digit experiments, for 28x28 images.
--   drift.models.cs180_unet { hidden = 64, in_channels = 1, classes = 10, time = "add", class = "scale" }
--   time:   "add" | "scale" | nil     how the time enters, at the two sites marked (1) and (2)
--   class:  "scale" | "add" | nil     how the class enters beside it (needs time = "add")
--   conditioning:                     instead of the two: any scheme at the same sites, "film" (with `classes`; 0: time
--                                     alone), drift.conditioning.film { width = 64 }, or a function from channels to one
--   residual: each ConvBlock adds its input
-- Returns a net spec, called as net(x, { time = [B], label = [B], mask = [B] }). Weights have the names that they have
-- in PyTorch: init.c1.conv.0.weight, t1.net.0.bias.
local drift = require "drift"
local conditioning_for = require "drift.conditioning_for"

local defaults = { hidden = 64, in_channels = 1, classes = 10, residual = false }
local names = { "hidden", "in_channels", "classes", "time", "class", "residual", "conditioning" }

-- h [B,..] for each of the condition's n B rows
local function for_rows_of(c, h)
  local copies = {}
  for i = 1, c and c.time and c.time.shape[1] // h.shape[1] or 1 do copies[i] = h end
  return #copies > 1 and drift.concat(copies, 0) or h
end

-- x [B,i,28,28], c as above -> [B,i,28,28];  D = hidden. Up to (1) nothing depends on the condition, so where that has n
-- rows for each image (guidance's two halves) x has B rows only down to there, and n B from there on.
local function forward(net, x, c)
  local e = net.config.conditioning and net.cond:embed(c or {})
  local function site(i, h) return e and net.cond:modulate(i, h, e) or h end

  local a = net.init(x)                                          -- [B, D,28,28]  ------------------------.
  local b = net.d1(a)                                            -- [B, D,14,14]  ----------------.       |
  local d = net.d2(b)                                            -- [B,2D, 7, 7]  --------.       |       |
  local u = for_rows_of(c, net.un(net.flatten(d)))               -- [B,2D, 7, 7]          |       |       |
  u = site(1, u)                                                 --               (1)     |       |       |
  u = site(2, net.u1(u, d))                                      -- [B, D,14,14]  (2)  <--'       |       |
  u = net.u2(u, b)                                               -- [B, D,28,28]  <---------------'       |
  return net.out(net.f(u, a))                                    -- [B, i,28,28]  <-----------------------'
end

local function conditioning(o, channels)
  if o.conditioning ~= nil then
    if o.time or o.class then drift.fail "cs180_unet: conditioning stands instead of time and class" end
    return conditioning_for("cs180_unet", o.conditioning, channels, o.classes)
  end
  if o.class then
    if o.time ~= "add" then drift.fail('cs180_unet: class = "%s" needs time = "add"', tostring(o.class)) end
    return drift.conditioning.class_time { channels = channels, classes = o.classes, inject = o.class }
  end
  if o.time == "add" then return drift.conditioning.time_add { channels = channels } end
  if o.time == "scale" then return drift.conditioning.time_scale { channels = channels } end
  if o.time ~= nil then drift.fail('cs180_unet: time = "%s" is not one of add, scale', tostring(o.time)) end
end

local function with_defaults(given)
  local o = {}
  for key, value in pairs(defaults) do o[key] = value end
  for key, value in pairs(drift.accept("cs180_unet", given, {}, names)) do o[key] = value end
  for _, key in ipairs { "hidden", "in_channels", "classes" } do
    local none = key == "classes" and o.conditioning ~= nil and o.classes == 0
    if not none and (math.type(o[key]) ~= "integer" or o[key] < 1) then
      drift.fail("cs180_unet: %s = %s should be a whole number of at least 1", key, tostring(o[key]))
    end
  end
  return o
end

return function(given)
  local o = with_defaults(given or {})
  local D, r, block = o.hidden, o.residual, drift.block
  local cond = conditioning(o, { 2 * D, D })

  return drift.net {
    name = "unet",
    config = { model = "cs180_unet", hidden = D, in_channels = o.in_channels, residual = r, time = o.time,
               class = o.class, classes = o.class and o.classes or nil, conditioning = cond ~= nil,
               scheme = o.conditioning and cond.name or nil },
    children = {
      { "init", block.conv_block { in_channels = o.in_channels, out_channels = D, residual = r } },
      { "d1", block.down_block { in_channels = D, out_channels = D, residual = r } },
      { "d2", block.down_block { in_channels = D, out_channels = 2 * D, residual = r } },
      { "flatten", block.flatten {} },
      { "un", block.unflatten { channels = 2 * D } },
      { "u1", block.up_block { in_channels = 4 * D, out_channels = D, residual = r } },
      { "u2", block.up_block { in_channels = 2 * D, out_channels = D, residual = r } },
      { "f", block.conv_block { in_channels = 2 * D, out_channels = D, residual = r } },
      { "out", block.conv2d { in_channels = D, out_channels = o.in_channels, kernel_size = 3, padding = 1 } },
    },
    inline = cond and { { "cond", cond } } or {},                -- its weights are t1.net.0.weight, not cond.t1...
    forward = forward,
    shares_images = cond ~= nil,
  }
end
