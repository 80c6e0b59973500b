-- data.lua: all that a comparison's report shows, as a table that goes into JSON:
--   data(dir [, { cache = {} }]) -> table
-- dir: a comparison's folder (comparison.json), or a run's. What is missing or cannot be read is left out, and said in
-- `problems`; a folder that is neither is an error. Texts are as they are in the files: who shows them escapes them.
-- Variants are numbered from 0, as the page's JavaScript counts. cache: a table kept between calls, for a page that is
-- asked for again and again: losses and pictures of cells that are done are taken from it.
--
-- The table: format, name, title, question, headline (the verdict in a sentence), verdict (all sentences), seeds, baseline, confidence, done (no cell waits or
--   runs), variants { { name, label } }, tables (see tables.lua), trees { { variant, lines } }, losses (losses.lua),
--   noise_levels, cost_quality (over_seeds.lua), samples, trajectories (pictures.lua, with variant and seed),
--   metrics { { name, better, decimals } }, cells { { variant, seed, status, error } }, made { { name, text } },
--   problems { text }
local core = require "drift.core"
local comparison = require "drift.report.comparison"
local line_diff = require "drift.report.line_diff"
local losses = require "drift.report.losses"
local number = require "drift.report.number"
local over_seeds = require "drift.report.over_seeds"
local pictures = require "drift.report.pictures"
local plain_run = require "drift.report.plain_run"
local read_json = require "drift.read_json"
local read_metrics = require "drift.read_metrics"
local tables = require "drift.report.tables"

-- Values in the page's trajectories together: more, and they are of one seed, or of fewer pictures.
local TRAJECTORY_VALUES <const> = 24 << 20

