-- training_costs.lua: a script that is to be a variant as it stands is run up to its training, which is described here
-- in place of beginning: variant.json in the run's folder; then the process ends.
--   training_costs(options, o, net)          drift.train's options as given, and as it understood them; the network
-- A training of something that the script keeps elsewhere (a classifier, a generator) goes on as ever.
local drift = require "drift"
local run_directory = require "drift.run"
local config = require "drift.compare.config"
local tree = require "drift.compare.tree"
local costs_of = require "drift.compare.costs"

local function is_of_the_script(run)
  local current = run_directory.current
  if run == current then return true end
  for _, part in ipairs(current and current.parts or {}) do
    if run == part then return true end
  end
  return false
end

return function(options, o, net)
  if not is_of_the_script(options.run) then return end
  local info = drift.instance(options.data, "dataset").train.info
  local about = costs_of {
    model = net, data = options.data, process = options.process, loss = options.loss, optim = options.optim,
    p_uncond = o.p_uncond,
    ema = #o.ema > 0 and o.ema or nil, time_sampling = o.time_sampling, weighting = o.weighting, coupling = o.coupling,
    epochs = o.epochs, batch = o.batch, steps = o.steps, shape = { info.channels, info.height, info.width },
    classes = info.classes > 0 and info.classes or nil }
  about.config, about.tree, about.params = config.of_run(options.run.config), tree(net), net:count()
  drift.write_file(run_directory.current:path "variant.json", drift.json.encode(about, { indent = 2 }) .. "\n")
  os.exit(0, true)
end
