-- files.lua: `drift doctor` on files beside the program: the cache and what lies in it, MNIST, the digit classifier.
local core = require "drift.core"

local files = {}

local function cache_folder()
  local xdg, home = os.getenv "XDG_CACHE_HOME", os.getenv "HOME"
  return (xdg and xdg ~= "" and xdg or (home and home ~= "" and home or ".") .. "/.cache") .. "/drift"
end

local function plain(message) return (message:gsub("^.*: ", "")) end

-- ---- the cache ------------------------------------------------------------------------------------------------------
local DEEPEST = 6                               -- a link may lead back to where it lies

local function bytes_in(path, depth)
  if not core.is_folder(path) then
    local file = io.open(path, "rb")
    local n = file and file:seek "end" or 0
    if file then file:close() end
    return n
  end
  local ok, names = pcall(core.files, path)
  local sum = 0
  for _, name in ipairs(ok and depth < DEEPEST and names or {}) do
    sum = sum + bytes_in(path .. "/" .. name, depth + 1)
  end
  return sum
end

local function size(bytes) return bytes < 1e6 and ("%.0f kB"):format(bytes / 1e3) or ("%.0f MB"):format(bytes / 1e6) end

function files.cache(report, machine)
  local folder = cache_folder()
  local advice = "make it writable, or set XDG_CACHE_HOME to a folder that is: data sets and more are kept there"
  local made, why = pcall(core.mkdir, folder)   -- as every run does
  if not made then
    report.broken("cache", why, advice)
    return
  end
  machine.shared.cache = folder
  local trial = folder .. "/.drift_doctor.tmp"
  local file, problem = io.open(trial, "w")
  local written = file and file:write "trial" and file:close()
  os.remove(trial)
  if not written then
    local reason = problem and plain(problem) or "is the disk full?"
    report.broken("cache", ("%s cannot be written: %s"):format(folder, reason), advice)
    return
  end
  local parts, total = {}, 0
  for _, name in ipairs(core.files(folder)) do
    local n = bytes_in(folder .. "/" .. name, 0)
    total = total + n
    if core.is_folder(folder .. "/" .. name) then parts[#parts + 1] = ("%s %s"):format(name, size(n)) end
  end
  local of_it = #parts > 0 and ": " .. table.concat(parts, ", ") or ""
  report.ok("cache", ("%s, writable, %s%s"):format(folder, size(total), of_it))
end

-- The first line of a file of choices names what they were measured with; one line follows for each shape.
local function choices(machine, folder, name)
  local text = machine.read(folder .. "/" .. name) or ""
  local _, lines = text:gsub("\n", "\n")
  return text:match "^[^\n]*", tonumber(text:match "^drift convolutions (%d+),") or 0, math.max(0, lines - 1)
end

function files.convolutions(report, machine)
  local folder, cpu = machine.shared.cache, machine.shared.cpu
  if not folder or not cpu or os.getenv "DRIFT_CPU_TUNE" == "off" then return end
  local processor, n, onednn = cpu:match "^(.*), (%d+) threads?, oneDNN (.*)$"
  local wanted = ("oneDNN %s, %s, %s threads"):format(onednn, processor, n)
  local best, revision, count, all = nil, -1, 0, 0
  for _, name in ipairs(core.files(folder)) do
    if name:find "^convolutions%-%x+%.txt$" then
      local first, r, shapes = choices(machine, folder, name)
      all = all + 1
      if first:sub(-#wanted) == wanted and r > revision then best, revision, count = name, r, shapes end
    end
  end
  local of_all = ("%d file%s of choices in the cache"):format(all, all == 1 and "" or "s")
  local here = ("measured on this processor with %s thread%s"):format(n, n == "1" and "" or "s")
  if best and count > 0 then
    report.ok("convolutions", ("%s; %s has %d shapes %s"):format(of_all, best, count, here))
  else
    report.note("convolutions", ("%s, none %s yet"):format(of_all, here),
      "nothing to do: the first run measures, so its first steps are slower")
  end
end

-- ---- MNIST ----------------------------------------------------------------------------------------------------------
local function open_mnist(drift)
  local notes = {}
  core.on_note(function(line) notes[#notes + 1] = line end)
  local ok, info = pcall(function() return drift.dataset.mnist { fetch = false }.train.info end)
  core.on_note(nil)
  return ok and info, table.concat(notes, "\n"), not ok and info
end

local function has_any(folder)
  local ok, names = pcall(core.files, folder)
  for _, name in ipairs(ok and names or {}) do
    if name:find "%-ubyte" then return true end
  end
  return false
end

local function say_absent(report, folder, notes)
  if folder and has_any(folder) then
    local why = notes:match(folder:gsub("%p", "%%%0") .. "/[^\n]*") or folder
    report.broken("MNIST", "the copy in the cache is damaged: " .. why,
      ("the next script that needs it fetches it again; or: rm -r '%s'"):format(folder))
    return
  end
  local python = os.execute "command -v python3 >/dev/null 2>&1"
  report.note("MNIST", "not here yet; without it the small subset of the tests is used, with much worse results",
    ("the first script that needs it fetches it into the cache (%spython3, the net); or put its four files into a "
     .. "folder and set DRIFT_DATA"):format(python and "" or "needs what is not here: "))
end

function files.mnist(report, machine)
  local drift = require "drift"
  if not core.kinds().dataset then
    report.note("MNIST", "not looked at: the plugin datasets is not loaded")
    return
  end
  local given = os.getenv "DRIFT_DATA"
  if given == "" then given = nil end
  local info, notes, problem = open_mnist(drift)
  if problem then
    report.broken("MNIST", problem, given and "get the file again, or unset DRIFT_DATA" or nil)
    return
  end
  if given and info.source:sub(1, #given) ~= given then
    report.note("DRIFT_DATA", given .. " holds no MNIST, so the cache is asked",
      "unset it, or put MNIST's four files (train-images-idx3-ubyte, ...) there, or into its folder mnist/")
  end
  local cache = machine.shared.cache
  if notes:find("there is no", 1, true) then say_absent(report, cache and cache .. "/mnist", notes)
  elseif notes ~= "" then report.note("MNIST", notes)
  else report.ok("MNIST", ("%s, %d images, sums as published"):format(info.source, info.n)) end
end

-- ---- the digit classifier -------------------------------------------------------------------------------------------
-- A forward on the device that scripts would use tells more than a file that can be read.
function files.classifier(report, machine)
  local drift = require "drift"
  local kinds = core.kinds()
  if not kinds.block or not kinds.backend then
    report.note("classifier", "not looked at: it needs the plugins blocks and backend_cpu")
    return
  end
  core.use(machine.shared.cpu and "cpu" or "ref")
  local ok, problem = pcall(function() return drift.digit_classifier()(drift.zeros { 1, 1, 28, 28 }):totable() end)
  if ok then report.ok("classifier", "of digits: read, and it computes on " .. drift.device().name)
  else report.broken("classifier", problem, "git checkout lua/drift/models/digit_classifier.safetensors") end
end

return files
