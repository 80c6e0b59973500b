-- run.lua: a run's folder, so that a result can be found again and made again.
--   config.json           every parameter, the seed, versions, plugins' hashes, device, data
--   metrics.jsonl         one line of JSON per logged step or epoch
--   metrics.csv           the same as a table
--   events.out.tfevents.drift    the same, and the pictures, for TensorBoard
--   loss.svg, *.png       curves and pictures
--   checkpoint.safetensors, samples.safetensors
--   PART/                 the same again for each run:part "PART", of experiments that train more than once
--   ema/*.safetensors     snapshots of power-function averages, for drift.post_hoc_ema
-- A run object has the script's parameters as fields: run.epochs.
local drift = require "drift"

local run = {}
local methods = {}
local line_of = setmetatable({}, { __mode = "k" })                -- record -> its line of metrics.jsonl, as it was written
local meta = {
  __index = function(self, key)
    if methods[key] then return methods[key] end
    local value = rawget(self, "parameters")[key]
    if value ~= nil then return value end
    error(("this experiment has no parameter '%s'"):format(tostring(key)), 2)
  end,
}

function run.config(folder)
  local path = folder .. "/config.json"
  if not drift.exists(path) then
    drift.fail("%s: no config.json there, so it is not a run that can be resumed%s", folder, drift.is_folder(folder)
      and ("; if it was stopped before it began, start it again with --out %s"):format(folder) or "")
  end
  local config = drift.json.decode(drift.read_file(path))
  if type(config) ~= "table" or type(config.parameters) ~= "table" then drift.fail("%s: not a run's config.json", path) end
  return config
end

-- runs/NAME, or runs/NAME-2, -3, ... where that is taken: a run never writes over another.
local function free_folder(name)
  local folder, n = "runs/" .. name, 1
  while drift.exists(folder) do
    n = n + 1
    folder = ("runs/%s-%d"):format(name, n)
  end
  return folder
end

run.free_folder = free_folder

local function script_name()
  local script = drift.options.script or "run"
  return (script:gsub("^.*/", ""):gsub("%.lua$", ""))
end

