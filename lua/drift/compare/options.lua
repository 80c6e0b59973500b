-- options.lua: what drift.compare takes, checked, with its variants as a list.
--   o.variants   { NAME = value, ... } (then baseline says which is the first), or a list of { name =, label =, ... }
--   value        a network's spec; a table of what takes the place of fields of train or sample; or a function that
--                returns either, called with the fields as they are otherwise, and only where its cell runs
-- Gives { name, title, question, baseline, seeds, variants = { { name, label, value }, ... }, train, sample, ... }.
local drift = require "drift"

local options = {}

options.TRAIN = { "data", "model", "process", "loss", "optim", "decay", "p_uncond", "time_sampling", "weighting",
                  "coupling",
                  "ema", "ema_every", "epochs", "batch", "steps", "seconds", "checkpoint_every", "after_epoch" }
options.SAMPLE = { "sampler", "guidance", "networks", "clip", "shape", "classes", "n" }

-- Names are folders and arguments of the program: letters, digits and . _ -, not beginning with a dot.
function options.check_name(what, name)
  if type(name) ~= "string" or not name:find "^[%w_%-][%w_%-%.]*$" then
    drift.fail("compare: %s is made of letters, digits, '.', '_' and '-', not '%s'", what, tostring(name))
  end
end

local function is_value(value)
  return drift.is_spec(value, "net") or type(value) == "function" or type(value) == "table"
end

local function listed(given)
  local list = {}
  for i, entry in ipairs(given) do
    if type(entry) ~= "table" or type(entry.name) ~= "string" then
      drift.fail("compare: variant %d of the list needs a name: { name = \"add\", ... }", i)
    end
    local value, label = {}, nil
    for key, field in pairs(entry) do
      if key == "label" then label = field elseif key ~= "name" then value[key] = field end
    end
    list[i] = { name = entry.name, label = label or entry.name, value = value }
  end
  return list
end

local function named(given, baseline)
  local list, names = {}, {}
  for name, value in pairs(given) do
    if not is_value(value) then
      drift.fail("compare: variant %s is a network's spec, a table of what differs, or a function that returns one, "
        .. "not a %s", tostring(name), drift.type(value))
    end
    local plain = type(value) == "table" and not drift.is_spec(value)
    list[#list + 1] = { name = name, label = plain and value.label or name, value = value }
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  if baseline == nil then
    drift.fail("compare: baseline is missing: with which variant are the others compared? %s",
      table.concat(names, ", "))
  end
  table.sort(list, function(a, b)                                 -- the baseline first, then by name
    if (a.name == baseline) ~= (b.name == baseline) then return a.name == baseline end
    return tostring(a.name) < tostring(b.name)
  end)
  return list
end

local function variants_of(o)
  if type(o.variants) ~= "table" or next(o.variants) == nil then
    drift.fail "compare: variants is a table of at least one"
  end
  local list = #o.variants > 0 and listed(o.variants) or named(o.variants, o.baseline)
  local names, seen = {}, {}
  for i, variant in ipairs(list) do
    options.check_name("a variant's name", variant.name)
    if seen[variant.name] then drift.fail("compare: there are two variants called '%s'", variant.name) end
    seen[variant.name], names[i] = true, variant.name
  end
  local baseline = o.baseline or names[1]
  if not seen[baseline] then
    local near = drift.nearest(tostring(baseline), names)
    drift.fail("compare: baseline = '%s' is not a variant%s", tostring(baseline), near
      and ("; did you mean '" .. near .. "'?") or "; there are " .. table.concat(names, ", "))
  end
  return list, baseline
end

function options.seeds(seeds)
  if type(seeds) ~= "table" or #seeds == 0 then
    drift.fail "compare: seeds is a list of whole numbers, such as { 1, 2, 3 }"
  end
  local seen = {}
  for _, seed in ipairs(seeds) do
    if math.type(seed) ~= "integer" then drift.fail("compare: seed %s is not a whole number", tostring(seed)) end
    if seen[seed] then drift.fail("compare: seed %d is given twice", seed) end
    seen[seed] = true
  end
  return seeds
end

function options.confidence(value)
  if type(value) ~= "number" or not (value > 0 and value < 1) then
    drift.fail("compare: confidence = %s is outside (0, 1)", tostring(value))
  end
  return value
end

-- "-- Question: ..." at the top of a script, to its question mark.
function options.question(script)
  local ok, text = pcall(drift.read_file, script or "")
  local first, rest = (ok and text or ""):match "^%-%-%s*Question:%s*([^\n]*)\n(.*)$"
  if not first then return nil end
  local lines = { first }
  for line in rest:gmatch "([^\n]*)\n" do
    local more = line:match "^%-%-%s+(.*)$"
    if not more or lines[#lines]:find("?", 1, true) then break end
    lines[#lines + 1] = more
  end
  local question = table.concat(lines, " ")
  question = (question:match "^.*%?" or question):gsub("^%l", string.upper)
  return question
end

-- Whether a variant brings a sampler of its own; what a function returns is seen in its cell (setup.lua).
local function any_may_sample(variants)
  for _, variant in ipairs(variants) do
    local value = variant.value
    if type(value) == "function" or type(value) == "table" and value.sampler ~= nil then return true end
  end
  return false
end

function options.read(given)
  drift.accept("compare", given, { "variants" }, { "train", "name", "title", "question", "baseline", "seeds", "sample",
                                                   "metrics",
    "evaluate", "held_out", "cost_quality", "match", "budget", "confidence", "run" })
  drift.accept("compare: train", given.train or {}, {}, options.TRAIN)
  drift.accept("compare: sample", given.sample or {}, {}, options.SAMPLE)
  drift.accept("compare: evaluate", given.evaluate or {}, {},
    { "n", "real", "train", "batch", "classifier", "resamples" })
  drift.accept("compare: cost_quality", given.cost_quality or { samplers = {}, steps = {} }, { "samplers", "steps" },
    { "n", "metrics" })
  if given.budget and (drift.accept("compare: budget", given.budget, { "flops" }).flops ~= "equal") then
    drift.fail("compare: budget = { flops = \"equal\" } is what there is, not flops = %s", tostring(given.budget.flops))
  end
  local o = {}
  for key, value in pairs(given) do o[key] = value end
  o.train, o.sample, o.evaluate = o.train or {}, o.sample or {}, o.evaluate or {}
  o.variants, o.baseline = variants_of(given)
  if (o.metrics or o.cost_quality) and not o.sample.sampler and not any_may_sample(o.variants) then
    drift.fail "compare: metrics are of samples: give sample = { sampler = ... }"
  end
  o.seeds = options.seeds(given.seeds or { 1, 2, 3 })
  o.confidence = options.confidence(given.confidence or 0.95)
  if o.name ~= nil then options.check_name("name", o.name) end
  return o
end

return options
