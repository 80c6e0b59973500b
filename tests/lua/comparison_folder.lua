-- comparison_folder.lua: a comparison's folder as drift.compare leaves it, made up, for the tests of its report:
--   comparison_folder(dir, { variants = 3, seeds = 3, steps = 400, hostile = true, failed = true, samples = true,
--     trajectories = true, noise_levels = true, cost_quality = true, statistics = true, pictures = 20, channels = 1 })
-- Losses fall as losses do, pictures are blobs that differ a little from variant to variant, values are where one would
-- expect them. Variant 3 is called `<b>&"'` if hostile; its last seed failed, and one value of variant 2 is no number.
local drift = require "drift"

local SIZE <const> = 28
local NAMES <const> = { "scale", "film", '<b>&"\'', "add", "adagn", "cross_attention", "concat", "gated", "none", "twice", "late",
  "early" }
local LABELS <const> = { "scale", "FiLM", '<b>&"\' </script><script>window.hostile = 1</script>', "add", "AdaGN",
  "cross-attention", "concatenated at the input", "gated", "none", "twice", "late", "early" }

local function folder_name(i) return "variant_" .. i end

local function json(path, value) drift.write_file(path, drift.json.encode(value, { indent = 2 }) .. "\n") end

local function normal()
  return math.sqrt(-2 * math.log(1 - math.random())) * math.cos(2 * math.pi * math.random())
end