local function plugin_records()
  local list = drift.json.array {}
  for _, p in ipairs(drift.plugins()) do
    if p.path ~= "" then list[#list + 1] = { id = p.id, version = p.version, sha256 = p.sha256 } end
  end
  return list
end

-- What a killed process was writing when it died: .drift-PID-N.tmp, which may be as large as a checkpoint.
local function sweep(folder)
  for _, name in ipairs(drift.hidden_files(folder)) do
    local pid = name:match "^%.drift%-(%d+)%-%d+%.tmp$"
    if pid and not drift.exists("/proc/" .. pid) then os.remove(folder .. "/" .. name) end
  end
end

-- The same bits need the same machine and number of threads; going on elsewhere is fine, but should be known.
local function note_other_device(folder, device)
  local before = run.config(folder).device
  if type(before) == "table" and before.description ~= device.description then
    drift.note("%s began on %s, and goes on on %s: sums may round differently from here on", folder,
      tostring(before.description), device.description)
  end
end

-- The folder, without what a killed run left of half-written files.
local function prepare(self)
  drift.mkdir(self.dir)
  sweep(self.dir)
  if drift.is_folder(self.dir .. "/ema") then sweep(self.dir .. "/ema") end
end

local function about(name, o, seed)
  return {
    name = name, preset = o.preset, parameters = o.parameters, seed = seed,
    drift = drift.version, lua = _VERSION, plugins = plugin_records(),
    device = { name = drift.device().name, description = drift.device():describe() },
    script = { path = drift.options.script, sha256 = drift.options.script and drift.sha256_file(drift.options.script) },
  }
end

local function begin(self)
  prepare(self)
  if not self.resumed then                                        -- a resumed run's is replaced by describe(), once its checkpoint fits
    self:save_config()                                            -- first: from here on the run can be resumed
    self:flush()
  else
    note_other_device(self.dir, self.config.device)
  end
  return self
end

function run.open(o)
  local name = o.name or script_name()
  local resumed, out = drift.options.resume ~= nil, drift.options.out
  if out and not resumed and drift.exists(out .. "/config.json") then
    drift.fail("%s holds a run already: go on with it (--resume %s), or name another folder", out, out)
  end
  local self = setmetatable({
    parts = {}, part_name = false, began = drift.clock(),
    name = name, parameters = o.parameters, preset = o.preset or false, resumed = resumed, seed = drift.seed(),
    dir = drift.options.resume or drift.options.out or free_folder(name),
    records = {}, config = about(name, o, drift.seed()),
  }, meta)
  self.resume_dir = self.dir                                      -- what --resume is to name
  run.latest = self.dir                                           -- for messages: the folder of the run at hand
  run.current = self                                              -- the script's own
  return begin(self)
end

-- Of a script that failed: a run in which nothing was done yet leaves no folder behind, so that the corrected script may
-- take it, with the same --out.
function run.discard_untouched()
  local self = run.current
  if not self or self.resumed or #self.records > 0 then return end
  for _, name in ipairs(drift.files(self.dir)) do
    if name ~= "config.json" and name ~= "metrics.jsonl" then return end
  end
  os.remove(self:path "metrics.jsonl")
  os.remove(self:path "config.json")
  os.remove(self.dir)                                             -- where it is empty now
end

-- A run in the folder `dir`, whatever the command line says, that goes on where it was by itself: of something that is
-- trained once and kept, for scripts to come.
function run.at(dir, o)
  return begin(setmetatable({
    parts = {}, part_name = false, began = drift.clock(), name = o.name, parameters = o.parameters, preset = false,
    resumed = drift.exists(dir .. "/config.json"), seed = drift.seed(), dir = dir, resume_dir = run.latest or false,
    records = {}, config = about(o.name, o, drift.seed()),
  }, meta))
end

function methods:path(file) return self.dir .. "/" .. file end

function methods:save_config()
  drift.write_file(self:path "config.json", drift.json.encode(self.config, { indent = 2 }) .. "\n")
end

-- Adds to config.json, e.g. the data set's hash or the network's description.
function methods:describe(key, value)
  self.config[key] = value
  self:save_config()
end

-- One line of metrics.jsonl. Lines are kept and the file is written by flush(), whole: a reader never sees half a line.
function methods:log(record)
  local kept = {}
  for key, value in pairs(record) do kept[key] = value end
  self.records[#self.records + 1], line_of[kept] = kept, drift.json.encode(kept)
end

-- Before each checkpoint, which counts the lines: a kill between the two leaves more lines than it counts, never fewer.
function methods:flush()
  local lines = {}
  for i, record in ipairs(self.records) do lines[i] = line_of[record] .. "\n" end
  drift.write_file(self:path "metrics.jsonl", table.concat(lines))
end

-- Between checkpoints, for those who watch (drift watch): every two seconds, unless that would take more than a 400th of
-- the time. Where it fails, the flush that comes before the next checkpoint says so.
function methods:flush_while_training()
  local before = drift.clock()
  if before < (rawget(self, "flush_at") or 0) then return end
  pcall(self.flush, self)
  self.flush_at = before + math.max(2, 400 * (drift.clock() - before))
end

-- On resuming, the lines that the checkpoint counts stay as they are; what was logged after it will come again.
function methods:restore_log(lines)
  local path = self:path "metrics.jsonl"
  self.records = {}
  for line in drift.read_file(path):gmatch "[^\n]+" do
    if #self.records == lines then break end
    local ok, record = pcall(drift.json.decode, line)
    if not ok or type(record) ~= "table" then drift.fail("%s: line %d is not a record", path, #self.records + 1) end
    self.records[#self.records + 1], line_of[record] = record, line
  end
  if #self.records < lines then
    drift.fail("%s: has %d lines, but the checkpoint counts %d; it was changed since", path, #self.records, lines)
  end
end

-- What other programs read, derived from metrics.jsonl and the pictures (see drift.tensorboard). Of a run without
-- records and pictures: nothing.
function methods:export(pictures)
  if #self.records > 0 then drift.metrics_csv(self) end
  local any = #self.records > 0
  for _, file in ipairs(drift.files(self.dir)) do any = any or file:find "%.png$" ~= nil end
  if any then drift.tensorboard(self, { pictures = pictures }) end
end

-- After an epoch, unless that would take more than a fiftieth of a long run's time; a training's end exports anyway.
function methods:export_while_training()
  local before = drift.clock()
  if before < (rawget(self, "export_at") or 0) then return end
  self:export "epochs"
  self.export_at = drift.clock() + 50 * (drift.clock() - before)
end

function methods:figure(name, picture)
  local path = self:path(name .. ".png")
  drift.png(picture, path)
  return path
end

-- What the terminal shows of them while training goes on (drift.dashboard): images [N,C,H,W] in [0,1].
function methods:last_samples(images)
  if drift.isatty "stderr" then self.samples_shown = require "drift.dashboard.thumbnails".of(images) end
end

-- One of several trainings of this experiment: a run in a folder below, with its own losses and checkpoint, that goes on
-- by itself where it was when the whole is resumed. The parameters are those of the experiment.
function methods:part(name)
  if type(name) ~= "string" or not name:find "^[%w_%-]+$" then
    drift.fail("run:part: a name is made of letters, digits, _ and -, not '%s'", tostring(name))
  end
  for _, part in ipairs(self.parts) do
    if part.part_name == name then drift.fail("run:part: there is a part '%s' already", name) end
  end
  local dir = self:path(name)
  local part = setmetatable({
    parts = {}, part_name = name, began = drift.clock(),
    name = ("%s, %s"):format(self.name, name), parameters = self.parameters, preset = self.preset, seed = self.seed,
    resumed = self.resumed and drift.exists(dir .. "/config.json"), dir = dir, resume_dir = self.resume_dir,
    records = {}, lines = {}, config = {},
  }, meta)
  for key, value in pairs(self.config) do part.config[key] = value end
  part.config.name = part.name
  prepare(part)
  if not part.resumed then
    part:save_config()
    part:flush()
  end
  self.parts[#self.parts + 1] = part
  return part
end

-- What the parameter `key` names among the choices: run:choice("network", { plain = ..., improved = ... }).
function methods:choice(key, choices)
  local names = {}
  for name in pairs(choices) do names[#names + 1] = name end
  table.sort(names)
  local value = self[key]
  if choices[value] ~= nil then return choices[value] end
  local near = drift.nearest(tostring(value), names)
  drift.fail("%s = %s is not one of %s%s", key, tostring(value), table.concat(names, ", "),
    near and ("; did you mean '" .. near .. "'?") or "")
end

-- The mean loss of the last epoch, and its number; nil before the first.
function methods:final_loss()
  for i = #self.records, 1, -1 do
    if self.records[i].epoch_loss then return self.records[i].epoch_loss, self.records[i].epoch end
  end
end

local function duration(seconds)
  local s = math.floor(seconds + 0.5)
  if s < 60 then return ("%d s"):format(s) end
  if s < 3600 then return ("%d min %d s"):format(s // 60, s % 60) end
  return ("%d h %d min"):format(s // 3600, s % 3600 // 60)
end

run.duration = duration

-- The end of a script: writes what is left to write, says the final loss, the wall time and where everything is;
-- config.json gets them too.
function methods:finish()
  local seconds = drift.clock() - self.began
  local results = { seconds = seconds }
  for _, run in ipairs { self, table.unpack(self.parts) } do
    local loss, epoch = run:final_loss()
    if loss then
      self:say("%s: final loss %.4f (mean of epoch %d)", run.name, loss, epoch)
      results[run.part_name and "final_loss_" .. run.part_name or "final_loss"] = loss
    end
    if #run.records > 0 or not drift.exists(run:path "metrics.jsonl") then run:flush() end
    run:export "all"
  end
  self:describe("results", results)
  self:say("wall time %s%s; everything is in %s", duration(seconds), self.resumed and " since resuming" or "", self.dir)
end

function methods:say(format, ...) drift.note(format, ...) end

return run
