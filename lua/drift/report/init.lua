-- report: what a comparison found, for people and for programs, from its folder (or a run's), at any moment:
--   drift.report(dir [, { out = dir, quiet = false }]) -> path of the page
-- Writes, into `out`:
--   report.html    one file that needs nothing else: curves, tables, pictures, and the verdict (page.lua)
--   report.md      the same as Markdown
--   results.csv    every number: metric, variant, seed, value, low, high;  summary.csv: means and paired differences
local drift = require "drift"
local csv = require "drift.report.csv"
local data_of = require "drift.report.data"
local markdown = require "drift.report.markdown"
local page = require "drift.report.page"

return function(dir, o)
  o = drift.accept("report", o or {}, {}, { "out", "quiet" })
  local data, comparison = data_of(dir)
  local out = o.out or dir
  drift.mkdir(out)
  local results, summary = csv(comparison)
  drift.write_file(out .. "/report.html", page(data))
  drift.write_file(out .. "/report.md", markdown(data))
  drift.write_file(out .. "/results.csv", results)
  drift.write_file(out .. "/summary.csv", summary)
  for _, problem in ipairs(data.problems) do drift.note("report: %s", problem) end
  if not o.quiet then drift.note("report: %s/report.html", out) end
  return out .. "/report.html"
end
