-- http_server_spec.lua: the server behind `drift watch`: the function that it asks can neither close it nor run it again while
-- a request is being answered, and an error of it is an answer, too.
local drift = require "drift"
local core = require "drift.core"

local function get(port, path)
  return drift.spawn { argv = { "python3", "-c", ([[
import http.client
c = http.client.HTTPConnection("127.0.0.1", %d, timeout=20)
c.request("GET", "%s")
a = c.getresponse()
print(a.status, a.read().decode())]]):format(port, path) }, out = "answer" }
end

it("the function that a server asks cannot take it away", function()
  if not core.http_server then return end                     -- built without libmicrohttpd
  local server, said = core.http_server(0), {}
  local client = get(server:port(), "/page")
  local ends = drift.clock() + 20
  while not client:poll() and drift.clock() < ends do
    server:run(0.1, function(path)
      said[1] = select(2, pcall(server.close, server))
      said[2] = select(2, pcall(server.run, server, 1, print))
      return 200, "text/plain", path
    end)
  end
  assert.equal("200 /page\n", drift.read_file "answer")
  assert.is_truthy(said[1]:find("it cannot be closed by the function that it asks", 1, true))
  assert.is_truthy(said[2]:find("the server runs already", 1, true))
  server:close()
  server:close()
  assert.has_error(function() server:run(1, print) end)
end)