local function losses(path, i, seed, o, failed)
  local lines, sum = {}, 0
  local last = failed and o.steps // 3 or o.steps
  for step = 1, last do
    local loss = (0.9 / (1 + step / 12) + 0.05 - 0.003 * i) * (1 + 0.08 * normal()) + 0.002 * seed
    if failed and step == last then loss = 0 / 0 end
    sum = sum + loss
    lines[#lines + 1] = drift.json.encode { step = step, epoch = 1, loss = loss, lr = 1e-3 }
  end
  lines[#lines + 1] = not failed and drift.json.encode { step = last, epoch = 1, epoch_loss = sum / last, seconds = 12.5 } or nil
  drift.write_file(path, table.concat(lines, "\n") .. "\n")
  return sum / last
end

-- A bright disc whose place and size are picture k's, drawn a little otherwise by each variant.
local function blob(k, i, seed, noise)
  local cx, cy = 8 + (k * 5 + seed) % 13, 8 + (k * 3) % 12
  local radius, rows = 4 + k % 4 + 0.5 * i, {}
  for y = 0, SIZE - 1 do
    local row = {}
    for x = 0, SIZE - 1 do
      local d = math.sqrt((x - cx) ^ 2 + (y - cy) ^ 2) - radius
      local value = 1 / (1 + math.exp(d))
      row[x + 1] = (1 - noise) * value + noise * (0.5 + 0.5 * math.sin(12.9 * x + 78.2 * y + k))
    end
    rows[y + 1] = row
  end
  return { rows }
end

local function pictures(dir, i, seed, o)
  if o.samples then
    local images, labels = {}, {}
    for k = 1, o.pictures do
      images[k], labels[k] = blob(k, i, seed, 0), (k - 1) % 10
      for c = 2, o.channels do images[k][c] = blob(k + c, i, seed, 0)[1] end
    end
    drift.save_tensors(dir .. "/samples.safetensors", { images = drift.tensor(images), labels = drift.tensor(labels, "i32") })
  end
  if o.trajectories then
    local frames, t = {}, {}
    for f = 1, 6 do
      frames[f], t[f] = {}, (f - 1) / 5
      for k = 1, 4 do frames[f][k] = blob(k, i, seed, 1 - t[f]) end
    end
    drift.save_tensors(dir .. "/trajectory.safetensors", { frames = drift.tensor(frames), t = drift.tensor(t) })
  end
end

local function curves(dir, i, o)
  if o.noise_levels then
    local levels = {}
    for k, ratio in ipairs { 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10 } do
      local loss = (0.02 + 0.3 * ratio / (1 + ratio)) * (1 - 0.03 * i) * (1 + 0.01 * normal())
      levels[k] = { t = 1 / (1 + ratio), ratio = ratio, loss = loss }
    end
    json(dir .. "/noise_levels.json", levels)
  end
  if o.cost_quality then
    local rows = {}
    for s, sampler in ipairs { "euler", "heun" } do
      for _, steps in ipairs { 5, 10, 20, 50 } do
        local frechet = (40 - 4 * i) / steps ^ (0.4 + 0.4 * s) + 8 - i + 0.2 * normal()
        rows[#rows + 1] = { sampler = sampler, steps = steps, nfe = steps * s, images_per_second = 4000 / (steps * s), metrics = {
          { name = "frechet", value = frechet, low = frechet - 0.4, high = frechet + 0.5 },
          { name = "class_accuracy", value = 0.99 - 0.3 / steps, low = 0.985 - 0.3 / steps, high = 0.993 - 0.3 / steps } } }
      end
    end
    json(dir .. "/cost_quality.json", rows)
  end
end

local METRICS <const> = {
  { name = "final_loss", better = "lower", base = 0.0712, step = -0.0021, noise = 0.0006 },
  { name = "held-out loss", better = "lower", base = 0.0731, step = -0.0019, noise = 0.0005 },
  { name = "frechet", better = "lower", base = 8.412, step = -0.35, noise = 0.25, interval = 0.5 },
  { name = "class_accuracy", better = "higher", base = 0.9712, step = 0.004, noise = 0.003, interval = 0.004 },
}

-- 4.303: Student's t of two degrees of freedom, for three seeds
local function spread(values)
  local n, sum, squares = 0, 0, 0
  for _, x in pairs(values) do
    if x == x then n, sum = n + 1, sum + x end
  end
  local mean = sum / n
  for _, x in pairs(values) do
    if x == x then squares = squares + (x - mean) ^ 2 end
  end
  local half = n > 1 and 4.303 * math.sqrt(squares / (n - 1) / n) or nil
  return { mean = n > 0 and mean or nil, low = half and mean - half, high = half and mean + half, n = n }
end

local function metric_of(m, names, o)
  local out = { name = m.name, better = m.better, values = {}, intervals = {}, summary = {}, paired = {} }
  for i, name in ipairs(names) do
    local values, intervals = drift.json.array {}, drift.json.array {}
    for k = 1, o.seeds do
      local x = m.base + m.step * (i - 1) + 0.4 * m.noise * k + m.noise * normal() * 0.3
      if (o.failed and i == math.min(3, #names) and k == o.seeds) or (o.failed and m.name == "frechet" and i == 2 and k == 1) then
        x = 0 / 0
      end
      values[k] = x
      intervals[k] = m.interval and x == x and { x - m.interval, x + 1.1 * m.interval } or drift.json.null
    end
    out.values[name], out.intervals[name], out.summary[name] = values, intervals, spread(values)
  end
  local base = out.values[names[1]]
  for i = 2, o.statistics and #names or 0 do
    local d = {}
    for k = 1, o.seeds do d[k] = out.values[names[i]][k] - base[k] end
    local s = spread(d)
    local decided = s.low ~= nil and (s.low > 0 or s.high < 0)
    out.paired[names[i]] = { difference = s.mean, low = s.low, high = s.high, n = s.n, decided = decided,
      seeds_needed = not decided and s.low and 7 + i or nil, variance_removed = s.n > 2 and 0.83 or nil }
  end
  return out
end

local function tree_of(i)
  local lines = { "unet: cs180_unet{" .. 11203 + 640 * (i - 1) .. "}  weights", "unet.init: conv_block{1,8}  664" }
  for k = 1, 6 do lines[#lines + 1] = ("unet.d%d: down_block{8,16}  1,168"):format(k) end
  lines[#lines + 1] = i == 1 and "unet.cond: scale{classes=10}  1,040" or ("unet.cond: %s{classes=10}  1,680"):format(NAMES[i])
  if i == 3 then lines[#lines + 1] = "unet.cond.attention: attention{heads=4}  640" end
  lines[#lines + 1] = "unet.out: conv{8,1}  73"
  return lines
end

local function variant_of(i, dir, o, seeds)
  local name, cells = NAMES[i], drift.json.array {}
  for k, seed in ipairs(seeds) do
    local below = ("%s/seed_%d"):format(folder_name(i), seed)
    local failed = o.failed and i == math.min(3, o.variants) and k == #seeds
    drift.mkdir(dir .. "/" .. below)
    losses(("%s/%s/metrics.jsonl"):format(dir, below), i, seed, o, failed)
    if not failed then
      pictures(("%s/%s"):format(dir, below), i, seed, o)
      curves(("%s/%s"):format(dir, below), i, o)
    end
    cells[k] = { seed = seed, dir = below, status = failed and "failed" or "done",
                 error = failed and "epoch 1, step 133: the loss is not a number <img src=x onerror='window.hostile=2'>" or nil }
  end
  return {
    name = name, label = o.hostile and LABELS[i] or (i == 3 and "cross" or LABELS[i]), params = 11203 + 640 * (i - 1),
    flops_per_image = 30.4e6 + 1.1e6 * i, plan_bytes = 48 << 20, peak_bytes = (310 << 20) + i * 1234567,
    images_per_second = { mean = 4100 - 55 * i, low = 4012 - 55 * i, high = 4150 - 55 * i },
    config = { ["model.hidden"] = 8, ["model.conditioning"] = name }, tree = tree_of(i), cells = cells,
  }
end

return function(dir, options)
  local o = { variants = 3, seeds = 3, steps = 400, hostile = true, failed = true, samples = true, trajectories = true,
              noise_levels = true, cost_quality = true, statistics = true, pictures = 20, channels = 1 }
  for key, value in pairs(options or {}) do o[key] = value end
  math.randomseed(20, 6)
  local seeds, names, variants, metrics = {}, {}, {}, {}
  for k = 1, o.seeds do seeds[k] = k end
  drift.mkdir(dir)
  for i = 1, o.variants do names[i], variants[i] = NAMES[i], variant_of(i, dir, o, seeds) end
  for m, metric in ipairs(METRICS) do metrics[m] = metric_of(metric, names, o) end
  local conditioning, lr = {}, {}
  for i, name in ipairs(names) do conditioning[name], lr[name] = name, i == 2 and 5e-4 or 1e-3 end
  local comparison = {
    format = "drift.comparison/1", name = "class_conditioning", title = "How should a class enter the network?",
    question = "Scale, FiLM or attention, at equal parameters: which gives the lower loss on held-out images?",
    script = "experiments/compare_class_conditioning.lua", baseline = "scale", seeds = seeds, confidence = 0.95,
    made = { drift = drift.version, device = "cpu: 2 threads", started = "2026-11-26 06:00:00", seconds = 754.2 },
    variants = variants, metrics = metrics, match = { params = 0.1 },
    differences = o.variants > 1 and { { key = "model.conditioning", values = conditioning }, { key = "optim.lr", values = lr } }
      or drift.json.array {},
    verdict = o.statistics and "FiLM has a lower final_loss than scale by 0.0021 (95% interval 0.0014 to 0.0029, 3 seeds); "
      .. "frechet is undecided." or nil,
  }
  json(dir .. "/comparison.json", comparison)
  return comparison
end
