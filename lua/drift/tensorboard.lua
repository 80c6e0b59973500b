-- tensorboard.lua: a run's numbers and pictures as an event file that TensorBoard reads: tensorboard --logdir runs
--   drift.tensorboard "runs/mnist_flow" -> path                  or a run
-- Every number of metrics.jsonl is a scalar of the record's step, but for step and epoch, which say where it is, and
-- seconds, which the clock says. Pictures are the folder's *.png: epoch_NN.png is tag "epoch" at the end of epoch NN,
-- the others have their own name and the last step. Times are steps in seconds (see event_file.lua), so that a run that
-- was killed and resumed has the same bytes as one that was not.
--
-- Runs write it after epochs and a training's end, with the pictures of epochs that have ended ({ pictures = "epochs" }:
-- what else lies in the folder of a resumed run may be of a time to come), and in run:finish() with all. It is derived,
-- whole, from what is in the folder; records come in their order, so that it mostly grows at its end, as TensorBoard
-- expects.
local drift = require "drift"

local NAME <const> = "events.out.tfevents.drift"                  -- TensorBoard takes any name with "tfevents"
local PLACE <const> = { step = true, epoch = true, seconds = true }

-- epoch -> the number of the record that ends it
local function ends_of(records)
  local ends = {}
  for i, record in ipairs(records) do
    if record.epoch_loss and record.epoch then ends[record.epoch] = i end
  end
  return ends
end

-- Pictures of epochs by the record that they follow, and the others: names of files without ".png".
local function pictures_of(folder, records)
  local ends, after, others = ends_of(records), {}, {}
  for _, file in ipairs(drift.files(folder)) do
    local name = file:match "^(.*)%.png$"
    local epoch = name and name:match "^epoch_(%d+)$"
    local record = epoch and ends[math.tointeger(epoch)]
    if record then
      after[record] = name
    elseif name then
      others[#others + 1] = name
    end
  end
  return after, others
end

local function numbers_of(record)
  local numbers = {}
  for key, value in pairs(record) do
    if not PLACE[key] and type(value) == "number" then numbers[key] = value end
  end
  return numbers
end

return function(run, o)
  local folder = type(run) == "table" and run.dir or run
  if type(folder) ~= "string" then drift.fail "tensorboard: give a run, or the folder of one" end
  o = drift.accept("tensorboard", o or {}, {}, { "pictures" })
  local records, file, step = drift.read_metrics(folder), drift.event_file(), 0
  local after, others = pictures_of(folder, records)
  local function picture(name, tag) file:png(step, tag, drift.read_file(("%s/%s.png"):format(folder, name))) end

  for i, record in ipairs(records) do
    step = math.tointeger(record.step) or step                    -- a record without one is of the step before it
    local numbers = numbers_of(record)
    if next(numbers) then file:scalars(step, numbers) end
    if after[i] then picture(after[i], "epoch") end
  end
  for _, name in ipairs(o.pictures == "epochs" and {} or others) do picture(name, name) end
  local path = folder .. "/" .. NAME
  drift.write_file(path, file:bytes())
  return path
end
