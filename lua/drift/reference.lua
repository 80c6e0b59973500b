-- reference.lua: docs/reference.md, made from the registry: every component with its parameters, as the schema has them.
--   ./drift run docs/reference.lua           writes the file again; a test holds it to what the registry says
local drift = require "drift"

local TITLES = {
  { "block", "Blocks" }, { "conditioning", "Conditioning" }, { "process", "Processes" }, { "schedule", "Schedules" },
  { "time_sampling", "Training times" }, { "weighting", "Loss weights" }, { "coupling", "Couplings" },
  { "sampler", "Samplers" }, { "timesteps", "Sampling grids" }, { "guidance", "Guidance" }, { "clip", "Clips" },
  { "view", "Views" }, { "filter", "Filters" },
  { "optim", "Optimizers" }, { "decay", "Learning-rate decay" }, { "ema", "Averages of weights" },
  { "dataset", "Data sets" }, { "metric", "Metrics" }, { "tokenizer", "Tokenizers" },
  { "backend", "Devices" }, { "op", "Ops" },
}

local function cell(v)
  if type(v) == "table" then v = "{" .. table.concat(v, ", ") .. "}" end
  local text = v == nil and "" or type(v) == "number" and ("%.10g"):format(v) or tostring(v)
  return (text:gsub("|", "\\|"))
end

local function range(p)
  if p.choices and p.type == "enum" then return (p.choices:gsub("|", ", ")) end
  if p.choices then return p.choices end
  return p.min and p.max and p.type ~= "bool" and ("%.10g to %.10g"):format(p.min, p.max) or ""
end

local function describe(c, lines)
  local function add(format, ...) lines[#lines + 1] = format:format(...) end
  add("### %s", c.name)
  add("%s. Plugin `%s`.\n", c.doc, c.plugin)
  if c.comment and c.kind ~= "op" then add("```\n%s\n```\n", (c.comment:gsub("^[%w_]+%.c: *", ""):gsub("%s+$", ""))) end
  if #c.params == 0 then return end
  add "| parameter | type | default | range | |"
  add "|---|---|---|---|---|"
  for _, p in ipairs(c.params) do
    add("| `%s` | %s | %s | %s | %s |", p.name, p.type, p.required and "*required*" or cell(p.default), cell(range(p)), cell(p.doc))
  end
  add ""
end

return function()
  local lines = { "# Reference", "", "Made from the registry by `./drift run docs/reference.lua`: do not edit.", "" }
  for _, kind in ipairs(TITLES) do
    local list = drift.components(kind[1])
    lines[#lines + 1] = "## " .. kind[2] .. "\n"
    for _, c in ipairs(list) do describe(c, lines) end
  end
  return table.concat(lines, "\n") .. "\n"
end
