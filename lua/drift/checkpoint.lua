-- checkpoint.lua: all of a training in one file: weights and buffers ("net."), the optimizer's state ("optim."),
-- averages of the weights ("ema.1.", "ema.2.", ...), and where it stands, the number of lines in metrics.jsonl
-- included. Noise, times, dropout and data order are functions of (seed, sample), so that is all there is: a training
-- that was stopped and one that was not end with the same bits.
local drift = require "drift"

local checkpoint = {}

-- The file is replaced only when the new one is complete on disk.
--   o: net, optimizer, averages (may be nil), epoch, batch, step, loss_sum, seconds, lines, ended
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
  if o.seconds and o.seconds > 0 then w:metadata("seconds", ("%a"):format(o.seconds)) end   -- of a training with a limit
  w:metadata("network", o.net.spec:hash())
  w:metadata("lines", tostring(o.lines))                          -- of metrics.jsonl
  w:metadata("ended", tostring(o.ended))                          -- the epoch whose after_epoch comes next, else 0
  for i, average in ipairs(o.averages or {}) do
    average:save(w, ("ema.%d."):format(i))
    w:metadata(("ema.%d"):format(i), tostring(average.spec))
  end
  w:commit(path)
end

local function whole(file, key)
  local n = math.tointeger(tonumber(file.metadata[key]))
  if not n or n < 0 then drift.fail("%s: not a checkpoint that can be resumed (%s is missing or wrong)", file.path, key) end
  return n
end

-- Averages go on only as those that they were: another rule, or one more, would not be exact.
local function check_averages(file, averages)
  local n = 0
  while file.metadata[("ema.%d"):format(n + 1)] do n = n + 1 end
  if n ~= #averages then
    drift.fail("%s: has %d averages of weights, this training asks for %d", file.path, n, #averages)
  end
  for i, average in ipairs(averages) do
    local saved, wanted = file.metadata[("ema.%d"):format(i)], tostring(average.spec)
    if saved ~= wanted then
      drift.fail("%s: average %d is %s, this training asks for %s", file.path, i, saved, wanted)
    end
  end
end

function checkpoint.load(path, o)
  local file = drift.open(path)
  if file.metadata["drift.checkpoint"] ~= "1" then drift.fail("%s: not a checkpoint of this Drift", path) end
  local at = { epoch = whole(file, "epoch"), batch = whole(file, "batch"), step = whole(file, "step"),
               loss_sum = tonumber(file.metadata.loss_sum) or 0, seconds = tonumber(file.metadata.seconds) or 0,
               lines = whole(file, "lines"), ended = whole(file, "ended") }
  if whole(file, "seed") ~= drift.seed() then
    drift.fail("%s: was trained with seed %s, this run has seed %d", path, file.metadata.seed, drift.seed())
  end
  if file.metadata.network ~= o.net.spec:hash() then
    drift.note("%s: the network's description has changed since; its weights must still fit", path)
  end
  check_averages(file, o.averages or {})
  o.net:load(file, { prefix = "net." })
  o.optimizer:load(file, "optim.")
  for i, average in ipairs(o.averages or {}) do average:load(file, ("ema.%d."):format(i)) end
  return at
end

return checkpoint
