-- train.lua: the training loop that all experiments share.
--
--   drift.train { run = run, data = data, model = net_spec, process = process, optim = drift.optim.adam { lr = 1e-3 },
--                 decay = drift.decay.exponential { to = 0.1 }, p_uncond = 0.1,
--                 time_sampling = drift.time_sampling.logit_normal {}, weighting = drift.weighting.min_snr {},
--                 coupling = drift.coupling.minibatch_ot {}, ema = drift.ema.power { sigma_rel = 0.1 },
--                 epochs = 10, batch = 128, checkpoint_every = 1000,
--                 after_epoch = function(net, epoch, averages) ... end }                           -> net, averages
--
-- One step: x0, label = batch;  eps, t, mask drawn from streams keyed by the sample's number;  x_t and target from the
-- process;  loss = mean squared error;  backward;  optimizer;  averages (ema: a spec, or a list). A data set whose images
-- have noise of their own (pairs) gives eps. epochs, batch and steps (a limit for short runs) default to the run's
-- parameters of the same name; seconds is a limit on the time that steps take, resumed ones included (0: none): with it
-- what a run ends with depends on the machine. Instead of a process, loss = function(net, batch) ... return tensor end.
--
-- What the host does for a step (the batch, its times and their coefficients, a coupling, the learning rate) is apart
-- from what the device does, which is a plan (drift.plan): after three steps it is replayed, with the same numbers.
--
-- A run that was stopped anywhere, by Ctrl-C or SIGKILL, goes on from its checkpoint and ends with the same bytes. So
-- everything that belongs to a step is on disk before the checkpoint that counts it (snapshots of averages, metrics),
-- and what follows a checkpoint (curve, after_epoch) is done again on resuming, since it may not have been done.
local drift = require "drift"
local checkpoint = require "drift.checkpoint"
local hot_reload = require "drift.hot_reload"
local loss_curve = require "drift.loss_curve"
local here = require "drift.compare.cell_environment"

local function whole_number(name, value, least)
  if math.type(value) ~= "integer" or value < least then
    drift.fail("train: %s = %s should be a whole number of at least %d", name, tostring(value), least)
  end
end

local function options_of(o)
  drift.accept("train", o, { "run", "data", "model", "optim" },
    { "process", "loss", "decay", "p_uncond", "epochs", "batch", "steps", "after_epoch", "label",
      "time_sampling", "weighting", "coupling", "ema", "ema_every", "checkpoint_every", "seconds" })
  if (o.process == nil) == (o.loss == nil) then drift.fail "train: give a process, or a loss of your own" end
  local parameters = o.run.parameters
  local all = {
    run = o.run, data = o.data, process = o.process, loss = o.loss, decay = o.decay or drift.decay.constant {}, p_uncond = o.p_uncond or 0,
    epochs = o.epochs or parameters.epochs or 1, batch = o.batch or parameters.batch or 128,
    steps = o.steps or parameters.steps or 0, after_epoch = o.after_epoch or function() end,
    seconds = o.seconds or parameters.seconds or 0, label = o.label or "epoch",
    time_sampling = o.time_sampling, weighting = o.weighting, coupling = o.coupling,
    ema = drift.is_spec(o.ema) and { o.ema } or o.ema or {}, ema_every = o.ema_every or 0,
    checkpoint_every = o.checkpoint_every or parameters.checkpoint_every or 0,
  }
  for _, kind in ipairs { "time_sampling", "weighting", "coupling" } do
    if all[kind] then drift.instance(all[kind], kind) end                        -- another kind is an error here
  end
  whole_number("epochs", all.epochs, 0)
  whole_number("batch", all.batch, 1)
  whole_number("steps", all.steps, 0)
  whole_number("ema_every", all.ema_every, 0)
  whole_number("checkpoint_every", all.checkpoint_every, 0)
  if type(all.seconds) ~= "number" or not (all.seconds >= 0 and all.seconds < math.huge) then
    drift.fail("train: seconds = %s should be how long to train, 0 for no limit", tostring(all.seconds))
  end
  if type(all.p_uncond) ~= "number" or not (all.p_uncond >= 0 and all.p_uncond <= 1) then
    drift.fail("train: p_uncond = %s is outside [0, 1]", tostring(all.p_uncond))
  end
  return all
end

local function averages_of(net, o)
  local averages, powers = {}, 0
  for i, spec in ipairs(o.ema) do
    averages[i] = drift.average(net, spec)
    if averages[i].gamma then powers = powers + 1 end
  end
  if o.ema_every > 0 and powers == 0 then
    drift.fail "train: ema_every keeps snapshots of drift.ema.power averages; there is none"
  end
  return averages, powers > 1 or o.ema_every > 0
end

