-- init.lua: drift.compare: variants side by side, paired: for each seed all of them see the same batches, noise, times
-- and dropped conditions, and begin with the same weights wherever paths and shapes are equal.
--
--   local report = drift.compare {
--     name = "class_scale_vs_add", baseline = "scale",
--     variants = { scale = unet "scale", add = unet "add" },       networks, tables of what differs, or functions
--     seeds = { 1, 2, 3 },
--     train = { data = ..., process = ..., optim = ..., epochs = 5, batch = 128 },       as drift.train takes them
--     sample = { sampler = drift.sampler.euler { steps = 50 }, guidance = ... },                as drift.sample
--     metrics = { drift.metric.frechet {} }, evaluate = { n = 2000 },                           as drift.evaluate
--     match = { params = 0.10 }, budget = { flops = "equal" }, cost_quality = { samplers = {...}, steps = { 4, 8 } } }
--   report.text  report.metrics.frechet.summary.add.mean  report.paired.frechet.add.decided  report:save(dir)
--
-- Each variant with each seed is a cell, in a process of its own: this script again, in which drift.compare does that
-- cell alone and ends the process, so what stands before it in the script runs in every cell, and what follows does
-- not.
-- Files: runs/NAME/VARIANT/seed_N, comparison.json, report.html (docs/comparing.md).
local drift = require "drift"
local run_directory = require "drift.run"
local options = require "drift.compare.options"
local here = require "drift.compare.cell_environment"
local cell = require "drift.compare.cell"
local engine = require "drift.compare.engine"
local config = require "drift.compare.config"
local finish = require "drift.compare.report"

-- ---- in a cell's process --------------------------------------------------------------------------------------------
local function be_a_cell(o)
  if here.what ~= "cell" and here.what ~= "description" then
    drift.fail "this script is itself a comparison (drift.compare), and cannot be a variant of another"
  end
  for _, variant in ipairs(o.variants) do
    if variant.name == here.variant then
      if here.what == "description" then cell.describe(o, variant) else cell.run(o, variant) end
      os.exit(0, true)
    end
  end
  drift.fail("compare: there is no variant '%s' any more", tostring(here.variant))
end

-- ---- the whole ------------------------------------------------------------------------------------------------------
local function plan_of(o, run)
  local script = drift.options.script
  local plan = {
    dir = run.dir, name = o.name or run.name, title = o.title, question = o.question or options.question(script),
    script = script, baseline = o.baseline, seeds = o.seeds, confidence = o.confidence, match = o.match,
    budget = o.budget,
    variants = o.variants, cells = {}, described = {}, resume = ("./drift run %s --resume %s"):format(script, run.dir),
  }
  for _, seed in ipairs(o.seeds) do
    for _, variant in ipairs(o.variants) do
      plan.cells[#plan.cells + 1] = { variant = variant.name, seed = seed, status = "waiting",
                                      dir = ("%s/seed_%d"):format(variant.name, seed) }
    end
  end
  return plan
end

local function process(plan, what, variant, seed, where)
  local argv = engine.argv(plan.script, seed, plan.made.threads, where)
  for _, key in ipairs(drift.set_order) do argv[#argv + 1] = key .. "=" .. drift.set[key] end
  local about = plan.budget and what == "cell" and plan.described[variant] or {}
  return { argv = argv, env = engine.environment { what = what, comparison = plan.dir, variant = variant,
                                                   parameters_of = plan.dir,
                                                   steps = about.epochs and about.steps, epochs = about.epochs } }
end

-- Cells that are done were trained as the script said then. Where it says otherwise now, they are not those of this
-- variant.
local function check_unchanged(plan)
  for _, c in ipairs(plan.cells) do
    local about, now = engine.read(("%s/%s/cell.json"):format(plan.dir, c.dir)), plan.described[c.variant]
    if about and about.status == "done" and type(about.config) == "table" and now then
      local changes = config.between(about.config, now.config)
      if changes[1] then
        drift.fail("variant %s is another now than when its seed %d was trained (%s: %s, then %s); take %s/%s away to train "
          .. "it again, or compare in another folder", c.variant, c.seed, changes[1].key,
          tostring(changes[1].values.now),
          tostring(changes[1].values["then"]), plan.dir, c.variant)
      end
    end
  end
end

local begun = false

local function compare(o)
  if begun then
    drift.fail "compare: a script has one comparison: its cells are this script again, up to drift.compare"
  end
  begun = true
  if not drift.options.script then drift.fail "compare: there is no script; drift.compare is for drift run SCRIPT" end
  if drift.options.seed then
    drift.fail "compare: --seed is one seed; those of a comparison are seeds = { ... } in the script"
  end
  local run = o.run or run_directory.current or run_directory.open { name = o.name, parameters = {} }
  local jobs = engine.jobs(drift.options.run and drift.options.run.jobs)
  local plan = plan_of(o, run)
  engine.begin(plan, jobs, drift.device():describe())
  engine.describe(plan, { jobs = jobs, says_done = true, process_of = function(variant, dir)
    return process(plan, "description", variant.name, plan.seeds[1], { "--out", dir })
  end })
  if plan.budget then engine.equal_flops(plan) end
  check_unchanged(plan)
  engine.check_match(plan)
  run:save_config()                                               -- of parameters that are others than before --resume
  engine.run(plan, { jobs = jobs, says_done = true, process_of = function(c, resumed)
    local dir = ("%s/%s"):format(plan.dir, c.dir)
    return process(plan, "cell", c.variant, c.seed, { resumed and "--resume" or "--out", dir })
  end })
  return finish(plan)
end

return function(given)
  local o = options.read(given)
  if here then return be_a_cell(o) end
  return compare(o)
end
