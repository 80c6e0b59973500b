-- compare_command_spec.lua: drift compare of scripts and of runs that exist, and drift sweep: what is run, what is a
-- variant, what is refused before anything is trained.
local drift = require "drift"
local grid = require "drift.compare.grid"
local scripts = require "drift.compare.scripts"
local program = assert(os.getenv "DRIFT")
local data = ('drift.dataset.mnist { path = "%s/mnist" }'):format(os.getenv "DRIFT_TEST_DATA")

local function run(arguments)
  local pipe = assert(io.popen(("%s %s 2>&1; echo \"status $?\""):format(program, arguments)))
  local text, status = pipe:read "a":match "^(.*)status (%d+)\n$"
  pipe:close()
  return text, tonumber(status)
end

local function passes(arguments)
  local text, status = run(arguments)
  assert.are.equal(0, status, text)
  return text
end

local function has(text, ...)
  for _, part in ipairs { ... } do assert.is_truthy(text:find(part, 1, true), part .. " is not in:\n" .. text) end
end

local function fails(arguments, ...)
  local text, status = run(arguments)
  assert.are.equal(1, status, text)
  has(text, ...)
  return text
end

local function read(dir) return drift.json.decode(drift.read_file(dir .. "/comparison.json")) end

local function names_of(comparison)
  local names = {}
  for i, v in ipairs(comparison.variants) do names[i] = v.name end
  return names
end

local function script(path, time)
  drift.write_file(path, ([[
-- Question: is it %s?
    local drift = require "drift"
    local run = drift.experiment { hidden = 2, steps = 2, batch = 8, epochs = 1, lr = 1e-3, marks = { 1 } }
    drift.train { run = run, data = %s, process = drift.process.flow_matching {},
                  optim = drift.optim.adam { lr = run.lr },
                  model = drift.models.cs180_unet { hidden = run.hidden, time = "%s" } }
    run:finish()
  ]]):format(time, data, time))
end

setup(function()
  script("added.lua", "add")
  script("scaled.lua", "scale")
end)

describe("a grid", function()
  local function labels(order, set)
    local list = {}
    for i, point in ipairs(grid(order, set)) do list[i] = point.label end
    return list
  end

  it("has every combination, in the order of the command line", function()
    local points = grid({ "lr", "preset", "hidden" }, { lr = "1e-3,3e-4", preset = "smoke", hidden = "8,16" })
    assert.are.same({ "lr=1e-3 hidden=8", "lr=1e-3 hidden=16", "lr=3e-4 hidden=8", "lr=3e-4 hidden=16" },
      labels({ "lr", "preset", "hidden" }, { lr = "1e-3,3e-4", preset = "smoke", hidden = "8,16" }))
    assert.are.same({ name = "lr_3e-4_hidden_8", label = "lr=3e-4 hidden=8",
                      set = { "lr=3e-4", "preset=smoke", "hidden=8" } }, points[3])
  end)

  it("counts ranges, and keeps lists in braces whole", function()
    assert.are.same({ "a=2", "a=3", "a=4", "a=9" }, labels({ "a" }, { a = "2..4,9" }))
    assert.are.same({ "at={1,5}", "at={2}" }, labels({ "at" }, { at = "{1,5},{2}" }))
    assert.are.same({ "all" }, labels({ "at" }, { at = "{1,5}" }))
    assert.are.same({ "x=a/b", "x=a:b" }, labels({ "x" }, { x = "a/b,a:b" }))
    local points = grid({ "x" }, { x = "a/b,a:b" })
    assert.are.same({ "x_a_b", "x_a_b-2" }, { points[1].name, points[2].name })
  end)

  it("refuses values that are missing, twice there, or too many", function()
    for text, message in pairs { ["1,,2"] = "a value is missing", ["1,1"] = "1 is there twice",
                                 ["{1,2"] = "braces do not match",
                                 ["1}"] = "braces do not match", ["1..2000"] = "more than 1000 points" } do
      assert.error_matches(function() grid({ "a" }, { a = text }) end, message)
    end
  end)

  it("has seeds as lists and ranges", function()
    assert.are.same({ 1, 2, 3, 7 }, scripts.seeds "1..3,7")
    assert.are.same({ -2, -1 }, scripts.seeds "-2..-1")
    for _, text in ipairs { "a", "3..1", "1.5", "1,1" } do assert.has_error(function() scripts.seeds(text) end) end
  end)
end)