-- What `read` makes of a file; nil where it is not there, or cannot be read, which becomes a problem.
local function part(problems, path, read, ...)
  if not core.exists(path) then return nil end
  local ok, value = pcall(read, path, ...)
  if ok then return value end
  problems[#problems + 1] = tostring(value):gsub("^.-%.lua:%d+: ", "")   -- the file matters, not the script's line
end

-- The same for what takes long to read: of a cell that is done it is read once, and then taken from `cache`.
local function once(cache, cell, problems, path, read, ...)
  if cell.status ~= "done" then cache[path] = nil end
  local value = cache[path] or part(problems, path, read, ...)
  if cell.status == "done" then cache[path] = value end
  return value
end

local function points_of(path)
  return losses.points(read_metrics((path:gsub("/metrics%.jsonl$", "")), { unfinished = true }))
end

-- A cell's folder: below the comparison's, or, where runs that were there before are compared, anywhere.
local function folder_of(dir, cell)
  if not cell.dir or cell.dir == "." then return cell.dir and dir end
  return cell.dir:find "^/" and cell.dir or dir .. "/" .. cell.dir
end

local function cells_of(dir, c, problems, cache)
  local cells = {}
  for i, v in ipairs(c.variants) do
    for k = 1, #c.seeds do
      local cell = v.cells[k]
      local folder = cell and folder_of(dir, cell)
      if folder then
        local done = cell.status ~= "failed"
        cells[#cells + 1] = {
          variant = i - 1, seed = cell.seed, status = cell.status, folder = folder,
          points = once(cache, cell, problems, folder .. "/metrics.jsonl", points_of) or losses.points {},
          levels = done and part(problems, folder .. "/noise_levels.json", read_json) or nil,
          costs = done and part(problems, folder .. "/cost_quality.json", read_json) or nil,
        }
      end
    end
  end
  return cells
end

-- The pictures of cells that have such a file.
local function pictures_of(cells, file, read, o, problems, cache)
  local list = core.json.array {}
  for _, cell in ipairs(cells) do
    local kept = cell.status ~= "failed" and once(cache, cell, problems, cell.folder .. "/" .. file, read, o)
    if kept then
      local picture = { variant = cell.variant, seed = cell.seed }
      for key, value in pairs(kept) do picture[key] = value end
      list[#list + 1] = picture
    end
  end
  return list
end

local function with_trajectories(cells)
  local list = {}
  for _, cell in ipairs(cells) do
    if core.exists(cell.folder .. "/trajectory.safetensors") then list[#list + 1] = cell end
  end
  return list
end

local function trajectories_of(cells, problems, cache)
  local list = with_trajectories(cells)
  return pictures_of(list, "trajectory.safetensors", pictures.trajectory,
    { pixels = TRAJECTORY_VALUES // math.max(#list, 1) }, problems, cache)
end

local function trees_of(c)
  local list, base = core.json.array {}, c.variants[c.baseline].tree
  for i, v in ipairs(c.variants) do
    if i ~= c.baseline and #v.tree > 0 and #base > 0 then
      list[#list + 1] = { variant = i - 1, lines = core.json.array(line_diff(base, v.tree)) }
    end
  end
  return list
end

local function joined(values)
  local texts = {}
  for i, value in ipairs(values) do texts[i] = tostring(value) end
  return table.concat(texts, ", ")
end

local function match_text(match)
  if not match then return nil end
  local keys = {}
  for key in pairs(match) do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  for i, key in ipairs(keys) do
    local within = match[key]
    local share = type(within) == "number" and ("within %s %%"):format(number.full(100 * within))
    keys[i] = ("%s %s"):format(key, share or core.json.encode(within))
  end
  return table.concat(keys, ", ")
end

local function made_of(dir, c)
  local rows, made = core.json.array {}, c.made
  local function row(name, value)
    if value == nil or value == core.json.null or value == "" then return end
    rows[#rows + 1] = { name = name, text = tostring(value) }
  end
  row("script", c.script)
  row("command", made.command or (c.script and "drift run " .. c.script))
  row("drift", made.drift)
  row("device", made.device)
  row("started", made.started)
  row("time", number.is_finite(made.seconds) and number.seconds(made.seconds) or nil)
  row("seeds", joined(c.seeds))
  row("intervals", ("%s %%"):format(number.full(100 * c.confidence)))
  row("matched", match_text(c.match))
  row("folder", dir)
  return rows
end

local ENDED <const> = { done = true, failed = true }

local function state_of(c)
  local list, done = core.json.array {}, true
  for i, v in ipairs(c.variants) do
    for k = 1, #c.seeds do
      local cell = v.cells[k]
      done = done and cell ~= nil and ENDED[cell.status] == true
      if cell then list[#list + 1] = { variant = i - 1, seed = cell.seed, status = cell.status, error = cell.error } end
    end
  end
  return list, done
end

local function variants_of(c)
  local variants, metrics = core.json.array {}, core.json.array {}
  for i, v in ipairs(c.variants) do variants[i] = { name = v.name, label = v.label } end
  for i, m in ipairs(c.metrics) do metrics[i] = { name = m.name, better = m.better, decimals = m.decimals } end
  return variants, metrics
end

-- Whether a sentence is on a metric in which some variant is decided: drift.compare's begin with "On METRIC ".
local function is_decided(c, sentence)
  for _, m in ipairs(c.metrics) do
    for _, p in pairs(sentence:sub(1, #m.name + 4) == "On " .. m.name .. " " and m.paired or {}) do
      if p.decided then return true end
    end
  end
  return false
end

-- What is decided comes first: of ten sentences one reads three.
local function verdict_of(c)
  if #c.verdict > 0 then
    local list = core.json.array {}
    for _, decided in ipairs { true, false } do
      for _, sentence in ipairs(c.verdict) do
        if is_decided(c, sentence) == decided then list[#list + 1] = sentence end
      end
    end
    return list
  end
  if c.plain and #c.variants == 1 then return core.json.array { "One run: nothing is compared." } end
  if #c.variants == 1 then return core.json.array { "One variant: nothing is compared." } end
  return core.json.array { "There is no verdict yet." }
end

local function read(dir, o)
  local path = dir .. "/comparison.json"
  local plain = not core.exists(path)
  local cache = not plain and o and o.cache or {}                 -- a run that is done may be resumed, and says nothing of it
  local c = comparison(plain and plain_run(dir) or read_json(path), path)
  local problems = core.json.array {}
  local cells = cells_of(dir, c, problems, cache)
  local finished = {}
  for _, cell in ipairs(cells) do
    if cell.status ~= "failed" then finished[#finished + 1] = cell end
  end
  local out = { format = "drift.report/1", name = c.name, title = c.title, question = c.question,
                headline = c.headline, verdict = verdict_of(c), seeds = c.seeds, baseline = c.baseline - 1, confidence = c.confidence,
                made = made_of(dir, c), problems = problems }
  out.variants, out.metrics = variants_of(c)
  out.cells, out.done = state_of(c)
  out.tables, out.trees, out.losses = tables(c), trees_of(c), losses.curves(cells)
  out.noise_levels = over_seeds.noise_levels(finished, c.confidence)
  out.cost_quality = over_seeds.cost_quality(finished, c.confidence)
  out.samples = pictures_of(cells, "samples.safetensors", pictures.samples, nil, problems, cache)
  out.trajectories = trajectories_of(cells, problems, cache)
  return out, c
end

return function(dir, o)
  if type(dir) ~= "string" or dir == "" then core.fail "report: which folder? give a comparison's, or a run's" end
  dir = #dir > 1 and dir:gsub("/+$", "") or dir
  if not core.is_folder(dir) then core.fail("report: there is no folder %s", dir) end
  return read(dir, o)
end
