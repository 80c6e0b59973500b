-- generator.lua: a model that one can edit with, whatever it is: a digit model of this repository, DeepFloyd IF.
--
--   local g = drift.generator {
--     net = net, process = process, sampler = drift.sampler.ddpm {}, shape = { 1, 28, 28 }, range = { 0, 1 },
--     condition = function(self, what, n) return { label = drift.full({ n }, what, "i32") } end }
--   drift.edit.inpaint { generator = g, image = "six.png", mask = "half.png", condition = 6 }
--
-- condition makes what drift.sample takes ({ tokens =, label =, ..., null = {...} }, of n rows or 1) from what a user
-- says: a class, a prompt, a saved embedding's path; nil where nothing is said. A list of n such gives each image its
-- own.
-- range: the values of black and white in the network's images. Everything that edits take and give is a *picture*: that
-- range mapped to [0,1] and not clipped, so that a noised picture is one as well and nothing is lost on the way.
--
-- Optional: clip, guidance (what counts where an edit names none), networks (for guidance by name), batch (images at a
-- time), name; image_condition(self, x, level, eps) -> { image =, image_level = } for a model that sees a smaller
-- picture, level (that which it has by default).
local drift = require "drift"

local methods = {}
local meta = { __index = methods, __name = "drift.generator" }

-- ---- pictures -------------------------------------------------------------------------------------------------------
-- x in [lo, hi] -> [0,1], without clipping; and back
function methods:to_picture(x)
  local lo, hi = self.range[1], self.range[2]
  if lo == 0 and hi == 1 then return x end
  return (x - lo) / (hi - lo)
end

function methods:from_picture(p)
  local lo, hi = self.range[1], self.range[2]
  if lo == 0 and hi == 1 then return p end
  return p * (hi - lo) + lo
end

local function size_text(shape) return ("%d channels, %d x %d"):format(shape[1], shape[3], shape[2]) end

-- A path, or a tensor [C,H,W] or [B,C,H,W], as pictures of the generator's shape: [B,C,H,W].
function methods:pictures(image, where)
  local C, H, W = table.unpack(self.shape)
  if type(image) == "string" then
    return drift.read_image(image, { size = { H, W }, channels = C }):unsqueeze(0)
  end
  if drift.type(image) ~= "tensor" then
    drift.fail("%s: a picture is a path or a tensor, not a %s", where, drift.type(image))
  end
  local x = image.rank == 3 and image:unsqueeze(0) or image
  local s = x.shape
  if x.rank ~= 4 or s[2] ~= C or s[3] ~= H or s[4] ~= W then
    local got = x.rank == 4 and size_text { s[2], s[3], s[4] } or ("rank %d"):format(image.rank)
    drift.fail("%s: the picture has %s; this model's have %s (drift.read_image brings a file to a size)", where, got,
      size_text(self.shape))
  end
  return x:to(drift.device()):cast "f32"
end

-- ---- times ----------------------------------------------------------------------------------------------------------
-- The time that DeepFloyd's course calls `index`: of a chain of 1000 steps t = index + 1, and the same share of the way
-- from data to noise for any other process.
function methods:time_at(index)
  if type(index) ~= "number" or not (index >= 0 and index < 1000) then
    drift.fail("time_at: index = %s is outside [0, 1000)", tostring(index))
  end
  local t_noise, t_data, chain = drift.instance(self.process, "process"):range()
  if chain > 0 and t_data == 0 then return 1.0 + index * chain // 1000 end
  return t_data + index / 1000 * (t_noise - t_data)
end

-- At 990, 960, ..., 0 for a stride of 30.
local function strided(self, stride)
  if math.type(stride) ~= "integer" or stride < 1 or stride > 999 then
    drift.fail("stride = %s should be a whole number from 1 to 999", tostring(stride))
  end
  local grid = {}
  for index = 999 // stride * stride, 0, -stride do grid[#grid + 1] = self:time_at(index) end
  for i = 2, #grid do
    if grid[i] == grid[i - 1] then drift.fail("stride = %d is less than a step of this process's chain", stride) end
  end
  return grid
end

local function check_times(self, grid)
  local t_noise, t_data = drift.instance(self.process, "process"):range()
  local low, high = math.min(t_noise, t_data), math.max(t_noise, t_data)
  for i, t in ipairs(grid) do
    if type(t) ~= "number" or not (t >= low and t <= high) then
      drift.fail("grid[%d] = %s is outside of this process's [%g, %g]", i, tostring(t), low, high)
    end
  end
end

