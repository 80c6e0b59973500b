-- t5.lua: kind t5_encoder: the encoder in the file's neighbour folder `model` (config.json, model.safetensors), what
-- comes out of each of its blocks, and the buckets of relative positions. Run by parity.c, once for each such file.
local drift = require "drift"
local run = assert(loadfile(drift.home .. "/tests/parity/check.lua", "t"))()

local path = os.getenv "DRIFT_PARITY_FILE" or drift.fail "DRIFT_PARITY_FILE must name a file"
local folder = (path:match "^(.*/)" or "./") .. drift.open(path).metadata.model

run(function(check)
  local net = drift.build(drift.models.t5_encoder { config = folder .. "/config.json" }, { weights = folder })
  for n = 0, 99 do
    local case = ("c%d."):format(n)
    if not check:any(case) then break end
    local last = net(check:input(case .. "in.ids", "i32"), {
      mask = check:input(case .. "in.mask", "f32"),
      watch = function(name, tensor) check:compare(tensor, case .. "out." .. name) end })
    check:compare(last, case .. "out.last")
  end
  local ids = {}
  for i, r in ipairs(check:input "bucket.rel":totable()) do ids[i] = net:bucket(r) end
  check:compare(drift.tensor(ids, "i32"), "bucket.id")
end)
