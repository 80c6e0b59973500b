-- drift bench: its JSON has the fields that docs and compare.py rely on, and they agree with one another; its step is
-- that of drift.train; a mistyped task or setting is refused.
local drift = require "drift"
local program = assert(os.getenv "DRIFT")

local function run(arguments)
  local pipe = assert(io.popen(program .. " " .. arguments .. " 2>stderr; echo \"status $?\""))
  local text, status = pipe:read "a":match "^(.*)status (%d+)\n$"
  pipe:close()
  return text, tonumber(status)
end

local function results(arguments)
  local text, status = run("bench " .. arguments .. " --json")
  assert.are.equal(0, status, drift.read_file "stderr")
  local all = drift.json.decode(text)
  assert.are.equal(drift.version, all.drift)
  return all.results
end

local function near(expected, got, tolerance)
  local off = math.abs(got - expected)
  assert.is_true(off <= (tolerance or 1e-9) * math.abs(expected), ("%s, not %s"):format(got, expected))
end

local function sum(list, field)
  local total = 0
  for _, item in ipairs(list) do total = total + item[field] end
  return total
end

local function kernel(result, op)
  for _, k in ipairs(result.kernels) do if k.op:sub(1, #op) == op then return k end end
  error("no kernel " .. op)
end

-- FLOP of the class's UNet at D for an image, forward: convolutions by hand, 2 Ci Co k k per pixel of their output (of
-- their input for the transposed ones). The linear layers of time and class come on top.
local function conv(Ci, Co, k, side) return 2 * Ci * Co * k * k * side * side end

local function forward_flop(D)
  return conv(1, D, 3, 28) + conv(D, D, 3, 28) + conv(D, D, 3, 14) + 2 * conv(D, D, 3, 14)           -- init, down1
    + conv(D, 2 * D, 3, 7) + 2 * conv(2 * D, 2 * D, 3, 7)                                            -- down2
    + conv(2 * D, 2 * D, 7, 1)                                                                       -- unflatten
    + conv(4 * D, D, 4, 7) + 2 * conv(D, D, 3, 14)                                                   -- up1
    + conv(2 * D, D, 4, 14) + 2 * conv(D, D, 3, 28)                                                  -- up2
    + conv(2 * D, D, 3, 28) + conv(D, D, 3, 28) + conv(D, 1, 3, 28)                                  -- out
end

-- Of these, what comes before the condition enters, and the skips' part of the sums: guidance's halves share it.
local function shared_flop(D)
  return conv(1, D, 3, 28) + conv(D, D, 3, 28) + 3 * conv(D, D, 3, 14) + conv(D, 2 * D, 3, 7)
    + 2 * conv(2 * D, 2 * D, 3, 7) + conv(2 * D, 2 * D, 7, 1)
    + conv(2 * D, D, 4, 7) + conv(D, D, 4, 14) + conv(D, D, 3, 28)
end

