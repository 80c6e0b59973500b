-- page.lua: the report as one HTML file that needs nothing else: page.html with page.css, the scripts and the data in it.
--   page(data [, { live = true }]) -> HTML text
-- data: what drift.report.data gives, or any table of that form. live: the page asks for `data.json` beside it every two
-- seconds, and draws what has changed where it lies: scroll, controls and what is open stay. Otherwise the page's own
-- policy forbids it every request, so that it is the same anywhere, and offline. The policy also names the one script that
-- runs, by its hash.
local core = require "drift.core"
local base64 = require "drift.report.base64"

local SCRIPTS <const> = { "dom", "number", "palette", "scale", "state", "chart", "table", "results", "differences", "losses",
  "noise_levels", "sprite", "samples", "trajectory", "cost_quality", "provenance", "theme", "page", "live" }

local function file(name) return core.read_file(("%s/lua/drift/report/%s"):format(core.home, name)) end

-- Text within HTML
local ENTITIES <const> = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
local function escape(text) return (tostring(text):gsub("[&<>\"']", ENTITIES)) end

-- JSON within a script element: no text in it can end the element. U+2028 and U+2029 are fine there.
local CODES <const> = { ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026" }
local function embedded(data) return (core.json.encode(data):gsub("[<>&]", CODES)) end

-- SHA-256 as 32 bytes
local function digest(text)
  return (core.sha256(text):gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end))
end

return function(data, o)
  if type(data) ~= "table" or type(data.variants) ~= "table" then
    core.fail "report.page: give what drift.report.data returns"
  end
  local scripts, live = {}, o and o.live or false
  for i, name in ipairs(SCRIPTS) do scripts[i] = file(name .. ".js") end
  local script = '(() => {\n"use strict";\n' .. table.concat(scripts, "\n") .. "\n})();\n"
  local parts = {
    title = escape(data.title), style = file "page.css", data = embedded(data), connect = live and "'self'" or "'none'",
    live = live and "true" or "false", script = script, hash = "sha256-" .. base64(digest(script)),
  }
  return (file("page.html"):gsub("{{(%l+)}}", parts))
end
