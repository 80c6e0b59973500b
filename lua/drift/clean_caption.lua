-- clean_caption.lua: a caption from the web as DeepFloyd IF's text encoder saw it in training: without links, markup,
-- file and article names, shop talk and ornaments.
--   drift.clean_caption(text) -> text       in lower case and stripped too: in place of drift.prompt
-- The rules are those of IF's pipelines, run twice as there, but for the repair of misread encodings (ftfy); of HTML,
-- tags go and the common entities are read. Bytes of characters beyond ASCII count as letters.
local drift = require "drift"

local W <const> = "%w_\x80-\xff"               -- in a word
local from <const>, to <const> = "%f[" .. W .. "]", "%f[^" .. W .. "]"      -- where one begins, and ends
local files <const> = { "png", "jpg", "jpeg", "bmp", "webp", "eps", "pdf", "apk", "mp4" }
local longest <const> = 8192                   -- bytes: some rules take the square of a word's length
local domains <const> = { "com", "co", "ru", "net", "org", "edu", "gov", "it" }

local function set_of(points)
  local set = {}
  for _, c in ipairs(points) do set[utf8.char(c)] = true end
  return set
end

local dashes <const> = set_of { 0x58A, 0x5BE, 0x1400, 0x1806, 0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2E17,
                                0x2E1A, 0x2E3A, 0x2E3B, 0x2E40, 0x301C, 0x3030, 0x30A0, 0xFE31, 0xFE32, 0xFE58,
                                0xFE63, 0xFF0D }
local double_quotes <const> = set_of { 0xB4, 0xAB, 0xBB, 0x201C, 0x201D, 0xA8 }
local single_quotes <const> = set_of { 0x2018, 0x2019 }
local ornaments <const> = set_of { 0xAE, 0x2022, 0xA9, 0x2122, 0xB7, 0xBA, 0xBD, 0xBE, 0xBF, 0xA1, 0xA7 }
local entities <const> = {
  amp = "&", lt = "<", gt = ">", quot = '"', apos = "'", nbsp = "\u{A0}", copy = "\u{A9}", reg = "\u{AE}",
  trade = "\u{2122}", hellip = "\u{2026}", ndash = "\u{2013}", mdash = "\u{2014}", lsquo = "\u{2018}",
  rsquo = "\u{2019}", ldquo = "\u{201C}", rdquo = "\u{201D}", laquo = "\u{AB}", raquo = "\u{BB}", eacute = "\u{E9}",
  egrave = "\u{E8}",
  times = "\u{D7}", middot = "\u{B7}", bull = "\u{2022}",
}
local without_semicolon <const> = {}
for name in ("amp lt gt quot nbsp copy reg laquo raquo eacute egrave times middot"):gmatch "%a+" do
  without_semicolon[name] = entities[name]
end

-- ---- links, markup --------------------------------------------------------------------------------------------------
-- One address that begins at `at` -> where it ends; nil: there is none.
local function address(s, at)
  local run = s:match("^[%w.%-]+", at)
  for j = run and #run or 0, 2, -1 do
    if run:sub(j, j) == "." then
      for _, domain in ipairs(domains) do
        local after = at + j + #domain
        if s:sub(at + j, after - 1) == domain then
          local rest = s:match("^[" .. W .. "/%-]*", after):gsub("[/%-]+$", "")
          after = after + #rest
          if s:sub(after, after) == "/" then after = after + 1 end
          return s:sub(after, after) ~= "@" and after or nil
        end
      end
    end
  end
end

