-- report.lua: the end of a comparison: the files for people, the table in the terminal, and the object that scripts get.
--   local report = finish(plan)
--     report.text, .dir, .comparison; report.metrics.frechet.values.add[1]; report.paired.frechet.add.difference
--     report:save(dir)        the report's files and comparison.json again, in another folder
local drift = require "drift"
local folder = require "drift.compare.folder"
local text_of = require "drift.compare.text"

local methods = {}
local meta = { __name = "drift.comparison", __index = methods, __tostring = function(self) return self.text end }

local function files(dir, out)
  if drift.exists(drift.home .. "/lua/drift/report/init.lua") then
    drift.report(dir, out and { out = out } or nil)
    return true
  end
  return false
end

-- Where cells lie elsewhere, their paths are said from there.
function methods:save(dir)
  if type(dir) ~= "string" or dir == "" then drift.fail("report:save takes a folder, not %s", drift.type(dir)) end
  if (dir:gsub("/+$", "")) == self.dir then return self end
  drift.mkdir(dir)
  drift.write_file(dir .. "/comparison.json", drift.json.encode(self.comparison, { indent = 2 }) .. "\n")
  files(self.dir, dir)
  return self
end

-- The files that say what is known so far, without a word.
local function write(plan)
  local comparison = folder.write(plan)
  return comparison, files(plan.dir)
end

return {
  write = write,
  finish = function(plan)
    local comparison, reported = write(plan)
    local metrics, paired = {}, {}
    for _, metric in ipairs(comparison.metrics) do
      metrics[metric.name], paired[metric.name] = metric, metric.paired
    end
    local self = setmetatable({ dir = plan.dir, comparison = comparison, text = text_of(comparison), metrics = metrics,
                                paired = paired, verdict = comparison.verdict }, meta)
    for line in (self.text .. "\n"):gmatch "([^\n]*)\n" do drift.note("%s", line) end
    drift.note("everything is in %s%s", plan.dir, reported and (": open %s/report.html"):format(plan.dir) or "")
    return self
  end,
}
