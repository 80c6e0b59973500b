-- text.lua: the text side of DeepFloyd IF, of the file's neighbour `model` (a SentencePiece model):
--   sentencepiece   NNN.text -> NNN.norm, NNN.ids; cut to 76, eos, padded: NNN.ids77, NNN.mask77; badutf8.* alike
--   if_prompt       NNN.raw -> NNN.text, in lower case and stripped -> NNN.ids77, NNN.mask77
-- Run by parity.c, once for each such file.
local drift = require "drift"
local run = assert(loadfile(drift.home .. "/tests/parity/check.lua", "t"))()

local path = os.getenv "DRIFT_PARITY_FILE" or drift.fail "DRIFT_PARITY_FILE must name a file"
local file = drift.open(path)
local kind = file.metadata.kind
local tokenizer = drift.tokenizer.sentencepiece { path = (path:match "^(.*/)" or "./") .. file.metadata.model }

local function bytes(check, name)
  local t = check:input(name)
  return t:numel() > 0 and t:tostring_bytes() or ""
end

local function compare_bytes(check, text, name) check:compare(drift.from_string(text, { #text }, "u8"), name) end

local function compare_ids(check, ids, name)
  check:compare(#ids > 0 and drift.tensor(ids, "i32") or drift.zeros({ 0 }, { dtype = "i32" }), name)
end

local function compare_padded(check, text, case)
  local ids, mask = tokenizer:encode(text, { length = 77 })
  compare_ids(check, ids, case .. ".ids77")
  compare_ids(check, mask, case .. ".mask77")
end

run(function(check)
  for _, name in ipairs(file:names()) do
    local case, part = name:match "^(.*)%.(%a+)$"
    if kind == "sentencepiece" and part == "text" then
      local text = bytes(check, name)
      compare_ids(check, tokenizer:encode(text), case .. ".ids")
      if check:has(case .. ".norm") then compare_bytes(check, tokenizer:normalize(text), case .. ".norm") end
      if check:has(case .. ".ids77") then compare_padded(check, text, case) end
    elseif kind == "if_prompt" and part == "raw" then
      local text = drift.prompt(bytes(check, name))
      compare_bytes(check, text, case .. ".text")
      compare_padded(check, text, case)
    end
  end
end)
