-- folder.lua: the folder that `drift watch` shows, and what is answered to a browser: "/" is the page and "/data.json"
-- what the page is drawn from. Both are made when they are asked for, and made again only when files have changed.
--   local watched = require "drift.watch.folder" "runs/mnist_flow"
--   local status, type, body, etag = watched:answer "/data.json"
-- While there is nothing to show (the folder is not there, or no run has begun in it) "/" says so and looks again by
-- itself, and "/data.json" is { waiting = ... } with status 503. Where the report cannot be made, say of a file that was
-- damaged, the last one that could be is shown on, and data.live.problem says why.
local core = require "drift.core"
local stamps = require "drift.watch.stamps"

local LOOK_AGAIN = 0.5                          -- seconds between two looks at the folder, however many ask
local SHARE = 10                                -- making the report takes at most 1/10 of the time: a run needs the rest
local methods = {}
local meta = { __index = methods }

-- What is waited for; nil where there is something to show.
function methods:waiting()
  if not core.exists(self.dir) then return ("%s is not there yet; it is shown once it is"):format(self.dir) end
  if not core.is_folder(self.dir) then
    return ("%s is a file, not the folder of a run or a comparison"):format(self.dir)
  end
  if core.exists(self.dir .. "/comparison.json") or core.exists(self.dir .. "/config.json") then return nil end
  return ("no run has begun in %s yet"):format(self.dir)
end

local function with(problems, problem)
  local list = core.json.array {}
  for i, text in ipairs(problems or {}) do list[i] = text end
  list[#list + 1] = problem and ("as it was before: " .. problem) or nil
  return list
end

-- Makes the report again where files have changed. Cheap where they have not.
function methods:refresh()
  local now = core.clock()
  if now < self.look_at then return end
  self.look_at = now + LOOK_AGAIN
  if self:waiting() then return end
  local stamp = stamps(self.dir)
  if stamp == self.stamp then return end
  self.stamp = stamp
  local good, data = pcall(self.report_data, self.dir, { cache = self.cache })
  if good then self.data, self.problems = data, data.problems end
  self.problem = not good and tostring(data) or nil
  if self.data then
    self.data.live = { folder = self.dir, changed = os.time(), problem = self.problem }
    self.data.problems = with(self.problems, self.problem)
    self.json, self.page = core.json.encode(self.data), nil
    self.etag = ('"%s"'):format(core.sha256(self.json):sub(1, 32))
  end
  self.look_at = math.max(self.look_at, core.clock() + SHARE * (core.clock() - now))
end

local function escape(text)
  return (text:gsub("[&<>\"']", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }))
end

local function waiting_page(dir, text)
  return ([[<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>%s</title><style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 40rem; padding: 0 1rem }
p { white-space: pre-wrap; overflow-wrap: anywhere }</style><h1>%s</h1><p>%s</p></html>
]]):format(escape(dir), escape(dir), escape(text))
end

function methods:show_page()
  if not self.data then
    return 200, "text/html; charset=utf-8", waiting_page(self.dir, self:waiting() or self.problem or "one moment")
  end
  self.page = self.page or self.report_page(self.data, { live = true })
  return 200, "text/html; charset=utf-8", self.page
end

function methods:show_data()
  if not self.data then
    local waiting = { waiting = self:waiting() or self.problem or "one moment" }
    return 503, "application/json", core.json.encode(waiting)
  end
  return 200, "application/json", self.json, self.etag
end

-- path -> status, type, body, etag or nil. Only what stands here can be asked for: no path is a file's.
function methods:answer(path)
  if path == "/" then
    self:refresh()
    return self:show_page()
  elseif path == "/data.json" then
    self:refresh()
    return self:show_data()
  end
  return 404, "text/plain; charset=utf-8", "there are / and /data.json here\n"
end

-- made_by: { data = function(dir), page = function(data, options) }, of drift.report unless given.
return function(dir, made_by)
  dir = #dir > 1 and dir:gsub("/+$", "") or dir
  return setmetatable({
    dir = dir, look_at = -math.huge, cache = {},
    report_data = made_by and made_by.data or require "drift.report.data",
    report_page = made_by and made_by.page or require "drift.report.page",
  }, meta)
end
