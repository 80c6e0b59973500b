-- npy.lua: NumPy's .npy files: one tensor of floating-point numbers.
--   drift.npy.read(path) -> tensor f16, f32 or f64
--   drift.npy.write(path, tensor)       f16, f32 or f64; appears whole or not at all
-- "\x93NUMPY", major, minor, length of the header (2 bytes in version 1, 4 in 2 and 3), the header, the numbers. The
-- header is a dictionary as Python writes it, of descr, fortran_order and shape, and nothing of it is run.
-- Little-endian; numbers in Fortran's order are brought into rows.
local core = require "drift.core"

local longest_header <const>, most_dims <const>, most <const> = 65536, 5, 1 << 40
local types <const> = { ["<f2"] = { "f16", 2 }, ["<f4"] = { "f32", 4 }, ["<f8"] = { "f64", 8 } }
local written <const> = { f16 = "<f2", f32 = "<f4", f64 = "<f8" }

-- ---- the header -----------------------------------------------------------------------------------------------------
local function read_exactly(path, file, n, what)
    local bytes = n == 0 and "" or file:read(n)
    if not bytes or #bytes ~= n then core.fail("%s: is cut short in %s", path, what) end
    return bytes
end

local function read_header(path, file)
    local magic = file:read(8)
    if not magic or magic:sub(1, 6) ~= "\x93NUMPY" or #magic < 8 then core.fail("%s: is not a .npy file", path) end
    local major, minor = magic:byte(7, 8)
    local known = major >= 1 and major <= 3 and minor == 0
    if not known then core.fail("%s: version %d.%d of .npy is not known", path, major, minor) end
    local form = major == 1 and "<I2" or "<I4"
    local length = string.unpack(form, read_exactly(path, file, major == 1 and 2 or 4, "its header"))
    if length > longest_header then core.fail("%s: its header claims %d bytes, which no tensor needs", path, length) end
    return read_exactly(path, file, length, "its header")
end

-- "(2, 77, 4096)", "(5,)", "()"
local function read_shape(path, text)
    local shape, rest = {}, text
    while rest ~= "" do
        local digits, after = rest:match "^%s*(%d+)L?%s*(.*)$"
        local n = digits and #digits <= 13 and math.tointeger(tonumber(digits))
        if not n or n > most then core.fail("%s: its shape (%s) is not a list of sizes up to 2^40", path, text) end
        shape[#shape + 1] = n
        if after == "" and #shape > 1 then break end
        if after:sub(1, 1) ~= "," then core.fail("%s: its shape (%s) is not as Python writes it", path, text) end
        rest = after:match "^,%s*(.*)$"
    end
    if #shape > most_dims then
        core.fail("%s: its shape (%s) has %d axes; there may be %d", path, text, #shape, most_dims)
    end
    return shape
end

-- One key and its value at the beginning of text -> key, value, what follows
local function read_pair(path, text)
    local quote, key, rest = text:match "^([\"'])([%a_]+)%1%s*:%s*(.*)$"
    local value, after
    if key == "descr" and quote then
        local _
        _, value, after = rest:match "^([\"'])([^\"'\\]*)%1(.*)$"
        if not value then
            core.fail("%s: its numbers have parts (descr is no text): only plain ones can be read", path)
        end
    elseif key == "fortran_order" then
        value, after = rest:match "^(%a+)(.*)$"
        if value ~= "True" and value ~= "False" then value = nil end
    elseif key == "shape" then
        value, after = rest:match "^%(([%dL,%s]*)%)(.*)$"
    end
    if not value then core.fail("%s: its header is not the dictionary that a .npy file has", path) end
    return key, value, after
end

local function parse_header(path, text)
    local rest = text:match "^%s*{%s*(.*)$"
    local found, n = {}, 0
    while rest and not rest:find "^}" do
        local key, value, after = read_pair(path, rest)
        if found[key] then core.fail("%s: its header says %s twice", path, key) end
        found[key], n = value, n + 1
        rest = after:match "^%s*,%s*(.*)$" or after:match "^%s*(}.*)$"
    end
    if not rest or not rest:find "^}%s*$" or n ~= 3 then
        core.fail("%s: its header is not the dictionary that a .npy file has", path)
    end
    return found
end

-- ---- reading and writing --------------------------------------------------------------------------------------------
local function check_type(path, descr)
    if types[descr] then return types[descr] end
    if descr:find "O" then
        core.fail("%s: holds Python objects, which is a pickle and can run any program: Drift reads none. Save the "
            .. "arrays alone", path)
    end
    core.fail("%s: its numbers are '%s'; <f2, <f4 and <f8 can be read (numpy.save(path, a.astype('<f4')) makes such)",
        path, descr)
end

local function reversed(list)
    local r = {}
    for i = #list, 1, -1 do r[#r + 1] = list[i] end
    return r
end

local function read_numbers(path, file)
    local header = parse_header(path, read_header(path, file))
    local type_, shape, n = check_type(path, header.descr), read_shape(path, header.shape), 1
    for _, size in ipairs(shape) do
        if size > 0 and n > most // size then core.fail("%s: its shape (%s) is too large", path, header.shape) end
        n = n * size
    end
    local at = file:seek "cur"
    local there = file:seek "end" - at
    if there ~= n * type_[2] then
        core.fail("%s: its shape (%s) takes %d bytes, but %d follow its header", path, header.shape, n * type_[2],
            there)
    end
    file:seek("set", at)
    local bytes = read_exactly(path, file, n * type_[2], "its numbers")
    if header.fortran_order == "False" or #shape < 2 then return core.from_string(bytes, shape, type_[1]) end
    local axes = {}
    for i = #shape, 1, -1 do axes[#axes + 1] = i - 1 end
    return core.from_string(bytes, reversed(shape), type_[1]):permute(axes):contiguous()
end

local npy = {}

function npy.read(path)
    if type(path) ~= "string" then core.fail("drift.npy.read takes a path, not a %s", core.type(path)) end
    if core.is_folder(path) then core.fail("%s: is a folder, not a .npy file", path) end
    local file, why = io.open(path, "rb")
    if not file then core.fail("%s", why) end
    local guard <close> = setmetatable({}, { __close = function() file:close() end })
    return read_numbers(path, file)
end

function npy.write(path, tensor)
    if core.type(tensor) ~= "tensor" then
        core.fail("drift.npy.write takes a path and a tensor, not a %s", core.type(tensor))
    end
    local descr = written[tensor.dtype]
    if not descr then
        core.fail("drift.npy.write: a tensor of %s; f16, f32 and f64 are written: t:cast \"f32\"", tensor.dtype)
    end
    local shape = table.concat(tensor.shape, ", ") .. (#tensor.shape == 1 and "," or "")
    local header = ("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }"):format(descr, shape)
    header = header .. (" "):rep(-(#header + 11) % 64) .. "\n"                      -- numbers begin at a multiple of 64
    core.write_file(path, "\x93NUMPY\1\0" .. string.pack("<s2", header) .. tensor:tostring_bytes())
end

for name, f in next, npy do npy[name] = core.door(f) end      -- errors show the script's line

return npy