-- Power-function averages as they are now, a file each, from which drift.post_hoc_ema makes those of other widths.
local function snapshot(run, averages, step)
  drift.mkdir(run:path "ema")
  for i, average in ipairs(averages) do
    if average.gamma then
      local w = drift.writer()
      average:save(w, "")
      w:metadata("drift.snapshot", "1"):metadata("average", tostring(average.spec))
      w:metadata("step", tostring(step)):metadata("gamma", ("%.17g"):format(average.gamma))
      w:commit(run:path(("ema/step_%09d_average_%d.safetensors"):format(step, i)))
    end
  end
end

-- ended: the epoch whose end this is, so that what follows an epoch is done again on resuming from here.
local function save(run, net, optimizer, averages, at, ended)
  run:flush()
  drift.trace("checkpoint", checkpoint.save, run:path "checkpoint.safetensors",
    { net = net, optimizer = optimizer, averages = averages, epoch = at.epoch, batch = at.batch, step = at.step,
      loss_sum = at.loss_sum, seconds = at.seconds, lines = #run.records, ended = ended or 0 })
end

local function finish_epoch(run, net, averages, o, epoch)
  loss_curve(run)
  net:eval()
  drift.trace("after epoch", o.after_epoch, net, epoch, averages)
  run:flush()                                                     -- what after_epoch logged
  drift.trace("export", run.export_while_training, run)
end

local function stopped(run, net, optimizer, averages, at, board)
  board:finish()
  save(run, net, optimizer, averages, at)
  drift.note("stopped in epoch %d after step %d; go on with: ./drift run %s%s", at.epoch + 1, at.step,
    drift.options.script or "SCRIPT", run.resume_dir and " --resume " .. run.resume_dir or "")
  os.exit(130, true)
end

-- Losses of steps that the device may still be at work on: the host goes on, and reads them some steps later. What
-- follows from a loss (its line, the epoch's sum, the check that it is a number) is done in the order of the steps,
-- before anything that a file shows: settle(0) waits for all. Where devices do not run on their own there is nothing to
-- wait for.
local MOST_WAITING = 32

local function losses(run, at, board)
  local first, last, waiting = 1, 0, {}
  local self = {}

  local function take()
    local entry = waiting[first]
    waiting[first], first = nil, first + 1
    local loss = entry.loss:item()
    if loss ~= loss or math.abs(loss) == math.huge then
      first, last, waiting = 1, 0, {}
      drift.fail("epoch %d, step %d: the loss is %s; try a smaller learning rate", entry.epoch, entry.step,
        loss ~= loss and "not a number" or "infinite")
    end
    at.loss_sum = at.loss_sum + loss
    run:log { step = entry.step, epoch = entry.epoch, loss = loss, lr = entry.lr }
    run:flush_while_training()
    board:update(entry.batch, loss, at.loss_sum / entry.batch, entry.lr)
  end

  -- entry: loss, and the epoch, batch, step and lr that it is of
  function self.add(entry)
    last = last + 1
    waiting[last] = entry
    if entry.loss:ready() then self.settle(0) else self.settle(MOST_WAITING) end
  end

  function self.settle(most)
    while last - first + 1 > most do take() end
  end

  -- Also where a step fails: the lines of those before it.
  return setmetatable(self, { __close = function(_, failed)
    if failed then pcall(self.settle, 0) else self.settle(0) end
  end })
end

local function is_spent(o, at)
  return (o.steps > 0 and at.step >= o.steps) or (o.seconds > 0 and at.seconds >= o.seconds)
end

-- The rest of one epoch, from at.batch on, or as much of it as the limits of steps and seconds allow. Returns its mean
-- loss.
local function train_epoch(net, optimizer, averages, loader, step, between_steps, o, at, board)
  local run, batches = o.run, loader:batches()
  local factor = drift.instance(o.decay, "decay"):factor(at.epoch, o.epochs)
  local last = o.steps > 0 and math.min(batches, at.batch + o.steps - at.step) or batches
  board:epoch(at.epoch + 1, at.step, at.batch, last)
  local waiting <close> = losses(run, at, board)
  local function save_now()                                       -- so that a new version that fails costs no step
    waiting.settle(0)
    save(run, net, optimizer, averages, at)
  end
  net:train()
  step:check()
  local start, before = drift.clock(), at.seconds
  for i = at.batch + 1, last do
    local loss = drift.trace("step", drift.scope, function()
      return step(drift.trace("data", loader.read, loader, at.epoch + 1, i), factor, at.step + 1)
    end)
    at.step, at.batch = at.step + 1, i
    at.seconds = o.seconds > 0 and before + drift.clock() - start or 0
    waiting.add { loss = loss, step = at.step, epoch = at.epoch + 1, batch = i, lr = optimizer.lr * factor }
    between_steps(at.step, save_now)
    if o.ema_every > 0 and at.step % o.ema_every == 0 then
      waiting.settle(0)
      snapshot(run, averages, at.step)
    end
    if drift.interrupted() then
      waiting.settle(0)
      stopped(run, net, optimizer, averages, at, board)
    end
    if o.checkpoint_every > 0 and at.step % o.checkpoint_every == 0 and i < last then
      save_now()
    end
    if is_spent(o, at) then break end
  end
  waiting.settle(0)
  step:check()                                                    -- and its memory is free for what follows an epoch
  return at.batch > 0 and at.loss_sum / at.batch or 0
end

-- A spec has one network, so training the same spec again goes on with it. That may be meant, but should be known.
local trained = setmetatable({}, { __mode = "k" })

local function note_trained_before(spec, net)
  if trained[net] and drift.is_spec(spec) then
    drift.note("the network goes on from the weights of its last training; drift.build(model) makes a new one")
  end
  trained[net] = true
end

local function ema_records(list)
  local records = drift.json.array {}
  for i, spec in ipairs(list) do records[i] = drift.is_spec(spec) and spec:table() or nil end
  return #records > 0 and records or nil
end

return function(options)
  local o = options_of(options)
  local run = o.run
  local net = drift.instance(options.model, "net")
  note_trained_before(options.model, net)
  local process = o.process and drift.instance(o.process, "process")
  local data = drift.instance(o.data, "dataset")
  local optimizer = drift.optimizer(options.optim, net)
  local loader = data:loader { split = "train", batch = o.batch, seed = drift.seed(), shuffle = true, drop_last = true }
  local averages, keep_snapshots = averages_of(net, o)
  drift.join_averages(optimizer, net, averages)
  local step = drift.train_step { net = net, optimizer = optimizer, averages = averages, process = process, loss = o.loss,
                                  p_uncond = o.p_uncond, time_sampling = o.time_sampling, weighting = o.weighting,
                                  coupling = o.coupling }
  local info = data.train.info
  local at = { epoch = 0, batch = 0, step = 0, loss_sum = 0, seconds = 0 }
  if run.resumed and drift.exists(run:path "checkpoint.safetensors") then     -- first: what does not fit changes no file
    at = checkpoint.load(run:path "checkpoint.safetensors", { net = net, optimizer = optimizer, averages = averages })
    run:restore_log(at.lines)
    drift.note("resumed from %s: %d epochs and %d steps done", run.dir, at.epoch, at.step)
  end
  local between_steps = hot_reload.between_steps(run, at.step)
  hot_reload.in_training(true)
  local _ <close> = setmetatable({}, { __close = function() hot_reload.in_training(false) end })
  run:describe("data", { source = info.source, sha256 = info.sha256, images = info.n })
  run:describe("network", { name = net.name, weights = net:count(), config = net.config, hash = net.spec:hash() })
  run:describe("training", { process = drift.is_spec(options.process) and options.process:table() or nil,
                             optim = drift.is_spec(options.optim) and options.optim:table() or nil,
                             decay = drift.is_spec(o.decay) and o.decay:table() or nil,
                             time_sampling = drift.is_spec(o.time_sampling) and o.time_sampling:table() or nil,
                             weighting = drift.is_spec(o.weighting) and o.weighting:table() or nil,
                             coupling = drift.is_spec(o.coupling) and o.coupling:table() or nil,
                             ema = ema_records(o.ema), p_uncond = o.p_uncond, epochs = o.epochs, batch = o.batch })
  if here and here.what == "script_description" then require "drift.compare.training_costs"(options, o, net) end
  if (at.ended or 0) > 0 then finish_epoch(run, net, averages, o, at.ended) end

  local steps = o.epochs * loader:batches()
  local board <close> = drift.dashboard { run = run, label = o.label, epochs = o.epochs, batch = o.batch,
                                          steps = o.steps > 0 and math.min(o.steps, steps) or steps }
  while at.epoch < o.epochs do
    if is_spent(o, at) then break end
    local start = drift.clock()
    local mean = drift.trace("epoch", train_epoch, net, optimizer, averages, loader, step, between_steps, o, at, board)
    board:pause()
    -- In whole milliseconds: a record's numbers are written with the digits that the longest of them needs, and losses
    -- should not change theirs with the clock.
    local seconds = math.floor(1000 * (drift.clock() - start)) / 1000
    run:log { step = at.step, epoch = at.epoch + 1, epoch_loss = mean, seconds = seconds }
    drift.note("%s %d/%d: mean loss %.4f, %.0f s", o.label, at.epoch + 1, o.epochs, mean, drift.clock() - start)
    local epoch = at.epoch + 1
    if at.batch == loader:batches() then                          -- else steps ran out: more of them go on from here
      at.epoch, at.batch, at.loss_sum = epoch, 0, 0
    end
    if keep_snapshots and o.ema_every == 0 then snapshot(run, averages, at.step) end
    save(run, net, optimizer, averages, at, epoch)
    finish_epoch(run, net, averages, o, epoch)
    between_steps(at.step)                                        -- the script may have reloaded something there
  end
  if #run.records > 0 then drift.trace("export", run.export, run, "epochs") end
  net:eval()
  return net, averages
end
