-- post_hoc_ema.lua: after training, the average of the weights of a width that was not kept: a sum of the snapshots of
-- power-function averages that were.     Karras et al. 2024 (EDM2), section 3 and appendix C
--
--   local weights, fit = drift.post_hoc_ema("runs/a", { sigma_rel = 0.15, step = 5000, net = net })
--
--   profile  p_i(s) = (g_i+1) s^g_i / t_i^(g_i+1)  on [0, t_i]:  snapshot i = integral of p_i(s) weight(s) ds
--   wanted   p(s) of the same form;   coefficients x minimise  |sum_i x_i p_i - p|^2:   A x = b,
--   A_ij = <p_i, p_j>,  b_i = <p_i, p>,   <p_a, p_b> = (g_a+1)(g_b+1)/(g_a+g_b+1) t_a^g_b / t_b^(g_b+1)  for t_a <= t_b
--
-- With d(t) = (1-1/t)^(g+1) the profile of whole steps is this one exactly, with weight(s) constant between steps.
local drift = require "drift"

-- <p_a, p_b> / (|p_a| |p_b|): in logarithms, since t^g leaves the range of doubles, and of unit norm, so that snapshots
-- of all steps count alike.
local function log_dot(a, b)
  if a.step > b.step then a, b = b, a end
  local both = (a.gamma + 1) * (b.gamma + 1) / (a.gamma + b.gamma + 1)
  return math.log(both) + b.gamma * math.log(a.step) - (b.gamma + 1) * math.log(b.step)
end

local function cosine(a, b) return math.exp(log_dot(a, b) - 0.5 * (log_dot(a, a) + log_dot(b, b))) end

-- Least squares by Cholesky with the largest pivot first. Snapshots that the chosen ones already span, to rounding,
-- get 0: their equations say nothing new and would only amplify errors.
local function solve(A, b)
  local n, order, L, left = #b, {}, {}, {}
  for i = 1, n do L[i], left[i] = {}, A[i][i] end
  local rank = 0
  for k = 1, n do
    local best
    for i = 1, n do
      if left[i] and (not best or left[i] > left[best]) then best = i end
    end
    if left[best] < 1e-13 then break end
    rank, order[k] = k, best
    local pivot = math.sqrt(left[best])
    left[best] = nil
    L[best][k] = pivot
    for i = 1, n do
      if left[i] then
        local sum = A[i][best]
        for j = 1, k - 1 do sum = sum - L[i][j] * L[best][j] end
        L[i][k] = sum / pivot
        left[i] = left[i] - L[i][k] ^ 2
      end
    end
  end
  local y, x = {}, {}
  for k = 1, rank do
    local sum = b[order[k]]
    for j = 1, k - 1 do sum = sum - L[order[k]][j] * y[j] end
    y[k] = sum / L[order[k]][k]
  end
  for i = 1, n do x[i] = 0 end
  for k = rank, 1, -1 do
    local sum = y[k]
    for j = k + 1, rank do sum = sum - L[order[j]][k] * x[order[j]] end
    x[order[k]] = sum / L[order[k]][k]
  end
  return x
end

-- The coefficients of the snapshots, and how far the sum of their profiles is from the wanted one, of its own norm.
local function coefficients(snapshots, wanted)
  for i, s in ipairs(snapshots) do
    if s.step == wanted.step and math.abs(s.gamma - wanted.gamma) <= 1e-9 * (1 + s.gamma) then   -- it is there
      local x = {}
      for j = 1, #snapshots do x[j] = j == i and 1.0 or 0.0 end
      return x, 0.0
    end
  end
  local A, b = {}, {}
  for i, s in ipairs(snapshots) do
    A[i], b[i] = {}, cosine(s, wanted)
    for j, other in ipairs(snapshots) do A[i][j] = cosine(s, other) end
  end
  local x = solve(A, b)
  local square = 1.0                                              -- |sum x p - p|^2, all of unit norm
  for i = 1, #x do
    square = square - 2 * x[i] * b[i]
    for j = 1, #x do square = square + x[i] * A[i][j] * x[j] end
  end
  for i, s in ipairs(snapshots) do x[i] = x[i] * math.exp(0.5 * (log_dot(wanted, wanted) - log_dot(s, s))) end
  return x, math.sqrt(math.max(square, 0))
