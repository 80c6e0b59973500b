-- average.lua: averages of a network's weights over training: one set of weights more, moved a little after each step.
--
--   local average = drift.average(net, drift.ema.power { sigma_rel = 0.1 })
--   average:update(step)                       after optimizer step 1, 2, ...: average = d average + (1-d) weight
--   average:advance(step)                      before a plan that has average:update(step) in it (drift.plan)
--   average:with(function() ... net ... end)   the network has the averaged weights meanwhile;  average:swap() by hand
--
-- What is averaged: the weights, and buffers of floats, with the same decay. BatchNorm's running mean and variance
-- belong to the weights that made them: those of the last step, under averaged weights, would normalise by statistics
-- of another network. Integer buffers (num_batches_tracked) count, and the mean of counts means nothing: copied.
local drift = require "drift"

local methods = {}
local meta = { __index = methods, __name = "average" }
local MOST = 512                                                  -- pairs in one launch; larger networks take more

local function is_float(tensor)
  local dtype = tensor.dtype
  return dtype ~= "i32" and dtype ~= "i64" and dtype ~= "u8" and dtype ~= "bool"
end

-- Lists { decay, average, weight, average, weight, ... } for ema_step, each of one dtype.
local function launches(entries, decay)
  local lists, open = {}, {}
  for _, e in ipairs(entries) do
    if e.averaged then
      local list = open[e.weight.dtype]
      if not list or #list > 2 * MOST then
        list = { decay }
        lists[#lists + 1], open[e.weight.dtype] = list, list
      end
      list[#list + 1], list[#list + 2] = e.average, e.weight
    end
  end
  return lists
end

-- The exponent of a power-function average, or nil for the other kinds.
local function exponent(spec)
  if not drift.is_spec(spec) or spec.name ~= "power" then return nil end
  local params = spec.params
  return params.gamma ~= -1 and params.gamma or drift.export.ema_gamma(params.sigma_rel)
end

-- The decay of the update that is next, for the device to read: what changes from step to step.
function methods:advance(step)
  drift.op.fill(self.decay, self.rule:decay(step))
  self.next_step = step
end

-- How far: after which optimizer step an average stands is the caller's to know; everything else is in its tensors.
function methods:update(step)
  if self.swapped then drift.fail "average: the network has the averaged weights now; swap them back before an update" end
  if self.next_step ~= step then self:advance(step) end
  drift.no_grad(function()
    for _, list in ipairs(self.lists) do drift.op.ema_step(list) end
    for _, e in ipairs(self.entries) do
      if not e.averaged then e.average:assign(e.weight) end
    end
  end)
end

-- The averages of these weights, a list of net:parameters(), in its order.
function methods:of(parameters)
  local by_path, list = {}, {}
  for _, e in ipairs(self.entries) do by_path[e.path] = e.average end
  for i, w in ipairs(parameters) do list[i] = by_path[w.path] end
  return list
end

-- An optimizer moves the averages of these weights from now on (optimizer:averages), by the decay that advance() leaves
-- in `decay`; the rest is left to update(). So advance() comes before the optimizer's step.
function methods:leave(parameters, decay)
  local left, rest = {}, {}
  for _, w in ipairs(parameters) do left[w.path] = true end
  for _, e in ipairs(self.entries) do
    if not left[e.path] then rest[#rest + 1] = e end
  end
  self.decay, self.next_step = decay, nil
  self.lists = launches(rest, decay)
end

function methods:swap()
  for _, e in ipairs(self.entries) do e.weight:swap(e.average) end
  self.swapped = not self.swapped
  return self
end

-- fn(...) with the averaged weights in the network, which come out again also where fn raises.
function methods:with(fn, ...)
  self:swap()
  local results = table.pack(pcall(fn, ...))
  self:swap()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

function methods:state_dict(prefix)
  local state = {}
  for _, e in ipairs(self.entries) do state[(prefix or "") .. e.path] = self.swapped and e.weight or e.average end
  return state
end

function methods:save(writer, prefix)
  for name, tensor in pairs(self:state_dict(prefix)) do writer:tensor(name, tensor) end
end

-- file: drift.open(path). All names and shapes are checked before anything is changed.
function methods:load(file, prefix)
  local state = self:state_dict(prefix)
  for name, tensor in pairs(state) do
    if not file:has(name) then drift.fail("%s: the averaged weight %s is missing", file.path, name) end
    local shape, wanted = table.concat(file:shape(name), ","), table.concat(tensor.shape, ",")
    if shape ~= wanted then
      drift.fail("%s: the averaged weight %s is [%s], expected [%s]", file.path, name, shape, wanted)
    end
  end
  drift.scope(function()
    drift.no_grad(function()
      for name, tensor in pairs(state) do tensor:assign(file:tensor(name, tensor.dtype)) end
    end)
  end)
end

return function(net, spec)
  net = drift.instance(net, "net")
  local entries = {}
  drift.no_grad(function()
    for i, w in ipairs(net:named()) do
      entries[i] = { path = w.path, weight = w.tensor, average = w.tensor:clone():keep(),
                     averaged = is_float(w.tensor) }
    end
  end)
  local decay = drift.zeros({}, "f64"):keep()
  return setmetatable({ net = net, spec = spec, decay = decay, rule = drift.instance(spec, "ema"), gamma = exponent(spec),
                        entries = entries, lists = launches(entries, decay), swapped = false }, meta)
end
