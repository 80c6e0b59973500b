-- Question: how well does a network of 98,000 weights read the digits, in whose features the metrics then look?
-- Its weights ship as lua/drift/models/digit_classifier.safetensors (drift.digit_classifier() loads them): a copy of
-- what this script leaves in its folder, with the test accuracy in the file's metadata.
local drift = require "drift"
local run = drift.experiment {
  epochs = 10, batch = 128, lr = 2e-3, shift = 2, steps = 0,
  preset = "quick",
  presets = { quick = { epochs = 2 }, smoke = { epochs = 1, steps = 3, batch = 16 } } }

local data = drift.dataset.mnist {}
local net = drift.build(drift.models.digit_classifier {})
local optimizer = drift.optimizer(drift.optim.adamw { lr = run.lr, weight_decay = 0.01 }, net)
local loader = data:loader { split = "train", batch = run.batch }

-- Each image moved by up to `shift` pixels both ways, keyed by the sample's number.
local function moved(images, first)
  local n, s = images.shape[1], run.shift
  local padded = images:pad { pads = { s, s, s, s } }             -- [B,1,28+2s,28+2s]
  local out = drift.zeros(images.shape)
  for i = 1, n do
    local key = { purpose = "shift", sample = first + i - 1 }
    local dy, dx = (drift.uniform(key, 0) * (2 * s + 1)) // 1, (drift.uniform(key, 1) * (2 * s + 1)) // 1
    out[i] = padded[i]:narrow(-2, math.tointeger(dy), 28):narrow(-1, math.tointeger(dx), 28)
  end
  return out
end

local function train_step(batch, factor)
  local logits = net(moved(batch.image, batch.first))             -- [B,10]
  local loss = drift.op.cross_entropy(logits, batch.label)
  loss:backward()
  optimizer:step(factor)
  return loss:item()
end

local function test_accuracy()
  local accuracy = drift.build(drift.metric.class_accuracy {})
  net:eval()
  for _, batch in data:loader({ split = "test", batch = 500, shuffle = false, drop_last = false }):epoch(1) do
    drift.scope(function() drift.no_grad(function() accuracy:update(net(batch.image), batch.label) end) end)
  end
  net:train()
  return accuracy:result {}[1], accuracy:samples()
end

-- The learning rate falls along half a cosine, from lr to 0, over all steps.     Loshchilov & Hutter 2017
local batches = loader:batches()
local total = run.steps > 0 and math.min(run.steps, run.epochs * batches) or run.epochs * batches
local progress = drift.progress { label = "training", total = total, unit = "images", per_step = run.batch }
for step = 1, total do
  local loss = drift.scope(function()
    local batch = loader:read((step - 1) // batches + 1, (step - 1) % batches + 1)
    return train_step(batch, 0.5 + 0.5 * math.cos(math.pi * (step - 1) / total))
  end)
  run:log { step = step, loss = loss }
  progress:update(step, ("loss %.4f"):format(loss))
  if drift.interrupted() then drift.fail "stopped; this training is short and begins anew" end
end
progress:finish()
run:flush()
drift.loss_curve(run)

local accuracy, n = test_accuracy()
local text = ("%.4f [%.4f, %.4f] of %d test images"):format(accuracy.value, accuracy.low, accuracy.high, n)
run:describe("test accuracy", text)
local command = { "./drift run experiments/train_classifier.lua" }
for _, key in ipairs(drift.set_order) do command[#command + 1] = key .. "=" .. drift.set[key] end
net:eval():save(run:path "digit_classifier.safetensors", {
  test_accuracy = text, train_sha256 = data.train.info.sha256, test_sha256 = data.test.info.sha256,
  command = table.concat(command, " "), seed = tostring(drift.seed()), drift = drift.version })
run:say("test accuracy %s; weights in %s", text, run:path "digit_classifier.safetensors")
