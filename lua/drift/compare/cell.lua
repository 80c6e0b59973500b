-- cell.lua: one variant with one seed, in a process of its own: trains, judges, draws. The process is the comparison's
-- script run again; cell_environment.lua says which cell it is.
--   cell.run(o, variant)        trains and judges; files in the run's folder
--   cell.describe(o, variant)   configuration, modules and costs of a variant, as variant.json
local drift = require "drift"
local here = require "drift.compare.cell_environment"
local run_directory = require "drift.run"
local setup_of = require "drift.compare.setup"
local config = require "drift.compare.config"
local tree = require "drift.compare.tree"
local costs_of = require "drift.compare.costs"
local pictures = require "drift.compare.pictures"
local held_out_loss = require "drift.compare.held_out_loss"
local cost_quality = require "drift.compare.cost_quality"

local cell = {}
local GRID, FRAMES, SHOWN = 4, 17, 10                             -- rows of samples; steps and images of a trajectory

function cell.write(path, value) drift.write_file(path, drift.json.encode(value, { indent = 2 }) .. "\n") end

-- What is there, or nil: a file that a killed process left half-written cannot be (they are replaced whole).
function cell.read(path)
  if not drift.exists(path) then return nil end
  local value = drift.json.decode(drift.read_file(path))
  return type(value) == "table" and value or nil
end

local function with(base, changes)
  local all = {}
  for key, value in pairs(base) do all[key] = value end
  for key, value in pairs(changes) do all[key] = value end
  return all
end

-- The run of this process, in the folder that --out or --resume names: the script's own, or one without parameters.
local function run_of(o)
  local run = o.run or run_directory.current or run_directory.open { name = o.name, parameters = {} }
  run.resume_dir, run_directory.latest = here.comparison, here.comparison
  return run
end

-- Metrics' tables are the comparison's to show.
local function quiet(run)
  return { path = function(_, file) return run:path(file) end, say = function() end }
end

-- ---- the description ------------------------------------------------------------------------------------------------
function cell.describe(o, variant)
  local run = run_of(o)
  local setup = setup_of(o, variant)
  local net = drift.build(setup.train.model, { seed = drift.seed() })
  local lines, weights = tree(net), net:count()
  local train, parameters = setup.train, run.parameters
  local costs = costs_of(with(train, {
    batch = train.batch or parameters.batch, epochs = train.epochs or parameters.epochs,
    steps = train.steps or parameters.steps,
    shape = setup.sample.shape, classes = setup.classes }))
  cell.write(run:path "variant.json", with(costs, {
    name = variant.name, label = variant.label, config = config.of_setup(setup, run.parameters), tree = lines,
    params = weights }))
end

-- ---- what a trained network draws -----------------------------------------------------------------------------------
-- n images; of each class in turn where there are classes
local function counted(setup, n)
  if not setup.classes then return { n = n } end
  local labels = {}
  for i = 1, n do labels[i] = (i - 1) % setup.classes end
  return { labels = labels }
end

local function samples(run, sample, setup)
  local n = setup.sample.n or GRID * (setup.classes or SHOWN)
  local images, labels = drift.sample(with(sample, with(counted(setup, n), { quiet = true })))
  drift.save_tensors(run:path "samples.safetensors", { images = images:clamp(0, 1),
                                                       labels = labels and labels:cast "i64" })
end

local function trajectory(run, sample, setup)
  local n = math.min(setup.classes or SHOWN, SHOWN)
  local frames, times, wanted = {}, {}, nil
  drift.sample(with(sample, with(counted(setup, n), { batch = n, quiet = true, each = function(step, steps, t, x)
    if not wanted then
      wanted = {}
      for i = 0, FRAMES - 1 do wanted[math.floor(i * steps / (FRAMES - 1) + 0.5)] = true end
    end
    if wanted[step] then frames[#frames + 1], times[#times + 1] = x:clone():keep(), t end
  end })))
  drift.save_tensors(run:path "trajectory.safetensors",
    { frames = drift.stack(frames), t = drift.tensor(times) })
end

local function judge(o, run, setup, net)
  local train, seed = setup.train, drift.seed()
  local measured = { model = net, process = train.process, data = train.data, n = o.held_out, loss = train.loss,
                     time_sampling = train.time_sampling, weighting = train.weighting, seed = 0,
                     confidence = o.confidence }
  local results = { held_out_loss = held_out_loss.measure(measured) }
  if train.process then cell.write(run:path "noise_levels.json", held_out_loss.levels(measured)) end
  if not setup.sample.sampler then return results end
  local sample = with(setup.sample, { model = net, n = false, seed = seed })
  sample.n = nil
  drift.trace("samples", samples, run, sample, setup)
  drift.trace("trajectory", trajectory, run, sample, setup)
  if o.metrics and #o.metrics == 0 then return results end
  local shared = with(sample, with(o.evaluate, { data = train.data, classes = setup.classes, n = o.evaluate.n or 500,
                                                 metrics = o.metrics, confidence = o.confidence, quiet = true }))
  local report = drift.evaluate(with(shared, { run = quiet(run) }))
  results.images_per_second = report.images_per_second
  if o.cost_quality then cell.write(run:path "cost_quality.json", cost_quality(o.cost_quality, sample, shared)) end
  return results
end

-- ---- the cell -------------------------------------------------------------------------------------------------------
-- A process that went on with a training measures what it did itself; one that had nothing left to do, nothing.
local function measured_training(run, before, seconds)
  local steps = 0
  for _, record in ipairs(run.records) do
    if record.loss and record.step > before then steps = steps + 1 end
  end
  if steps == 0 or not run.config.training then return nil end
  return { images_per_second = steps * run.config.training.batch / seconds, seconds = seconds,
           peak_bytes = drift.peak_memory() }
end

local function steps_done(run)
  local path = run:path "checkpoint.safetensors"
  if not run.resumed or not drift.exists(path) then return 0 end
  return math.tointeger(tonumber(drift.open(path).metadata.step)) or 0
end

function cell.run(o, variant)
  local start, run = drift.clock(), run_of(o)
  local file, about = run:path "cell.json", { variant = variant.name, seed = drift.seed(), status = "running" }
  local earlier = cell.read(file) or {}
  cell.write(file, with(about, { train = earlier.train, seconds = earlier.seconds, config = earlier.config }))
  local setup = setup_of(o, variant)
  if here.epochs then setup.train.steps, setup.train.epochs = here.steps, here.epochs end
  local before = steps_done(run)
  local training = with(setup.train, { run = run, label = "epoch",
                                       model = drift.build(setup.train.model, { seed = drift.seed() }) })
  local net, averages = drift.train(training)
  about.train = measured_training(run, before, drift.clock() - start) or earlier.train
  about.params, about.config, about.trained = net:count(), config.of_setup(setup, run.parameters), true
  -- What follows may fail, and need not be trained for again.
  cell.write(file, about)
  local function judged() return judge(o, run, setup, net) end
  local results = #averages > 0 and averages[1]:with(judged) or judged()
  for key, value in pairs(results) do about[key] = value end
  pictures(run.dir)
  about.status, about.seconds = "done", drift.clock() - start + (earlier.seconds or 0)
  cell.write(file, about)
end

return cell
