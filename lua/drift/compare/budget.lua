-- budget.lua: budgets of a comparison as declared constraints: how far each variant may differ from the baseline.
--   match = { steps = 0, params = 0.10, flops = 0.05, memory = 0.1, time = 0.1 }      relative; 0: equal
--   budget.check(costs, match [, { baseline = name }])          refuses, with the numbers, what can be counted
--   budget.unmatched(costs, match [, { baseline =, of = "measured" }]) -> list of texts, { } where all is within match
--   budget.steps_for(cost, baseline_cost, steps)  -> as many steps as spend the baseline's FLOPs
-- costs: a list of { name =, params =, flops_step =, memory =, steps =, batch =, seconds = }, the baseline's the first
-- unless named; what drift.cost gives, and the rest from the cells. flops: of the whole training, flops_step (of an
-- image, forward, backward) times batch times steps. Without steps or batch: of an image.
-- What is counted (steps, params, flops, memory) is refused before anything is trained. Time is measured, so that it
-- can only be said afterwards: the results stay, the verdict says what does not match, and drift compare ends with 1.
-- To meet a budget: budget = { flops = "equal" } adapts steps; train = { seconds = 60 } trains for that long.
local drift = require "drift"

local budget = {}

local function whole(x)                                            -- 1234567 -> "1,234,567"
  local text = ("%.0f"):format(x)
  repeat
    local n
    text, n = text:gsub("^(%-?%d+)(%d%d%d)", "%1,%2")
  until n == 0
  return text
end

local function scaled(x, base, names)
  local i = 1
  while x >= base and i < #names do x, i = x / base, i + 1 end
  return ("%.4g %s"):format(x, names[i])
end

local function total_flops(c)
  local flops = c.flops_step or c.flops_per_image
  return flops and flops * (c.steps and c.batch and c.steps * c.batch or 1)
end

-- In the order in which they are said.
local CONSTRAINTS = {
  { name = "steps", of = "counted", get = function(c) return c.steps end, text = whole },
  { name = "params", of = "counted", get = function(c) return c.params end, text = whole },
  { name = "flops", of = "counted", get = total_flops,
    text = function(x) return scaled(x, 1000, { "FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP" }) end },
  { name = "memory", of = "counted", get = function(c) return c.memory end,
    text = function(x) return scaled(x, 1024, { "bytes", "KiB", "MiB", "GiB", "TiB" }) end },
  { name = "time", of = "measured", get = function(c) return c.seconds end,
    text = function(x) return ("%.1f s"):format(x) end },
}

local function check_match(match)
  local names = {}
  for i, c in ipairs(CONSTRAINTS) do names[i] = c.name end
  drift.accept("match", match, {}, names)
  for name, tolerance in pairs(match) do
    if type(tolerance) ~= "number" or not (tolerance >= 0 and tolerance < math.huge) then
      drift.fail("match: %s = %s should be how far variants may differ from the baseline, 0.1 for 10%%; 0: equal", name,
        tostring(tolerance))
    end
  end
end

local function baseline_of(costs, name)
  if not name then return costs[1] or drift.fail "budget: there is no variant" end
  local names = {}
  for i, c in ipairs(costs) do
    if c.name == name then return c end
    names[i] = c.name
  end
  local near = drift.nearest(name, names)
  drift.fail("budget: the baseline %s is no variant%s", name, near and "; did you mean " .. near .. "?" or "")
end

local function percent(x) return (("%.1f"):format(100 * x):gsub("%.0$", "")) .. "%" end

-- Rounding is no difference: equal means equal to a part in 1e9.
local function compared(c, cost, base, tolerance)
  local a, b = c.get(cost), c.get(base)
  for who, value in pairs { [cost.name] = a or false, [base.name] = b or false } do
    if not value then return ("%s: %s has no number to compare"):format(c.name, who) end
  end
  if math.abs(a - b) <= tolerance * b + 1e-9 * math.abs(b) then return nil end
  local how = b == 0 and "more" or ("%s %s"):format(percent(math.abs(a - b) / b), a > b and "more" or "less")
  local allowed = tolerance == 0 and "where match asks for equal ones" or "where match allows " .. percent(tolerance)
  return ("%s: %s has %s, %s %s: %s, %s"):format(c.name, cost.name, c.text(a), base.name, c.text(b), how, allowed)
end

function budget.unmatched(costs, match, o)
  o = o or {}
  check_match(match)
  local texts, base = {}, baseline_of(costs, o.baseline)
  for _, c in ipairs(CONSTRAINTS) do
    for _, cost in ipairs(costs) do
      if match[c.name] and c.of == (o.of or "counted") and cost ~= base then
        texts[#texts + 1] = compared(c, cost, base, match[c.name])
      end
    end
  end
  return texts
end

function budget.check(costs, match, o)
  local texts = budget.unmatched(costs, match, o)
  if #texts == 0 then return end
  drift.fail("the variants' budgets do not match:\n  %s\nchange a variant's size, allow more in match, or give "
    .. "budget = { flops = \"equal\" }, which adapts steps to FLOPs", table.concat(texts, "\n  "))
end

-- At least one; never more FLOPs than the baseline's.
function budget.steps_for(cost, baseline_cost, steps)
  local own, base = cost.flops_step or cost.flops_per_image, baseline_cost.flops_step or baseline_cost.flops_per_image
  if not own or own <= 0 or not base then
    drift.fail "budget: steps for equal FLOPs need the FLOPs of a step, as drift.cost counts them"
  end
  return math.max(1, math.floor(steps * base / own + 1e-9))
end

return budget
