-- help.lua: the texts of `drift list` and `drift help NAME`, made from the registry and from lua/drift/models.
local core = require "drift.core"

local help = {}

local function first_line(text) return (text or ""):match "^[^\n]*" end

local function default_text(row)
    if row.required then return "required" end
    if row.default == nil then return (row.type == "function" or row.type == "tensor") and "none" or "-" end
    if type(row.default) == "table" then return "{}" end
    if type(row.default) == "string" then return ("%q"):format(row.default) end
    if math.type(row.default) == "float" then return ("%.10g"):format(row.default) end
    return tostring(row.default)
end

local function range_text(row)
    if row.type == "enum" then return row.choices:gsub("|", ", ") .. "" end
    if row.type == "function" then return row.choices or "" end
    if row.type == "component" then return "a " .. row.choices:match "^[^:]*" end
    if row.type == "components" then return "a list of the kind " .. row.choices end
    if row.type == "tensor" then return "of " .. row.choices end
    if not row.min then return "" end
    local function bound(v) return math.abs(v) >= 1e15 and (v < 0 and "-" or "") .. "..." or ("%.10g"):format(v) end
    return ("[%s, %s]"):format(bound(row.min), bound(row.max))
end

local function aligned(rows, gap)
    local widths = {}
    for _, row in ipairs(rows) do
        for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, #cell) end
    end
    local lines = {}
    for _, row in ipairs(rows) do
        local cells = {}
        for i, cell in ipairs(row) do cells[i] = i < #row and cell .. (" "):rep(widths[i] - #cell) or cell end
        lines[#lines + 1] = ("    " .. table.concat(cells, gap or "  ")):gsub("%s+$", "")
    end
    return table.concat(lines, "\n")
end

-- The file's opening comment, equation and paper; its first line without "heun.c: ".
local function comment_lines(c)
    local lines = {}
    for line in ((c.comment or ""):gsub("^[%w_]+%.c: *", "")):gmatch "[^\n]+" do
        lines[#lines + 1] = "    " .. line:gsub("%s+$", "")
    end
    return table.concat(lines, "\n")
end

local function describe(c)
    local lines = { ("%s %s: %s"):format(c.kind, c.name, c.doc or "") }
    local comment = comment_lines(c)
    if comment ~= "" and c.kind ~= "op" then lines[#lines + 1] = comment .. "\n" end
    local parts, rows = {}, {}
    for _, row in ipairs(c.params) do
        local value = row.required and "..." or default_text(row)
        if value ~= "none" and value ~= "-" then parts[#parts + 1] = row.name .. " = " .. value end
        rows[#rows + 1] = { row.name, row.type, default_text(row), range_text(row), row.doc or "" }
    end
    local inside = #parts > 0 and " " .. table.concat(parts, ", ") .. " " or ""
    local call = c.kind == "op" and "drift.op.%s(..., {%s})" or "drift." .. c.kind .. ".%s {%s}"
    lines[#lines + 1] = "    " .. call:format(c.name, inside) .. ("        (plugin %s)"):format(c.plugin)
    if #rows > 0 then lines[#lines + 1] = aligned(rows) end
    return table.concat(lines, "\n")
end

local function sorted_kinds()
    local kinds = {}
    for kind in pairs(core.kinds()) do kinds[#kinds + 1] = kind end
    table.sort(kinds)
    return kinds
end

-- Networks are wired in Lua, a file each, and documented by its opening comment: list of { name =, comment = }.
local function models()
    local folder, list = core.home .. "/lua/drift/models", {}
    for _, file in ipairs(core.files(folder)) do
        local name = file:match "^(.*)%.lua$"
        local comment = {}
        for line in (name and core.read_file(folder .. "/" .. file) or ""):gmatch "[^\n]*" do
            if line:sub(1, 2) ~= "--" then break end
            comment[#comment + 1] = line:gsub("^%-%- ?", "") .. ""
        end
        if name then list[#list + 1] = { name = name, comment = table.concat(comment, "\n"):gsub("^[%w_]+%.lua: *", "") .. "" } end
    end
    return list
end

local function list_models()
    local rows = {}
    for i, m in ipairs(models()) do rows[i] = { m.name, first_line(m.comment) } end
    return ("model (%d)\n%s"):format(#rows, aligned(rows))
end

function help.list(kind)
    if kind == "model" or kind == "models" then return list_models() .. "\n" end
    if kind == "plugin" or kind == "plugins" then
        local rows = {}
        for i, p in ipairs(core.plugins()) do
            rows[i] = { p.id, p.version, p.doc or "", p.path .. (p.origin ~= "" and "  (" .. p.origin .. ")" or "") }
        end
        for _, p in ipairs(core.plugins_left_out()) do rows[#rows + 1] = { "-", "-", "left out: " .. p.why, p.path } end
        return aligned(rows) .. "\n"
    end
    local kinds = kind and { kind } or sorted_kinds()
    if kind and not core.kinds()[kind] then
        local near = core.nearest(kind, sorted_kinds())
        core.fail("there is no kind '%s'%s; there are %s, model and plugin", kind,
                  near and ", did you mean '" .. near .. "'?" or "", table.concat(sorted_kinds(), ", "))
    end
    local lines = {}
    for _, each in ipairs(kinds) do
        local rows = {}
        for i, c in ipairs(core.components(each)) do rows[i] = { c.name, first_line(c.doc) } end
        lines[#lines + 1] = ("%s (%d)\n%s"):format(each, #rows, aligned(rows))
    end
    if not kind then lines[#lines + 1] = list_models() end
    return table.concat(lines, "\n") .. "\n"
end

-- help(name): every component of that name, or all of a kind
function help.help(name)
    if not name then return help.list() end
    local found, names = {}, {}
    for _, c in ipairs(core.components()) do
        if c.name == name or c.kind .. "." .. c.name == name or c.kind == name then found[#found + 1] = describe(c) end
        names[#names + 1] = c.name
        names[#names + 1] = c.kind
    end
    for _, m in ipairs(models()) do
        if m.name == name or "model." .. m.name == name or name == "model" then
            found[#found + 1] = ("model %s: %s"):format(m.name, m.comment:gsub("\n", "\n    "))
        end
        names[#names + 1] = m.name
    end
    if #found == 0 then
        local near = core.nearest(name, names)
        core.fail("nothing here is called '%s'%s", name,
                  near and "; did you mean '" .. near .. "'?" or " (see: drift list)")
    end
    return table.concat(found, "\n\n") .. "\n"
end

return help
