-- engine.lua: runs a comparison's cells, each in a process of its own, and keeps comparison.json as they end.
--   engine.run(plan, { jobs =, process_of = function(cell, resumed) return { argv =, env = } end, says_done = bool })
--     says_done: a cell's process says in cell.json that it is done; to end with status 0 is not enough
-- A cell that fails in whatever way loses no other: its error stands in the comparison. In a folder that has cells
-- already (--resume), those that are done are kept, those that were killed go on from their checkpoints, and those that
-- failed begin anew, or with their judging where that failed. At Ctrl-C the cells that run save what they have, and we
-- end, saying how to go on.
local drift = require "drift"
local cells = require "drift.dashboard.cells"
local folder = require "drift.compare.folder"
local processes = require "drift.compare.processes"
local budget = require "drift.compare.budget"
local results = require "drift.compare.results"
local config = require "drift.compare.config"
local pictures = require "drift.compare.pictures"

local engine = {}

function engine.read(path)
  if not drift.exists(path) then return nil end
  local ok, value = pcall(drift.json.decode, drift.read_file(path))
  return ok and type(value) == "table" and value or nil
end

local function clear(dir)
  for _, list in ipairs { drift.files(dir), drift.hidden_files(dir) } do
    for _, name in ipairs(list) do
      local path = dir .. "/" .. name
      -- A link is removed, not followed.
      if name ~= "." and name ~= ".." and not os.remove(path) and drift.is_folder(path) then
        clear(path)
        os.remove(path)
      end
    end
  end
end

-- An empty folder for a process: one with what an earlier one of ours left (it has the file `mark`) loses that.
local function fresh_folder(dir, mark)
  if drift.exists(dir .. "/" .. mark) then
    clear(dir)
  elseif drift.exists(dir .. "/config.json") then
    drift.fail("%s: there is a run that is not of this comparison; name another folder", dir)
  end
  drift.mkdir(dir)
end

-- Takes a folder that a comparison made for nothing away.
function engine.remove(dir)
  clear(dir)
  os.remove(dir)
end

-- Its training is done, and is still the variant's: only what came after it failed.
local function is_trained(about, described)
  return about.trained and described and type(about.config) == "table"
    and #config.between(about.config, described.config) == 0
end

-- What is there of a cell: "done", "kept" (to be gone on with) or "new".
local function state_of(dir, described)
  local about = engine.read(dir .. "/cell.json")
  if not about then return "new" end
  if about.status == "done" then return "done", about end
  if about.status == "failed" and not about.signal and not is_trained(about, described) then return "new", about end
  return drift.exists(dir .. "/config.json") and "kept" or "new", about
end

local function save_status(plan, cell, more)
  local path = folder.path_of(plan, cell) .. "/cell.json"
  local about = engine.read(path) or {}
  about.variant, about.seed = cell.variant, cell.seed
  about.status, about.error, about.signal = cell.status, cell.error, nil
  for key, value in pairs(more or {}) do about[key] = value end
  drift.mkdir(folder.path_of(plan, cell))
  drift.write_file(path, drift.json.encode(about, { indent = 2 }) .. "\n")
  cell.seconds = about.seconds
end