describe("drift bench", function()
  it("measures training", function()
    local r = results "train hidden=4 batch=6 steps=4 warmup=2 profiled=2 --threads 1"[1]
    for field, value in pairs { task = "train", device = "cpu", precision = "f32", hidden = 4, batch = 6, threads = 1,
                                steps = 4, warmup = 2, profiled = 2 } do
      assert.are.equal(value, r[field], field)
    end
    assert.is_true(r.ms.min <= r.ms.q1 and r.ms.q1 <= r.ms.median and r.ms.median <= r.ms.q3 and r.ms.q3 <= r.ms.max)
    near(1e3 * 6 / r.ms.median, r.images_per_s)
    assert.is_true(r.first_step_ms > 0 and r.first_step_clock < drift.clock())
    local m = r.memory
    assert.is_true(m.process_peak > m.process_before and m.process_before > 2 ^ 20 and m.device_peak > 1e5)
    assert.is_true(m.device_peak < m.process_peak)
    near(r.profiled_ms, r.kernel_ms + r.outside_ms)
    assert.is_true(r.outside_ms > 0)
    near(r.kernel_ms, sum(r.kernels, "ms"))
    near(1, sum(r.kernels, "share"))
    for i = 2, #r.kernels do assert.is_true(r.kernels[i].ms <= r.kernels[i - 1].ms) end
    assert.are.equal(1, kernel(r, "adam_step").calls)
    for _, op in ipairs { "conv2d", "conv2d_backward_weight", "batch_norm_act", "mse_backward" } do kernel(r, op) end
  end)

  it("computes in the precision that it names", function()
    if not drift.device():computes "bf16" then return end
    local r = results "train hidden=4 batch=6 steps=1 warmup=1 profiled=1 --threads 1 --precision bf16"[1]
    assert.are.equal("bf16", r.precision)
    assert.are.equal("bf16", kernel(r, "batch_norm_act").dtype)
    local apart = results "--precision bf16 hidden=4 batch=6 steps=1 warmup=1 profiled=1 euler=1 --threads 1"
    for _, task in ipairs(apart) do assert.are.equal("bf16", kernel(task, "conv2d").dtype, task.task) end
  end)

  it("counts the network's FLOP", function()
    local D, B = 8, 3
    local forward = B * forward_flop(D) * 1e-9
    local flop = {}
    for _, k in ipairs(results(("denoise hidden=%d batch=%d steps=1 warmup=1 profiled=1"):format(D, B))[1].kernels) do
      local kind = k.op:match "backward_%a+" or k.op:match "^conv" and "forward" or "other"
      flop[kind] = (flop[kind] or 0) + k.gflop_per_s * k.ms * 1e-3
    end
    local first = B * 2 * D * 9 * 28 * 28 * 1e-9                       -- the input's own gradient is not asked for
    near(3 * forward - first, (flop.forward or 0) + (flop.backward_data or 0) + (flop.backward_weight or 0), 1e-6)
    assert.are.equal(0, flop.other or 0)
  end)

  it("measures sampling, of more than one batch", function()
    local r = results "sample hidden=4 batch=6 steps=2 warmup=1 euler=3 sample_batch=4 --threads 1"[1]
    assert.are.equal("sample", r.task)
    near(1e3 * 6 / r.ms.median, r.images_per_s)
    assert.are.equal(1, r.profiled)
    -- 3 steps of both halves of CFG, 6 images: 36 evaluations of an image, half of what they share, and the embeddings
    local least = (36 * forward_flop(4) - 18 * shared_flop(4)) * 1e-9
    assert.is_true(r.gflop >= least * (1 - 1e-9) and r.gflop < 1.05 * least, ("%g, not %g"):format(r.gflop, least))
    near(1e3 * r.gflop / r.ms.median, r.gflop_per_s)
  end)

  it("measures single kernels by their shapes, forward and backward", function()
    local r = results "ops hidden=4 batch=5 repeats=2"[1]
    assert.are.equal(2, r.repeats)
    local seen = {}
    for _, k in ipairs(r.ops) do
      seen[k.op] = seen[k.op] or k
      assert.is_true(k.ms >= k.ms_min and k.ms_min >= 0 and k.calls >= 1)
      assert.is_nil(seen[k.op .. k.shapes])                            -- a row for each
      seen[k.op .. k.shapes] = k
    end
    for _, op in ipairs { "conv2d", "conv2d_backward_weight", "adam_step" } do assert.is_truthy(seen[op], op) end
    local is_3x3 = false
    for _, k in ipairs(r.ops) do
      is_3x3 = is_3x3 or k.op == "conv2d" and k.shapes:find "^f32%[5,%d+,%d+,%d+%] f32%[%d+,%d+,3,3%]" ~= nil
    end
    assert.is_true(is_3x3)
  end)

  it("measures training and sampling in processes of their own where nothing is named", function()
    local both = results "hidden=4 batch=5 steps=1 euler=2 profiled=0 --seed 3"
    assert.are.equal(2, #both)
    assert.are.equal("train", both[1].task)
    assert.are.equal("sample", both[2].task)
    assert.is_nil(both[1].kernels)
    assert.are.equal(1, both[2].steps)
  end)

  it("says it in words", function()
    local text = run "bench train --set hidden=4 batch=5 steps=1 warmup=1 profiled=1"
    for _, part in ipairs { "train: D=4, batch 5, f32, cpu", "images/s", "memory: peak", "adam_step" } do
      assert.is_truthy(text:find(part, 1, true), text)
    end
    assert.is_truthy(run "bench ops hidden=4 batch=5 repeats=1":find("f32[5,4,28,28]", 1, true))
  end)

  it("refuses what it does not know", function()
    for arguments, message in pairs {
      ["bench trian"] = "did you mean train", ["bench train hiden=4"] = "did you mean hidden",
      ["bench train hidden=0"] = "at least 1", ["bench train batch=x"] = "whole number",
      ["bench train --profile x.json"] = "--profile goes with drift run",
      ["bench train sample"] = "one argument too many",
    } do
      local _, status = run(arguments)
      local said = drift.read_file "stderr"
      assert.are.equal(1, status, said)
      assert.is_truthy(said:find(message, 1, true), said)
    end
  end)
end)

describe("the step of drift bench", function()
  it("is that of drift.train: the same losses on the same batches", function()
    local data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }
    local model = drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" }
    local run_directory = require "drift.run"
    local trained = run_directory.open { name = "bench_step", parameters = {} }
    drift.on_note(function() end)
    drift.train { run = trained, data = data, model = drift.build(model), process = drift.process.flow_matching {},
                  optim = drift.optim.adam { lr = 1e-3 }, batch = 10, steps = 3, p_uncond = 0.1 }
    drift.on_note(nil)
    local net = drift.build(model)
    net:train()
    local step = drift.train_step {
      net = net, optimizer = drift.optimizer(drift.optim.adam { lr = 1e-3 }, net),
      process = drift.instance(drift.process.flow_matching {}, "process"), p_uncond = 0.1 }
    local loader = drift.instance(data, "dataset"):loader {
      split = "train", batch = 10, seed = drift.seed(), shuffle = true, drop_last = true }
    for i = 1, 3 do
      local loss = drift.scope(function() return step(loader:read(1, i), 1) end)
      assert.are.equal(trained.records[i].loss, loss:item())
    end
  end)
end)
