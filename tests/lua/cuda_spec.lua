-- The CUDA device without a GPU (tests/cuda): a plan's replay is one graph and gives the bits of the step as written;
-- training waits for nothing within an epoch, and its files are as if it had; images live on the device; the program
-- finds devices and says what is wrong.
-- label: cuda
local drift = require "drift"
local run_directory = require "drift.run"

local opened, cuda = pcall(drift.device, "cuda")
local emulated = opened and cuda:describe():find "^emulated" ~= nil
local when_emulated = emulated and it or function(name) pending(name .. " (there is no emulated CUDA)") end

local program = assert(os.getenv "DRIFT")

local function on(device, fn)
  local before = drift.device()
  drift.use(device)
  local ok, a, b = pcall(fn)
  drift.use(before)
  if not ok then error(a, 0) end
  return a, b
end

local function subset() return drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" } end

-- Random streams, statistics, products and what an optimizer and averages do, on few pixels.
local function classifier()
  return drift.net { name = "classifier",
    children = { { "pool", drift.block.fc_block { in_features = 49, out_features = 12 } },
                 { "out", drift.block.linear { in_features = 12, out_features = 10 } } },
    forward = function(net, x)
      local small = x:avg_pool2d { kernel = 4 }                    -- [B,1,7,7]
      return net.out(net.pool(small:flatten(1)):dropout { p = 0.2, sample = 0 })
    end }
end

local function loss_of(net, batch)
  local noise = drift.randn { batch.size, 1, 28, 28, purpose = "noise", sample = batch.sample }
  local y = net(batch.image + 0.1 * noise)
  local off = y - drift.op.one_hot(batch.label, { classes = 10 })
  return (off * off):mean()
end

local function train(o)
  local run = run_directory.open { name = "emulated", parameters = {} }
  local net, averages = drift.train {
    run = run, data = subset(), model = o.model or classifier(), loss = not o.process and loss_of or nil,
    process = o.process, p_uncond = o.process and 0.3,
    optim = o.optim or drift.optim.adam { lr = 1e-2 }, ema = drift.ema.fixed { decay = 0.9 },
    batch = o.batch or 50, epochs = o.epochs or 2, steps = o.steps, checkpoint_every = o.checkpoint_every,
    after_epoch = o.after_epoch }
  local state = {}
  for _, w in ipairs(net:named()) do state[w.path] = w.tensor:tostring_bytes() end
  for path, tensor in pairs(averages[1]:state_dict "average.") do state[path] = tensor:tostring_bytes() end
  return run, state
end

local function as_written(fn)
  local before = drift.plans(false)
  local ok, a, b = pcall(fn)
  drift.plans(before)
  if not ok then error(a, 0) end
  return a, b
end

-- Lines of metrics.jsonl but for how long an epoch took.
local function lines_of(run)
  return (drift.read_file(run:path "metrics.jsonl"):gsub('"seconds": [^,}]*', ""))
end

local function same(expected, given)
  for name, bytes in pairs(expected) do assert.is_true(bytes == given[name], name) end
end

local function quietly(fn)
  drift.on_note(function() end)
  local ok, message = pcall(fn)
  drift.on_note(nil)
  if not ok then error(message, 0) end
end

