#!/bin/sh
# dashboard.sh: what is drawn in the terminal while a network is trained: at 80 and 40 columns and after a resize, with
# notes and prints between, and how the terminal is left after the end, Ctrl-C and an error; and that nothing of it
# reaches a file, or a terminal that cannot do it.
set -eu
export DRIFT_DATA="$DRIFT_TEST_DATA"
cat >train.lua <<'END'
local drift = require "drift"
local run = drift.experiment { epochs = 2, batch = 100, steps = 0, fail_at = 0, pause = 0.06, says = false }
local net = drift.net { name = "one", weights = { gain = { shape = { 1 }, init = 1 } },
                        forward = function(n, x) return x * n.gain end }
local step = 0
drift.train { run = run, data = drift.dataset.mnist {}, model = net, optim = drift.optim.sgd { lr = 1 },
  loss = function(n, batch)
    step = step + 1
    drift.sleep(run.pause)
    if run.says and step % 4 == 0 then drift.note("a note of step %d", step) end
    if run.says and step % 4 == 2 then print("printed in step " .. step) end
    if run.says and step % 4 == 3 then io.write("written in step " .. step) end       -- a line without an end
    if step == run.fail_at then error "the loss function failed" end
    return (n(batch.image) - batch.image * 0.01):pow(2):mean()
  end,
  after_epoch = function(_, epoch)
    print("after epoch " .. epoch)
    if epoch == 2 then drift.show(drift.canvas(20, 4, 0.5)) end
    run:last_samples(drift.rand { 4, 1, 28, 28, purpose = "pictures" })
  end }
run:finish()
END
cat >compare.lua <<'END'
local drift = require "drift"
local run = drift.experiment { epochs = 2, batch = 100 }
local function unet(class) return drift.models.cs180_unet { hidden = 2, time = "add", class = class } end
drift.compare { name = "tiny", baseline = "add", seeds = { 1 }, variants = { add = unet "add", scale = unet "scale" },
  train = { data = drift.dataset.mnist {}, process = drift.process.flow_matching {}, optim = drift.optim.adam {},
            after_epoch = function() drift.sleep(1.2) end } }
END
cat >cells.lua <<'END'
local drift = require "drift"
local view, list = require "drift.dashboard.cells".new(), {}
for i = 1, 20 do
  list[i] = { label = ("variant 網 %d, seed 1"):format(i), folder = "cell_" .. i, since = drift.clock() }
  drift.mkdir(list[i].folder)
  if i > 1 then
    drift.write_file(list[i].folder .. "/config.json", '{"training": {"epochs": 2, "batch": 10}, "data": {"images": 100}}')
    drift.write_file(list[i].folder .. "/metrics.jsonl", '{"step": 10, "epoch": 1, "loss": 0.25}\n{"step": 11, "lo')
  end
end
for i = 1, 3 do
  view:draw(list, "2 of 30 done")
  if i == 1 then drift.note "above" end
  drift.sleep(0.6)
end
view:leave()
print "below"
END
exec python3 "$DRIFT_HOME/tests/shell/dashboard_terminal.py"
