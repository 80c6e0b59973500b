-- read_metrics.lua: the records of a run's metrics.jsonl, in their order:  drift.read_metrics "runs/mnist_flow"
--   drift.read_metrics(folder, { unfinished = true })    a last line without an end that is no record is passed over: for
--                                                        folders that another program is copying here at this moment
local core = require "drift.core"

return function(folder, o)
  local path, records = folder .. "/metrics.jsonl", {}
  if not core.exists(path) then core.fail("%s: no metrics.jsonl there, so it is not the folder of a run", folder) end
  for line, ended in core.read_file(path):gmatch "([^\n]+)(\n?)" do
    local ok, record = pcall(core.json.decode, line)
    if not ok or type(record) ~= "table" then
      if ended == "" and o and o.unfinished then break end
      core.fail("%s: line %d is not a record", path, #records + 1)
    end
    records[#records + 1] = record
  end
  return records
end