-- The times of sampling, from noise to data: those of `grid`, of `steps` steps of the sampler, or every `stride`-th
-- of a thousand, as the course has it.
function methods:times(o)
  local given = (o.grid and 1 or 0) + (o.steps and 1 or 0) + (o.stride and 1 or 0)
  if given > 1 then drift.fail "say one of steps, stride and grid" end
  if o.grid then
    if type(o.grid) ~= "table" or #o.grid < 2 then
      drift.fail "grid is a list of two times or more, from noise to data"
    end
    check_times(self, o.grid)
    return o.grid
  end
  if o.stride then return strided(self, o.stride) end
  local sampler = o.steps and self.sampler:with { steps = o.steps } or self.sampler
  return drift.model(drift.instance(self.process, "process"), function() end):grid(sampler)
end

-- ---- conditions -----------------------------------------------------------------------------------------------------
local PARTS = { "label", "tokens", "tokens_mask", "image", "image_level" }

local function is_condition(what)
  if type(what) ~= "table" or #what > 0 then return false end
  for _, part in ipairs(PARTS) do if what[part] then return true end end
  return what.null ~= nil
end

-- Conditions of one row each -> one of as many rows.
local function joined(list)
  local all = {}
  for _, part in ipairs(PARTS) do
    local rows = {}
    for i, c in ipairs(list) do rows[i] = c[part] end
    if #rows == #list then all[part] = drift.concat(rows, 0)
    elseif next(rows) then drift.fail("some conditions have a %s and some have none", part) end
  end
  local nulls = {}
  for i, c in ipairs(list) do nulls[i] = c.null end
  if #nulls == #list then all.null = joined(nulls) end
  return all
end

-- Called with several conditions before each is made: a generator whose conditions are dear may make them together.
function methods:ahead(_) end

-- What a user says -> a condition of 1 or n rows.
function methods:conditioned(what, n)
  if is_condition(what) then return what end
  if type(what) ~= "table" or #what == 0 then return self.condition(self, what, n) end
  if #what ~= n then drift.fail("a list of %d conditions for %d images", #what, n) end
  self:ahead(what)
  local list = {}
  for i, item in ipairs(what) do list[i] = is_condition(item) and item or self.condition(self, item, 1) end
  return joined(list)
end

-- ---- images ---------------------------------------------------------------------------------------------------------
-- Standard normal, [n,C,H,W]; row i belongs to image first + i, whatever the batch.
function methods:noise(purpose, n, o)
  return drift.randn { n, self.shape[1], self.shape[2], self.shape[3], purpose = purpose, seed = o.seed or drift.seed(),
                       sample = o.first or 0, step = o.step or 0 }
end

-- drift.sample with this model: o has condition or conditions (as conditioned() gives them), and what drift.sample
-- takes.
function methods:sample(o)
  local all = { model = self.net, process = self.process, sampler = self.sampler, shape = self.shape, clip = self.clip,
                networks = self.networks, batch = self.batch, quiet = true }
  for key, value in pairs(o) do all[key] = value end
  if o.clip == false then all.clip = nil end
  return (drift.sample(all))
end

-- ---- making one -----------------------------------------------------------------------------------------------------
local function check(o)
  drift.accept("generator", o, { "net", "process", "sampler", "shape", "range", "condition" },
    { "clip", "guidance", "networks", "batch", "name", "image_condition", "level", "text" })
  if drift.type(o.net) ~= "module" and not drift.is_spec(o.net) then
    drift.fail("generator: net is a network (drift.net, drift.models.NAME), not a %s", drift.type(o.net))
  end
  if not drift.is_spec(o.sampler, "sampler") then
    drift.fail("generator: sampler is a spec, such as drift.sampler.ddim {}, not a %s", drift.type(o.sampler))
  end
  drift.instance(o.process, "process")
  if type(o.shape) ~= "table" or #o.shape ~= 3 then drift.fail "generator: shape is { channels, height, width }" end
  for i = 1, 3 do
    if math.type(o.shape[i]) ~= "integer" or o.shape[i] < 1 then
      drift.fail("generator: shape[%d] = %s should be a whole number of at least 1", i, tostring(o.shape[i]))
    end
  end
  local lo, hi = table.unpack(type(o.range) == "table" and o.range or {})
  if type(lo) ~= "number" or type(hi) ~= "number" or not (lo < hi) then
    drift.fail "generator: range is { black, white }, such as { -1, 1 }"
  end
  if type(o.condition) ~= "function" then
    drift.fail("generator: condition is a function (self, what, n), not a %s", drift.type(o.condition))
  end
end

return function(o)
  check(o)
  local self = {}
  for key, value in pairs(o) do self[key] = value end
  return setmetatable(self, meta)
end
