-- my_time_sampling.lua: training times crowded toward one end of what the process trains on.
--   t = process's draw of u^power,  u uniform in [0,1)
local drift = require "drift"

drift.define.time_sampling {
  name = "my_time_sampling", doc = "Times crowded toward one end",
  params = { { "power", "real", default = 2, min = 0.05, max = 20, doc = "1: the process's own times; above 1: more near its draw of 0" } },
  draw = function(self, process, u) return process:draw_t(u ^ self.power) end,
}
