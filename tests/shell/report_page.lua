-- report_page.lua: the folders that report_page.py looks at in a browser, and their reports.
local drift = require "drift"
local make = require "comparison_folder"

local none = { samples = false, trajectories = false, noise_levels = false, cost_quality = false }

local function with(a, b)
  local all = {}
  for _, t in ipairs { a, b } do
    for key, value in pairs(t) do all[key] = value end
  end
  return all
end

make("full")
make("plain_colours", { hostile = false, failed = false, seeds = 2, channels = 3 })
make("one_variant", with(none, { variants = 1, seeds = 1, statistics = false, failed = false }))
make("one_step", with(none, { variants = 2, seeds = 1, steps = 1, failed = false }))
make("nothing_kept", with(none, { steps = 30 }))
make("twelve", { variants = 12, seeds = 2, pictures = 12, steps = 5000 })

-- A comparison that has only begun: no cell is there.
local begun = drift.json.decode(drift.read_file "one_variant/comparison.json")
begun.metrics, begun.verdict, begun.variants[1].cells = drift.json.array {}, nil, drift.json.array {}
drift.mkdir "begun"
drift.write_file("begun/comparison.json", drift.json.encode(begun))

-- Files that a full disk or another program has left broken.
make("broken", { seeds = 1, failed = false })
drift.write_file("broken/variant_1/seed_1/metrics.jsonl", "{ not json\n")
drift.write_file("broken/variant_2/seed_1/noise_levels.json", "[ 1, 2, { \"t\": 0.5 } ]")
drift.write_file("broken/variant_2/seed_1/samples.safetensors", "short")
drift.write_file("broken/variant_3/seed_1/cost_quality.json", "{ \"steps\": 3 }")

-- Two runs' folders, which report_page.sh also compares.
for i, dir in ipairs { "run", "other_run" } do
  drift.mkdir(dir)
  for _, file in ipairs { "metrics.jsonl", "samples.safetensors", "trajectory.safetensors", "noise_levels.json" } do
    drift.write_file(dir .. "/" .. file, drift.read_file(("full/variant_%d/seed_1/%s"):format(i, file)))
  end
  drift.write_file(dir .. "/config.json", drift.json.encode {
    name = "a run", seed = 1, drift = drift.version, parameters = { hidden = 8 * i }, network = { weights = 11203 },
    training = { batch = 64 }, results = { seconds = 61 }, script = { path = "experiments/mnist_flow.lua" } })
  drift.write_file(dir .. "/evaluation.json", drift.json.encode { n = 100, metrics = {
    { name = "class_accuracy", value = 0.8732, low = 0.8511, high = 0.8904, better = "higher" },
    { name = "frechet", value = 12.3456789 / i, low = 11.9 / i, high = 12.9 / i, better = "lower" } } })
end

for _, dir in ipairs { "full", "plain_colours", "one_variant", "one_step", "nothing_kept", "twelve", "begun", "broken", "run" } do
  drift.report(dir, { quiet = true })
end

local data = require "drift.report.data" "full"
local page = require "drift.report.page"
drift.mkdir "live"
drift.write_file("live/index.html", page(data, { live = true }))
drift.write_file("live/data.json", drift.json.encode(data))
