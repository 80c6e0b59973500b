-- checkpoint.lua: all of a training in one file: weights and buffers ("net."), the optimizer's state ("optim."), and
-- where it stands. Noise, times, dropout and data order are functions of (seed, sample), so that is all there is:
-- a training that was stopped and one that was not end with the same bits.
local drift = require "drift"

local checkpoint = {}

-- The file is replaced only when the new one is complete on disk.
function checkpoint.save(path, o)
  local w = drift.writer()
  w:net(o.net, "net.")
  w:optimizer(o.optimizer, "optim.")
  w:metadata("drift.checkpoint", "1")
  w:metadata("epoch", tostring(o.epoch))                          -- epochs finished
  w:metadata("batch", tostring(o.batch))                          -- batches finished of the next one
  w:metadata("step", tostring(o.step))
  w:metadata("seed", tostring(drift.seed()))
  w:metadata("loss_sum", ("%a"):format(o.loss_sum))               -- of the unfinished epoch, to the bit
  w:metadata("network", o.net.spec:hash())
  w:commit(path)
end

local function whole(file, key)
  local n = math.tointeger(tonumber(file.metadata[key]))
  if not n or n < 0 then drift.fail("%s: not a checkpoint that can be resumed (%s is missing or wrong)", file.path, key) end
  return n
end

function checkpoint.load(path, o)
  local file = drift.open(path)
  if file.metadata["drift.checkpoint"] ~= "1" then drift.fail("%s: not a checkpoint of this Drift", path) end
  local at = { epoch = whole(file, "epoch"), batch = whole(file, "batch"), step = whole(file, "step"),
               loss_sum = tonumber(file.metadata.loss_sum) or 0 }
  if whole(file, "seed") ~= drift.seed() then
    drift.fail("%s: was trained with seed %s, this run has seed %d", path, file.metadata.seed, drift.seed())
  end
  if file.metadata.network ~= o.net.spec:hash() then
    drift.note("%s: the network's description has changed since; its weights must still fit", path)
  end
  o.net:load(file, { prefix = "net." })
  o.optimizer:load(file, "optim.")
  return at
end

return checkpoint
