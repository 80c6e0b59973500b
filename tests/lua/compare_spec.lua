-- compare_spec.lua: drift.compare: what variants of a comparison have in common to the bit, that a cell which fails in
-- whatever way loses no other, that what was stopped or killed goes on to the same bytes, and that cells at once are
-- the same as one after another.
local drift = require "drift"
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

local function read_json(path) return drift.json.decode(drift.read_file(path)) end

-- A script with a tiny network; `more` are further lines of drift.compare's table.
local function script(path, more, before, after)
  drift.write_file(path, ([[
    local drift = require "drift"
    local run = drift.experiment { hidden = 2, steps = 4, batch = 8, epochs = 1, seeds = { 1, 2 } }
    local function unet(class) return drift.models.cs180_unet { hidden = run.hidden, time = "add", class = class } end
    %s
    local report = drift.compare {
      name = "tiny", baseline = "add", seeds = run.seeds, held_out = 8,
      train = { data = %s, process = drift.process.flow_matching {}, optim = drift.optim.adam {}, p_uncond = 0.3 },
      %s }
    print(report.verdict)
    %s
  ]]):format(before or "", data, more, after or ""))
end

local function cell(dir, variant, seed, file) return ("%s/%s/seed_%d/%s"):format(dir, variant, seed, file) end

local function lines_of(path)
  local list = {}
  for line in drift.read_file(path):gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