describe("drift sweep", function()
  it("runs every point with every seed, and compares them", function()
    local text = passes "sweep added.lua lr=1e-3,1e-2 hidden=2,3 seed=1..2 'marks={1,5}' --threads 1 --jobs 2 --baseline 'lr=1e-2 hidden=3'"
    has(text, "4 points, 2 seeds: 8 runs", "(8 of 8 done)", "Is it add?", "minus lr=1e-2 hidden=3",
      "everything is in runs/added_sweep")
    local c = read "runs/added_sweep"
    assert.are.same({ "lr_1e-3_hidden_2", "lr_1e-3_hidden_3", "lr_1e-2_hidden_2", "lr_1e-2_hidden_3" }, names_of(c))
    assert.are.equal("lr_1e-2_hidden_3", c.baseline)
    local keys = {}
    for i, d in ipairs(c.differences) do keys[i] = d.key end
    assert.are.same({ "hidden", "lr", "model.hidden", "optim.lr" }, keys)
    assert.are.equal(0.01, c.variants[3].config.lr)
    assert.are.equal("[1, 5]", c.variants[3].config.marks)
    assert.is_true(c.variants[1].flops_per_image > 0 and c.variants[1].flops_per_image < c.variants[2].flops_per_image)
    local config = drift.json.decode(drift.read_file "runs/added_sweep/lr_1e-2_hidden_2/seed_2/config.json")
    assert.are.same({ 2, 0.01, 2 }, { config.seed, config.parameters.lr, config.parameters.hidden })
    local loss = c.metrics[1]
    assert.are.equal("final_loss", loss.name)
    for _, name in ipairs(names_of(c)) do assert.are.equal(2, #loss.values[name]) end
  end)

  it("goes on without further arguments", function()
    local path = "runs/added_sweep/lr_1e-2_hidden_3/seed_2/cell.json"
    local cell = drift.json.decode(drift.read_file(path))
    cell.status = "running"
    drift.write_file(path, drift.json.encode(cell))
    local before = read "runs/added_sweep".metrics
    has(passes "sweep --resume runs/added_sweep", "7 of 8 done", "lr=1e-2 hidden=3, seed 2 done (8 of 8 done)",
      "resumed from runs/added_sweep/lr_1e-2_hidden_3/seed_2")
    assert.are.same(before, read "runs/added_sweep".metrics)
    assert.are.equal("lr_1e-2_hidden_3", read "runs/added_sweep".baseline)
  end)

  it("refuses before anything is run what cannot be", function()
    fails("sweep added.lua lrr=1e-3,1e-2 --out none",
      "--set 'lrr' is not a parameter of this script: did you mean 'lr'?")
    fails("sweep added.lua lr=1e-3,fast --out none", "lr = fast: expected a number")
    fails("sweep added.lua hidden=2,4 --match params=0.1 --out none", "params: hidden_4 has", "282.9%")
    assert.is_false(drift.exists "none")
    fails("sweep added.lua lr=1,2 --baseline lr=3", "--baseline lr=3 is no variant; did you mean 'lr=1'?")
    fails("sweep none.lua lr=1,2", "none.lua: there is no such script")
    fails("sweep", "sweep which script?")
    fails("sweep added.lua lr=1,2 --jobs 0", "--jobs takes a whole number of at least 1")
    fails("sweep added.lua lr=1,2 --out runs/added_sweep", "holds a comparison already")
    fails("sweep --resume nowhere", "no arguments.json of drift sweep there")
    drift.mkdir "kept"
    drift.write_file("kept/mine", "mine")
    fails("sweep added.lua lrr=1,2 --out kept", "did you mean 'lr'?")
    assert.are.equal("mine", drift.read_file "kept/mine")             -- a folder that was there before stays
  end)

  it("says so where a script is a comparison itself", function()
    drift.write_file("inner.lua",
      'local drift = require "drift"\ndrift.compare { variants = { a = function() end }, baseline = "a" }')
    fails("sweep inner.lua --out inner", "this script is itself a comparison")
  end)
end)

describe("drift compare", function()
  it("runs scripts as they are, with the same seeds", function()
    local text = passes "compare added.lua scaled.lua seed=1..2 hidden=3 --threads 1"
    has(text, "(4 of 4 done)", "everything is in runs/added_vs_scaled", "On final_loss")
    local c = read "runs/added_vs_scaled"
    assert.are.same({ "added", "scaled" }, names_of(c))
    assert.are.same({ { key = "model.time", values = { added = "add", scaled = "scale" } } }, c.differences)
    assert.are.equal(3, c.variants[1].config.hidden)
    has(passes "compare --resume runs/added_vs_scaled", "4 of 4 done")
  end)

  it("takes runs that exist, cells, variants and whole comparisons, and pairs their seeds", function()
    passes "run --seed 1 added.lua --out one"
    passes "run --seed 2 added.lua --out two"
    passes "run --seed 2 scaled.lua --out other"
    local before = drift.sha256_file "one/config.json"
    passes "compare one two other --out pairs --baseline other"
    local c = read "pairs"
    assert.are.same({ "one", "other" }, names_of(c))                  -- one and two differ by their seed alone
    assert.are.same({ 1, 2 }, c.seeds)
    assert.are.equal("other", c.baseline)
    assert.are.equal(1, c.metrics[1].paired.one.n)                    -- seed 2
    local loss = drift.read_metrics "two"
    assert.are.equal(loss[#loss].epoch_loss, c.metrics[1].values.one[2])
    assert.are.equal(drift.json.null, c.metrics[1].values.other[1])
    assert.are.equal("../two", c.variants[1].cells[2].dir)
    assert.are.equal(before, drift.sha256_file "one/config.json")

    passes "compare pairs --out again"                                -- a comparison of runs that lie elsewhere
    assert.are.same({ "one", "other" }, names_of(read "again"))
    assert.are.equal("other", read "again".baseline)
    assert.are.equal(c.metrics[1].values.one[2], read "again".metrics[1].values.one[2])

    passes "compare runs/added_vs_scaled/added runs/added_vs_scaled/scaled/seed_2 other/ --out mixed"
    c = read "mixed"
    assert.are.same({ "added", "scaled", "other" }, names_of(c))
    assert.are.same({ 2, 1, 1 }, { #c.variants[1].cells, #c.variants[2].cells, #c.variants[3].cells })
    passes "compare runs/added_vs_scaled runs/added_sweep --out all"
    assert.are.equal(6, #read "all".variants)
    fails("compare runs/added_vs_scaled runs/added_sweep --match params=0.01", "the variants' budgets do not match")
  end)

  it("knows which way is better of metrics whose file does not say", function()
    for k, value in ipairs { 0.5, 0.9 } do
      local folder = "silent_" .. k
      drift.mkdir(folder)
      drift.write_file(folder .. "/config.json", drift.json.encode { name = folder, seed = 1, parameters = { hidden = k } })
      drift.write_file(folder .. "/metrics.jsonl", "")
      drift.write_file(folder .. "/evaluation.json", drift.json.encode { metrics = {
        { name = "class_accuracy", value = value }, { name = "frechet", value = value } } })
    end
    passes "compare silent_1 silent_2 --out silent"
    local better = {}
    for _, metric in ipairs(drift.json.decode(drift.read_file "silent/comparison.json").metrics) do better[metric.name] = metric.better end
    assert.same({ class_accuracy = "higher", frechet = "lower" }, better)
  end)

  it("refuses what cannot be compared, and says why", function()
    fails("compare one added.lua", "added.lua is a script, and one the folder of a run")
    fails("compare one one", "one is given twice")
    fails("compare one nowhere", "nowhere: there is no such run or script")
    drift.mkdir "empty"
    fails("compare one empty", "empty: no config.json there")
    fails("compare one two hidden=3", "runs that exist are not run again")
    fails("compare one two --baseline three", "--baseline three is no variant")
    fails("compare", "compare what?")
    fails("compare added.lua ./added.lua", "have the same name")
    fails("compare added.lua scaled.lua --match size=1", "match: no option 'size'")
    fails("compare added.lua scaled.lua --match params", "--match takes constraints")
  end)

  it("says of a script that leaves nothing what is missing", function()
    drift.write_file("empty.lua", 'local drift = require "drift"\ndrift.experiment { hidden = 2 }')
    drift.write_file("bare.lua", 'print "nothing"')
    local text = fails("compare added.lua empty.lua bare.lua seed=1 --out nothing", "1 of 3 done, 2 failed",
      "its run has neither evaluation.json nor an epoch's loss", "the script made no run there")
    has(text, "empty, bare have no result: nothing is said of them.")
  end)

  it("a script that fails before it trains ends all at once", function()
    drift.write_file("broken.lua", 'local drift = require "drift"\nlocal run = drift.experiment { lr = 1 }\nerror "by design"')
    fails("compare added.lua broken.lua --out broken", "broken: broken.lua:3: by design")
    assert.is_false(drift.exists "broken")
  end)
end)
