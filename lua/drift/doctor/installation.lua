-- installation.lua: `drift doctor` on what was installed and built: version, folders, plugins, libraries.
local core = require "drift.core"

local installation = {}

function installation.version(report)
  local built = core.installation()
  local text = "drift %s, plugin ABI %s (takes %s and later)"
  report.ok("version", text:format(core.version, built.abi, built.abi_oldest))
end

function installation.folders(report)
  local whole = true
  for _, path in ipairs { "lua/drift/models", "plugins/datasets/fetch_mnist.py", "tests/data/mnist" } do
    if not core.exists(core.home .. "/" .. path) then
      whole = false
      report.missing("home", ("%s has no %s"):format(core.home, path),
        "set DRIFT_HOME to the folder of Drift, or get the file back: git checkout " .. path)
    end
  end
  if whole then report.ok("home", core.home) end
end

-- ---- plugins --------------------------------------------------------------------------------------------------------
-- The reason, without the path that the message begins with.
local function refusal(path)
  local crash = core.probe_plugin(path)
  if crash then return crash end
  local ok, why = pcall(core.load_plugin, path)
  if ok then return nil end
  for _, prefix in ipairs { "plugin " .. path .. ": ", path .. ": " } do
    if why:sub(1, #prefix) == prefix then why = why:sub(#prefix + 1) end
  end
  return why
end

-- The plugins in a folder: *.so and, in folders of the user's, NAME/NAME.so; or the one file that is named instead.
local function plugin_files(folder, of_the_user)
  if folder:find "%.so$" then return { folder } end
  local paths = {}
  for _, name in ipairs(core.files(folder)) do
    local path = folder .. "/" .. name
    if name:find "%.so$" then paths[#paths + 1] = path
    elseif of_the_user and core.exists(("%s/%s.so"):format(path, name)) then
      paths[#paths + 1] = ("%s/%s.so"):format(path, name)
    end
  end
  return paths
end

-- Loads a folder's plugins; returns the names of the files that are there, or nil.
local function load_folder(report, folder, advice, of_the_user)
  local there, paths = pcall(plugin_files, folder, of_the_user)
  if not there then
    report.missing("plugins", paths, advice)
    return nil
  end
  local loaded, files = {}, {}
  for _, path in ipairs(paths) do
    local why, name = refusal(path), path:match "([^/]*)%.so$"
    files[name .. ".so"] = true
    if why then
      report.broken("plugin", ("%s is refused: %s"):format(path, why),
        "build it again, or take it out of the folder: one that is refused stops every command")
    else
      loaded[#loaded + 1] = name
    end
  end
  if #loaded == 0 then report.missing("plugins", folder .. ": no plugin could be loaded", advice)
  else report.ok("plugins", ("%s: %d loaded: %s"):format(folder, #loaded, table.concat(loaded, ", "))) end
  return files
end

-- Those in the current folder and the user's own: what is left out there stops nothing.
local function find_others(report)
  local advice = "build it again, or take it away; scripts that do not need it are not stopped"
  local crash = core.probe_plugin()
  if crash then
    report.broken("plugins", ("in this folder, or in %s: %s"):format(core.installation().user_plugins, crash), advice)
    return
  end
  local before = #core.plugins()
  core.on_note(function() end)                  -- the same words follow below
  local ok, problem = pcall(core.find_plugins)
  core.on_note(nil)
  if not ok then report.broken("plugins", problem) end
  for i, p in ipairs(core.plugins()) do
    if i > before then report.ok("plugin", ("%s, %s (%s)"):format(p.id, p.path, p.origin)) end
  end
  for _, p in ipairs(core.plugins_left_out()) do
    report.note("plugin", ("%s is left out: %s"):format(p.path, p.why), advice)
  end
end

-- Those whose source is there and whose library is not.
local function not_built(files)
  local ok, sources = pcall(core.files, core.home .. "/plugins")
  local names = {}
  for _, name in ipairs(ok and sources or {}) do
    local optional = name == "template" or name == "backend_cuda"
    if not optional and not files[name .. ".so"] and core.is_folder(core.home .. "/plugins/" .. name) then
      names[#names + 1] = name
    end
  end
  return names
end

function installation.plugins(report)
  local folder = core.installation().plugins
  local given = os.getenv "DRIFT_PLUGIN_DIR"
  local advice = given and given ~= "" and "unset DRIFT_PLUGIN_DIR, or set it to the folder plugins/ of a build"
    or "build them: ./drift doctor does so before it starts"
  local files = load_folder(report, folder, advice)
  local absent = files and not_built(files) or {}
  if #absent > 0 then report.missing("plugins", folder .. " lacks " .. table.concat(absent, ", "), advice) end
  local advice_own, definitions = "DRIFT_PLUGINS names it: build your plugins there, or take it out", {}
  for own in (os.getenv "DRIFT_PLUGINS" or ""):gmatch "[^:]+" do
    if own:find "%.lua$" then definitions[#definitions + 1] = own else load_folder(report, own, advice_own, true) end
  end
  find_others(report)
  for _, own in ipairs(definitions) do          -- components written in Lua
    local ok, problem = pcall(dofile, own)
    if ok then report.ok("plugin", own .. ": components in Lua")
    else report.broken("plugin", ("%s: %s"):format(own, problem), "DRIFT_PLUGINS names it: mend it, or take it out") end
  end
end

-- ---- libraries ------------------------------------------------------------------------------------------------------
-- The file of each library as it lies in this process: its name carries the version, where the maker's does.
local function loaded_files(text)
  local files = {}
  for path in (text or ""):gmatch "(/[^\n]*%.so[%d.]*)" do
    local name = path:match "[^/]*$":match "^lib([%a_%-]+)"
    if name then files[name] = path end
  end
  return files
end

local libraries = {                             -- name, as loaded_files has it, key of core.installation(), plugin
  { "Lua", "lua", "lua" }, { "libffi", "ffi" }, { "jansson", "jansson", "jansson" }, { "giflib", "gif", "giflib" },
  { "oneDNN", "dnnl", nil, "backend_cpu" }, { "libspng", "spng", nil, "datasets" },
  { "libturbojpeg", "turbojpeg", nil, "datasets" },
}

function installation.libraries(report, machine)
  local files, built, loaded = loaded_files(machine.read "/proc/self/maps"), core.installation(), {}
  for _, p in ipairs(core.plugins()) do loaded[p.id] = true end
  for _, row in ipairs(libraries) do
    local name, file, key, plugin = table.unpack(row, 1, 4)
    local version = key and built[key]:gsub("^Lua ", "") .. ", " or ""
    if files[file] then report.ok(name, version .. files[file])
    elseif not plugin or loaded[plugin] then report.ok(name, version .. "part of the program")
    else report.note(name, "not looked at: the plugin " .. plugin .. ", which uses it, is not loaded") end
  end
  if core.http_server then report.ok("microhttpd", files.microhttpd or "part of the program")
  else
    report.note("microhttpd", "this build is without it (optional): drift watch needs it",
      "install libmicrohttpd-dev (Debian's name), then build again")
  end
  if files.sentencepiece then report.ok("sentencepiece", files.sentencepiece)
  elseif loaded.tokenizers then
    report.note("sentencepiece", "this build is without it (optional): prompts of pretrained models need it",
      "install libsentencepiece-dev and g++ (Debian's names), then build again")
  else report.note("sentencepiece", "not looked at: the plugin tokenizers is not loaded") end
end

return installation