describe("on an emulated GPU", function()
  when_emulated("a replayed step is one graph, with the bits of the step as written", function()
    on("cuda", function()
      local function trained(planned)
        local net = drift.build(classifier())
        local optimizer = drift.optimizer(drift.optim.adam { lr = 1e-2 }, net)
        local function fn(batch)
          local loss = loss_of(net, batch)
          loss:backward()
          optimizer:step()
          return loss, batch.image
        end
        local step = planned and drift.plan(fn, { name = "a step", first_check = 8 }) or fn
        local losses = {}
        for i = 1, 20 do
          net:stream(0, 0, 6 * i)
          optimizer:advance(1)
          losses[i] = drift.scope(function()
            local images = drift.rand { 6, 1, 28, 28, purpose = "image", step = i }
            local loss, image = step { image = images, label = drift.tensor({ 3, 1, 4, 1, 5, 9 }, "i32"), size = 6, sample = 6 * i }
            return { loss:item(), image:sum():item() }
          end)
        end
        local state = {}
        for _, w in ipairs(net:named()) do state[w.path] = w.tensor:tostring_bytes() end
        return losses, state, planned and step:state()
      end
      local losses, weights = trained(false)
      local replayed, given, state = trained(true)
      assert.same(losses, replayed)
      same(weights, given)
      assert.is_true(state.graph and state.replays)
      assert.equal(16, state.replayed)                             -- all but three and one check
      assert.equal(1, state.graphs)                                -- and the check has moved no memory
    end)
  end)

  when_emulated("training writes the files that it writes kernel by kernel, and waits for no step", function()
    quietly(function()
      on("cuda", function()
        local slow, expected = as_written(function() return train {} end)
        drift.export.fake_forget_calls()
        local calls, waits = drift.export.fake_calls, nil
        local run, state = train { after_epoch = function(_, epoch)
          if epoch == 1 then waits = calls "cudaStreamSynchronize" + calls "cudaEventSynchronize" end
        end }
        same(expected, state)
        assert.equal(lines_of(slow), lines_of(run))
        assert.equal(42, #run.records)
        assert.is_true(drift.export.fake_calls "cudaGraphLaunch" >= 30)
        -- 20 losses, each waited for when it is read; what the checkpoint at the end of the epoch reads; nothing else
        local weights = 0
        for _ in pairs(state) do weights = weights + 1 end
        assert.is_true(waits <= 20 + 2 * weights + 8, waits .. " waits in an epoch")
      end)
    end)
  end)

  when_emulated("a UNet's step, guidance's dropped classes and its averages are one graph as well", function()
    quietly(function()
      on("cuda", function()
        local function run_of()
          return train { model = drift.build(drift.models.cs180_unet { hidden = 4, time = "add", class = "scale" }),
                         process = drift.process.flow_matching {}, batch = 3, steps = 8, epochs = 1 }
        end
        local slow, expected = as_written(run_of)
        drift.export.fake_forget_calls()
        local run, state = run_of()
        assert.is_true(drift.export.fake_calls "cudaGraphLaunch" >= 5)
        same(expected, state)
        assert.equal(lines_of(slow), lines_of(run))
      end)
    end)
  end)

  when_emulated("losses that are read late stop at the right step, and are all in a checkpoint", function()
    quietly(function()
      on("cuda", function()
        local run
        local o = { optim = drift.optim.sgd { lr = 1000 }, steps = 19, epochs = 1 }
        local ok, message = pcall(train, o)
        assert.is_false(ok)
        local slow_ok, expected = as_written(function() return pcall(train, o) end)
        assert.is_false(slow_ok)
        assert.is_truthy(message:find "epoch 1, step %d+: the loss is", message)
        assert.equal(expected:match "epoch 1, step.*", message:match "epoch 1, step.*")
        local lines
        run = train { steps = 7, epochs = 1, checkpoint_every = 5, after_epoch = function() end }
        lines = drift.open(run:path "checkpoint.safetensors").metadata.lines
        assert.equal("8", lines)                                   -- 7 steps and the epoch's mean
      end)
    end)
  end)

  when_emulated("batches are those of the host, and no image is uploaded any more", function()
    local data = drift.instance(subset(), "dataset")
    local function batches(device)
      return on(device, function()
        local loader, all = data:loader { split = "train", batch = 64, seed = 3 }, {}
        for epoch = 1, 2 do
          for _, batch in loader:epoch(epoch) do
            all[#all + 1] = { batch.image:tostring_bytes(), batch.label:totable(), batch.first, batch.size }
          end
        end
        return all
      end)
    end
    local host = batches "cpu"
    assert.same(host, batches "cuda")
  end)

  when_emulated("a number that is read later is that of the moment", function()
    on("cuda", function()
      local t = drift.tensor { 1.5 }
      local later = t:later()
      t:fill(3)
      assert.is_false(later:ready())
      assert.equal(1.5, later:item())
      assert.is_true(later:ready())
      assert.equal(1.5, later:item())
    end)
  end)
end)

describe("diff-devices", function()
  when_emulated("finds no layer of a UNet's training that differs from the processor's", function()
    drift.write_file("unet.lua", [[
      local drift = require "drift"
      local run = drift.experiment { hidden = 4, batch = 2 }
      drift.train { run = run, data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }, p_uncond = 0.3,
        process = drift.process.flow_matching {}, optim = drift.optim.adam {}, ema = drift.ema.fixed { decay = 0.9 },
        model = drift.models.cs180_unet { hidden = run.hidden, time = "add", class = "scale" } }]])
    for _, precision in ipairs(drift.device "cpu":computes "bf16" and { "f32", "bf16" } or { "f32" }) do
      local pipe = io.popen(program .. " diff-devices unet.lua --precision " .. precision .. " 2>&1; echo \"status $?\"")
      local text = pipe:read "a"
      pipe:close()
      assert.is_truthy(text:find "cuda and cpu agree: %d+ results of %d+ ops, 2 steps" and text:find "status 0", text)
    end
  end)
end)

describe("the program", function()
  -- Output (both streams) and exit status.
  local function run(arguments, environment)
    local command = ("%s %s %s 2>&1; echo \"status $?\""):format(environment or "", program, arguments)
    local pipe = assert(io.popen(command))
    local output = pipe:read "a"
    pipe:close()
    local text, status = output:match "^(.*)status (%d+)\n$"
    return text, tonumber(status)
  end

  local function script(text)
    drift.write_file("script.lua", 'local drift = require "drift"\n' .. text .. "\n")
    return "script.lua"
  end

  it("lists devices, and says why others are not there", function()
    local text, status = run "devices"
    assert.equal(0, status)
    for _, line in ipairs { "cpu +%S", "ref +plain loops", "cuda%S* +%S" } do
      assert.is_truthy(text:find(line), text)
    end
    assert.equal(1, select(2, run "devices cuda"))
  end)

  when_emulated("lists each GPU, opens the one that is named, and refuses one that is not there", function()
    local two = "DRIFT_FAKE_DEVICES=2"
    local text = run("devices", two)
    assert.is_truthy(text:find "cuda:0 +emulated" and text:find "cuda:1 +emulated" and not text:find "cuda:2", text)
    local name = script "print(drift.device().name, drift.device():option 'index', drift.tensor({ 1, 2 }):sum():item())"
    assert.equal("cuda:1\t1.0\t3.0\n", (run("run --device cuda:1 " .. name, two)))
    local wrong, status = run("run --device cuda:2 " .. name, two)
    assert.equal(1, status)
    assert.is_truthy(wrong:find("there is no cuda:2; this machine has cuda:0 to cuda:1", 1, true), wrong)
    assert.is_truthy(run("devices", "DRIFT_FAKE_DEVICES=0"):find "cuda +none: no NVIDIA GPU can be seen")
    assert.is_true(drift.device "cuda" == drift.device "cuda:0")
  end)

  when_emulated("takes options of the device", function()
    local name = script [[local d = drift.device() print(d:option "deterministic", d:option "tf32", drift.precision())]]
    assert.equal("1.0\t0.0\tf32\n", (run("run --device cuda " .. name)))
    assert.equal("0.0\t0.0\tf32\n", (run("run --device cuda:0,deterministic=false " .. name)))
    assert.equal("1.0\t1.0\ttf32\n", (run("run --device cuda --precision tf32 " .. name)))
    assert.equal("0.0\t1.0\tf32\n", (run("run --device cuda,tf32=true,deterministic=false " .. name)))
    local function says(arguments, part)
      local text, status = run("run --device " .. arguments)
      assert.equal(1, status)
      assert.is_truthy(text:find(part, 1, true), text)
    end
    says("cuda,deterministic=maybe " .. name, "deterministic = maybe is not true or false")
    says("cuda,determinstic=true " .. name, "did you mean 'deterministic'")
    says("cuda,tf32 " .. name, "'tf32' has no value")
    says("cuda " .. script [[drift.precision "tf32"]], "device cuda was opened without it")
  end)

  -- The fake libraries add up in another order for some batches, as real ones may.
  when_emulated("gives an image the same bits in any batch, where it is opened so", function()
    local name = script [[
      local block = drift.block
      local net = drift.build(drift.net { name = "small", children = {
          { "stem", block.conv2d { in_channels = 1, out_channels = 16, kernel_size = 3, padding = 1 } },
          { "class", block.linear { in_features = 10, out_features = 16 } },
          { "half", block.conv2d { in_channels = 16, out_channels = 16, kernel_size = 3, stride = 2, padding = 1 } },
          { "res", block.res_block { in_channels = 16, out_channels = 16, groups = 4 } },
          { "attend", block.self_attention { channels = 16, heads = 2, groups = 4 } },
          { "double", block.conv_transpose2d { in_channels = 16, out_channels = 16, kernel_size = 4, stride = 2, padding = 1 } },
          { "out", block.conv2d { in_channels = 16, out_channels = 1, kernel_size = 3, padding = 1 } } },
        forward = function(net, x, c)
          local class = net.class(c.label:one_hot { classes = 10 } * c.mask:reshape(-1, 1))      -- [B,16]
          local h = net.stem(x) + class:reshape(-1, 16, 1, 1)
          return net.out(net.double(net.attend(net.res(net.half(h)))))
        end })
      local function bytes(labels, first, batch)
        return drift.sample { model = net, process = drift.process.flow_matching {}, shape = { 1, 8, 8 }, quiet = true,
          sampler = drift.sampler.euler { steps = 2 }, guidance = drift.guidance.cfg_rescale { scale = 3 },
          labels = labels, first = first, batch = batch }:cast "f32":tostring_bytes()
      end
      local all = bytes({ 3, 1, 4, 1, 5 }, 0, 5)
      print(all == bytes({ 3, 1, 4, 1, 5 }, 0, 2), all:sub(4 * 8 * 8 * 4 + 1) == bytes({ 5 }, 4, 1))]]
    for _, precision in ipairs { "f32", "bf16", "tf32" } do
      local invariant = run(("run --device cuda,batch_invariant=true --precision %s %s"):format(precision, name))
      assert.equal("true\ttrue\n", invariant, precision)
    end
    assert.equal("false\tfalse\n", (run("run --device cuda " .. name)))
  end)

  -- A device that cannot read the host's memory gets a copy, in the file's dtype and frozen as well.
  when_emulated("takes weights from a file, in f16, and nothing else gets at them", function()
    local model = drift.models.adm_unet { hidden = 8, mult = { 1, 2 }, size = 8, attention = { 4 }, heads = 2, classes = 10 }
    local state = {}
    for name, t in pairs(drift.build(model, { seed = 1 }):state_dict()) do
      state[name] = (t + 0.05 * drift.randn { t:numel(), purpose = name }:reshape(t.shape)):cast "f16"
    end
    drift.save_tensors("half.safetensors", state)
    local function output(trainable)
      local net = drift.build(model, { weights = "half.safetensors", trainable = trainable }):eval()
      local weight = net:state_dict()["out.weight"] or net:parameters()[1].tensor
      local y = drift.no_grad(function()
        return net(drift.randn { 2, 1, 8, 8, purpose = "image" }, { time = drift.tensor { 0.25, 0.75 }, label = drift.tensor({ 1, 2 }, "i32") }):to "cpu"
      end)
      return y, weight
    end
    local y, weight = on(cuda, output)
    assert.equal("f16", weight.dtype)
    assert.equal("cuda", weight.device)
    assert.is_false(pcall(function() weight:assign(weight) end))
    local expected = output(true)
    assert.is_true(expected:abs():amax():item() > 1e-2)
    assert.is_true((y - expected):abs():amax():item() < 1e-4 * expected:abs():amax():item())
  end)

  it("says where there is no TF32", function()
    local text, status = run("run --device ref --precision tf32 " .. script "")
    assert.equal(1, status)
    assert.is_truthy(text:find("precision tf32: device ref computes f32 in full", 1, true), text)
    text = run("run --device ref " .. script [[drift.precision "tf32"]])
    assert.is_truthy(text:find("device ref computes f32 in full", 1, true), text)
  end)
end)
