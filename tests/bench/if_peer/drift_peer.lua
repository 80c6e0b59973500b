-- drift_peer.lua: steps of a DeepFloyd stage I UNet by Drift: one line of JSON, as torch_peer.py prints it.
--   drift run drift_peer.lua --set folder=UNET_FOLDER --set steps=3 [--set plan=false] --precision bf16
-- A step is a batch of two at 64 pixels, as one step with guidance. Memory: VmHWM of the process, and how much of it was
-- its own (anonymous) after the last step; the rest is files, mostly weights.
local drift = require "drift"

local function memory()
    local found = {}
    for line in io.lines "/proc/self/status" do
        local key, kib = line:match "^(%w+):%s+(%d+) kB"
        if key then found[key] = math.tointeger(kib) // 1024 end
    end
    return found
end

local set = { steps = 3, plan = true, batch = 2 }
for key, text in pairs(drift.set) do set[key] = key == "folder" and text or drift.parse(text) end
local before, start = memory(), drift.clock()
local net = drift.build(drift.models.deepfloyd_if { config = set.folder .. "/config.json" },
    { weights = drift.weights(set.folder) })
local open_s = drift.clock() - start

local x = drift.randn { set.batch, 3, 64, 64, purpose = "noise", seed = 1 }
local c = { time = drift.full({ set.batch }, 500), tokens = drift.randn { set.batch, 77, 4096, purpose = "text", seed = 2 } }
local function forward(call) return net(call.x, c) end
local step = set.plan and drift.plan(forward, { name = "step" }) or forward
local seconds, cpu_seconds, deviation = {}, {}, nil
drift.no_grad(function()
    for i = 1, set.steps + 1 do
        local from, cpu_from = drift.clock(), os.clock()
        drift.scope(function()
            local y = step { x = x }
            drift.device():sync()
            seconds[i], cpu_seconds[i] = drift.clock() - from, os.clock() - cpu_from
            deviation = math.sqrt((y * y):mean():item())
        end)
    end
end)
local after = memory()
local first = table.remove(seconds, 1)
print(drift.json.encode { open_s = open_s, first_s = first, seconds = seconds, cpu_seconds = cpu_seconds,
    peak_mib = after.VmHWM, own_mib = after.RssAnon, file_mib = after.RssFile, before_mib = before.VmHWM, deviation = deviation })
