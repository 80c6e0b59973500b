-- prompt.lua: a prompt as DeepFloyd IF's text encoder wants it: in lower case, without white space at its ends.
--   drift.prompt(text) -> text          as Python's text.lower().strip()
-- Bytes that are not UTF-8 stay as they are; the tokenizer says what becomes of them.
local tables = require "drift.unicode_case"

local lower, cased, ignored        -- code point -> its lower case, true, true: made of the ranges at first use

local function set_of(ranges)
  local set = {}
  for _, r in ipairs(ranges) do
    for c = r[1], r[2] do set[c] = true end
  end
  return set
end

local function prepare()
  lower, cased, ignored = {}, set_of(tables.cased), set_of(tables.ignored)
  for _, r in ipairs(tables.mapped) do
    for c = r[1], r[2], r[3] do lower[c] = c + r[4] end
  end
end

-- The characters of a text: code points, and as negative numbers bytes that are no part of a character.
local function characters(text)
  local list, at, n = {}, 1, #text
  while at <= n do
    local c = text:byte(at)
    local size = c < 0x80 and 1 or c < 0xC2 and 0 or c < 0xE0 and 2 or c < 0xF0 and 3 or c < 0xF5 and 4 or 0
    if size > 0 and at + size - 1 <= n and utf8.len(text, at, at + size - 1) == 1 then
      list[#list + 1] = utf8.codepoint(text, at)
      at = at + size
    else
      list[#list + 1] = -c
      at = at + 1
    end
  end
  return list
end

-- A capital sigma at the end of a word has another form: a letter before it, and none behind it, whatever stands
-- between that is no letter and ends no word.
local function ends_word(list, i)
  local before, after = i - 1, i + 1
  while ignored[list[before]] do before = before - 1 end
  while ignored[list[after]] do after = after + 1 end
  return cased[list[before]] and not cased[list[after]]
end

local spaces = set_of { { 0x09, 0x0D }, { 0x1C, 0x20 }, { 0x85, 0x85 }, { 0xA0, 0xA0 }, { 0x1680, 0x1680 },
                        { 0x2000, 0x200A }, { 0x2028, 0x2029 }, { 0x202F, 0x202F }, { 0x205F, 0x205F },
                        { 0x3000, 0x3000 } }

local function text_of(c) return c < 0 and string.char(-c) or utf8.char(c) end

return function(text)
  if type(text) ~= "string" then require("drift").fail("a prompt is a string, not a %s", type(text)) end
  if not lower then prepare() end
  local list, parts = characters(text), {}
  local first, last = 1, #list
  while spaces[list[first]] do first = first + 1 end
  while last > first and spaces[list[last]] do last = last - 1 end
  for i = first, last do
    local c = list[i]
    if c == 0x3A3 then c = ends_word(list, i) and 0x3C2 or 0x3C3 else c = lower[c] or c end
    parts[#parts + 1] = c == 0x130 and "i\u{307}" or text_of(c)     -- the one that becomes two
  end
  return table.concat(parts)
end
