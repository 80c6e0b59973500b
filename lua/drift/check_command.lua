-- check_command.lua: what `drift check` does: all that can be tested of the components that plugins and Lua files add.
--   drift check my_sampler.so                     a line for each component and check: ok, FAILED or skipped (why)
--   drift check my_block.lua other.so             what files define, in Lua or C
--   drift check my_sampler                        a folder as `drift new` leaves it: its my_sampler.so or my_sampler.lua
--   drift check my_data.so my_data.path=/data     a component's parameters, where its defaults will not do
--   --json           the same as JSON           --seconds N      of the processor that a check may take (default 30)
-- Each check runs in a process of its own: one that crashes, hangs or ends it has failed, and the others go on. Components
-- compute on ref, the reference device, in f32 or f64; with threads on cpu. What a plugin needs beside Drift's own plugins is
-- found in DRIFT_PLUGINS. The exit status is 1 where anything failed.
local drift = require "drift"
local core = require "drift.core"

-- The plugin of a folder that `drift new` made, or the one library in it; other arguments as they are.
local function file_in(folder)
  if not core.is_folder(folder) then return folder end
  local at, libraries = folder:gsub("/+$", ""), {}
  local base = at .. "/" .. at:match "[^/]*$"
  for _, ending in ipairs { ".so", ".lua" } do
    if core.exists(base .. ending) then return base .. ending end
  end
  for _, name in ipairs(core.files(folder)) do
    if name:find "^[^.].*%.so$" then libraries[#libraries + 1] = at .. "/" .. name end
  end
  if #libraries ~= 1 then
    core.fail("%s is a folder without a plugin%s", folder, core.exists(at .. "/Makefile") and ": build it (make) first" or
      (" of its name, and has %d other libraries; name the file"):format(#libraries))
  end
  return libraries[1]
end

return function(...)
  local program = core.program():gsub("[^/]*$", "") .. "drift-check"
  local file = io.open(program, "rb")
  if file then
    file:close()
  else
    core.fail("%s is not there: build it (ninja drift_check), or call ./drift check, which does", program)
  end
  local argv = { program }
  for _, argument in ipairs { ... } do argv[#argv + 1] = file_in(argument) end
  if drift.options.json then table.insert(argv, "--json") end
  local own = drift.options.check or {}
  if own.seconds then
    table.insert(argv, "--seconds")
    table.insert(argv, own.seconds)
  end
  for _, key in ipairs(drift.set_order or {}) do table.insert(argv, key .. "=" .. drift.set[key]) end
  local ended = drift.spawn { argv = argv }:wait()
  if ended.signal then core.fail("drift-check was ended by signal %d", ended.signal) end
  if ended.code ~= 0 then os.exit(ended.code, true) end
end
