-- sample_figures.lua: the pictures that show what a generative model draws, while it is trained and after.
--
--   local figures = drift.sample_figures {
--     run = run, title = "flow matching", at_epochs = { 1, 5, 10 }, n = 40, classes = 10,
--     sample = { process = process, sampler = drift.sampler.euler { steps = 50 }, shape = { 1, 28, 28 },
--                guidance = drift.guidance.cfg { scale = 5 } } }                       -- as for drift.sample
--   drift.train { ..., after_epoch = figures.after_epoch }     epoch_NN.png at those epochs
--   local images, labels = figures:samples(net)                samples.png, samples.safetensors; in the terminal
--   figures:guidance(net, { 0, 1, 5 })                         guidance.png: a row for each scale, from the same noise
--   figures:trajectory(net)                                    denoising.gif: from noise to images
--   figures:training()                                         training.gif: the same noise after each epoch
--   figures:evaluate(net, data, 500, { 1, 2 })                 evaluation.json: metrics of as many images; and by guidance
--
-- With classes, image i is of class (i - 1) % classes, one column each. Without, there are `cols` (10) columns; seeds =
-- { 100, 101 } makes them rows of n / #seeds images, one for each seed. What each epoch draws is kept in
-- epoch_NN.safetensors, so that training.gif is whole where a run was stopped and resumed.
local drift = require "drift"

local methods = {}
local meta = { __index = methods }

local function with(base, changes)
  local all = {}
  for key, value in pairs(base) do all[key] = value end
  for key, value in pairs(changes) do all[key] = value end
  return all
end

local function labels_in_turn(n, classes)
  local labels = {}
  for i = 1, n do labels[i] = (i - 1) % classes end
  return labels
end

-- The first n images; whole rows where there are seeds.
function methods:draw(net, n, changes)
  local o = with(self.sample, { model = net })
  o = with(o, changes or {})
  if self.classes then return drift.sample(with(o, { labels = labels_in_turn(n, self.classes) })) end
  if not self.seeds then return drift.sample(with(o, { n = n })) end
  local rows = {}
  for i = 1, math.min(#self.seeds, math.max(1, n // self.cols)) do
    rows[i] = drift.sample(with(o, { n = self.cols, seed = self.seeds[i] }))
  end
  return #rows == 1 and rows[1] or drift.concat(rows, 0)
end

function methods:grid(images, title)
  local n = images.shape[1]
  local count = (n + self.cols - 1) // self.cols
  if self.classes then return drift.class_grid(images, { classes = self.classes, rows = count, title = title }) end
  local rows = self.seeds and {} or count
  for i = 1, self.seeds and count or 0 do rows[i] = ("seed %d"):format(self.seeds[i]) end
  return drift.grid {
    title = title, rows = rows, cols = self.cols,
    cell = function(_, _, i, j)
      local k = (i - 1) * self.cols + j
      return k <= n and images[k] or nil
    end }
end

-- "flow matching, guidance 5, epoch 3"
function methods:titled(what)
  local guidance = self.sample.guidance
  local scale = drift.is_spec(guidance) and guidance.params.scale
  return ("%s%s, %s"):format(self.title, scale and (", guidance %g"):format(scale) or "", what)
end

local function epochs(n) return n == 1 and "after 1 epoch" or ("after %d epochs"):format(n) end

local function save(path, images, labels)
  drift.save_tensors(path, { images = images, labels = labels and labels:cast "i64" or nil })
end

local function draw_epoch(self, net, epoch)
  local shown = self.at[epoch]
  local images, labels = self:draw(net, shown and self.n or self.cols)
  save(self.run:path(("epoch_%02d.safetensors"):format(epoch)), images, labels)
  self.run:last_samples(images)
  if shown then self.run:figure(("epoch_%02d"):format(epoch), self:grid(images, self:titled(epochs(epoch)))) end
end

function methods:samples(net)
  local images, labels = self:draw(net, self.n)
  save(self.run:path "samples.safetensors", images, labels)
  local picture = self:grid(images, self:titled(epochs(self.run.epochs)))
  self.run:figure("samples", picture)
  drift.show(picture)
  return images, labels
end

function methods:guidance(net, scales)
  local rows, drawn = {}, {}
  for i, scale in ipairs(scales) do
    rows[i] = ("gamma = %g"):format(scale)
    drawn[i] = self:draw(net, self.cols, { guidance = self.sample.guidance:with { scale = scale } })
  end
  local cols = {}
  for k = 1, self.cols do cols[k] = tostring(k - 1) end
  return self.run:figure("guidance", drift.grid {
    title = ("%s, %s, guidance u + gamma (c - u): 0 ignores the class"):format(self.title, epochs(self.run.epochs)),
    rows = rows, cols = cols, cell = function(_, _, i, j) return drawn[i][j] end })
end

function methods:trajectory(net, frames)
  local n = self.cols
  local sample = with(self.sample, { model = net, seed = self.seeds and self.seeds[1] or nil })
  sample = with(sample, self.classes and { labels = labels_in_turn(n, self.classes) } or { n = n })
  drift.trajectory { sample = sample, title = self:titled(epochs(self.run.epochs)), frames = frames,
                     grid = function(x, title) return self:grid(x, title) end, path = self.run:path "denoising.gif" }
end

-- Metrics with intervals of n images drawn in the same way, in evaluation.json; with other scales of guidance as well, in
-- evaluation_gamma_G.json.
function methods:evaluate(net, data, n, scales)
  local o = with(self.sample, { run = self.run, model = net, data = data, n = n, classes = self.classes })
  local report = drift.evaluate(o)
  for _, scale in ipairs(scales or {}) do
    local guidance = self.sample.guidance:with { scale = scale }
    self.run:say("guidance %g:", scale)
    drift.evaluate(with(o, { name = ("evaluation_gamma_%g"):format(scale), guidance = guidance }))
  end
  return report
end

function methods:training()
  local frames = {}
  for _, file in ipairs(drift.files(self.run.dir)) do
    local epoch = file:match "^epoch_(%d+)%.safetensors$"
    if epoch then
      local images = drift.load_tensors(self.run:path(file)).images
      frames[#frames + 1] = self:grid(images:narrow(0, 0, self.cols), self:titled(epochs(math.tointeger(epoch))))
    end
  end
  if #frames > 0 then drift.animation(frames, self.run:path "training.gif", { delay = 0.6, last = 3 }) end
end

return function(o)
  drift.accept("sample_figures", o, { "run", "title", "sample", "n", "at_epochs" }, { "classes", "cols", "seeds" })
  local cols = o.classes or o.cols or (o.seeds and math.max(1, o.n // #o.seeds)) or 10
  local self = setmetatable({ run = o.run, title = o.title, sample = o.sample, n = math.max(o.n, cols),
                              classes = o.classes, cols = cols, seeds = o.seeds, at = {} }, meta)
  for _, epoch in ipairs(o.at_epochs) do self.at[epoch] = true end
  self.after_epoch = function(net, epoch) draw_epoch(self, net, epoch) end
  return self
end