-- What of match can only be measured: texts for those that lie outside.
function engine.unmatched(plan)
  if not plan.match then return nil end
  local costs = {}
  for _, variant in ipairs(plan.variants) do
    local sum, n = 0, 0
    for _, cell in ipairs(plan.cells) do
      local found = cell.variant == variant.name and cell.status == "done" and results.read(folder.path_of(plan, cell))
      if found and found.train.seconds then sum, n = sum + found.train.seconds, n + 1 end
    end
    if n > 0 or variant.name == plan.baseline then
      costs[#costs + 1] = { name = variant.name, seconds = n > 0 and sum / n or nil }
    end
  end
  return budget.unmatched(costs, plan.match, { baseline = plan.baseline, of = "measured" })
end

local function label_of(plan, cell)
  for _, variant in ipairs(plan.variants) do
    if variant.name == cell.variant then return ("%s, seed %d"):format(variant.label, cell.seed) end
  end
end

-- The processes that are still to run.
local function items_of(plan, o)
  local items = {}
  for _, cell in ipairs(plan.cells) do
    local dir = folder.path_of(plan, cell)
    local state, about = state_of(dir, plan.described[cell.variant])
    if state == "done" then
      cell.status, cell.error, cell.seconds = "done", nil, about.seconds
      if o.says_done then pictures(dir) end
    elseif cell.status == "failed" then                           -- before it began: its variant cannot be described
      if state == "new" then save_status(plan, cell) end          -- else what it has stays, for when that is mended
    else
      if state == "new" then fresh_folder(dir, "cell.json") end
      cell.status = "waiting"
      local item = o.process_of(cell, state == "kept")
      item.cell, item.label, item.log = cell, label_of(plan, cell), dir .. "/output.log"
      items[#items + 1] = item
    end
  end
  return items
end

-- Of a script that ended well: what is missing in its folder for it to be compared.
local function nothing_to_compare(dir)
  local found = results.read(dir)
  if not found then return "the script made no run there (drift.experiment), so there is nothing to compare" end
  if #found.metrics > 0 then return nil end
  return "its run has neither evaluation.json nor an epoch's loss, so there is nothing to compare (an experiment that "
    .. "trains more than once has those in the folders of its parts, which drift compare takes)"
end

local function ended_how(plan, item, ended, o)
  local cell = item.cell
  local about = engine.read(folder.path_of(plan, cell) .. "/cell.json") or {}
  local interrupted = drift.interrupted() and (ended.code == 130 or ended.signal == 2)
  if interrupted then
    cell.status = "stopped"
    return save_status(plan, cell, { status = "running" })
  end
  local message = ended.error
  if not message and o.says_done and about.status ~= "done" then
    message = "the process ended with status 0 before the cell was done"
  elseif not message and not o.says_done then
    message = nothing_to_compare(folder.path_of(plan, cell))
  end
  cell.status, cell.error = message and "failed" or "done", message
  local train = type(about.train) == "table" and about.train or {}
  train.peak_bytes = train.peak_bytes or ended.peak_bytes
  save_status(plan, cell, { signal = ended.signal, train = train,
                            seconds = about.seconds or drift.clock() - item.since })
end

local function progress_text(plan)
  local done, failed = 0, 0
  for _, cell in ipairs(plan.cells) do
    if cell.status == "done" then done = done + 1 end
    if cell.status == "failed" then failed = failed + 1 end
  end
  return ("%d of %d done%s"):format(done, #plan.cells, failed > 0 and (", %d failed"):format(failed) or "")
end

function engine.stop(plan)
  drift.note("stopped: %s; go on with: %s", progress_text(plan), plan.resume)
  os.exit(130, true)
end

-- Configuration and costs of every variant, each in a process that leaves variant.json in its folder,
-- VARIANT/description: what fails there fails alone, and before any training. process_of(variant, dir) as above.
function engine.describe(plan, o)
  local items = {}
  for i, variant in ipairs(plan.variants) do
    local dir = ("%s/%s/description"):format(plan.dir, variant.name)
    fresh_folder(dir, "output.log")
    items[i] = o.process_of(variant, dir)
    items[i].dir, items[i].variant, items[i].label, items[i].quiet = dir, variant, variant.label, true
    items[i].log = dir .. "/output.log"
  end
  local stopped = processes.run(items, { jobs = o.jobs, on_end = function(item, ended)
    local about = engine.read(item.dir .. "/variant.json")
    local message = ended.error or o.says_done and not about
      and "the process ended before the variant was described" or nil
    if not message then
      plan.described[item.variant.name] = about
      return
    end
    for _, cell in ipairs(plan.cells) do
      if cell.variant == item.variant.name then cell.status, cell.error = "failed", message end
    end
    if not drift.interrupted() and not o.quiet then drift.note("%s failed: %s", item.label, message) end
  end })
  if stopped then engine.stop(plan) end
end

-- budget = { flops = "equal" }: each variant takes as many steps as spend the baseline's FLOPs, in as many epochs as
-- those need; its learning rate falls over these.
function engine.equal_flops(plan)
  local base = plan.described[plan.baseline]
  for _, variant in ipairs(plan.variants) do
    local about = plan.described[variant.name]
    if about and about ~= base then
      if not base then
        drift.fail("the baseline %s could not be described, so there are no FLOPs to be equal to", plan.baseline)
      end
      about.steps = budget.steps_for(about, base, base.steps * base.batch / about.batch)
      about.epochs = (about.steps + about.epoch_steps - 1) // about.epoch_steps
      about.config.steps, about.config.epochs = about.steps, about.epochs
    end
  end
end

-- match: refused with the numbers, before anything is trained. Variants that could not be described fail anyway.
function engine.check_match(plan)
  if not plan.match then return end
  local list = {}
  for _, variant in ipairs(plan.variants) do
    local about = plan.described[variant.name]
    if about then
      about.name = variant.name
      list[#list + 1] = about
    end
  end
  if #list > 0 then budget.check(list, plan.match, { baseline = plan.described[plan.baseline] and plan.baseline }) end
end

function engine.run(plan, o)
  local items = items_of(plan, o)
  if #items < #plan.cells then drift.note("%s: %s", plan.dir, progress_text(plan)) end
  folder.write(plan)
  local stopped = processes.run(items, {
    jobs = o.jobs, view = cells.new(), summary = function() return progress_text(plan) end,
    on_start = function(item)
      item.cell.status = "running"
      save_status(plan, item.cell)                                -- first: where we are killed, this is what is found
      folder.write(plan)
    end,
    on_end = function(item, ended)
      ended_how(plan, item, ended, o)
      folder.write(plan)
      local cell = item.cell
      drift.note("%s %s%s (%s)", item.label, cell.status, cell.error and ": " .. cell.error or "", progress_text(plan))
    end,
  })
  if stopped then engine.stop(plan) end
  plan.unmatched = engine.unmatched(plan)
end

-- ---- what cells' processes are told ---------------------------------------------------------------------------------
function engine.jobs(text)
  if text == nil then return 1 end
  local jobs = math.tointeger(tonumber(text))
  if not jobs or jobs < 1 then drift.fail("--jobs takes a whole number of at least 1, not %s", tostring(text)) end
  return jobs
end

-- plan.made: how the comparison is made. One that is resumed began when it began, and the time that it took goes on.
-- Threads of each cell: --threads, as the folder's cells had it before, or the processors divided. The number is part
-- of the results' last bits, so one comparison keeps to it.
function engine.begin(plan, jobs, device)
  local written = engine.read(plan.dir .. "/comparison.json")
  local before = written and type(written.made) == "table" and written.made or {}
  local start, earlier = drift.clock(), tonumber(before.seconds) or 0
  plan.made = { drift = drift.version, device = device, jobs = jobs, seconds = earlier,
                started = type(before.started) == "string" and before.started or os.date "!%Y-%m-%dT%H:%M:%SZ",
                threads = drift.options.threads or math.tointeger(before.threads) or math.max(1, drift.cpus() // jobs) }
  plan.count_time = function() plan.made.seconds = earlier + drift.clock() - start end
end

-- For cell_environment.lua.
function engine.environment(here) return { DRIFT_COMPARE_CELL = drift.json.encode(here) } end

local function has_threads(device)                                -- "cuda:1,deterministic=false" has none
  local name = device:match "^[%w_]+"
  for _, backend in ipairs(drift.components "backend") do
    for _, row in ipairs(backend.name == name and backend.params or {}) do
      if row.name == "threads" then return true end
    end
  end
  return false
end

function engine.argv(script, seed, threads, where)
  local o = drift.options
  local argv = { drift.program(), "run", script, "--seed", tostring(seed) }
  if has_threads(o.device) then argv[#argv + 1], argv[#argv + 2] = "--threads", tostring(threads) end
  for _, name in ipairs { "device", "precision" } do
    if o[name] then
      argv[#argv + 1] = "--" .. name
      argv[#argv + 1] = o[name]
    end
  end
  if not o.strict then argv[#argv + 1] = "--no-strict" end
  if not o.plan then argv[#argv + 1] = "--no-plan" end
  if o.debug then argv[#argv + 1] = "--debug" end
  argv[#argv + 1], argv[#argv + 2] = where[1], where[2]           -- --out or --resume, and the folder
  return argv
end

return engine
