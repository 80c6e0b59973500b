-- methods.lua: the two ways of part B to make digits of noise, with the numbers of the spec, for scripts that try both.
--   local method = run:choice("process", drift.methods { steps = 50 })     -- process=flow or process=ddpm
--   method.title, method.process, method.sampler                             flow: Euler's `steps`; ddpm: all 300 steps
local drift = require "drift"

return function(o)
  drift.accept("methods", o, { "steps" })
  return {
    flow = { title = "flow matching", process = drift.process.flow_matching {},
             sampler = drift.sampler.euler { steps = o.steps } },
    ddpm = { title = "DDPM", process = drift.process.ddpm { T = 300 }, sampler = drift.sampler.ddpm { steps = 0 } },
  }
end
