-- side_by_side.lua: trains variants of one experiment on the same batches, noise and initial weights, and lays their
-- losses and samples side by side.
--
--   local nets = drift.side_by_side {
--     run = run, title = "flow matching", n = 40, classes = 10, at_epochs = { 1, 5 },
--     variants = { { name = "add", label = "time added", model = unet "add" }, { name = "scale", ... } },
--     train = { data = ..., process = ..., optim = ... }, sample = { sampler = ..., shape = { 1, 28, 28 } } }
--
-- What a variant names beside name and label (model, optim, decay, process, p_uncond, time_sampling, weighting, coupling)
-- takes the place of that in train.
-- Each is a part of the run, NAME/, with its own losses, checkpoint and pictures. The run gets losses.svg (logarithmic)
-- and samples.png: one row or more for each variant, in each column images from the same noise (and class).
local drift = require "drift"

local SHARED = { "data", "model", "process", "optim", "decay", "p_uncond", "time_sampling", "weighting", "coupling" }

local function merged(o, variant)
  drift.accept("side_by_side: a variant", variant, { "name" }, { "label", table.unpack(SHARED) })
  local all = {}
  for _, key in ipairs(SHARED) do
    all[key] = o.train[key]
    if variant[key] ~= nil then all[key] = variant[key] end
  end
  return all
end

local function train_variant(o, variant)
  local part, train = o.run:part(variant.name), merged(o, variant)
  train.model = drift.build(train.model, { seed = drift.seed() })  -- a spec's one instance would go on from the last
  local sample = { process = train.process }
  for key, value in pairs(o.sample) do sample[key] = value end
  local figures = drift.sample_figures {
    run = part, title = ("%s, %s"):format(o.title, variant.label or variant.name), sample = sample, n = o.n,
    classes = o.classes, at_epochs = o.at_epochs }
  train.run, train.after_epoch, train.label = part, figures.after_epoch, variant.name .. " epoch"
  local net = drift.train(train)
  local images = figures:samples(net)
  figures:training()
  if o.judged then figures:evaluate(net, train.data, o.judged) end
  return { part = part, net = net, images = images }
end

local function samples_side_by_side(o, done, labels)
  local cols, rows, of = o.classes or 10, {}, {}
  local each = (o.n + cols - 1) // cols
  for v, label in ipairs(labels) do
    for r = 1, each do
      rows[#rows + 1] = r == 1 and label or ""
      of[#of + 1] = { images = done[v].images, first = (r - 1) * cols }
    end
  end
  local names = {}
  for k = 1, cols do names[k] = o.classes and tostring(k - 1) or "" end
  return drift.grid {
    title = ("%s: each column starts from the same noise in every variant"):format(o.title), rows = rows, cols = names,
    cell = function(_, _, i, j)
      local k = of[i].first + j
      return k <= of[i].images.shape[1] and of[i].images[k] or nil
    end }
end

return function(o)
  drift.accept("side_by_side", o, { "run", "title", "variants", "train", "sample", "n", "at_epochs" }, { "classes", "judged" })
  drift.accept("side_by_side: train", o.train, {}, SHARED)
  for _, variant in ipairs(o.variants) do
    local model = merged(o, variant).model
    if not drift.is_spec(model, "net") then
      drift.fail("side_by_side: variant %s: model is a network's description (drift.models.NAME or drift.net), not a %s",
        variant.name, drift.type(model))
    end
  end
  local done, runs, labels, nets = {}, {}, {}, {}
  for i, variant in ipairs(o.variants) do
    done[i] = train_variant(o, variant)
    runs[i], labels[i], nets[variant.name] = done[i].part, variant.label or variant.name, done[i].net
  end
  drift.loss_curves { runs = runs, labels = labels, title = ("%s, training loss"):format(o.title), log = true,
                      path = o.run:path "losses.svg" }
  local picture = samples_side_by_side(o, done, labels)
  o.run:figure("samples", picture)
  drift.show(picture)
  return nets
end
