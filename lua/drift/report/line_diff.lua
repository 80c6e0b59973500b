-- line_diff.lua: what differs between two lists of lines, changed lines only:
--   line_diff(old, new) -> { { op = "-", text = ... }, { op = "+", text = ... }, { op = " ", text = "..." }, ... }
-- By the longest common subsequence (Hunt and McIlroy 1976, without their shortcuts: trees have some hundred lines).
-- Between two changes that do not touch, one line with op " " says how many equal lines lie there.

-- Lengths of common subsequences of old[i..] and new[j..], for i in [first, last_old + 1], j alike.
local function lengths(old, new, first, last_old, last_new)
  local rows = { [last_old + 1] = {} }
  for i = last_old, first, -1 do
    local row, below = {}, rows[i + 1]
    for j = last_new, first, -1 do
      if old[i] == new[j] then
        row[j] = (below[j + 1] or 0) + 1
      else
        row[j] = math.max(below[j] or 0, row[j + 1] or 0)
      end
    end
    rows[i] = row
  end
  return rows
end

return function(old, new)
  local first, last_old, last_new = 1, #old, #new
  while first <= last_old and first <= last_new and old[first] == new[first] do first = first + 1 end
  while last_old >= first and last_new >= first and old[last_old] == new[last_new] do
    last_old, last_new = last_old - 1, last_new - 1
  end
  local common, changes, equal = lengths(old, new, first, last_old, last_new), {}, 0
  local function add(op, text)
    if equal > 0 and #changes > 0 then
      changes[#changes + 1] = { op = " ", text = ("… %d equal line%s"):format(equal, equal == 1 and "" or "s") }
    end
    equal = 0
    changes[#changes + 1] = { op = op, text = text }
  end
  local i, j = first, first
  while i <= last_old or j <= last_new do
    if i <= last_old and j <= last_new and old[i] == new[j] then
      i, j, equal = i + 1, j + 1, equal + 1
    elseif j > last_new or (i <= last_old and (common[i + 1][j] or 0) >= (common[i][j + 1] or 0)) then
      add("-", old[i])
      i = i + 1
    else
      add("+", new[j])
      j = j + 1
    end
  end
  return changes
end
