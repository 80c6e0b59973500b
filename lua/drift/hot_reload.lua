-- hot_reload.lua: a plugin's new version in place of the one that runs, between steps of a training. The core does the
-- exchange (core/reload.c); here is what comes before it, building, and what comes with it, watching and records.
--
--   drift.reload "my_block"                      -- a plugin's or component's name, or its file: build, then exchange
--   drift.reload("my_block", { build = false })  -- the file as it is
--   local changed = drift.hot_reload.watcher()   -- changed(): reloads what has changed since, every half a second at most
--
-- Built is what can be: by `make` where a Makefile lies beside the library, as `drift new` leaves it, or above its folder
-- `build`; else by `ninja` where the library belongs to a CMake build. Whatever fails leaves the earlier version running.
local core = require "drift.core"

local hot_reload = { log = {} }                -- what was reloaded in this process, in order: see drift.train

local EVERY = 0.5                              -- seconds between two looks at the files

-- ---- building -------------------------------------------------------------------------------------------------------
local function folder_of(path) return path:match "^(.*)/[^/]*$" or "." end
local function file_of(path) return path:match "[^/]*$" end
local function is_lua(path) return path:find "%.lua$" ~= nil end
local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- How a library is made: { folder =, command =, sources = a folder or nil }; nil where nobody knows.
function hot_reload.recipe(path)
  local here = folder_of(path)
  for _, folder in ipairs { here, file_of(here) == "build" and folder_of(here) or nil } do
    if core.exists(folder .. "/Makefile") then
      return { folder = folder, command = "make --no-print-directory -C " .. quoted(folder), sources = folder }
    end
  end
  local folder, target = here, file_of(path)
  for _ = 1, 3 do
    if core.exists(folder .. "/build.ninja") then
      local sources = ("%s/plugins/%s"):format(core.home, file_of(path):gsub("%.so$", ""))
      local lock = core.exists(folder .. "/.lock") and "flock " .. quoted(folder .. "/.lock") .. " " or "" -- as ./drift has it
      return { folder = folder, command = ("%sninja -C %s %s"):format(lock, quoted(folder), quoted(target)),
               sources = core.is_folder(sources) and sources or nil }
    end
    -- "." has no name of its own to go up by
    local name = file_of(folder)
    if name == "." or name == ".." or name == "" then return nil end
    folder, target = folder_of(folder), name .. "/" .. target
  end
end

