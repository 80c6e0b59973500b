-- results.lua: docs/results.md, the numbers of the experiments' quick presets with the command that made each.
--   ./drift run docs/results.lua                    makes the runs that are not in runs/results yet (about an hour on two
--                                                   cores), then writes docs/results.md from what lies there
--   ./drift run docs/results.lua --set make=false   only writes it again
local drift = require "drift"
local run = drift.experiment { folder = "runs/results", make = true, page = drift.home .. "/docs/results.md" }

-- name of the run's folder, and the script with its parameters
local RUNS = {
  { "noising", "noising.lua" },
  { "denoiser", "denoiser.lua preset=quick" },
  { "pure_noise", "denoise_pure_noise.lua preset=quick" },
  { "flow_class", "mnist_flow.lua preset=quick --set epochs=2" },
  { "ddpm_class", "ddpm_class.lua preset=quick --set epochs=2" },
  { "flow_class_improved", "mnist_flow.lua preset=quick --set epochs=2 --set network=improved" },
  { "ddpm_class_improved", "ddpm_class.lua preset=quick --set epochs=2 --set network=improved" },
  { "without_decay_flow", "without_decay.lua preset=quick" },
  { "without_decay_ddpm", "without_decay.lua preset=quick --set process=ddpm" },
  { "time_injection_flow", "time_injection.lua preset=quick" },
  { "time_injection_ddpm", "time_injection.lua preset=quick --set process=ddpm" },
  { "improved_unet", "improved_unet.lua preset=quick" },
  { "flow_time", "flow_time.lua preset=quick" },
  { "ddpm_time", "ddpm_time.lua preset=quick" },
  { "rectified_flow", "rectified_flow.lua preset=quick" },
  { "reflow", "reflow.lua preset=quick" },
  { "samplers", "samplers.lua preset=quick" },
  { "guidance", "guidance.lua preset=quick" },
  { "predictions", "predictions.lua preset=quick" },
  { "couplings", "couplings.lua preset=quick" },
  { "ema_width", "ema_width.lua preset=quick" },
  { "digits_anagram", "digits_anagram.lua preset=quick" },
  { "digits_hybrid", "digits_hybrid.lua preset=quick" },
  { "digits_inpaint", "digits_inpaint.lua preset=quick" },
  { "digits_image_to_image", "digits_image_to_image.lua preset=quick" },
}

local function command(name)
  for _, r in ipairs(RUNS) do
    if r[1] == name then return "./drift run experiments/" .. r[2] end
  end
end

local function folder(name) return run.folder .. "/" .. name end

local function is_done(name)
  local path = folder(name) .. "/config.json"
  return drift.exists(path) and drift.json.decode(drift.read_file(path)).results ~= nil      -- run:finish() was reached
end

local function make(r)
  local name, args = r[1], r[2]
  local how = drift.exists(folder(name) .. "/config.json") and " --resume " or " --out "
  run:say("%s: %s", name, command(name))
  local script, parameters = args:match "^(%S+)%s*(.*)$"
  if how == " --resume " then parameters = "" end                                            -- the run knows them
  local line = ("'%s/drift' run '%s/experiments/%s' %s%s'%s'"):format(drift.home, drift.home, script, parameters, how, folder(name))
  if not os.execute(line) then drift.fail("%s did not end well; what it made is in %s", line, folder(name)) end
end

-- ---- what a run left ------------------------------------------------------------------------------------------------
local function read_json(path) return drift.exists(path) and drift.json.decode(drift.read_file(path)) or nil end

-- final loss, training images/s, weights, evaluation of a run or a part of it
local function results_of(dir, evaluation)
  local config = read_json(dir .. "/config.json")
  if not config then return nil end
  local r = { weights = config.network and config.network.weights, steps = 0, seconds = 0 }
  for line in drift.read_file(dir .. "/metrics.jsonl"):gmatch "[^\n]+" do
    local record = drift.json.decode(line)
    if record.loss then r.steps = r.steps + 1 end
    if record.epoch_loss then r.loss, r.epochs, r.seconds = record.epoch_loss, record.epoch, r.seconds + record.seconds end
  end
  r.rate = config.training and r.seconds > 0 and r.steps * config.training.batch / r.seconds or nil
  local report = read_json(dir .. "/" .. (evaluation or "evaluation") .. ".json")
  for _, metric in ipairs(report and report.metrics or {}) do r[metric.name] = metric end
  r.sampled = report and report.images_per_second
  return r
end

local function interval(metric, format)
  if not metric then return "" end
  return (format .. " [" .. format .. ", " .. format .. "]"):format(metric.value, metric.low, metric.high)
end

local function percent(metric)
  if not metric then return "" end
  return ("%.1f%% [%.1f, %.1f]"):format(100 * metric.value, 100 * metric.low, 100 * metric.high)
end

