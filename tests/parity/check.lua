-- check.lua: what compare.c is, for the kinds whose networks are wired in Lua: the file that DRIFT_PARITY_FILE names,
-- on each device of DRIFT_PARITY_DEVICES. Every value must satisfy max|c - ref| <= 10 tol (integers: be equal; pictures of
-- 8 bits, NAME_u8: differ by 1 at most), and one that was not compared is a failure.
local drift = require "drift"

local Check = {}
Check.__index = Check

local shown_failures <const> = 12
local formats <const> = { f32 = "<f", f64 = "<d", i64 = "<i8", i32 = "<i4", u8 = "B" }

-- The numbers of a tensor, row-major, in a flat list.
local function numbers(t)
  local format = formats[t.dtype]
  local bytes, list, at = t:tostring_bytes(), {}, 1
  for i = 1, t:numel() do list[i], at = string.unpack(format, bytes, at) end
  return list
end

local function text(shape) return "[" .. table.concat(shape, ",") .. "]" end

function Check:fail(format, ...)
  self.failures = self.failures + 1
  if self.failures > shown_failures then return end
  print(("FAIL %s on %s: "):format(self.name, self.device) .. format:format(...))
end

function Check:has(name) return self.file:has(name) end

-- Marks it as used; on the current device.
function Check:input(name, dtype)
  self.seen[name] = true
  return self.file:tensor(name, dtype)
end

-- { rest of the name = tensor } of all tensors that begin with prefix
function Check:inputs(prefix)
  local found = {}
  for _, name in ipairs(self.file:names()) do
    if name:sub(1, #prefix) == prefix then found[name:sub(#prefix + 1)] = self:input(name) end
  end
  return found
end

function Check:any(prefix)
  for _, name in ipairs(self.file:names()) do
    if name:sub(1, #prefix) == prefix then return true end
  end
  return false
end

function Check:compare(got, name)
  self.compared = self.compared + 1
  self.seen[name] = true
  if not self.file:has(name) then return self:fail("%s: the file has no such value", name) end
  if not got then return self:fail("%s: nothing was computed", name) end
  local shape = self.file:shape(name)
  if text(shape) ~= text(got.shape) then
    return self:fail("%s: computed %s, should be %s", name, text(got.shape), text(shape))
  end
  local tol, dtype = 0, self.file:dtype(name)
  if dtype == "f32" then
    if not self.file:has("tol." .. name) then return self:fail("%s: the file has no tol.%s", name, name) end
    tol = self:input("tol." .. name):item()
    if not (tol >= 0 and tol < math.huge) then return self:fail("%s: tol.%s is %g", name, name, tol) end
  end
  local c, ref, largest, where = numbers(got), numbers(self.file:tensor(name)), 0, 0
  for i = 1, #ref do
    local d = math.abs(c[i] - ref[i])
    if d > largest or d ~= d then largest, where = d, i end
    if d ~= d then break end
  end
  local times, most = largest == 0 and 0 or largest / tol, 10 * tol
  if dtype == "u8" and name:find "_u8$" then times, most = 0, 1 end
  if times > self.worst then self.worst, self.worst_at = times, name end
  if not (largest <= most) then
    self:fail("%s: max|c - ref| = %.3g is %.3g x tol; element %d is %.9g, should be %.9g", name, largest, times,
              where - 1, c[where], ref[where])
  end
end

function Check:finish()
  for _, name in ipairs(self.file:names()) do
    if not self.seen[name] then self:fail("unchecked: %s", name) end
  end
  if self.failures > shown_failures then
    print(("FAIL %s on %s: ... and %d more"):format(self.name, self.device, self.failures - shown_failures))
  end
end

-- Runs body(check, file) on each device and ends the program: status 1 where anything failed.
return function(body)
  local path, devices = os.getenv "DRIFT_PARITY_FILE", os.getenv "DRIFT_PARITY_DEVICES" or "ref,cpu"
  if not path then drift.fail "DRIFT_PARITY_FILE must name a file" end
  local name, failures, compared, worst, at = os.getenv "DRIFT_PARITY_NAME" or path, 0, 0, 0, ""
  for device in devices:gmatch "[^,]+" do
    drift.use(device)
    local check = setmetatable({ file = drift.open(path), name = name, device = device, seen = {}, compared = 0,
                                 failures = 0, worst = 0 }, Check)
    local ok, message = xpcall(body, debug.traceback, check)
    if ok then check:finish() else check:fail("%s", message) end   -- what follows from an error would only hide it
    failures, compared = failures + check.failures, compared + check.compared
    if check.worst > worst then
      worst, at = check.worst, (", worst %.2f x tol: %s on %s"):format(check.worst, check.worst_at, device)
    end
  end
  print(("%s %s: %d values%s"):format(failures == 0 and "pass" or "FAIL", name, compared, at))
  os.exit(failures == 0, true)
end