local function last_lines(text, most)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  local first = math.max(1, #lines - most + 1)
  return (first > 1 and "...\n" or "") .. table.concat(lines, "\n", first)
end

local function build(id, recipe)
  local pipe = assert(io.popen(recipe.command .. " 2>&1 </dev/null", "r"))
  local output = pipe:read "a"
  local ok = pipe:close()
  if not ok then
    core.fail("plugin %s is not reloaded, the earlier one goes on: it does not build (%s)\n%s", id, recipe.command,
      last_lines(output, 40))
  end
end

-- ---- reloading ------------------------------------------------------------------------------------------------------
local function note(done)
  local made = {}
  if done.modules > 0 then made[#made + 1] = ("%d module%s"):format(done.modules, done.modules > 1 and "s" or "") end
  if done.instances > 0 then made[#made + 1] = ("%d other component%s"):format(done.instances, done.instances > 1 and "s" or "") end
  core.note("reloaded plugin %s (%s): %s made anew, %.0f ms to exchange, %.1f s in all; %s", done.plugin, done.sha256:sub(1, 12),
    #made > 0 and table.concat(made, " and ") or "nothing had to be", 1000 * done.seconds, done.total,
    done.unmapped and "the earlier one is gone" or "the earlier one stays in memory, since something may refer to it")
end

-- A file of components written in Lua (drift.define) is run again; what of them has the parameters that it had goes on
-- with the new functions.
local function rerun(id, path, start)
  if path == core.settings.options.script then
    core.fail("%s is defined in the script that runs, which cannot be run again within itself; in a file of its own (require) it "
      .. "can be reloaded", id)
  end
  local define = require "drift.define"
  local list = core.reload_definitions(id, define.rerun, path)
  local done = { plugin = id, version = "Lua", sha256 = core.sha256_file(path), path = path, total = core.clock() - start }
  local left = {}
  for _, d in ipairs(list) do
    if not d.swapped then left[#left + 1] = d.kind .. " " .. d.name end
  end
  hot_reload.log[#hot_reload.log + 1] = done
  core.note("ran %s again (%s): %d component%s%s", path, done.sha256:sub(1, 12), #list, #list > 1 and "s" or "", #left > 0 and
    (", of which what there is of %s goes on as it was, since the parameters or functions are others now"):format(table.concat(left, ", ")) or "")
  return done
end

-- before: called when the new version is built, before anything of it runs
local function reload(name, should_build, before)
  local start = core.clock()
  local number, id, path = core.find_plugin(name)
  if is_lua(path) then
    if before then before() end
    return rerun(id, path, start)
  end
  local recipe = path ~= "" and should_build and hot_reload.recipe(path)
  if recipe then build(id, recipe) end
  if before then before() end
  collectgarbage()                             -- what nobody has any more should have no say
  local done = core.reload_plugin(number)
  done.total = core.clock() - start
  done.path = path
  hot_reload.log[#hot_reload.log + 1] = done
  note(done)
  return done
end

function hot_reload.reload(name, options)
  if type(name) ~= "string" then
    core.fail("drift.reload takes the name of a plugin or of a component, or a file, not a %s", core.type(name))
  end
  options = options or {}
  for key in pairs(options) do
    if key ~= "build" then core.fail("drift.reload has no option '%s'; it has build", tostring(key)) end
  end
  return reload(name, options.build ~= false)
end

-- ---- watching -------------------------------------------------------------------------------------------------------
local is_source = { c = true, h = true, cmake = true, inc = true }

local function stamps(watched)
  local list = { core.file_stamp(watched.path) or "none" }
  for _, name in ipairs(watched.sources and core.is_folder(watched.sources) and core.files(watched.sources) or {}) do
    if is_source[name:match "%.(%w+)$" or ""] or name == "Makefile" then
      list[#list + 1] = name .. " " .. (core.file_stamp(watched.sources .. "/" .. name) or "none")
    end
  end
  return table.concat(list, "\n")
end

local function watch(plugin)
  local recipe = not is_lua(plugin.path) and hot_reload.recipe(plugin.path)
  local watched = { path = plugin.path, id = plugin.id, sources = recipe and recipe.sources or nil }
  watched.seen = stamps(watched)
  -- Changed before anyone watched, and not built: that is a change too.
  local is_old = recipe and recipe.command:find "^make " and not os.execute(recipe.command .. " -q >/dev/null 2>&1")
  watched.stamps = is_old and "" or watched.seen
  return watched
end

-- A device's plugin is left out: it cannot be reloaded.
local function is_device(id)
  for _, component in ipairs(core.components "backend") do
    if component.plugin == id then return true end
  end
end

-- A change counts when the files were the same at two looks: an editor or a linker may be at work still.
local function look(watched, before)
  local now = stamps(watched)
  local settled = now == watched.seen
  watched.seen = now
  if now == watched.stamps or not settled then return end
  local ok, message = pcall(reload, watched.path, true, before)
  watched.stamps = stamps(watched)             -- those of the build; what fails is tried again at the next change
  watched.seen = watched.stamps
  if not ok then core.note("%s", (tostring(message):gsub("^[^\n]-%.lua:%d+: ", ""))) end
end

function hot_reload.watcher()
  local list, next_look = {}, 0
  for _, plugin in ipairs(core.plugins()) do
    if plugin.path ~= "" and plugin.path ~= core.settings.options.script and not is_device(plugin.id) then list[#list + 1] = watch(plugin) end
  end
  return function(before)
    local now = core.clock()
    if now < next_look then return end
    for _, watched in ipairs(list) do look(watched, before) end
    next_look = core.clock() + EVERY
  end
end

-- ---- records --------------------------------------------------------------------------------------------------------
-- config.json's `reloads`: { step =, plugin =, version =, sha256 = } each, in order. Those of a run that is resumed, as far
-- as its checkpoint goes, with a note.
local function earlier(run, step)
  local list, last, text = core.json.array {}, {}, {}
  local before = run.resumed and require "drift.run".config(run.dir).reloads
  for _, record in ipairs(type(before) == "table" and before or {}) do
    if type(record) == "table" and math.type(record.step) == "integer" and record.step <= step then
      list[#list + 1] = record
      last[tostring(record.plugin)] = tostring(record.sha256)
      text[#text + 1] = ("%s after step %d (%s)"):format(record.plugin, record.step, tostring(record.sha256):sub(1, 12))
    end
  end
  if #list == 0 then return list end
  core.note("%s: plugins were reloaded on its way: %s", run.dir, table.concat(text, ", "))
  for _, plugin in ipairs(core.plugins()) do
    if last[plugin.id] and last[plugin.id] ~= plugin.sha256 then
      core.note("%s: plugin %s is another version now (%s); what follows is made with that one", run.dir, plugin.id,
        plugin.sha256:sub(1, 12))
    end
  end
  return list
end

-- Outside of trainings, for drift.sample and drift.evaluate, before they begin: a script that only samples, in a loop, is
-- served as well. Within one its steps decide, since they save the run first.
local elsewhere, training
function hot_reload.between_calls()
  local options = require "drift".options.run
  if not (options and options.watch) or training then return end
  elsewhere = elsewhere or hot_reload.watcher()
  elsewhere()
end

function hot_reload.in_training(yes)
  training, elsewhere = yes, nil               -- what has changed by its end, the training has reloaded
end

-- For a training: a function to be called between steps with the number of steps done and what is to be done before an
-- exchange. It reloads what has changed, where --watch asks for that, and writes down every reload of this process.
function hot_reload.between_steps(run, step)
  local options = require "drift".options.run
  local changed = options and options.watch and hot_reload.watcher()
  local list, known = earlier(run, step), 0
  if #list > 0 then run:describe("reloads", list) end
  return function(step, before)
    if changed then changed(before) end
    if known == #hot_reload.log then return end
    for i = known + 1, #hot_reload.log do
      local done = hot_reload.log[i]
      list[#list + 1] = { step = step, plugin = done.plugin, version = done.version, sha256 = done.sha256 }
    end
    known = #hot_reload.log
    run:describe("reloads", list)
  end
end

return hot_reload
