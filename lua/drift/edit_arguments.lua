-- edit_arguments.lua: what all edits take, checked once.
--   generator                    drift.generator {...}
--   condition, or conditions     a prompt, a class, ... (or several, for guidance that combines them)
--   guidance                     a spec or a list of such, innermost first; false: none; nil: the generator's own
--   clip                         of estimates of the data; false: none; nil: the generator's own
--   steps, stride, or grid       the times, from noise to data; nil: the sampler's own
--   n, seed, first, batch        how many pictures; image i is keyed by (seed, first + i)
--   quiet                        false: with a progress bar
--
--   local a = arguments("edit.noised", o, { "image" }, { "t" })      a.generator, a.grid, a.n, ...
--   a:sample { x = x, grid = part_of_the_grid, each = f }    drift.sample under those conditions: in the model's range
local drift = require "drift"

local SHARED = { "condition", "conditions", "guidance", "clip", "steps", "stride", "grid", "n", "seed", "first", "batch",
                 "quiet" }

local methods = {}
local meta = { __index = methods }

-- How many pictures: n, or as many as the tensors and lists that are given say.
local function count(where, o)
  local n, from = o.n, "n"
  local function say(rows, name)
    if rows == 1 or rows == n then return end
    if n == nil or n == 1 and from ~= "n" then n, from = rows, name
    else drift.fail("%s: %s = %d, but %s has %d rows", where, from, n, name, rows) end
  end
  for _, name in ipairs { "image", "x", "mask" } do
    local t = o[name]
    if drift.type(t) == "tensor" and t.rank == 4 then say(t.shape[1], name) end
  end
  if type(o.condition) == "table" and #o.condition > 0 then say(#o.condition, "condition") end
  n = n or 1
  if math.type(n) ~= "integer" or n < 1 then
    drift.fail("%s: n = %s should be a whole number of at least 1", where, tostring(n))
  end
  return n
end

-- The other arguments that all edits share, or several of them.
local function check_rest(where, o)
  if o.each ~= nil and type(o.each) ~= "function" then
    drift.fail("%s: each is a function (index, t, x, first), not a %s", where, drift.type(o.each))
  end
  if o.first ~= nil and (math.type(o.first) ~= "integer" or o.first < 0) then
    drift.fail("%s: first = %s should be a whole number of at least 0", where, tostring(o.first))
  end
end

local function is_generator(v)
  local meta_of = type(v) == "table" and getmetatable(v)
  return meta_of and meta_of.__name == "drift.generator"
end

-- { condition = } or { conditions = } as drift.sample takes them, with `more` (a picture to be enlarged) in each.
-- Only edits that ask the network call this: what a prompt says may cost a text encoder.
function methods:conditions(more)
  local function one(what)
    local c = {}
    for key, value in pairs(self.generator:conditioned(what, self.n) or {}) do c[key] = value end
    for key, value in pairs(more or {}) do c[key] = value end
    if self.generator.image_condition and not c.image then
      drift.fail("%s: %s draws nothing without a picture to enlarge: drift.edit.upscale", self.where,
        self.generator.name or "this model")
    end
    return next(c) and c or nil
  end
  if self.given.conditions == nil then return { condition = one(self.given.condition) } end
  self.generator:ahead(self.given.conditions)
  local list = {}
  for i, what in ipairs(self.given.conditions) do list[i] = one(what) end
  return { conditions = list }
end

-- drift.model's options: guidance, and what it is conditioned on, its rows as many as there are pictures.
function methods:model(options)
  local g = self.generator
  local under = self:conditions()
  local all = { guidance = self.guidance, networks = g.networks, conditions = under.conditions }
  for key, value in pairs(under.condition or {}) do all[key] = value end
  for key, value in pairs(options) do all[key] = value end
  return drift.model(drift.instance(g.process, "process"), drift.instance(g.net, "net"), all)
end

-- drift.sample for these n pictures; x stays in the model's range.
function methods:sample(changes)
  local o = self.given
  local all = { n = self.n, seed = o.seed, first = o.first, batch = o.batch, clip = o.clip, quiet = o.quiet ~= false }
  if not self.under then self.under = self:conditions() end
  all.condition, all.conditions, all.guidance = self.under.condition, self.under.conditions, self.guidance
  for key, value in pairs(changes) do all[key] = value end
  return self.generator:sample(all)
end

function methods:noise(purpose, step)
  return self.generator:noise(purpose, self.n, { seed = self.given.seed, first = self.given.first, step = step })
end

-- [1,...] -> [n,...]
function methods:rows(t)
  if t.shape[1] == self.n then return t end
  local rows = {}
  for i = 1, self.n do rows[i] = t end
  return drift.concat(rows, 0)
end

-- Pictures -> [n,C,H,W] in the model's range.
function methods:images(image)
  return self:rows(self.generator:from_picture(self.generator:pictures(image, self.where)))
end

-- The grid from `start` on: start counts from 0, as the course's "start index" does, and is the number of steps left
-- out.
function methods:from(start)
  return table.move(self.grid, start + 1, #self.grid, 1, {})
end

function methods:check_start(start)
  local N = #self.grid - 1
  if math.type(start) ~= "integer" or start < 0 or start > N then
    drift.fail("%s: start = %s should be a whole number from 0 (noise) to %d (no step)", self.where, tostring(start), N)
  end
  return start
end

return function(where, o, required, optional)
  local names = table.move(SHARED, 1, #SHARED, #optional + 1, table.move(optional, 1, #optional, 1, {}))
  drift.accept(where, o, { "generator", table.unpack(required) }, names)
  if not is_generator(o.generator) then
    drift.fail("%s: generator is what drift.generator gives, not a %s", where, drift.type(o.generator))
  end
  if o.condition ~= nil and o.conditions ~= nil then drift.fail("%s: say condition or conditions, not both", where) end
  if o.conditions ~= nil and (type(o.conditions) ~= "table" or #o.conditions == 0) then
    drift.fail("%s: conditions is a list, not a %s", where, drift.type(o.conditions))
  end
  local self = setmetatable({ where = where, generator = o.generator, given = o }, meta)
  self.n = count(where, o)
  check_rest(where, o)
  self.grid = o.generator:times(o)
  self.guidance = o.guidance
  if o.guidance == nil then self.guidance = o.generator.guidance end
  if self.guidance == false then self.guidance = nil end
  return self
end
