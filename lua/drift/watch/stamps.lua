-- stamps.lua: what a folder looks like from outside: a text that changes when a file of a run or a comparison that a
-- report is made from was written, came or went. Nothing is opened.
local core = require "drift.core"

local DEPTH, MOST = 4, 20000                    -- DIR/VARIANT/seed_N/PART; files, in case it is the wrong folder
local WATCHED = { json = true, jsonl = true, safetensors = true }

local function walk(folder, depth, list)
  local there, names = pcall(core.files, folder)
  if not there then return end                  -- gone, or not ours to read
  for _, name in ipairs(names) do
    local path = folder .. "/" .. name
    if WATCHED[name:match "%.(%w+)$"] and not name:find "^checkpoint" then
      list[#list + 1] = path .. " " .. (core.file_stamp(path) or "")
    elseif depth < DEPTH and not name:find("%.", 2) and name ~= "ema" and core.is_folder(path) then
      walk(path, depth + 1, list)
    end
    if #list >= MOST then return end
  end
end

return function(dir)
  local list = {}
  walk(dir, 1, list)
  return table.concat(list, "\n")
end
