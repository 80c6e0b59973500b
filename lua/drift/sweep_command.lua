-- drift sweep SCRIPT key=a,b,c ...: a grid of a script's parameters, each point a variant, with the same seeds.
--   drift sweep experiments/mnist_flow.lua preset=smoke lr=1e-3,3e-4 hidden=8,16 seed=1..3
--   key=a,b       values of a parameter;  key=1..4 counts;  key={1,5},{2,4}: lists are in braces (quote them);
--                 a key with one value is the same in every point
--   seed=1..3     the seeds of every point (default 1..3)
--   --baseline "lr=1e-3 hidden=8"    with which the others are compared (default: the first point)
--   --match params=0.1               budgets that must agree, else nothing is run: steps, params, flops, memory
--   --jobs N      so many at once      --out DIR      --resume DIR: goes on with it, without further arguments
-- Every point is the script run as it stands, in a process of its own. What is compared is what its folder then holds:
-- evaluation.json, the losses, samples (docs/comparing.md).
local drift = require "drift"
local scripts = require "drift.compare.scripts"
local options = require "drift.compare.options"
local grid = require "drift.compare.grid"

return function(...)
  local arguments = scripts.recall("sweep", { ... })
  local script = arguments[1]
  if not script then drift.fail "sweep which script?  drift sweep SCRIPT key=a,b,c ..." end
  if not drift.exists(script) then drift.fail("%s: there is no such script", script) end
  if drift.set.seed and drift.options.seed then drift.fail "give --seed, or seed=...: both say the seeds" end
  local order = {}
  for _, key in ipairs(drift.set_order) do
    if key ~= "seed" then order[#order + 1] = key end
  end
  local variants = grid(order, drift.set)
  for _, variant in ipairs(variants) do variant.script = script end
  local name = script:gsub("^.*/", ""):gsub("%.lua$", "") .. "_sweep"
  local o = { command = "sweep", name = name, script = script, variants = variants, question = options.question(script),
              seeds = scripts.seeds(drift.set.seed or drift.options.seed and tostring(drift.options.seed)),
              match = scripts.match(drift.options.sweep.match),
              baseline = scripts.baseline(variants, drift.options.sweep.baseline) }
  o.dir, o.is_new = scripts.folder("sweep", name, arguments)
  drift.note("%d points, %d seed%s: %d runs", #variants, #o.seeds, #o.seeds == 1 and "" or "s", #variants * #o.seeds)
  scripts.compare(o)
end
