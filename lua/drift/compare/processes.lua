-- processes.lua: programs that run beside one another, each with a log, of which new lines are shown as they come.
--   local stopped = processes.run(list, { jobs = 1, on_start = function(item) ..., on_end = function(item, ended) ... })
--     view = a drift.dashboard.cells, or nil;  summary = function() return its last line end
--     list[i] = { label = "add, seed 1", argv = {...}, env = {...}, log = path, quiet = bool }
--     ended   = { code = or signal =, error = text or nil }          nil error: it ended with status 0
-- They begin in the order of the list, `jobs` at once. At Ctrl-C no more begin, those that run are asked to come to an
-- end (SIGINT), and stopped is true when all have; a second Ctrl-C ends us, and they are killed with us.
local drift = require "drift"

local processes = {}
local SIGNALS = { [2] = "SIGINT", [4] = "SIGILL", [6] = "SIGABRT", [7] = "SIGBUS", [8] = "SIGFPE", [9] = "SIGKILL",
                  [11] = "SIGSEGV", [15] = "SIGTERM" }
local PAUSE, LONGEST = 0.02, 2000                                 -- seconds between looks; characters of an error

-- What the log has from `offset` on.
local function log_from(path, offset)
  local file = io.open(path, "rb")
  if not file then return "" end
  file:seek("set", offset)
  local text = file:read "a"
  file:close()
  return text or ""
end

local function log_size(path)
  local file = io.open(path, "rb")
  local size = file and file:seek "end" or 0
  if file then file:close() end
  return size
end

-- With a view, that it goes on is to be seen there already: lines of drift.progress stay in the log.
local function is_shown(line, view) return not (view and line:find "  ETA %w+$") end

-- Whole lines only; what is still being written comes with the next look, or at the end.
local function show(item, at_end, view)
  local text = log_from(item.log, item.shown)
  local whole = at_end and text or text:match "^(.*\n)" or ""
  item.shown = item.shown + #whole
  if item.quiet then return end
  for line in whole:gmatch "[^\n]+" do
    if is_shown(line, view) then drift.note("[%s] %s", item.label, line) end
  end
end

-- The program's last message, "drift: ...", to the end of the log.
local function message_of(item)
  local text = "\n" .. log_from(item.log, item.began)
  local at
  for position in text:gmatch "\n()drift: " do at = position end
  if not at then return nil end
  local message = text:sub(at + #"drift: "):gsub("%s+$", "")
  return #message > LONGEST and message:sub(1, LONGEST) .. " ..." or message
end

local function error_of(item, ended)
  if ended.code == 0 then return nil end
  if ended.signal then
    local memory = ended.signal == 9 and "; the system kills so where memory runs out" or ""
    return ("ended by signal %d%s%s"):format(ended.signal,
      SIGNALS[ended.signal] and (" (%s)"):format(SIGNALS[ended.signal]) or "", memory)
  end
  return message_of(item) or ("ended with status %d and no message"):format(ended.code)
end

local function start(item)
  item.began = log_size(item.log)
  item.shown = item.began
  item.folder, item.since = item.log:match "^(.*)/[^/]*$", drift.clock()
  item.child = drift.spawn { argv = item.argv, env = item.env, out = item.log, err = item.log }
end

-- Shows what is new; true where it has ended.
local function look(item, on_end, view)
  local ended = item.child:poll()
  show(item, ended ~= nil, view)
  if not ended then return false end
  ended.error = error_of(item, ended)
  item.child = nil
  on_end(item, ended)
  return true
end

function processes.run(list, o)
  local running, next_one, stopped = {}, 1, false
  while #running > 0 or (next_one <= #list and not stopped) do
    while not stopped and #running < o.jobs and next_one <= #list do
      start(list[next_one])
      if o.on_start then o.on_start(list[next_one]) end
      running[#running + 1], next_one = list[next_one], next_one + 1
    end
    for i = #running, 1, -1 do
      if look(running[i], o.on_end, o.view) then table.remove(running, i) end
    end
    if drift.interrupted() and not stopped then
      stopped = true
      for _, item in ipairs(running) do item.child:kill "INT" end
    end
    if o.view and #running > 0 then o.view:draw(running, o.summary()) end
    if #running > 0 then drift.sleep(PAUSE) end
  end
  if o.view then o.view:leave() end
  return stopped
end

return processes