local function without_addresses(s)
  s = s:gsub(from .. "https?:/+", function(link) return link:match "^https?:///(/+)$" or "" end)
  s = s:gsub(from .. "https?:[%w%%]", "")
  local parts, at = {}, 1
  while at <= #s do
    local word = s:find(from .. "[%w.%-]", at)
    if not word then break end
    local after = address(s, word)
    local to_here = after or word + #s:match("^[%w.%-]*", word)                -- none in here: none in its end either
    parts[#parts + 1] = s:sub(at, after and word - 1 or to_here - 1)
    at = to_here
  end
  return table.concat(parts) .. s:sub(at)
end

local function unescape(s)
  s = s:gsub("&#(%d+);?", function(n) return tonumber(n) < 0x110000 and utf8.char(tonumber(n)) or nil end)
  s = s:gsub("&#x(%x+);?", function(n) return #n < 6 and utf8.char(tonumber(n, 16)) or nil end)
  return (s:gsub("&(%a+)(;?)", function(name, semicolon)
    if semicolon == ";" and entities[name] then return entities[name] end
    for n = #name, 2, -1 do                    -- the oldest ones stand without a semicolon too
      local old = without_semicolon[name:sub(1, n)]
      if old then return old .. name:sub(n + 1) .. semicolon end
    end
  end))
end

-- ---- characters beyond ASCII ----------------------------------------------------------------------------------------
local function standard(c)
  if dashes[c] then return "-" end
  if double_quotes[c] then return '"' end
  if single_quotes[c] then return "'" end
  if drift.prompt(c) == "" then return " " end                                      -- white space
  local point = utf8.len(c) == 1 and utf8.codepoint(c) or 0
  return point >= 0x31C0 and point <= 0x9FFF and "" or c                      -- strokes, enclosed letters, ideographs
end

local function file_names(word)
  local last
  for _, ending in ipairs(files) do
    local at = 2
    repeat
      local first, final = word:find("." .. ending, at, true)
      if first and (not last or final > last) then last = final end
      at = first and first + 1
    until not at
  end
  return last and word:sub(last + 1)
end

local character <const> = "[\xC2-\xF4][\x80-\xBF]+"

local function without_names(s)
  s = s:gsub("&quot;?", ""):gsub("&amp", ""):gsub("%d%d?%d?%.%d%d?%d?%.%d%d?%d?%.%d%d?%d?", " "):gsub("%d:%d%d%s+$", "")
  s = s:gsub("\\n", " "):gsub("#%d%d?%d?" .. to, ""):gsub("#%d%d%d%d%d+" .. to, "")
  s = s:gsub(from .. "%d%d%d%d%d%d+" .. to, "")
  return (s:gsub("%S+", file_names))
end

local function without_ornaments(s)
  s = s:gsub("[\"']['\"]+", '"'):gsub("%.%.+", " ")
  s = s:gsub(character, function(c) return ornaments[c] and "#" or c end)
  s = s:gsub("[#&@~%)%(%]%[}{|\\/%*]+", " "):gsub("%s+%.%s+", " ")
  local _, joined = s:gsub("[%-_]", "")
  return joined > 3 and s:gsub("[%-_]", " ") or s
end

local function without_numbers(s)
  s = s:gsub(from .. "(%a%a?%a?)(%d%d%d+)" .. to, function(_, digits) return #digits <= 15 and "" or nil end)
  s = s:gsub(from .. "%a+%d+%a+" .. to, ""):gsub(from .. "%d+%a+%d+" .. to, "")
  return s
end

local function without_shop_talk(s)
  for _, words in ipairs { "worldwide%s+free%s+shipping", "worldwide%s+shipping", "free%s+shipping", "shipping",
                           "free%sdownload%sfree", "free%sdownload", "download%sfree", "download",
                           from .. "click%sfor%s[" .. W .. "]+", from .. "click%son%s[" .. W .. "]+" } do
    s = s:gsub(words, "")
  end
  for _, ending in ipairs(files) do s = s:gsub(from .. ending .. "%simages?", ""):gsub(from .. ending, "") end
  s = s:gsub(from .. "page%s+%d+" .. to, ""):gsub(from .. "%d*%a+%d+%a+%d+%w*" .. to, " ")
  for _, times in ipairs { "x", "\u{445}", "\u{D7}" } do
    s = s:gsub(from .. "%d+%.?%d*" .. times .. "%d+%.?%d*" .. to, "")
  end
  return s
end

local function finish(s)
  s = s:gsub(character, function(c) return drift.prompt(c) == "" and " " or c end)
  s = s:gsub("([" .. W .. "])%s+:%s+", "%1: "):gsub("([^%d][,./])" .. from, "%1 "):gsub("%s+", " ")
  s = s:gsub("^[\"'](.+)[\"']$", "%1"):gsub("^['_,%-:;]", ""):gsub("['_,%-:+]$", "")
  if s:find "^%.%S+$" then s = "" end
  return drift.prompt(s)
end

local function clean(s)
  s = s:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  s = drift.prompt(s):gsub("<person>", "person")
  s = unescape(without_addresses(s):gsub("<[%a/!][^>]*>", ""))
  s = s:gsub("@[" .. W .. "]+", ""):gsub(character, standard):gsub("`", '"'):gsub("%-+", "-")
  s = without_ornaments(without_names(s))
  s = without_numbers(unescape(unescape(s)))
  return finish(without_shop_talk(s))
end

return function(text)
  if type(text) ~= "string" then drift.fail("a caption is a string, not a %s", type(text)) end
  if #text > longest then drift.fail("a caption of %d bytes; at most %d are cleaned", #text, longest) end
  return clean(clean(text))
end
