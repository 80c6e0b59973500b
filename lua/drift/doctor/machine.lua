-- machine.lua: `drift doctor` on the machine: devices, what the processor can and what of it is used, threads, memory,
-- and settings of the environment that change speed.
local core = require "drift.core"

local machine_parts = {}

local GIB = 1024 ^ 3

function machine_parts.devices(report, machine)
  local lines = core.devices()
  for _, d in ipairs(lines) do
    if d.name == "cpu" then machine.shared.cpu = d.there and d.text or nil end
    if d.there then report.ok("device", d.name .. ": " .. d.text)
    elseif d.name == "cuda" then
      report.note("device", "cuda (optional) is not there: " .. d.text,
        "for an NVIDIA GPU: its driver, and CUDA 12 or newer to build with; see docs/gpu.md")
    else
      report.broken("device", d.name .. ": " .. d.text)
    end
  end
  local wanted = os.getenv "DRIFT_DEVICE"
  if not wanted or wanted == "" then return end
  local ok, why = pcall(core.device, (wanted:match "^[^,]*"))
  if ok then report.ok("DRIFT_DEVICE", wanted)
  else report.broken("DRIFT_DEVICE", wanted .. ": " .. why, "unset DRIFT_DEVICE, or set it to a device that is there") end
end

-- ---- processor ------------------------------------------------------------------------------------------------------
local features = { { "AVX2", "avx2" }, { "FMA", "fma" }, { "AVX-512", "avx512f" }, { "AVX512-BF16", "avx512_bf16" },
                   { "AMX-BF16", "amx_bf16" } }

local function flags_of(text)
  local flags = {}
  for flag in ((text or ""):match "\nflags%s*:([^\n]*)" or ""):gmatch "%S+" do flags[flag] = true end
  return next(flags) and flags
end

local function say_bf16(report, flags)
  local can = flags.avx512_bf16 or flags.amx_bf16
  if core.device "cpu":computes "bf16" then
    report.ok("bf16", ("--precision bf16 uses %s"):format(flags.amx_bf16 and "AMX-BF16" or "AVX512-BF16"))
  elseif can then
    report.note("bf16", "the processor has it, but the kernels were built without",
      "build again on this machine: delete the build folder, then ./drift doctor")
  else
    report.note("bf16", "the processor has neither AVX512-BF16 nor AMX-BF16: --precision bf16 is refused on cpu")
  end
end

function machine_parts.processor(report, machine)
  local flags = flags_of(machine.read "/proc/cpuinfo")
  local cpu = machine.shared.cpu
  if not flags then
    report.note("processor", "its features cannot be read here" .. (cpu and "; in use: " .. cpu or ""))
    return
  end
  local has, lacks = {}, {}
  for _, f in ipairs(features) do table.insert(flags[f[2]] and has or lacks, f[1]) end
  report.ok("processor", ("has %s%s"):format(#has > 0 and table.concat(has, ", ") or "none of AVX2 and later",
    #lacks > 0 and #has > 0 and "; not " .. table.concat(lacks, ", ") or ""))
  if not cpu then
    report.broken("kernels", "the device cpu is not there, and ref is many times slower",
      "see what is said of plugins and devices above")
    return
  end
  local used = cpu:find("AVX-512", 1, true) and "AVX-512" or cpu:find("AVX2", 1, true) and "AVX2" or "SSE2"
  local best = flags.avx512f and "AVX-512" or flags.avx2 and "AVX2" or "SSE2"
  if used == best then report.ok("kernels", "use " .. used)
  else report.note("kernels", ("were built for %s, the processor has %s: slower than could be"):format(used, best),
    "build again on this machine: delete the build folder, then ./drift doctor") end
  say_bf16(report, flags)
end

-- ---- threads --------------------------------------------------------------------------------------------------------
-- Processors' worth of time that the container may use; nil: no limit.
local function quota(machine)
  local text = machine.read "/sys/fs/cgroup/cpu.max"
  local most, period = (text or ""):match "^(%d+) (%d+)"
  if not most then
    most = (machine.read "/sys/fs/cgroup/cpu/cpu.cfs_quota_us" or ""):match "^%d+"
    period = (machine.read "/sys/fs/cgroup/cpu/cpu.cfs_period_us" or ""):match "^%d+"
  end
  return most and period and tonumber(period) > 0 and tonumber(most) / tonumber(period)
end

function machine_parts.threads(report, machine)
  local cpus = core.cpus()
  local threads = machine.shared.cpu and math.tointeger(core.device "cpu":option "threads")
  local text = ("%d processor%s"):format(cpus, cpus == 1 and "" or "s")
  if not threads then report.note("threads", text)
  elseif threads < cpus then
    report.note("threads", ("%s, but this process may run on %d of them"):format(text, threads),
      "taskset -p $$ shows on which")
  else report.ok("threads", ("%s, %d thread%s"):format(text, threads, threads == 1 and "" or "s")) end
  local limit = quota(machine)
  if limit and threads and limit < threads then
    local line = "the container gets the time of %.3g processors: more threads wait for each other"
    report.note("threads", line:format(limit), ("--threads %d"):format(math.max(1, limit // 1)))
  end
  local load = tonumber((machine.read "/proc/loadavg" or ""):match "^[%d.]+")
  if load and load > cpus then
    report.note("load", ("%.1f programs want %d processor%s: everything is slower than it could be"):format(load, cpus,
      cpus == 1 and "" or "s"), "top shows who else is at work")
  end
end

function machine_parts.memory(report, machine)
  local text = machine.read "/proc/meminfo" or ""
  local total, free = text:match "MemTotal:%s*(%d+)", text:match "MemAvailable:%s*(%d+)"
  if not (total and free) then
    report.note("memory", "its size cannot be read here")
    return
  end
  total, free = total * 1024, free * 1024
  local limit = tonumber((machine.read "/sys/fs/cgroup/memory.max" or ""):match "^%d+")
  if limit and limit < total then total, free = limit, math.min(free, limit) end
  local line = ("%.1f GiB, %.1f GiB of it free"):format(total / GIB, free / GIB)
  if free >= 2 * GIB then report.ok("memory", line)
  else report.note("memory", line, "a smaller batch (--set batch=32) needs less; DeepFloyd IF needs some 10 GiB") end
end

-- ---- settings -------------------------------------------------------------------------------------------------------
local of_speed = { "DRIFT_CPU_CONV", "DRIFT_CPU_TUNE", "DRIFT_CUDA_CONV", "DRIFT_CUDA_FUSE", "DRIFT_CUDA_GRAPH",
                   "DRIFT_CUDA_LANES", "DRIFT_CUDA_TUNE", "DRIFT_SYNC" }

function machine_parts.settings(report)
  local set = {}
  for _, name in ipairs(of_speed) do
    local value = os.getenv(name)
    if value and value ~= "" then set[#set + 1] = name .. "=" .. value end
  end
  if #set == 0 then return end
  report.note("settings", table.concat(set, " ") .. (#set == 1 and " changes" or " change") .. " speed",
    "unset what is not meant; docs/architecture.md says what they do")
end

return machine_parts
