-- report.lua: the end of a comparison: the files for people, the table in the terminal, and what scripts get.
--   local report = finish(plan)
--     report.text, .dir, .comparison; report.metrics.frechet.values.add[1]; report.paired.frechet.add.difference
--     report:save(dir)        the report's files and comparison.json again, in another folder
local drift = require "drift"
local run_directory = require "drift.run"
local folder = require "drift.compare.folder"
local text_of = require "drift.compare.text"

local methods = {}
local meta = { __name = "drift.comparison", __index = methods, __tostring = function(self) return self.text end }

function methods:save(dir)
  if type(dir) ~= "string" or dir == "" then drift.fail("report:save takes a folder, not %s", drift.type(dir)) end
  if (dir:gsub("/+$", "")) == self.dir then return self end
  drift.mkdir(dir)
  drift.write_file(dir .. "/comparison.json", drift.json.encode(self.comparison, { indent = 2 }) .. "\n")
  drift.report(self.dir, { out = dir, quiet = true })
  return self
end

-- Where all have failed there is no result, and a script should not go on as if.
local function check_any_done(plan)
  for _, cell in ipairs(plan.cells) do
    if cell.status == "done" then return end
  end
  drift.fail("all %d cells of the comparison failed: %s", #plan.cells, tostring(plan.cells[1].error))
end

return function(plan)
  local comparison = folder.write(plan)
  drift.report(plan.dir, { quiet = true })
  local metrics, paired = {}, {}
  for _, metric in ipairs(comparison.metrics) do
    metrics[metric.name], paired[metric.name] = metric, metric.paired
  end
  local self = setmetatable({ dir = plan.dir, comparison = comparison, text = text_of(comparison), metrics = metrics,
                              paired = paired, verdict = comparison.verdict }, meta)
  for line in (self.text .. "\n"):gmatch "([^\n]*)\n" do drift.note("%s", line) end
  local time = plan.made.seconds and ("wall time %s; "):format(run_directory.duration(plan.made.seconds)) or ""
  drift.note("%severything is in %s: open %s/report.html", time, plan.dir, plan.dir)
  check_any_done(plan)
  return self
end
