-- student_t.lua: Student's t distribution with any number of degrees of freedom, and the normal distribution's tail:
-- what intervals of means over few seeds are made of.     Student 1908
--   t.cdf(x, df)       P(T <= x) = 1 - I(df / (df + x^2); df/2, 1/2) / 2 for x >= 0
--   t.quantile(p, df)  the x at which that is p
--   t.p_value(x, df)   P(|T| >= |x|)
--   t.normal_cdf(x)    of N(0, 1)
-- The incomplete beta function I is evaluated by its continued fraction (Lentz), to about 1e-14.
local student_t = {}

-- Lanczos' approximation, g = 7: the logarithm of the gamma function for x > 0.
local LANCZOS = { 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
                  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7 }

local function log_gamma(x)
  if x < 0.5 then return math.log(math.pi / math.abs(math.sin(math.pi * x))) - log_gamma(1 - x) end
  local sum, t = 0.99999999999980993, x + 6.5
  for i, c in ipairs(LANCZOS) do sum = sum + c / (x - 1 + i) end
  return 0.5 * math.log(2 * math.pi) + (x - 0.5) * math.log(t) - t + math.log(sum)
end

local TINY, SMALL_STEP, MOST_TERMS = 1e-300, 1e-16, 500

local function fraction(x, a, b)                                    -- of I(x; a, b); converges for x < (a+1) / (a+b+2)
  local c, d = 1, 1 - (a + b) * x / (a + 1)
  d = 1 / (math.abs(d) < TINY and TINY or d)
  local h = d
  for m = 1, MOST_TERMS do
    local even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    local odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    local step = 1
    for _, term in ipairs { even, odd } do
      d, c = 1 + term * d, 1 + term / c
      d, c = 1 / (math.abs(d) < TINY and TINY or d), math.abs(c) < TINY and TINY or c
      step = d * c
      h = h * step
    end
    if math.abs(step - 1) < SMALL_STEP then break end
  end
  return h
end

local function incomplete_beta(x, a, b)
  if x <= 0 then return 0 end
  if x >= 1 then return 1 end
  local front = math.exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * math.log(x) + b * math.log(1 - x))
  if x < (a + 1) / (a + b + 2) then return front * fraction(x, a, b) / a end
  return 1 - front * fraction(1 - x, b, a) / b
end

-- Both tails; the smaller of x^2 / (df + x^2) and its complement is given, so that no digits are lost.
function student_t.p_value(x, df)
  return incomplete_beta(df / (df + x * x), df / 2, 0.5)
end

function student_t.cdf(x, df)
  local tail = student_t.p_value(x, df) / 2
  return x >= 0 and 1 - tail or tail
end

local known = {}                                                    -- quantiles are asked for again and again

function student_t.quantile(p, df)
  local key = p .. ":" .. df
  if known[key] then return known[key] end
  if p == 0.5 then return 0 end
  if p < 0.5 then return -student_t.quantile(1 - p, df) end
  local tail, low, high = 2 * (1 - p), 0, 1
  while student_t.p_value(high, df) > tail and high < 1e15 do high = 2 * high end
  for _ = 1, 200 do
    local middle = (low + high) / 2
    if middle == low or middle == high then break end
    if student_t.p_value(middle, df) > tail then low = middle else high = middle end
  end
  known[key] = (low + high) / 2
  return known[key]
end

-- P(Z <= x) through erfc's continued fraction in the tails, and its series near 0.
function student_t.normal_cdf(x)
  local z = math.abs(x)
  local density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
  local tail
  if z > 3 then
    local f = z
    for k = 60, 1, -1 do f = z + k / f end
    tail = density / f
  else
    local term, sum = z, z
    for k = 1, 80 do
      term = term * z * z / (2 * k + 1)
      sum = sum + term
    end
    tail = 0.5 - density * sum
  end
  return x >= 0 and 1 - tail or tail
end

return student_t
