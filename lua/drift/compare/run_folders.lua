-- run_folders.lua: a comparison of runs that exist: drift compare RUN RUN ...
--   a run's folder                 config.json, evaluation.json, metrics.jsonl
--   VARIANT of a comparison        its seed_N
--   a whole comparison             its variants
-- Runs of one configuration and different seeds are one variant; those of equal seeds are paired. Nothing is run, and
-- nothing written into the runs.
local drift = require "drift"
local scripts = require "drift.compare.scripts"
local engine = require "drift.compare.engine"
local results = require "drift.compare.results"
local finish = require "drift.compare.report"
local options = require "drift.compare.options"

local function clean(path) return (path:gsub("/+$", "")) end
local function last_part(path) return (path:gsub("^.*/", "")) end

-- The runs in a folder, as { dir =, name = of the variant or nil }.
local function runs_in(folder)
  local list = {}
  local function seeds_of(variant)
    for _, name in ipairs(drift.files(variant)) do
      if name:find "^seed_%-?%d+$" and drift.exists(("%s/%s/config.json"):format(variant, name)) then
        list[#list + 1] = { dir = variant .. "/" .. name, name = last_part(variant) }
      end
    end
  end
  -- In the comparison's order, and where it says that they are: those of runs that were there before lie elsewhere.
  local function cells_of(comparison)
    for _, variant in ipairs(comparison.variants) do
      for _, cell in ipairs(type(variant.cells) == "table" and variant.cells or {}) do
        local dir = tostring(cell.dir)
        dir = dir:sub(1, 1) == "/" and dir or folder .. "/" .. dir
        if drift.exists(dir .. "/config.json") then list[#list + 1] = { dir = dir, name = variant.name } end
      end
    end
  end
  local comparison = engine.read(folder .. "/comparison.json")
  if comparison and type(comparison.variants) == "table" then
    cells_of(comparison)
  elseif last_part(folder):find "^seed_%-?%d+$" and drift.exists(folder .. "/config.json") then
    list[1] = { dir = folder, name = last_part((folder:gsub("/[^/]*$", ""))) }
  elseif drift.exists(folder .. "/config.json") then
    list[1] = { dir = folder }
  else
    seeds_of(folder)
  end
  if #list == 0 then
    drift.fail("%s: no config.json there, so it is no run, and no run's folders of seeds below it", folder)
  end
  return list
end

-- Text that is equal for equal configurations.
local function signature(config)
  local keys, parts = {}, {}
  for key in pairs(config) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do parts[i] = key .. "=" .. drift.json.encode { config[key] } end
  return table.concat(parts, "\n")
end

local function find(variants, run)
  for _, variant in ipairs(variants) do
    if variant.signature == run.signature and (not run.name or not variant.given or variant.given == run.name)
      and not variant.by_seed[run.seed] then return variant end
  end
end

local function free_name(variants, wanted)
  wanted = wanted:gsub("[^%w_%-%.]+", "_"):gsub("^%.+", "")
  if wanted == "" then wanted = "run" end
  local name, n = wanted, 1
  local function taken()
    for _, variant in ipairs(variants) do
      if variant.name == name then return true end
    end
  end
  while taken() do
    n = n + 1
    name = ("%s-%d"):format(wanted, n)
  end
  return name
end

local function variants_of(folders)
  local variants, seen = {}, {}
  for _, folder in ipairs(folders) do
    for _, run in ipairs(runs_in(clean(folder))) do
      if seen[run.dir] then drift.fail("%s is given twice", run.dir) end
      seen[run.dir] = true
      local found = results.read(run.dir)
      run.seed, run.signature, run.found = math.tointeger(found.seed), signature(found.config), found
      if not run.seed then
        drift.fail("%s/config.json: seed = %s is not a whole number", run.dir, tostring(found.seed))
      end
      local described = run.dir:gsub("/[^/]*$", "") .. "/description/variant.json"    -- of a comparison's cell
      run.described = run.name and engine.read(described) or nil
      local variant = find(variants, run)
      if not variant then
        local name = free_name(variants, run.name or last_part(run.dir))
        variant = { name = name, label = name, signature = run.signature, given = run.name, by_seed = {},
                    described = run.described,
                    script = found.script }
        variants[#variants + 1] = variant
      elseif not run.name then
        drift.note("%s differs from variant %s in nothing but its seed: it is seed %d of that variant", run.dir, variant.name,
          run.seed)
      end
      variant.by_seed[run.seed] = run
    end
  end
  return variants
end

-- From the folder `from`, where both are relative and neither goes up; else the path as it is, or absolute.
local function relative(path, from)
  local up = path:sub(1, 1) == "/" or from:sub(1, 1) == "/" or (path .. "/" .. from):find "%.%."
  if up and path:sub(1, 1) == "/" then return path end
  if up then return (os.getenv "PWD" or ".") .. "/" .. path end
  local function parts(p)
    local list = {}
    for part in p:gmatch "[^/]+" do
      if part ~= "." then list[#list + 1] = part end
    end
    return list
  end
  local a, b, common = parts(path), parts(from), 0
  while a[common + 1] and a[common + 1] == b[common + 1] do common = common + 1 end
  return ("../"):rep(#b - common) .. table.concat(a, "/", common + 1)
end

local function seeds_of(variants)
  local seeds, seen = {}, {}
  for _, variant in ipairs(variants) do
    for seed in pairs(variant.by_seed) do
      if not seen[seed] then seeds[#seeds + 1], seen[seed] = seed, true end
    end
  end
  table.sort(seeds)
  return seeds
end

local function check_match(variants, match, baseline)
  if not match then return end
  local list = {}
  for i, variant in ipairs(variants) do
    local _, run = next(variant.by_seed)
    local about = variant.described or {}
    list[i] = { name = variant.name, params = run.found.params, flops_per_image = about.flops_per_image,
                memory = about.memory,
                steps = about.steps, batch = about.batch }
  end
  require "drift.compare.budget".check(list, match, { baseline = baseline })
end

-- The baseline of the first comparison among the folders, where it is among the variants under its own name.
local function its_baseline(folders, variants)
  for _, folder in ipairs(folders) do
    local comparison = engine.read(folder .. "/comparison.json")
    for _, variant in ipairs(comparison and variants or {}) do
      if variant.name == comparison.baseline then return variant.name end
    end
  end
end

return function(folders)
  local variants, own = variants_of(folders), drift.options.compare
  local baseline = scripts.baseline(variants, own.baseline or its_baseline(folders, variants))
  local names = {}
  for i, variant in ipairs(variants) do names[i] = variant.name end
  local name = #names <= 3 and table.concat(names, "_vs_") or ("%s_and_%d_more"):format(names[1], #names - 1)
  local match = scripts.match(own.match)
  check_match(variants, match, baseline)
  local dir = scripts.folder("compare", name, folders)
  local plan = { dir = dir, name = name, variants = variants, seeds = seeds_of(variants), baseline = baseline,
                 cells = {},
                 described = {},
                 match = match, confidence = 0.95, question = options.question(variants[1].script),
                 made = { drift = drift.version, started = os.date "!%Y-%m-%dT%H:%M:%SZ" } }
  for _, variant in ipairs(variants) do
    plan.described[variant.name] = variant.described
    for _, seed in ipairs(plan.seeds) do
      local run = variant.by_seed[seed]
      if run then
        local any = #run.found.metrics > 0
        plan.cells[#plan.cells + 1] = { variant = variant.name, seed = seed, dir = relative(run.dir, dir),
                                        status = any and "done" or "failed",
                                        error = not any and "the run has no results yet" or nil }
      end
    end
  end
  return finish(plan)
end
