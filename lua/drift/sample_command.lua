-- sample_command.lua: what `drift sample` does: pictures from a pretrained model, or from a run of this program, on
-- disk.
--   drift sample --model IF-I-M-v1.0 --stage2 IF-II-M-v1.0 --prompt "a lighthouse" --count 4 --out lighthouses
--   drift sample --model runs/mnist_flow --class 3 --out three.png
local drift = require "drift"

-- ---- what was said --------------------------------------------------------------------------------------------------
local function whole(o, name, default)
  if o[name] == nil then return default end
  local n = math.tointeger(tonumber(o[name]))
  if not n or n < 1 then drift.fail("--%s takes a whole number above 0, not %s", name, o[name]) end
  return n
end

local function number(o, name)
  if o[name] == nil then return nil end
  local v = tonumber(o[name])
  if not v or v ~= v or math.abs(v) > 1000 then
    drift.fail("--%s takes a number from -1000 to 1000, not %s", name, o[name])
  end
  return v
end

local function classes(text)
  local list = {}
  for part in (text .. ","):gmatch "([^,]*)," do
    local class = math.tointeger(tonumber(part))
    if not class then drift.fail("--class takes a whole number, or several such as 3,1,4, not %s", text) end
    list[#list + 1] = class
  end
  return list
end

local function options()
  local o = drift.options.sample
  if not o.model then drift.fail "which model?  drift sample --model FOLDER --prompt TEXT   (drift sample --help)" end
  if o.text and o.embeddings then drift.fail "--text encodes prompts and --embeddings has them: say one of them" end
  if o.prompt and o.class then
    drift.fail "--prompt is for a model of text and --class for one of classes: say one of them"
  end
  if o.prompt and not utf8.len(o.prompt) then
    drift.note "the prompt is not UTF-8: each byte that is none counts as an unknown character"
  end
  for _, name in ipairs { "steps2", "guidance2" } do
    if o[name] and not o.stage2 then drift.fail("--%s is for stage II: --stage2 FOLDER", name) end
  end
  if drift.options.out == "" then drift.fail "--out takes a folder or a file that ends in .png" end
  return {
    model = o.model, stage2 = o.stage2, variant = o.variant, text = o.text, embeddings = o.embeddings,
    prompt = o.prompt, negative = o.negative, classes = o.class and classes(o.class), count = whole(o, "count", 1),
    steps = whole(o, "steps"), steps2 = whole(o, "steps2"), guidance = number(o, "guidance"),
    guidance2 = number(o, "guidance2"), out = drift.options.out or "samples",
  }
end

-- ---- what is drawn --------------------------------------------------------------------------------------------------
-- Of each image what it is conditioned on.
local function conditions(o, g)
  if g.text then
    if not o.prompt and not o.embeddings then drift.fail("%s draws what a prompt says: --prompt TEXT", g.name) end
    return o.prompt or o.embeddings                               -- a file with one embedding needs no prompt
  end
  if g.classes == 0 then
    if o.prompt or o.classes then
      drift.fail("%s was trained without classes: leave --%s out", o.model, o.prompt and "prompt" or "class")
    end
    return nil
  end
  if not o.classes then drift.fail("%s draws classes: --class 3%s", o.model, o.prompt and ", not --prompt" or "") end
  local list = {}
  for i = 1, o.count do list[i] = o.classes[(i - 1) % #o.classes + 1] end
  return list
end

local function cfg(scale) return scale and drift.guidance.cfg { scale = scale } or nil end

-- Both models are opened before the first is asked: what is wrong with the second shows at once.
local function open(o)
  local text = { text = o.text, embeddings = o.embeddings, variant = o.variant, negative = o.negative,
                 precision = drift.options.precision }
  local g = drift.generator_of(o.model, text)
  if g.image_condition then
    drift.fail("%s is stage II, which enlarges what stage I makes: --model STAGE_I --stage2 %s", o.model, o.model)
  end
  for _, name in ipairs { "text", "embeddings", "negative", "variant" } do
    if o[name] and not g.text then drift.fail("--%s is for a model of text; %s draws classes", name, o.model) end
  end
  if not o.stage2 then return g end
  if not g.text then drift.fail("--stage2 enlarges what DeepFloyd IF's stage I makes, not %s", o.model) end
  text.text, text.embeddings = g, nil
  local g2 = drift.generator_of(o.stage2, text)
  if not g2.image_condition then drift.fail("%s is not stage II: it sees no picture to enlarge", o.stage2) end
  return g, g2
end

local function draw(o, g, g2, what)
  local small = drift.edit.iterative { generator = g, condition = what, guidance = cfg(o.guidance), steps = o.steps,
                                       n = o.count, quiet = false }
  if not g2 then return small end
  local large = drift.edit.upscale { generator = g2, image = small, condition = what, guidance = cfg(o.guidance2),
                                     steps = o.steps2, quiet = false }
  return large, small
end

-- ---- what is written ------------------------------------------------------------------------------------------------
local function grid(images)
  local n = images.shape[1]
  local cols = math.ceil(math.sqrt(n))
  local function cell(_, _, i, j)
    local k = (i - 1) * cols + j
    return k <= n and images[k] or nil
  end
  return drift.grid { rows = (n + cols - 1) // cols, cols = cols, scale = 1, cell = cell }
end

local function is_png(path) return path:find "%.[pP][nN][gG]$" end

-- Before minutes of sampling: can what --out names be written?
local function make_place(o)
  if drift.is_folder(o.out) and is_png(o.out) then drift.fail("--out %s is a folder; a PNG is to be written", o.out) end
  if drift.exists(o.out) and not drift.is_folder(o.out) and not is_png(o.out) then
    drift.fail("--out %s is a file, but not a PNG", o.out)
  end
  local folder = not is_png(o.out) and o.out or o.out:match "^(.*)/[^/]*$"
  if folder == "" then folder = "/" end
  if folder then drift.mkdir(folder) end
  local trial = (folder or ".") .. "/.drift_sample.tmp"
  local file, why = io.open(trial, "w")
  if not file then drift.fail("--out %s cannot be written: %s", o.out, (why:gsub("^.*: ", ""))) end
  file:close()
  os.remove(trial)
end

local function write(o, images, small)
  if is_png(o.out) then
    drift.png(o.count == 1 and images[1] or grid(images), o.out)
    drift.note("%s", o.out)
    return
  end
  for i = 1, o.count do
    drift.png(images[i], ("%s/%d.png"):format(o.out, i))
    if small then drift.png(small[i], ("%s/%d_stage1.png"):format(o.out, i)) end
  end
  local picture = grid(images)
  drift.png(picture, o.out .. "/grid.png")
  local record = { drift = drift.version, seed = drift.seed(), precision = drift.precision(),
                   device = drift.device():describe() }
  for key, value in pairs(o) do record[key] = value end
  drift.write_file(o.out .. "/sample.json", drift.json.encode(record, { indent = 2 }) .. "\n")
  drift.show(picture)
  drift.note("%d picture%s in %s", o.count, o.count == 1 and "" or "s", o.out)
end

return function()
  local o = options()
  if drift.options.precision then drift.precision(drift.options.precision) end
  local g, g2 = open(o)
  local what = conditions(o, g)
  make_place(o)
  write(o, draw(o, g, g2, what))
end
