-- drift compare A.lua B.lua ... | RUN RUN ...: variants side by side, with paired differences and a report.
--   drift compare A.lua B.lua seed=1..3 hidden=32    each script is a variant, run as it stands with the same seeds
--                                                    (default 1..3); other key=value go to all of them
--   drift compare runs/a runs/b runs/c               runs that exist: of the same configuration they are one variant,
--                                                    runs with the same seed are paired. Cells, variants and whole
--                                                    folders of earlier comparisons are taken, too
--   --baseline NAME   with which the others are compared (default: the first)
--   --match params=0.1,flops=0.05    budgets that must agree, else nothing is run: steps, params, flops, memory
--   --jobs N          so many scripts at once     --out DIR     --resume DIR: goes on, without further arguments
-- docs/comparing.md says what is paired, and what a report holds.
local drift = require "drift"
local scripts = require "drift.compare.scripts"
local options = require "drift.compare.options"
local run_folders = require "drift.compare.run_folders"

local function name_of(script) return (script:gsub("^.*/", ""):gsub("%.lua$", "")) end

local function compare_scripts(arguments)
  local variants, taken, set = {}, {}, {}
  for _, key in ipairs(drift.set_order) do
    if key ~= "seed" then set[#set + 1] = key .. "=" .. drift.set[key] end
  end
  for i, script in ipairs(arguments) do
    local name = name_of(script)
    options.check_name("a script's name", name)
    if taken[name] then drift.fail("%s and %s have the same name; call one of them otherwise", taken[name], script) end
    taken[name] = script
    variants[i] = { name = name, label = name, script = script, set = set }
  end
  if drift.set.seed and drift.options.seed then drift.fail "give --seed, or seed=...: both say the seeds" end
  local names = {}
  for i, variant in ipairs(variants) do names[i] = variant.name end
  local name = #names <= 3 and table.concat(names, "_vs_") or ("%s_and_%d_more"):format(names[1], #names - 1)
  local own = drift.options.compare
  local o = { command = "compare", name = name, variants = variants, match = scripts.match(own.match),
              seeds = scripts.seeds(drift.set.seed or drift.options.seed and tostring(drift.options.seed)),
              baseline = scripts.baseline(variants, own.baseline) }
  o.dir, o.is_new = scripts.folder("compare", name, arguments)
  scripts.compare(o)
end

return function(...)
  local arguments = scripts.recall("compare", { ... })
  if #arguments == 0 then drift.fail "compare what?  drift compare RUN RUN ..., or A.lua B.lua" end
  local folders, files = {}, {}
  for _, argument in ipairs(arguments) do
    if not drift.exists(argument) then drift.fail("%s: there is no such run or script", argument) end
    local list = drift.is_folder(argument) and folders or files
    list[#list + 1] = argument
  end
  if #folders > 0 and #files > 0 then
    drift.fail("%s is a script, and %s the folder of a run: compare scripts, which are run, or runs that exist",
      files[1],
      folders[1])
  end
  if #files > 0 then return compare_scripts(files) end
  if drift.set_order[1] then
    drift.fail("%s=%s: runs that exist are not run again; key=value is for scripts", drift.set_order[1],
      drift.set[drift.set_order[1]])
  end
  return run_folders(folders)
end