-- The losses and weights of a cell: what must be equal to the bit.
local function outcome(dir, variant, seed)
  local losses = {}
  for _, line in ipairs(lines_of(cell(dir, variant, seed, "metrics.jsonl"))) do
    losses[#losses + 1] = drift.json.decode(line).loss
  end
  return losses, drift.sha256_file(cell(dir, variant, seed, "checkpoint.safetensors"))
end

local function statuses(dir)
  local list = {}
  for _, variant in ipairs(read_json(dir .. "/comparison.json").variants) do
    for _, c in ipairs(variant.cells) do list[#list + 1] = ("%s %d %s"):format(variant.name, c.seed, c.status) end
  end
  table.sort(list)
  return list
end

describe("variants of a comparison", function()
  -- Two networks with a weight more in one; each writes what it sees while it trains, and its first weights.
  local networks = [[
    local function digest(t) return drift.sha256(t:tostring_bytes()) end
    local function recorder(channels)
      local seen = io.open((drift.options.out or drift.options.resume or ".") .. "/seen", "a")
      local conv = drift.block.conv2d
      local children = { { "a", conv { in_channels = 1, out_channels = 2, kernel_size = 3, padding = 1 } },
                         { "cond", drift.conditioning.class_time { channels = { 2 }, classes = 10 } },
                         { "b", conv { in_channels = 2, out_channels = channels, kernel_size = 3, padding = 1 } },
                         { "c", conv { in_channels = channels, out_channels = 1, kernel_size = 3, padding = 1 } } }
      local first = true
      return drift.net { name = "recorder", children = children, config = { channels = channels },
        forward = function(net, x, c)
          if first then
            for _, w in ipairs(net:named()) do seen:write("weight ", w.path, " ", digest(w.tensor), "\n") end
          end
          first = false
          if net:training() then
            seen:write("step ", digest(x), " ", digest(c.time), " ", digest(c.label), " ", digest(c.mask), "\n")
            seen:flush()
          end
          return net.c(net.b(net.cond:modulate(1, net.a(x), net.cond:embed(c))))
        end }
    end]]

  it("see the same batches, noise, times and dropped conditions, and begin with the same weights", function()
    script("paired.lua", "variants = { add = function() return recorder(2) end, wide = function() return recorder(3) end }", networks)
    passes "run --no-plan --device ref paired.lua"                     -- without a plan: forward is called in each step
    local seen = {}
    for _, seed in ipairs { 1, 2 } do
      local steps, weights = { add = {}, wide = {} }, { add = {}, wide = {} }
      for _, variant in ipairs { "add", "wide" } do
        for _, line in ipairs(lines_of(cell("runs/paired", variant, seed, "seen"))) do
          local path, value = line:match "^weight (%S+) (%x+)$"
          if path then weights[variant][path] = value else table.insert(steps[variant], line) end
        end
      end
      assert.are.equal(4, #steps.add)
      assert.are.same(steps.add, steps.wide)
      assert.are_not.equal(steps.add[1], steps.add[2])
      local equal = {}
      for path, value in pairs(weights.add) do equal[path] = value == weights.wide[path] end
      -- Another number of inputs is another range of c.bias: its path and shape are the same, its distribution is not.
      local expected = { ["b.weight"] = false, ["b.bias"] = false, ["c.weight"] = false, ["c.bias"] = false }
      for _, path in ipairs { "a", "cond.t1.net.0", "cond.t1.net.2", "cond.c1.net.0", "cond.c1.net.2" } do
        expected[path .. ".weight"], expected[path .. ".bias"] = true, true
      end
      assert.are.same(expected, equal)
      seen[seed] = steps.add
    end
    assert.are_not.equal(seen[1][1], seen[2][1])                       -- and each seed sees its own
  end)
end)

describe("a comparison", function()
  local variants = [[variants = { add = unet "add", scale = { model = unet "scale" } },
    sample = { sampler = drift.sampler.euler { steps = 2 }, n = 10 }, metrics = { drift.metric.frechet {} },
    evaluate = { n = 10, real = 20, resamples = 5 },
    cost_quality = { samplers = { drift.sampler.euler {}, drift.sampler.heun {} }, steps = { 1, 2 } },]]

  it("leaves what the report is made of", function()
    script("whole.lua", variants, nil, [[
      report:save "saved"
      print(report.paired.frechet.scale.n,
        report.metrics.frechet.values.add[1] == report.comparison.metrics[1].values.add[1])]])
    local text = passes "run --threads 1 whole.lua"
    has(text, "2\ttrue")
    for _, dir in ipairs { "saved", "runs/whole" } do
      for _, file in ipairs { "comparison.json", "report.html", "report.md", "results.csv" } do
        assert.is_true(drift.exists(dir .. "/" .. file), file)
      end
    end
    has(text, "everything is in runs/whole", "On frechet (lower is better)", "2 paired seeds", "model.class")
    local c = read_json "runs/whole/comparison.json"
    assert.are.equal("drift.comparison/1", c.format)
    assert.are.same({ "add", "scale" }, { c.variants[1].name, c.variants[2].name })
    assert.are.same({ 1, 2 }, c.seeds)
    local names = {}
    for i, metric in ipairs(c.metrics) do names[i] = metric.name .. " " .. metric.better end
    assert.are.same({ "frechet lower", "held-out loss lower", "final_loss lower" }, names)
    for _, v in ipairs(c.variants) do
      assert.is_true(v.params > 0 and v.flops_per_image > 0 and v.plan_bytes > 0 and v.peak_bytes > 0)
      assert.is_true(v.images_per_second.mean > 0)
      assert.is_true(#v.tree > 5)
      assert.are.equal(2, v.config["model.hidden"])
      for _, metric in ipairs(c.metrics) do assert.are.equal(2, #metric.values[v.name]) end
    end
    assert.is_truthy(c.variants[1].tree[1]:find "^unet: net%.unet{.*  %d+ weights$")
    assert.are.same({ { key = "model.class", values = { add = "add", scale = "scale" } },
                      { key = "model.cond.inject", values = { add = "add", scale = "scale" } } }, c.differences)
    local evaluation = read_json(cell("runs/whole", "scale", 2, "evaluation.json"))
    assert.are.equal(evaluation.metrics[1].value, c.metrics[1].values.scale[2])
    assert.are.same({ evaluation.metrics[1].low, evaluation.metrics[1].high }, c.metrics[1].intervals.scale[2])
    local p = c.metrics[1].paired.scale
    local difference = 0
    for s = 1, 2 do difference = difference + (c.metrics[1].values.scale[s] - c.metrics[1].values.add[s]) / 2 end
    assert.is_true(math.abs(p.difference - difference) <= 1e-9 * math.abs(c.metrics[1].values.add[1]))

    local samples = drift.load_tensors(cell("runs/whole", "add", 1, "samples.safetensors"))
    assert.are.same({ 10, 1, 28, 28 }, samples.images.shape)
    assert.are.same({ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 }, samples.labels:cast "i32":totable())
    local way = drift.load_tensors(cell("runs/whole", "add", 1, "trajectory.safetensors"))
    assert.are.same({ 3, 10, 1, 28, 28 }, way.frames.shape)
    assert.are.same({ 3 }, way.t.shape)
    local other = drift.load_tensors(cell("runs/whole", "scale", 1, "trajectory.safetensors"))
    assert.are.same(way.frames[1]:totable(), other.frames[1]:totable())          -- from the same noise
    local levels = read_json(cell("runs/whole", "add", 1, "noise_levels.json"))
    assert.is_true(#levels > 5 and levels[1].loss > 0 and levels[1].t ~= levels[2].t)
    local rows = read_json(cell("runs/whole", "add", 1, "cost_quality.json"))
    local costs = {}
    for i, row in ipairs(rows) do costs[i] = ("%s %d %d %s"):format(row.sampler, row.steps, row.nfe,
      row.metrics[1].name) end
    assert.are.same({ "euler 1 1 frechet", "euler 2 2 frechet", "heun 1 2 frechet", "heun 2 4 frechet" }, costs)
  end)

  it("has the same numbers with two cells at once", function()
    script("whole.lua", variants)
    passes "run --threads 1 whole.lua --jobs 2 --out two"
    local one, two = read_json "runs/whole/comparison.json", read_json "two/comparison.json"
    for i, metric in ipairs(one.metrics) do assert.are.same(metric, two.metrics[i]) end
    for _, variant in ipairs { "add", "scale" } do
      for seed = 1, 2 do
        assert.are.same({ outcome("runs/whole", variant, seed) }, { outcome("two", variant, seed) })
        assert.are.equal(drift.sha256_file(cell("runs/whole", variant, seed, "samples.safetensors")),
                         drift.sha256_file(cell("two", variant, seed, "samples.safetensors")))
      end
    end
    assert.are.equal(one.verdict, two.verdict)
  end)

  it("trains each cell as the script alone would", function()
    drift.write_file("alone.lua", ([[
      local drift = require "drift"
      local run = drift.experiment { hidden = 2, steps = 4, batch = 8, epochs = 1 }
      drift.train { run = run, data = %s, process = drift.process.flow_matching {}, optim = drift.optim.adam {},
                    p_uncond = 0.3,
                    model = drift.models.cs180_unet { hidden = 2, time = "add", class = "scale" } }
    ]]):format(data))
    passes "run --threads 1 --seed 2 alone.lua --out alone/scale/seed_2"
    assert.are.same({ (outcome("alone", "scale", 2)) }, { (outcome("runs/whole", "scale", 2)) })
  end)

  it("keeps what is done, and adds seeds and variants on resuming", function()
    local before = drift.sha256_file(cell("two", "add", 1, "cell.json"))
    local made = read_json "two/comparison.json".made
    has(passes "run --threads 1 whole.lua --resume two seeds=1,2,3", "two: 4 of 6 done",
      "scale, seed 3 done (6 of 6 done)")
    assert.are.equal(before, drift.sha256_file(cell("two", "add", 1, "cell.json")))
    assert.are.equal(3, #read_json "two/comparison.json".metrics[1].values.add)
    local went_on = read_json "two/comparison.json".made              -- it began when it began, and its time goes on
    assert.are.equal(made.started, went_on.started)
    assert.is_true(made.seconds > 0 and went_on.seconds > made.seconds)
    passes "run --threads 1 whole.lua --resume two"                    -- three seeds are the comparison's own now
    assert.are.equal(3, #read_json "two/comparison.json".seeds)
    local text, status = run "run --threads 1 whole.lua --resume two hidden=3"
    assert.are.equal(1, status)
    has(text, "variant add is another now than when its seed 1 was trained", "model.hidden: 3, then 2")
  end)
end)

describe("a cell that fails", function()
  it("loses no other, and is tried again on resuming", function()
    script("failing.lua", [[variants = { add = unet "add",
      error = function() if not drift.exists "mended" then error("by design", 0) end return unet "scale" end,
      exit = function() if not drift.exists "mended" then os.exit(0) end return unet "scale" end,
      killed = { loss = function(net, batch)
        if not drift.exists "mended" then os.execute("kill -9 " .. drift.read_file "/proc/self/stat":match "^%d+") end
        return net(batch.image, { time = drift.zeros { batch.size }, label = batch.label }):square():mean()
      end, model = unet "scale" } }]])
    local text = passes "run failing.lua seeds=1"
    assert.are.same({ "add 1 done", "error 1 failed", "exit 1 failed", "killed 1 failed" }, statuses "runs/failing")
    has(text, "by design", "1 of 4 done")
    local c, errors = read_json "runs/failing/comparison.json", {}
    for _, v in ipairs(c.variants) do errors[v.name] = v.cells[1].error end
    has(errors.error, "by design")
    has(errors.exit, "ended before the variant was described")
    has(errors.killed, "signal 9 (SIGKILL)", "memory")
    assert.are.equal(drift.json.null, c.metrics[1].values.error[1])

    drift.write_file("mended", "")
    passes "run failing.lua --resume runs/failing"
    assert.are.same({ "add 1 done", "error 1 done", "exit 1 done", "killed 1 done" }, statuses "runs/failing")
    -- what is done stays, though its variant is broken now
    os.remove "mended"
    local before = drift.sha256_file(cell("runs/failing", "exit", 1, "cell.json"))
    passes "run failing.lua --resume runs/failing"
    assert.are.same({ "add 1 done", "error 1 done", "exit 1 done", "killed 1 done" }, statuses "runs/failing")
    assert.are.equal(before, drift.sha256_file(cell("runs/failing", "exit", 1, "cell.json")))
  end)
end)

it("judging that fails is done again without the training, unless the variant has changed", function()
  script("judged.lua", [[variants = { add = unet "add" }, sample = { sampler = drift.sampler.euler { steps = 2 }, n = 10 },
    metrics = { drift.metric.frechet {} }, evaluate = { n = 10, real = drift.exists "mended" and 20 or 1,
                                                        resamples = 0 },]])
  os.remove "mended"
  local text, status = run "run judged.lua seeds=1"
  assert.are.equal(1, status, text)
  has(text, "frechet")
  local _, weights = outcome("runs/judged", "add", 1)
  drift.write_file("mended", "")
  has(passes "run judged.lua --resume runs/judged", "resumed from runs/judged/add/seed_1: 0 epochs and 4 steps done")
  assert.are.same({ "add 1 done" }, statuses "runs/judged")
  assert.are.equal(weights, select(2, outcome("runs/judged", "add", 1)))

  os.remove "mended"
  run "run judged.lua seeds=1 --out changed"
  drift.write_file("mended", "")
  text = passes "run judged.lua hidden=3 --resume changed"
  assert.is_nil(text:find("resumed from", 1, true), text)
  assert.are.equal(3, read_json "changed/comparison.json".variants[1].config["model.hidden"])
  os.remove "mended"
end)

describe("a comparison that is stopped", function()
  local slow = [[variants = { add = unet "add", scale = unet "scale" }]]
  local wait = [[local wait = os.getenv "WAIT"
    local step = drift.train_step
    drift.train_step = function(...)
      local inner = step(...)
      return setmetatable({ check = inner.check, plan = inner.plan }, { __call = function(_, ...)
        if wait and drift.options.out and drift.options.out:find "scale/seed_1" and select(3, ...) == 3 then
          drift.write_file("reached", "")
          drift.sleep(60)
        end
        return inner(...)
      end })
    end]]

  -- Starts it, lets the cell (scale, seed 1) come to its third step, and gives the process.
  local function start(dir)
    script("stopped.lua", slow, wait)
    os.remove "reached"
    local p = drift.spawn { argv = { program, "run", "--threads", "1", "stopped.lua", "checkpoint_every=1", "--out",
                                     dir },
                            env = { WAIT = "1" }, out = dir .. ".log", err = dir .. ".log" }
    local limit = drift.clock() + 30
    while not drift.exists "reached" do
      assert.is_true(drift.clock() < limit, "the cell did not begin")
      assert.is_nil(p:poll(), drift.read_file(dir .. ".log"))
      drift.sleep(0.02)
    end
    return p
  end

  local function goes_on(dir, steps)
    local text = passes("run --threads 1 stopped.lua seeds=1 --resume " .. dir)
    has(text, "1 of 2 done", "resumed from " .. dir .. ("/scale/seed_1: 0 epochs and %d steps done"):format(steps))
    assert.are.same({ "add 1 done", "scale 1 done" }, statuses(dir))
    if not drift.exists "straight/comparison.json" then
      passes "run --threads 1 stopped.lua seeds=1 checkpoint_every=1 --out straight"
    end
    assert.are.same({ outcome("straight", "scale", 1) }, { outcome(dir, "scale", 1) })
  end

  setup(function()
    local text = script
    script = function(path, more, before)
      text(path, more, before)
      drift.write_file(path, (drift.read_file(path):gsub("epochs = 1,", "epochs = 1, checkpoint_every = 0,")))
    end
  end)

  it("by Ctrl-C ends its cells cleanly, says how to go on, and goes on to the same bytes", function()
    local p = start "interrupted"
    p:kill "INT"
    local ended = p:wait()
    local log = drift.read_file "interrupted.log"
    assert.are.equal(130, ended.code, log)
    has(log, "stopped: 1 of 4 done; go on with: ./drift run stopped.lua --resume interrupted")
    assert.are.same({ "add 1 done", "add 2 waiting", "scale 1 stopped", "scale 2 waiting" }, statuses "interrupted")
    goes_on("interrupted", 3)                                          -- it finishes the step
  end)

  it("by SIGKILL takes its cells with it, and goes on to the same bytes", function()
    local p = start "killed"
    os.execute("kill -9 " .. p.pid)                                    -- the parent alone: not its group
    assert.are.equal(9, p:wait().signal)
    goes_on("killed", 2)
  end)
end)

describe("drift.compare refuses", function()
  local function fails(more, ...)
    script("refused.lua", more)
    local text, status = run "run refused.lua --out refused"
    os.execute "rm -rf refused"
    assert.are.equal(1, status, text)
    has(text, "refused.lua:", ...)
  end

  it("what cannot be compared, with what to do", function()
    fails('variants = { ad = unet "add" }', "baseline = 'add' is not a variant; did you mean 'ad'?")
    fails('variants = { add = unet "add" }, metric = {}', "no option 'metric'; did you mean 'metrics'?")
    fails('variants = { add = unet "add" }, metrics = {}', "give sample = { sampler = ... }")
    fails('variants = { add = 3 }', "variant add is a network's spec, a table of what differs, or a function")
    fails('variants = { add = drift.models.cs180_unet { hidden = 2, time = "add" } }, metrics = { drift.metric.frechet {}, '
      .. 'drift.metric.class_accuracy {} }, sample = { sampler = drift.sampler.euler { steps = 2 } }',
      "metric class_accuracy needs the classes of images", "leave the metric out, or give the network classes")
    fails('variants = { add = unet "add", own = { model = unet "add", sampler = drift.sampler.euler { steps = 2 } } }, '
      .. 'metrics = { drift.metric.frechet {} }, evaluate = { n = 10, real = 1 }', "variant add: metrics are of samples: give it")
    fails('variants = { ["a b"] = unet "add" }, baseline = "a b"', "a variant's name is made of letters")
    fails('variants = { add = unet "add", wide = drift.models.cs180_unet { hidden = 3, time = "add", class = "add" } },'
      .. 'match = { params = 0.1 }', "params: wide has", "add 2,")
  end)

  it("to go on where every cell has failed, and a second comparison", function()
    script("nothing.lua", 'variants = { add = function() error("by design", 0) end }')
    local text, status = run "run nothing.lua seeds=1"
    assert.are.equal(1, status)
    has(text, "all 1 cells of the comparison failed: ", "by design")
    script("second.lua", 'variants = { add = unet "add" }')
    drift.write_file("second.lua", drift.read_file "second.lua"
      .. '\ndrift.compare { variants = { a = unet "add" }, baseline = "a" }')
    text, status = run "run second.lua seeds=1"
    assert.are.equal(1, status)
    has(text, "second.lua:", "a script has one comparison")
  end)

  it("a variant with a field that there is not, in its own process", function()
    script("misspelt.lua", 'variants = { add = unet "add", other = { optimm = drift.optim.adam {} } }')
    has(passes "run misspelt.lua seeds=1", "no option 'optimm'; did you mean 'optim'?", "1 of 2 done, 1 failed")
  end)
end)

it("equal FLOPs: a variant takes as many steps as spend the baseline's", function()
  script("equal.lua", [[budget = { flops = "equal" }, match = { flops = 0.3 },
    variants = { add = unet "add", wide = drift.models.cs180_unet { hidden = 3, time = "add", class = "add" } }]])
  passes "run equal.lua seeds=1 steps=9"
  local c = read_json "runs/equal/comparison.json"
  local a, b = c.variants[1], c.variants[2]
  local steps = #lines_of(cell("runs/equal", "wide", 1, "metrics.jsonl")) - 1
  assert.are.equal(math.floor(9 * a.flops_per_image / b.flops_per_image), steps)
  assert.is_true(steps < 9 and steps >= 3)
end)
