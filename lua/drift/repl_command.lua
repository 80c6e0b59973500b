-- repl_command.lua: the prompt, `drift` without a command: Lua, line by line, with all of Drift at hand.
--   drift.sampler.<Tab>          components;  drift.sampler.heun { <Tab>   their parameters;  x:<Tab>   methods
--   help(x)                      what x is: a name, a component, a spec, a tensor, a function of drift
--   1 + 1                        an expression's value is shown; tensors that are images as pictures
--   local x = 1                  stays: what a line declares is there in the next
--   Ctrl-C                       drops the line, or stops what runs;  Ctrl-D ends
-- Options: --device, --precision, --seed, --threads, as for drift run. Where input is no terminal its lines are run
-- one after the other, and an error ends the program.
local drift = require "drift"
local core = require "drift.core"
local complete = require "drift.repl.complete"
local explain = require "drift.repl.explain"
local show_value = require "drift.repl.show_value"

local CHECKS_EVERY <const> = 10000             -- instructions between two looks whether Ctrl-C was typed

-- ---- what a line sees: its own globals, then the program's ----------------------------------------------------------
local function new_environment()
  local own = { drift = drift, help = function(x) io.write(explain(x)) end }
  local function names()
    local list = {}
    for _, t in ipairs { own, _G } do
      for name in next, t do list[#list + 1] = type(name) == "string" and name or nil end
    end
    table.sort(list)
    return list
  end
  return setmetatable(own, { __index = function(_, name)
    local value = rawget(_G, name)
    if value ~= nil then return value end
    local near = core.nearest(tostring(name), names())
    error(("there is no '%s'%s"):format(tostring(name), near and "; did you mean '" .. near .. "'?" or ""), 2)
  end })
end

-- ---- from text to a chunk -------------------------------------------------------------------------------------------
-- "local x = 1" at the start would be forgotten at the end of its line.
local function without_local(text)
  local bare = text:match "^%s*local%s+(function%s.*)$"
  if bare then return bare end
  local names, rest = text:match "^%s*local%s+([%a_][%w_,%s]-)%s*(=[^=].*)$"
  return names and not names:find "<" and names .. " " .. rest or text
end

-- The chunk, or nil and whether more lines could complete it, and what is wrong.
local function compile(text, environment)
  local chunk = load("return " .. text, "=prompt", "t", environment)
  if chunk then return chunk end
  local reason
  chunk, reason = load(without_local(text), "=prompt", "t", environment)
  if chunk then return chunk end
  return nil, reason:find "<eof>$" ~= nil, reason
end

-- Lines until they make a chunk; nil at the end of input.
local function read_chunk(environment, history)
  local text
  while true do
    local line, what = core.read_line(text and "   ... " or "drift> ", complete(environment))
    if what == "interrupted" then
      text = nil
    elseif not line then
      return nil
    elseif text or line:find "%S" then
      text = text and text .. "\n" .. line or line
      if line:find "%S" then core.line_remember(line, history) end
      local chunk, unfinished, reason = compile(text, environment)
      if chunk then return chunk end
      if not unfinished or line == "" then return function() error(reason, 0) end end
    end
  end
end

-- ---- running it -----------------------------------------------------------------------------------------------------
local function stop_when_interrupted()
  if drift.interrupted() then error("interrupted", 0) end
end

-- A training that Ctrl-C stops ends its program; here it ends the line.
local function with_interrupts(run)
  local exit = os.exit
  rawset(os, "exit", function(...)                                -- luacheck: ignore
    if drift.interrupted() then error("interrupted", 0) end
    exit(...)
  end)
  debug.sethook(stop_when_interrupted, "", CHECKS_EVERY)
  local ok, reason = xpcall(run, function(message)
    if not drift.options.debug or type(message) ~= "string" then return message end
    return debug.traceback(message, 2)
  end)
  debug.sethook()
  os.exit = exit
  return ok, reason
end

local function say_error(message)
  io.stdout:flush()
  io.stderr:write(("error: %s\n"):format(tostring(message)))
end

local function history_file()
  local folder = os.getenv "XDG_STATE_HOME"
  if not folder or folder == "" then
    local home = os.getenv "HOME"
    if not home or home == "" then return nil end
    folder = home .. "/.local/state"
  end
  folder = folder .. "/drift"
  return pcall(drift.mkdir, folder) and folder .. "/history" or nil
end

local function greet()
  print(("drift %s on %s: %s"):format(drift.version, drift.device().name, drift.device():describe()))
  print "help(x) explains x; Tab completes names and parameters; Ctrl-D ends"
end

return function()
  if drift.options.precision then drift.precision(drift.options.precision) end
  local environment, terminal = new_environment(), drift.isatty "stdin"
  local history = terminal and history_file() or nil
  if history then core.line_history(history) end
  if terminal then greet() end
  while true do
    local chunk = read_chunk(environment, history)
    if not chunk then break end
    local ok, message = with_interrupts(function()
      local results = table.pack(chunk())
      for i = 1, results.n do
        if results[i] ~= nil or results.n > 1 then show_value(results[i]) end
      end
    end)
    if not ok and not terminal then error(message, 0) end
    if not ok then say_error(message) end
  end
  if terminal then print() end
end
