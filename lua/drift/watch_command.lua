-- watch_command.lua: what `drift watch` does: a page of a run or a comparison that grows while it is made.
--   drift watch runs/mnist_flow                 http://127.0.0.1:8765/, or the next port that is free
--   drift watch runs/compare --port 9000        that port, or an error;   --port 0: any that is free
-- The page is the report (drift.report), made again when files of the folder have changed, and the browser asks for news
-- every few seconds. Nothing in the folder is written. The folder may not be there yet, and a run may be resumed. Only
-- programs on this machine can ask; from another one: ssh -L 8765:127.0.0.1:8765 MACHINE, and the same address there.
-- Ctrl-C ends it, with status 0.
local core = require "drift.core"

local FIRST_PORT, PORTS = 8765, 20

local function port_of(text)
  local port = math.tointeger(tonumber(text))
  if not port or port < 0 or port > 65535 then core.fail("--port takes a number from 0 to 65535, not %s", text) end
  return port
end

local function open_server(asked)
  if not core.http_server then
    core.fail("drift watch needs libmicrohttpd, which was not there when this program was built; on Debian and Ubuntu: "
      .. "apt-get install libmicrohttpd-dev, then build again (./drift does)")
  end
  local first = asked and port_of(asked) or FIRST_PORT
  for port = first, asked and first or first + PORTS - 1 do
    local server, problem, taken = core.http_server(port)
    if server then return server end
    if asked or not taken then
      core.fail("%s%s", problem, taken and "; another --port, or --port 0 for any that is free" or "")
    end
  end
  core.fail("ports %d to %d of 127.0.0.1 are all taken; --port 0 takes any that is free", first, first + PORTS - 1)
end

return function(dir)
  local watched = require "drift.watch.folder" (dir)
  local server = open_server(core.settings.options.watch.port)
  print(("%s: http://127.0.0.1:%d/   (Ctrl-C ends it)"):format(dir, server:port()))
  local waiting = watched:waiting()
  if waiting then print(waiting) end
  io.stdout:flush()
  local function answer(path) return watched:answer(path) end
  while server:run(3600, answer) do end
  server:close()
end
