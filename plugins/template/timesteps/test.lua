-- test.lua: the grid is its equation's, and on a chain it is of whole steps that never repeat. make test
local drift = require "drift"
local function net(x) return x end

local sampler = drift.sampler.euler { steps = 4, timesteps = drift.timesteps.my_timesteps { power = 2 } }
local grid = drift.model(drift.process.flow_matching {}, net):grid(sampler)    -- from 0, noise, to 1, data
for i = 0, 4 do assert(math.abs(grid[i + 1] - (1 - (1 - i / 4) ^ 2)) < 1e-12, grid[i + 1]) end

for _, n in ipairs { 1, 7, 90, 100 } do
  local ddim = drift.sampler.ddim { steps = n, timesteps = drift.timesteps.my_timesteps { power = 3 } }
  local chain = drift.model(drift.process.ddpm { T = 100 }, net):grid(ddim)
  assert(chain[1] == 100 and chain[n + 1] == 0)
  for i = 1, n do assert(chain[i] == math.floor(chain[i]) and chain[i] > chain[i + 1], "not a way down") end
end
print "test.lua: all is well"
