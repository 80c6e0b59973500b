-- markdown.lua: the report as Markdown (tables as GitHub's): what the page says, without its curves of single steps and
-- its pictures.   markdown(data) -> text.   Texts from files are escaped: they are shown as they are.
local number = require "drift.report.number"

-- Underscores within words and most brackets mean nothing, and stay readable.
local function escape(text)
  text = tostring(text):gsub("[\\`*_<>#|~&$]", { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;", ["|"] = "\\|",
    ["\\"] = "\\\\", ["`"] = "\\`", ["*"] = "\\*", ["_"] = "\\_", ["#"] = "\\#", ["~"] = "\\~", ["$"] = "\\$" })
  text = text:gsub("(%w)\\_%f[%w]", "%1_"):gsub("%]([%(%[:])", "\\]%1")
  return (text:gsub("%s+", " "))
end

-- Code that holds backticks stands between more of them.
local function fenced(lines)
  local longest = 2
  for _, text in ipairs(lines) do
    for ticks in text:gmatch "`+" do longest = math.max(longest, #ticks) end
  end
  local fence = ("`"):rep(longest + 1)
  return fence .. "diff\n" .. table.concat(lines, "\n") .. "\n" .. fence .. "\n"
end

local function cell_text(cell)
  local text = escape(cell.text)
  if cell.interval then text = text .. " " .. escape(cell.interval) end
  if cell.n then text = text .. " (" .. escape(cell.n) .. ")" end
  return text
end

local function table_text(t)
  local titles, rules, lines = {}, {}, {}
  for k, column in ipairs(t.columns) do
    titles[k] = escape(column.title) .. (column.note and (" (%s)"):format(escape(column.note)) or "")
    rules[k] = column.left and "---" or "---:"
  end
  lines[1] = "| " .. table.concat(titles, " | ") .. " |"
  lines[2] = "| " .. table.concat(rules, " | ") .. " |"
  for _, row in ipairs(t.rows) do
    local cells = {}
    for k, cell in ipairs(row) do cells[k] = cell_text(cell) end
    lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
  end
  return table.concat(lines, "\n") .. "\n"
end

local function section(out, title, ...)
  out[#out + 1] = ("## %s\n"):format(title)
  for _, text in ipairs { ... } do out[#out + 1] = text end
end

local function label(data, i) return data.variants[i + 1].label end

local function what_differs(data)
  local out = {}
  if #data.variants == 1 then return end
  out[1] = #data.tables.config.rows > 0 and table_text(data.tables.config) or "No key of the configuration differs.\n"
  for _, tree in ipairs(data.trees) do
    if #tree.lines > 0 then
      local lines = {}
      for k, line in ipairs(tree.lines) do lines[k] = line.op .. " " .. line.text end
      out[#out + 1] = ("Network of %s (changed lines, from %s's):\n"):format(escape(label(data, tree.variant)),
        escape(label(data, data.baseline)))
      out[#out + 1] = fenced(lines)
    end
  end
  return out
end

local function points_table(title, series, name_of, x_title)
  local columns = { { title = title, left = true }, { title = x_title }, { title = "value" }, { title = "seeds" } }
  local t = { columns = columns, rows = {} }
  for _, s in ipairs(series) do
    for _, p in ipairs(s.points) do
      local interval = p.low and p.high and ("[%s, %s]"):format(number.text(p.low), number.text(p.high))
      t.rows[#t.rows + 1] = { { text = name_of(s) }, { text = number.short(p.x) },
        { text = number.text(p.mean), interval = interval or nil }, { text = tostring(p.n) } }
    end
  end
  return table_text(t)
end

local function of(list, key, value)
  local out = {}
  for _, s in ipairs(list) do
    if s[key] == value then out[#out + 1] = s end
  end
  return out
end

local function curves(data, out)
  local levels, costs = data.noise_levels, data.cost_quality
  for k, quantity in ipairs(levels.quantities) do
    if k == 1 then section(out, "Loss against noise level") end
    out[#out + 1] = escape(quantity) .. ":\n"
    out[#out + 1] = points_table("variant", of(levels.series, "quantity", quantity),
      function(s) return label(data, s.variant) end, levels.x == "ratio" and "sigma/alpha" or levels.x)
  end
  for k, metric in ipairs(costs.metrics) do
    if k == 1 then section(out, "Cost and quality") end
    out[#out + 1] = escape(metric) .. ":\n"
    out[#out + 1] = points_table("variant, sampler", of(costs.series, "metric", metric),
      function(s) return label(data, s.variant) .. ", " .. s.sampler end, "function evaluations")
  end
end

local function failures(data)
  local lines = {}
  for _, cell in ipairs(data.cells) do
    if cell.status ~= "done" then
      lines[#lines + 1] = ("- %s, seed %s: %s%s\n"):format(escape(label(data, cell.variant)), escape(cell.seed),
        escape(cell.status), cell.error and ": " .. escape(cell.error) or "")
    end
  end
  for _, problem in ipairs(data.problems) do lines[#lines + 1] = "- " .. escape(problem) .. "\n" end
  return table.concat(lines)
end

return function(data)
  local out = { ("# %s\n"):format(escape(data.title)) }
  if data.question then out[#out + 1] = escape(data.question) .. "\n" end
  local sentences = { data.headline and ("**%s**\n"):format(escape(data.headline)) }
  local form = data.headline and "- %s\n" or #data.verdict > 1 and "- **%s**\n" or "**%s**\n"
  for _, sentence in ipairs(data.verdict) do sentences[#sentences + 1] = form:format(escape(sentence)) end
  out[#out + 1] = table.concat(sentences, data.headline and "\n" or "")
  section(out, "Results", table_text(data.tables.results))
  if #data.tables.differences.rows > 0 then
    out[#out + 1] = ("Paired differences, seed by seed, with %s %% intervals:\n"):format(number.full(100 * data.confidence))
    out[#out + 1] = table_text(data.tables.differences)
  end
  if #data.tables.costs.columns > 1 then section(out, "Cost", table_text(data.tables.costs)) end
  section(out, "Every seed", table_text(data.tables.seeds))
  local differs = what_differs(data)
  if differs then section(out, "What differs", table.unpack(differs)) end
  curves(data, out)
  section(out, "How it was made")
  local made = { columns = { { title = "", left = true }, { title = "", left = true } }, rows = {} }
  for i, row in ipairs(data.made) do made.rows[i] = { { text = row.name }, { text = row.text } } end
  out[#out + 1] = table_text(made)
  local lines = failures(data)
  if lines ~= "" then out[#out + 1] = lines end
  return table.concat(out, "\n")
end
