-- scripts.lua: scripts as variants: each is run as it stands, with each seed, in a process of its own, and what its
-- run's folder then holds (evaluation.json, metrics.jsonl, samples.safetensors) is compared. What drift compare A.lua
-- B.lua and drift sweep have in common.
--   scripts.compare { command =, name =, title =, variants = { { name, label, script, set = { "lr=0.001", ... } } },
--                     seeds =, baseline =, match =, arguments = of the command line, so that --resume alone goes on }
-- Before anything is trained each variant is run up to its training: a parameter that the script does not have, or that
-- fails there, ends all, and match is checked.
local drift = require "drift"
local run_directory = require "drift.run"
local engine = require "drift.compare.engine"
local finish = require "drift.compare.report"
local options = require "drift.compare.options"

local scripts = {}

-- "params=0.1,flops=0.05" -> { params = 0.1, flops = 0.05 }
function scripts.match(text)
  if not text then return nil end
  local match = {}
  for item in text:gmatch "[^,]+" do
    local key, value = item:match "^%s*([%w_]+)=(.-)%s*$"
    if not key or not tonumber(value) then
      drift.fail("--match takes constraints such as params=0.1,flops=0.05, not %s", text)
    end
    match[key] = tonumber(value)
  end
  return match
end

-- "1..3" -> { 1, 2, 3 };  "1,5" -> { 1, 5 };  both can be mixed: "1..3,7"
function scripts.seeds(text)
  if not text then return { 1, 2, 3 } end
  local seeds = {}
  for item in text:gmatch "[^,]+" do
    local first, last = item:match "^%s*(%-?%d+)%.%.(%-?%d+)%s*$"
    if not first then first = item:match "^%s*(%-?%d+)%s*$" end
    first, last = math.tointeger(tonumber(first)), math.tointeger(tonumber(last or first))
    if not first or not last or last < first or last - first >= 10000 then
      drift.fail("seed=%s: expected seeds such as 1..3 or 1,2,5", text)
    end
    for seed = first, last do seeds[#seeds + 1] = seed end
  end
  return options.seeds(seeds)
end

-- The name of a variant whose name or label the text is.
function scripts.baseline(variants, text)
  if not text then return variants[1].name end
  local names = {}
  for i, variant in ipairs(variants) do
    if text == variant.name or text == variant.label then return variant.name end
    names[i] = variant.label
  end
  local near = drift.nearest(text, names)
  drift.fail("--baseline %s is no variant%s", text, near and ("; did you mean '" .. near .. "'?")
    or "; there are " .. table.concat(names, ", "))
end

-- Where the command's files go, and whether that folder is made here. Its arguments are kept in it for --resume.
function scripts.folder(command, name, arguments)
  local o = drift.options
  local dir = (o.resume or o.out or run_directory.free_folder(name)):gsub("(.)/+$", "%1")
  if not o.resume and drift.exists(dir .. "/comparison.json") then
    drift.fail("%s holds a comparison already: go on with it (--resume %s), or name another folder", dir, dir)
  end
  local is_new, set = not drift.exists(dir), drift.json.array {}
  for _, key in ipairs(drift.set_order) do set[#set + 1] = { key, drift.set[key] } end
  drift.mkdir(dir)
  drift.write_file(dir .. "/arguments.json", drift.json.encode({
    command = command, arguments = drift.json.array(arguments),
    set = set, baseline = o[command].baseline, match = o[command].match }, { indent = 2 }) .. "\n")
  return dir, is_new
end

-- drift compare --resume DIR, drift sweep --resume DIR: arguments, key=value and options as they were.
function scripts.recall(command, arguments)
  local dir = drift.options.resume
  if not dir or #arguments > 0 then return arguments end
  local before = engine.read(dir .. "/arguments.json")
  if not before or before.command ~= command or type(before.arguments) ~= "table" or type(before.set) ~= "table" then
    drift.fail("%s: no arguments.json of drift %s there, so it cannot be gone on with", dir, command)
  end
  for _, entry in ipairs(before.set) do
    if drift.set[entry[1]] == nil then
      drift.set[entry[1]] = entry[2]
      table.insert(drift.set_order, entry[1])
    end
  end
  local own = drift.options[command]
  own.baseline, own.match = own.baseline or before.baseline, own.match or before.match
  return before.arguments
end

local function plan_of(o)
  local plan = { dir = o.dir, name = o.name, title = o.title, question = o.question, script = o.script,
                 variants = o.variants,
                 seeds = o.seeds, baseline = o.baseline, confidence = 0.95, match = o.match, cells = {}, described = {},
                 resume = ("./drift %s --resume %s"):format(o.command, o.dir) }
  for _, seed in ipairs(o.seeds) do
    for _, variant in ipairs(o.variants) do
      plan.cells[#plan.cells + 1] = { variant = variant.name, seed = seed, status = "waiting", is = variant,
                                      dir = ("%s/seed_%d"):format(variant.name, seed) }
    end
  end
  return plan
end

local function process(plan, what, variant, seed, where)
  local argv = engine.argv(variant.script, seed, plan.made.threads, where)
  table.move(variant.set, 1, #variant.set, #argv + 1, argv)
  return { argv = argv, env = engine.environment { what = what, comparison = plan.dir, variant = variant.name } }
end

-- What fails before its training is no result, and nothing has been lost yet by stopping here.
local function check_before(plan, jobs)
  engine.describe(plan, { jobs = jobs, quiet = true, process_of = function(variant, dir)
    return process(plan, "script_description", variant, plan.seeds[1], { "--out", dir })
  end })
  for _, cell in ipairs(plan.cells) do
    if cell.status == "failed" then drift.fail("%s: %s", cell.is.label, cell.error) end
  end
  engine.check_match(plan)
end


function scripts.compare(o)
  local own = drift.options[o.command]
  local jobs = engine.jobs(own.jobs)
  local plan = plan_of(o)
  engine.begin(plan, jobs, drift.options.device)
  local fine, message = pcall(check_before, plan, jobs)
  if not fine then
    if o.is_new then engine.remove(plan.dir) end                  -- a folder that was made for nothing goes again
    error(message, 0)
  end
  engine.run(plan, { jobs = jobs, process_of = function(cell, resumed)
    local dir = ("%s/%s"):format(plan.dir, cell.dir)
    return process(plan, "script", cell.is, cell.seed, { resumed and "--resume" or "--out", dir })
  end })
  local made = finish(plan)
  for _, cell in ipairs(plan.cells) do
    if cell.status == "failed" then os.exit(1, true) end
  end
  if #(plan.unmatched or {}) > 0 then os.exit(1, true) end         -- what was to be equal is not; the verdict says so
  return made
end

return scripts
