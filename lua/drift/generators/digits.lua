-- digits.lua: a class-conditional model of digits to edit with, whose weights nobody downloads: trained once and kept.
--   local g = drift.generators.digits {}                     flow matching, some minutes on two cores the first time
--   local g = drift.generators.digits { process = "ddpm" }   the same by DDPM: edits work with either
--   local g = drift.generators.digits { run = "runs/mnist_flow" } the network of a run
-- Returns a generator (generator.lua) of images [N,1,28,28] in [0,1]; conditions are classes: 6, or a list of them.
--   hidden, images, batch, lr, p_uncond: the network's width, how many images pass in training, and how
--   sampler, steps: how it draws (the process's usual sampler, 50 steps)
--   folder: where it is kept; else ~/.cache/drift/digits/NAME, NAME holding a hash of all that the training depends on,
--   so that other parameters or data train another one. A training that was stopped goes on.
local drift = require "drift"
local run_directory = require "drift.run"

local SEED = 0                                                    -- of the training, whatever seed the edits have
local NAMES = { "run", "process", "hidden", "images", "batch", "lr", "p_uncond", "sampler", "steps", "folder", "data" }
local DEFAULTS = { process = "flow", hidden = 32, images = 120000, batch = 128, lr = 1e-3, p_uncond = 0.1, steps = 50 }
local PROCESSES = {
  flow = function() return drift.process.flow_matching {} end,
  ddpm = function()
    return drift.process.ddpm { T = 300, schedule = drift.schedule.linear { beta_start = 1e-4, beta_end = 0.02 } }
  end,
}

local function with_defaults(given)
  local o = {}
  for key, value in pairs(DEFAULTS) do o[key] = value end
  for key, value in pairs(drift.accept("digits", given or {}, {}, NAMES)) do o[key] = value end
  if not PROCESSES[o.process] then
    drift.fail('digits: process = "%s" is not one of ddpm, flow', tostring(o.process))
  end
  for _, key in ipairs { "hidden", "images", "batch", "steps" } do
    if math.type(o[key]) ~= "integer" or o[key] < 1 then
      drift.fail("digits: %s = %s should be a whole number of at least 1", key, tostring(o[key]))
    end
  end
  return o
end

-- ---- the training ---------------------------------------------------------------------------------------------------
-- What drift.train is given, and that as a table: equal tables end in equal weights.
local function training_of(o)
  local data = drift.instance(o.data or drift.dataset.mnist {}, "dataset")
  local info = data.train.info
  local per_epoch = info.n // o.batch * o.batch                   -- what does not fill a batch is dropped
  if per_epoch == 0 then drift.fail("digits: batch = %d, but there are only %d images", o.batch, info.n) end
  local how = {
    data = data, process = PROCESSES[o.process](), optim = drift.optim.adam { lr = o.lr },
    decay = drift.decay.exponential { to = 0.1 }, p_uncond = o.p_uncond, batch = o.batch,
    model = drift.models.cs180_unet { hidden = o.hidden, in_channels = info.channels, classes = info.classes,
                                      time = "add", class = "scale" },
    epochs = math.max(1, (o.images + per_epoch // 2) // per_epoch), steps = (o.images + o.batch - 1) // o.batch,
  }
  local record = {
    version = 1, seed = SEED, network = how.model:hash(), process = how.process:hash(), optim = how.optim:hash(),
    decay = how.decay:hash(), p_uncond = o.p_uncond, batch = o.batch, epochs = how.epochs, steps = how.steps,
    images = info.n, sha256 = info.sha256 or info.source,
  }
  return how, record
end

local function cache_folder(o, record)
  local xdg, home = os.getenv "XDG_CACHE_HOME", os.getenv "HOME"
  local cache = xdg and xdg ~= "" and xdg or (home and home ~= "" and home or ".") .. "/.cache"
  local hash = drift.sha256(drift.json.encode(record)):sub(1, 12)
  return ("%s/drift/digits/%s_%d_%s"):format(cache, o.process, o.hidden, hash)
end

-- With the seed and the precision of the training, then with those that were there.
local function as_trained(fn)
  local seed, precision = drift.seed(), drift.precision()
  drift.seed(SEED)
  drift.precision "f32"
  local ok, problem = pcall(fn)
  drift.seed(seed)
  drift.precision(precision)
  if not ok then error(problem, 0) end
end

local function is_trained(folder)
  return drift.exists(folder .. "/config.json") and run_directory.config(folder).results ~= nil
end

local function train(o, how, record, folder)
  drift.note("digits: training a model of digits (%s, hidden %d, %d steps of %d images), once; it is kept in %s",
    o.process, o.hidden, how.steps, how.batch, folder)
  as_trained(function()
    how.run = run_directory.at(folder, { name = "digits", parameters = record })
    how.label = "model of digits, epoch"
    drift.train(how)
    how.run:finish()
  end)
end

-- ---- the generator --------------------------------------------------------------------------------------------------
-- what: a class, or nil: the model without one. classes: how many the network knows; nil: none
local function condition(classes)
  return function(_, what, n)
    if what == nil then return nil end
    if not classes then
      drift.fail("digits: this run's network knows no classes, so it cannot be told %s", tostring(what))
    end
    if math.type(what) ~= "integer" or what < 0 or what >= classes then
      drift.fail("digits: a class is a whole number from 0 to %d, not %s", classes - 1, tostring(what))
    end
    return { label = drift.full({ n }, what, "i32") }
  end
end

return function(given)
  local o = with_defaults(given)
  local folder = o.run ~= "" and o.run or nil
  if not folder then
    local how, record = training_of(o)
    folder = o.folder or cache_folder(o, record)
    if not is_trained(folder) then train(o, how, record, folder) end
  end
  local net, process, config = drift.trained(folder)
  local network = config.network.config
  return drift.generator {
    name = "digits", net = net, process = process, shape = { network.in_channels, 28, 28 }, range = { 0, 1 },
    sampler = o.sampler or drift.sampler.ddim { steps = o.steps, eta = 1 },  -- fresh noise heals what an edit has bent
    clip = drift.clip.range { min = 0, max = 1 }, condition = condition(network.classes) }
end
