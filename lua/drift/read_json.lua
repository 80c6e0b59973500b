-- read_json.lua: a JSON file's value, with the file's name in what goes wrong:  drift.read_json "unet/config.json"
local core = require "drift.core"

return function(path)
    if not core.exists(path) then core.fail("%s: is missing", path) end
    if core.is_folder(path) then core.fail("%s: is a folder, and should be a JSON file", path) end
    local text = core.read_file(path)
    local ok, value = pcall(core.json.decode, text)
    if not ok then core.fail("%s: is not valid JSON: %s", path, (tostring(value):gsub("^.-json%.decode: ", ""))) end
    return value
end