end

-- The snapshots of a folder: { path, step, gamma }.
local function list(folder)
  local found = {}
  if not drift.is_folder(folder) then drift.fail("post_hoc_ema: %s: there is no such folder of snapshots", folder) end
  for _, name in ipairs(drift.files(folder)) do
    if name:find "%.safetensors$" then
      local path = folder .. "/" .. name
      local metadata = drift.open(path).metadata
      local step, gamma = math.tointeger(tonumber(metadata.step)), tonumber(metadata.gamma)
      if metadata["drift.snapshot"] ~= "1" or not step or step < 1 or not gamma or not (gamma > -0.5) then
        drift.fail("post_hoc_ema: %s is not a snapshot of a power-function average", path)
      end
      found[#found + 1] = { path = path, step = step, gamma = gamma }
    end
  end
  if #found == 0 then drift.fail("post_hoc_ema: %s holds no snapshots", folder) end
  return found
end

local function folder_of(run)
  local folder = type(run) == "string" and run or run.dir
  if drift.is_folder(folder .. "/ema") then return folder .. "/ema" end
  return folder
end

-- Sums of floats; integers come from the snapshot nearest to the wanted step. In f32, as the averages themselves: the
-- coefficients are of both signs, but their sizes sum to little more than 1.
local function combine(snapshots, x, wanted)
  local sum, nearest = {}, nil
  for i, s in ipairs(snapshots) do
    if not nearest or math.abs(s.step - wanted.step) < math.abs(nearest.step - wanted.step) then nearest = s end
    if x[i] ~= 0 then
      local file = drift.open(s.path)
      for _, name in ipairs(file:names()) do
        local dtype = file:dtype(name)
        if dtype == "f32" or dtype == "f64" then
          if sum[name] and table.concat(sum[name].shape, ",") ~= table.concat(file:shape(name), ",") then
            drift.fail("post_hoc_ema: %s: %s has another shape than in the other snapshots", s.path, name)
          end
          sum[name] = sum[name] or drift.zeros(file:shape(name), { dtype = dtype })
          drift.scope(function() sum[name]:assign(sum[name] + file:tensor(name) * x[i]) end)
        end
      end
    end
  end
  local weights, file = {}, drift.open(nearest.path)
  for _, name in ipairs(file:names()) do
    weights[name] = sum[name] or file:tensor(name)
  end
  return weights
end

return function(run, o)
  drift.accept("post_hoc_ema", o, {}, { "sigma_rel", "gamma", "step", "net" })
  if (o.sigma_rel == nil) == (o.gamma == nil) then drift.fail "post_hoc_ema: give sigma_rel or gamma" end
  local snapshots = list(folder_of(run))
  local last = 0
  for _, s in ipairs(snapshots) do last = math.max(last, s.step) end
  local wanted = { gamma = o.gamma or drift.export.ema_gamma(o.sigma_rel), step = o.step or last }
  if not (wanted.gamma > -0.5) then                                -- below, profiles have no finite norm
    drift.fail("post_hoc_ema: gamma = %s is not above -0.5", tostring(o.gamma))
  end
  if math.type(wanted.step) ~= "integer" or wanted.step < 1 or wanted.step > last then
    drift.fail("post_hoc_ema: step = %s is outside [1, %d], the steps of the snapshots", tostring(o.step), last)
  end
  local x, residual = coefficients(snapshots, wanted)
  if residual > 0.1 then
    drift.note("post_hoc_ema: the snapshots span this width badly: their profiles come within %.0f %% of the wanted "
      .. "one; more snapshots, or widths on both sides, help", 100 * residual)
  end
  local weights = combine(snapshots, x, wanted)
  if o.net then drift.instance(o.net, "net"):load_state_dict(weights) end
  local fit = { residual = residual, gamma = wanted.gamma, step = wanted.step, snapshots = {} }
  for i, s in ipairs(snapshots) do
    fit.snapshots[i] = { path = s.path, step = s.step, gamma = s.gamma, coefficient = x[i] }
  end
  return weights, fit
end
