-- reflow_pairs.lua: a model's own pairs of noise and image, as a file to train again on.     Liu, Gong & Liu 2023
--
--   local data = drift.reflow_pairs { model = net, process = process, sampler = drift.sampler.euler { steps = 100 },
--                                     n = 50000, classes = 10, shape = { 1, 28, 28 }, path = "pairs.safetensors" }
--   drift.train { data = data, ... }           -> data is drift.dataset.pairs { path = ... }
--
-- Pair i is (z, ODE(z)): the noise that drift.sample starts sample `first` + i - 1 from, and the image that it ends
-- with. `first` is 1000000 unless given, so that pictures drawn later, of samples 0, 1, ..., start from noise that no
-- training saw. labels: a list, or classes: 0, 1, .., classes - 1 in turn. A file that was made in the same way, by the
-- same weights, is used as it is.
local drift = require "drift"

local FIRST = 1000000

local function labels_of(o)
  if o.labels or not o.classes then return o.labels end
  local labels = {}
  for i = 1, o.n do labels[i] = (i - 1) % o.classes end
  return labels
end

local function described(v)
  if v == nil then return "none" end
  if drift.is_spec(v) then return v:hash() end
  if drift.type(v) ~= "table" then
    drift.fail("reflow_pairs: process, sampler and guidance are specs, such as drift.sampler.euler {}, not a %s",
      drift.type(v))
  end
  local parts = {}
  for i, item in ipairs(v) do parts[i] = described(item) end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- What the pairs depend on: the weights by their bytes.
local function hash_of(o, net, labels)
  local parts = { "pairs 1", net.spec:hash(), described(o.process), described(o.sampler), described(o.guidance),
                  tostring(o.n), table.concat(o.shape, "x"), tostring(o.seed), tostring(o.first),
                  labels and table.concat(labels, ",") or "none" }
  for _, w in ipairs(net:named()) do
    parts[#parts + 1] = w.path .. "=" .. drift.sha256(w.tensor:contiguous():tostring_bytes())
  end
  return drift.sha256(table.concat(parts, "\n"))
end

local function is_made(path, hash)
  if not drift.exists(path) then return false end
  local made = drift.open(path).metadata["drift.pairs"]
  if not made then drift.fail("reflow_pairs: %s exists and is not a file of pairs", path) end
  return made == hash
end

return function(o)
  drift.accept("reflow_pairs", o, { "model", "process", "sampler", "n", "path", "shape" },
    { "labels", "classes", "guidance", "seed", "first", "batch", "quiet" })
  if o.labels and o.classes then drift.fail "reflow_pairs: give labels or classes, not both" end
  if o.classes and (math.type(o.classes) ~= "integer" or o.classes < 1) then
    drift.fail("reflow_pairs: classes = %s should be a whole number of at least 1", tostring(o.classes))
  end
  if math.type(o.n) ~= "integer" or o.n < 1 then
    drift.fail("reflow_pairs: n = %s should be a whole number of at least 1", tostring(o.n))
  end
  if type(o.shape) ~= "table" or #o.shape ~= 3 then drift.fail "reflow_pairs: shape is { channels, height, width }" end
  local net = drift.instance(o.model, "net")
  o = setmetatable({ seed = o.seed or drift.seed(), first = o.first or FIRST }, { __index = o })
  local labels = labels_of(o)
  local hash = hash_of(o, net, labels)
  if is_made(o.path, hash) then
    drift.note("reflow_pairs: %s was made already, by this model in this way", o.path)
    return drift.dataset.pairs { path = o.path }
  end
  local images = drift.sample { model = net, process = o.process, sampler = o.sampler, guidance = o.guidance,
                                shape = o.shape, labels = labels, n = o.n, batch = o.batch, seed = o.seed,
                                first = o.first, quiet = o.quiet }
  local noise = drift.randn { o.n, o.shape[1], o.shape[2], o.shape[3], purpose = "sample start", seed = o.seed,
                              sample = o.first }
  drift.save_tensors(o.path, { images = images, noise = noise, labels = labels and drift.tensor(labels, "i32") or nil },
    { ["drift.pairs"] = hash })
  return drift.dataset.pairs { path = o.path }
end