local lines = {}
local function add(text, ...) lines[#lines + 1] = select("#", ...) > 0 and text:format(...) or text end

-- rows: { label, run, part or nil, evaluation or nil }
local function tabulate(rows)
  add "| | weights | epochs | final loss | accuracy | Frechet | precision | recall | training | sampling | run |"
  add "|---|---|---|---|---|---|---|---|---|---|---|"
  for _, row in ipairs(rows) do
    local dir = folder(row[2]) .. (row[3] and "/" .. row[3] or "")
    local r = results_of(dir, nil)
    if row[4] then                                                                           -- judged in the run's own folder
      local judged = results_of(folder(row[2]), row[4])
      for _, key in ipairs { "class_accuracy", "frechet", "precision", "recall", "sampled" } do r[key] = judged[key] end
    end
    add("| %s | %d | %d | %.4f | %s | %s | %s | %s | %.0f/s | %s | `%s` |", row[1], r.weights, r.epochs, r.loss, percent(r.class_accuracy),
      interval(r.frechet, "%.1f"), interval(r.precision, "%.2f"), interval(r.recall, "%.2f"), r.rate or 0,
      r.sampled and ("%.1f/s"):format(r.sampled) or "", row[3] and row[2] .. "/" .. row[3] or row[2])
  end
  add ""
end

-- rows: { label, run }: class accuracy and Frechet distance at each scale that was judged
local function by_guidance(rows)
  add "| | accuracy at 1 | at 2 | at 5 | Frechet at 1 | at 2 | at 5 |"
  add "|---|---|---|---|---|---|---|"
  for _, row in ipairs(rows) do
    local accuracy, frechet = {}, {}
    for i, name in ipairs { "evaluation_gamma_1", "evaluation_gamma_2", "evaluation" } do
      local r = results_of(folder(row[2]), name)
      accuracy[i], frechet[i] = percent(r.class_accuracy), interval(r.frechet, "%.1f")
    end
    add("| %s | %s | %s |", row[1], table.concat(accuracy, " | "), table.concat(frechet, " | "))
  end
  add ""
end

local function page()
  local config = read_json(folder "flow_class" .. "/config.json")
  local classifier = drift.open(drift.home .. "/lua/drift/models/digit_classifier.safetensors").metadata
  add "# Results of the quick presets\n"
  add("Made by `./drift run docs/results.lua` on %s. Each line names its run;", config.device.description)
  add "the command of each is below. The loss is the mean of the last epoch. Frechet distance, precision and recall are in the"
  add("features of the classifier that is shipped (its accuracy: %s),", classifier.accuracy or classifier.test_accuracy or "?")
  add "against the test set; accuracy is the share of samples that it takes for their class. In brackets: 95% bootstrap"
  add "intervals over the samples of one training, which say nothing of other seeds. Frechet distances are biased upwards with"
  add "few samples, so compare only those of the same number: 500 here unless a line says 1000. Training and sampling are in"
  add "images a second, and only roughly comparable: the machine was not always idle, least of all during the first table. What"
  add "the models learn in one or two epochs is far from converged.\n"

  add "## Class-conditional, guidance 5 (spec B4)\n"
  tabulate {
    { "flow matching, plain UNet", "flow_class" }, { "flow matching, improved UNet", "flow_class_improved" },
    { "DDPM, plain UNet", "ddpm_class" }, { "DDPM, improved UNet", "ddpm_class_improved" } }
  add "The same networks by the scale of guidance:\n"
  by_guidance { { "flow matching, plain UNet", "flow_class" }, { "flow matching, improved UNet", "flow_class_improved" },
                { "DDPM, plain UNet", "ddpm_class" }, { "DDPM, improved UNet", "ddpm_class_improved" } }
  add "At 1, which is the class without guidance, the improved UNet is the better one; 5 is more than it needs.\n"
  add "## With and without the decay of the learning rate (spec B4)\n"
  tabulate {
    { "flow matching, Adam 1e-3 with decay", "without_decay_flow", "decay" },
    { "flow matching, AdamW 1e-4 constant", "without_decay_flow", "constant" },
    { "DDPM, Adam 1e-3 with decay", "without_decay_ddpm", "decay" }, { "DDPM, AdamW 1e-4 constant", "without_decay_ddpm", "constant" } }
  add "## Time added or scaling, no class (spec B2, B3)\n"
  tabulate {
    { "flow matching, time added", "time_injection_flow", "add" }, { "flow matching, time scales", "time_injection_flow", "scale" },
    { "DDPM, time added", "time_injection_ddpm", "add" }, { "DDPM, time scales", "time_injection_ddpm", "scale" } }
  local nll = read_json(folder "flow_time" .. "/likelihood.json")
  add("Likelihood of %d test digits by the flow with time added (run `flow_time`): %s bits a pixel, through the ODE with", nll.n,
    interval(nll, "%.2f"))
  add("Hutchinson's estimator, %d Heun steps (Grathwohl et al. 2019).\n", nll.steps)
  add "## Plain and improved UNet, time only, 1000 samples (spec B5)\n"
  tabulate {
    { "plain", "improved_unet", "plain", "evaluation_plain" }, { "improved", "improved_unet", "improved", "evaluation_improved" } }
end

local function few_steps(title, run_name, rows, steps, note)
  add("## %s\n", title)
  local head = {}
  for i, n in ipairs(steps) do head[i] = ("%d steps"):format(n) end
  add("| | %s |", table.concat(head, " | "))
  add("|---|%s", ("---|"):rep(#steps))
  for _, row in ipairs(rows) do
    local cells = {}
    for i, n in ipairs(steps) do
      cells[i] = interval(results_of(folder(run_name), ("evaluation_%s_%d"):format(row[1], n)).frechet, "%.0f")
    end
    add("| %s | %s |", row[2], table.concat(cells, " | "))
  end
  add("\n%s\n", note)
end

local function reflow()
  local straight = read_json(folder "reflow" .. "/config.json").straightness
  local parts = {}
  for i, name in ipairs { "first", "reflow" } do parts[i] = interval(straight[name].straightness, "%.4f") end
  few_steps("Reflow, time only: Frechet distance by Euler steps (spec B5)", "reflow",
    { { "first", "flow matching" }, { "reflow", "after reflow" } }, { 1, 2, 4, 50 },
    ("1000 samples each. Straightness, 0 where paths are straight (Liu et al. 2023), of 256 paths: %s before, %s after."):format(
      parts[1], parts[2]))
end

local function samplers()
  local results = read_json(folder "samplers" .. "/config.json").samplers
  local order, cells, calls = {}, {}, {}
  for _, r in ipairs(results) do
    if not cells[r.sampler] then
      cells[r.sampler] = {}
      order[#order + 1] = r.sampler
    end
    table.insert(cells[r.sampler], ("%.0f [%.0f, %.0f]"):format(r.frechet, r.low, r.high))
    if #order == 1 then calls[#calls + 1] = ("%d calls"):format(r.calls) end
  end
  add("## Samplers of one DDPM, time only: Frechet distance of %d samples by model calls\n", results[1].n)
  add("| | %s |", table.concat(calls, " | "))
  add("|---|%s", ("---|"):rep(#calls))
  for _, name in ipairs(order) do add("| `%s` | %s |", name, table.concat(cells[name], " | ")) end
  add ""
end

local function guidance()
  add "## Rules of guidance, class-conditional flow\n"
  add "| | accuracy | Frechet | precision | recall |"
  add "|---|---|---|---|---|"
  for i, name in ipairs { "none", "classifier-free", "classifier-free, in an interval", "classifier-free, rescaled", "autoguidance" } do
    local r = results_of(folder "guidance", "evaluation_" .. i)
    add("| %s | %s | %s | %s | %s |", name, percent(r.class_accuracy), interval(r.frechet, "%.1f"),
      interval(r.precision, "%.2f"), interval(r.recall, "%.2f"))
  end
  add ""
end

local function ema_width()
  local list = read_json(folder "ema_width" .. "/config.json").widths
  add "## Width of the average of weights (post hoc), time only flow: Frechet distance\n"
  local head, cells = {}, {}
  for i, r in ipairs(list) do head[i], cells[i] = r.width, ("%.1f [%.1f, %.1f]"):format(r.frechet, r.low, r.high) end
  add("| %s |", table.concat(head, " | "))
  add("|%s", ("---|"):rep(#head))
  add("| %s |\n", table.concat(cells, " | "))
end

local function shares(title, rows)
  add("| %s |", title)
  add("|%s", ("---|"):rep(select(2, title:gsub("|", "")) + 1))
  for _, row in ipairs(rows) do
    local cells = {}
    for i = 2, #row do cells[i - 1] = type(row[i]) == "table" and row[i].text or row[i] end
    add("| %s | %s |", row[1], table.concat(cells, " | "))
  end
  add ""
end

-- The scripts' edits of digits, each beside what there is to reach and what comes for nothing (decision 23).
local function digits()
  local judged = {}
  for _, name in ipairs { "anagram", "hybrid", "inpaint", "image_to_image" } do
    judged[name] = read_json(folder("digits_" .. name) .. "/config.json").judged
  end
  local a, h, p = judged.anagram, judged.hybrid, judged.inpaint
  add "## Edits of digits (spec A), read by the classifier\n"
  add "One flow of 32 channels, trained on 120000 images. In brackets Wilson's 95% intervals. What was chosen (guidance,"
  add "the blur, the two digits) was chosen on other seeds. An anagram of 6 and 9 under rotation by 180 degrees:\n"
  shares("| upright read as 6 | turned read as 9 | both", {
    { "anagrams", a.anagram.upright, a.anagram.turned, a.anagram.both },
    { "plain sixes", a.plain_6.upright, a.plain_6.turned, a.plain_6.both },
    { "plain nines", a.plain_9.upright, a.plain_9.turned, a.plain_9.both } })
  add("So a plain six is an anagram already. Of every pair of digits, both are read in %s.\n", a.every_pair.text)
  add "A hybrid, 6 from afar and 5 near by. The classifier is shown the blurred picture (Gaussian, 1.75 pixels), and twice"
  add "what the blur takes away:\n"
  shares("| blurred read as 6 | detail read as 5 | both", {
    { "hybrids", h.hybrid.far, h.hybrid.near, h.hybrid.both },
    { "plain sixes", h.plain_6.far, h.plain_6.near, h.plain_6.both },
    { "plain fives", h.plain_5.far, h.plain_5.near, h.plain_5.both }, { "real sixes", h.real.blurred.far, "", "" },
    { "real fives", "", h.real.detail.near, "" } })
  add("Real digits of all classes are named in %s when blurred,", h.real.blurred.all.text)
  add("by their detail in %s; hybrids of every pair are read both ways in %s.\n", h.real.detail.all.text,
    h.every_pair.text)
  add "The lower half of test digits hidden:\n"
  shares("| right class | known pixels at most off by", {
    { "the known half alone", p.known.right, "" }, { "class given", p.class.right, ("%g"):format(p.class.known_off) },
    { "class given, known pixels clean", p.class_clean.right, ("%g"):format(p.class_clean.known_off) },
    { "class given, resampled 3 times", p.class_resampled.right, ("%g"):format(p.class_resampled.known_off) },
    { "no class", p.no_class.right, ("%g"):format(p.no_class.known_off) },
    { "no class, resampled 3 times", p.no_class_resampled.right, ("%g"):format(p.no_class_resampled.known_off) } })
  add "Image to image from a drawn 3, 25 steps: root mean squared difference from the drawing, and the share read as 3:\n"
  local rows = {}
  for i, at in ipairs(judged.image_to_image.class.starts) do
    rows[i] = { ("from %d"):format(at.start) }
    for _, key in ipairs { "class", "no_class", "other" } do
      local r = judged.image_to_image[key].starts[i]
      table.insert(rows[i], ("%s; %.0f%%"):format(interval(r.distance, "%.3f"), 100 * r.class.value))
    end
  end
  shares("start index | as a 3 | no class | as an 8", rows)
end

local function others()
  add "## Denoisers, and rectified flow written by hand (spec B1, B5)\n"
  add "| | final loss | run |"
  add "|---|---|---|"
  for _, row in ipairs { { "single-step denoiser, sigma 0.5", "denoiser" }, { "denoiser of pure noise", "pure_noise" },
                         { "DDPM by hand", "rectified_flow/ddpm" }, { "rectified flow by hand", "rectified_flow/rectified_flow" } } do
    add("| %s | %.4f | `%s` |", row[1], results_of(folder(row[2])).loss, row[2])
  end
  add "\n## Commands\n"
  add "The class-conditional runs were resumed once, to judge two more scales of guidance; their time is that of both sittings."
  add "The edits of digits were made on a busy machine; the time of the first has the training of the model in it.\n"
  add "| run | command | wall time |"
  add "|---|---|---|"
  for _, r in ipairs(RUNS) do
    local config = read_json(folder(r[1]) .. "/config.json")
    add("| `%s` | `%s` | %.0f s |", r[1], command(r[1]), config.results.seconds)
  end
end

for _, r in ipairs(RUNS) do
  if run.make and not is_done(r[1]) then make(r) end
end
page()
reflow()
add "## What the network predicts, DDPM, time only, 50 steps of DDIM\n"
add "| | final loss | Frechet | precision | recall |"
add "|---|---|---|---|---|"
for _, row in ipairs { { "eps", "eps" }, { "x0", "x0" }, { "v", "v" }, { "v, min-SNR weights", "v_min_snr" } } do
  local r = results_of(folder "predictions" .. "/" .. row[2])
  add("| %s | %.4f | %s | %s | %s |", row[1], r.loss, interval(r.frechet, "%.1f"), interval(r.precision, "%.2f"),
    interval(r.recall, "%.2f"))
end
add "\nLosses of different predictions are not comparable; the run's `noise_levels.svg` has errors that are.\n"
samplers()
guidance()
few_steps("Couplings, time only flow: Frechet distance by Euler steps", "couplings",
  { { "independent", "independent" }, { "ot", "minibatch optimal transport" } }, { 2, 4, 8, 50 }, "500 samples each.")
ema_width()
digits()
others()
drift.write_file(run.page, table.concat(lines, "\n") .. "\n")
run:say("wrote %s", run.page)
