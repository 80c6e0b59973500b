-- spawn_spec.lua: drift.spawn: processes that run beside the script: how they end, what they are given, and that none
-- outlives us, however we end.
local drift = require "drift"
local program = assert(os.getenv "DRIFT")

local function shell(text, more)
    local o = { argv = { "sh", "-c", text } }
    for key, value in pairs(more or {}) do o[key] = value end
    return drift.spawn(o)
end

local function until_true(what)
    local limit = drift.clock() + 20
    repeat
        local value = what()
        if value then return value end
        drift.sleep(0.01)
    until drift.clock() > limit
    error "it did not come about in 20 s"
end

-- Neither gone nor a zombie that somebody else has not waited for yet.
local function is_alive(pid)
    if not drift.exists("/proc/" .. pid) then return false end
    local ok, status = pcall(drift.read_file, ("/proc/%s/stat"):format(pid))
    return ok and not status:find "%) Z "
end

describe("a child", function()
    it("runs beside us, and says how it ended", function()
        local p = shell "sleep 0.2; exit 7"
        assert.is_true(p.pid > 1)
        assert.is_nil(p:poll())
        local ended = until_true(function() return p:poll() end)
        assert.are.equal(7, ended.code)
        assert.is_nil(ended.signal)
        assert.are.equal(7, p:wait().code)                       -- as often as one likes
        assert.are.equal(0, shell "exit 0":wait().code)
        assert.is_true(ended.peak_bytes > 100000)
    end)

    it("is given environment and files, and none of ours but the standard ones", function()
        local held = assert(io.open("held.txt", "w"))
        local p = shell("echo $WORD $HOME; echo to err >&2; ls /proc/self/fd | wc -l; cat",
            { env = { WORD = "a=b c", HOME = false }, out = "out.txt", err = "err.txt" })
        assert.are.equal(0, p:wait().code)
        assert.are.equal("a=b c\n4\n", drift.read_file "out.txt")   -- 0, 1, 2, and the folder that ls reads
        assert.are.equal("to err\n", drift.read_file "err.txt")
        shell("echo more", { out = "out.txt" }):wait()
        assert.are.equal("a=b c\n4\nmore\n", drift.read_file "out.txt")
        held:close()
    end)

    it("is killed with its own children", function()
        local p = shell("sleep 100 & echo $! > inner; wait")
        local inner = until_true(function()
            local ok, text = pcall(drift.read_file, "inner")
            return ok and text:match "^(%d+)\n"
        end)
        assert.is_true(is_alive(inner))
        p:kill "KILL"
        assert.are.equal(9, p:wait().signal)
        until_true(function() return not is_alive(inner) end)
        p:kill()                                                 -- of one that has ended: nothing
        assert.has_error(function() p:kill "HUMBUG" end)
    end)

    it("takes SIGINT from us, not from the terminal", function()
        local p = shell "trap 'exit 42' INT; echo ready > ready; while :; do sleep 0.02; done"
        until_true(function() return drift.exists "ready" end)
        p:kill "INT"
        assert.are.equal(42, p:wait().code)
    end)

    it("ends at SIGPIPE, also where we serve pages and do not", function()
        local core = require "drift.core"
        local server = core.http_server and core.http_server(0)
        assert.are.equal(13, shell "kill -PIPE $$; exit 1":wait().signal)
        if server then server:close() end
    end)

    it("leaves no file open, however many there were", function()
        local function open_files() return #drift.files "/proc/self/fd" end
        local before = open_files()
        for i = 1, 100 do
            local p = drift.spawn { argv = { "true" } }
            if i % 2 == 0 then p:wait() end
            pcall(drift.spawn, { argv = { "/no/such program" } })
        end
        assert.are.equal(before, open_files())
    end)

    it("that cannot be started is an error that names it", function()
        for o, message in pairs {
            [{ argv = { "/no/such program" } }] = "/no/such program: No such file",
            [{ argv = { "sh" }, out = "/no/such/folder/file" }] = "/no/such/folder/file: No such file",
            [{ argv = {} }] = "argv is a list",
            [{ argv = { "sh", {} } }] = "argv[2] is not a string",
            [{ argv = { "sh" }, env = { A = 1 } }] = "env is a table of names and strings",
            [{ argv = { "echo", "a\0b" } }] = "argv[2] has a zero byte",
            [{ argv = { "sh" }, env = { ["A=B"] = "c" } }] = "has no '='",
            [{ argv = { "sh" }, env = { A = "c\0d" } }] = "a zero byte",
            [{ argv = setmetatable({}, { __len = function() return 1 << 61 end,
                                         __index = function() return "sh" end }) }] = "argv is a list",
        } do
            local ok, reason = pcall(drift.spawn, o)
            assert.is_false(ok)
            assert.is_truthy(reason:find(message, 1, true), reason)
        end
    end)
end)

describe("a child that would outlive us is killed", function()
    local function script(ending)
        drift.write_file("parent.lua", ([[
            local drift = require "drift"
            local p = drift.spawn { argv = { "sleep", "100" } }
            drift.write_file("child", tostring(p.pid))
            p = nil
            collectgarbage()
            %s
        ]]):format(ending))
        os.remove "child"
        return drift.spawn { argv = { program, "run", "--device", "ref", "parent.lua" }, err = "parent.err" }
    end

    for name, ending in pairs {
        ["where the script ends"] = "", ["where it fails"] = "error 'so'", ["where it calls os.exit"] = "os.exit(3)",
    } do
        it(name, function()
            script(ending):wait()
            assert.is_false(is_alive(drift.read_file "child"))
        end)
    end

    it("where we are killed", function()
        local parent = script "drift.sleep(100)"
        until_true(function() return drift.exists "child" end)
        assert.is_true(is_alive(drift.read_file "child"))
        os.execute("kill -9 " .. parent.pid)
        parent:wait()
        until_true(function() return not is_alive(drift.read_file "child") end)
    end)
end)

it("drift.program() is the program that runs this", function()
    local p = drift.spawn { argv = { drift.program(), "version" }, out = "version.txt" }
    assert.are.equal(0, p:wait().code)
    assert.are.equal("drift " .. drift.version .. "\n", drift.read_file "version.txt")
end)

it("drift.program() is still the program that runs where its file was replaced or removed meanwhile", function()
    assert(os.execute("cp '" .. program .. "' copy"))
    drift.write_file("again.lua", [[
        local drift = require "drift"
        os.remove "copy"
        local p = drift.spawn { argv = { drift.program(), "version" }, out = "again.txt" }
        os.exit(p:wait().code)
    ]])
    local p = drift.spawn { argv = { "./copy", "run", "--device", "ref", "again.lua" }, err = "again.err" }
    assert.are.equal(0, p:wait().code, drift.read_file "again.err")
    assert.are.equal("drift " .. drift.version .. "\n", drift.read_file "again.txt")
end)
