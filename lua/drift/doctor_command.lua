-- doctor_command.lua: what `drift doctor` does: says what is there, what is missing, and what to do about it.
--   ok       is there and works
--   note     works, but slower or with less than there could be; or something optional that is not there
--   missing  is needed and not there;   broken  is there and does not work: with one of these the exit status is 1
-- Each part looks at one thing and is run protected: what it stumbles over is a line of the report as well.
local core = require "drift.core"

local parts = {                                 -- in this order: plugins are loaded by the first, the others use them
  { "installation", "version" }, { "installation", "folders" }, { "installation", "plugins" },
  { "installation", "libraries" }, { "machine", "devices" }, { "machine", "processor" }, { "machine", "threads" },
  { "machine", "memory" }, { "machine", "settings" }, { "files", "cache" }, { "files", "convolutions" },
  { "files", "mnist" }, { "files", "classifier" },
}

local function new_report()
  local report = { failures = 0 }
  local function line(word)
    return function(what, text, advice)
      if word == "missing" or word == "broken" then report.failures = report.failures + 1 end
      print(("%-8s %-13s %s"):format(word, what, (text:gsub("\n%s*", "; "))))
      if advice then print(("%-22s -> %s"):format("", advice)) end
    end
  end
  for _, word in ipairs { "ok", "note", "missing", "broken" } do report[word] = line(word) end
  return report
end

-- Reads a whole file of the system; nil where there is none.
local function read(path)
  local ok, text = pcall(core.read_file, path)
  return ok and text or nil
end

return function()
  local report = new_report()
  local machine = { read = read, shared = {} }  -- shared: what one part learned for the others
  for _, part in ipairs(parts) do
    local ok, problem = pcall(function() require("drift.doctor." .. part[1])[part[2]](report, machine) end)
    if not ok then
      report.broken(part[2], tostring(problem), "is the folder of Drift whole? git status shows what differs")
    end
  end
  local n = report.failures
  if n == 0 then
    print "all that is needed is there"
    return
  end
  core.fail("%d thing%s missing or broken, see above", n, n == 1 and " is" or "s are")
end
