-- program_spec.lua: the program: its commands and options, exit status, messages with their place, strict globals,
-- text-only loading, Ctrl-C.
local drift = require "drift"
local program = assert(os.getenv "DRIFT")

local function write(path, text)
    drift.write_file(path, text)
    return path
end

-- Output (both streams) and exit status.
local function run(arguments)
    local pipe = assert(io.popen(program .. " " .. arguments .. " 2>&1; echo \"status $?\""))
    local output = pipe:read "a"
    pipe:close()
    local text, status = output:match "^(.*)status (%d+)\n$"
    return text, tonumber(status)
end

local function fails(arguments, ...)
    local text, status = run(arguments)
    assert.are.equal(1, status, text)
    for _, part in ipairs { "drift: ", ... } do assert.is_truthy(text:find(part, 1, true), text) end
    return text
end

local function script_fails(text, ...)
    return fails("run --device ref " .. write("script.lua", text), ...)
end

describe("the command line", function()
    it("has version, help and list", function()
        assert.are.equal("drift " .. drift.version .. "\n", (run "version"))
        assert.is_truthy(run "help":find("drift run SCRIPT", 1, true))
        assert.is_truthy(run "--help":find("drift run SCRIPT", 1, true))
        assert.is_truthy(run "help heun":find("sampler heun:", 1, true))
        assert.is_truthy(run "list sampler":find("heun", 1, true))
        assert.are.equal(0, select(2, run "list"))
        assert.is_truthy(run "list plugin":find("samplers", 1, true))
    end)

    it("refuses what it does not know", function()
        fails("rnu", "did you mean drift run")
        fails("help huen", "did you mean 'heun'")
        fails("list samplr", "did you mean 'sampler'")
        fails("run", "run which script?")
        fails("run x.lua --devise ref", "did you mean --device")
        fails("run x.lua --device", "--device needs a value")
        fails("run x.lua --seed abc", "--seed takes a whole number")
        fails("run x.lua --threads 0", "--threads")
        fails("run x.lua --precision f16", "--precision is f32, bf16 or tf32")
        fails("run x.lua --set abc", "--set takes key=value")
        fails("run x.lua y.lua", "one argument too many")
        fails("run --device none x.lua", "no backend 'none'")
        fails("run --device ref none.lua", "none.lua")
    end)

    it("is a prompt without a command", function()
        local text, status = run("--device ref < " .. write("lines", "1 + 1\n"))
        assert.are.equal(0, status, text)
        assert.are.equal("2\n", text)
    end)

    it("hands options and key=value to the script", function()
        write("options.lua", [[
            local drift = require "drift"
            local o = drift.options
            print(o.device, o.seed, o.out, o.resume, o.script, drift.seed(), drift.device().name)
            for _, key in ipairs(drift.set_order) do print(key, drift.set[key]) end]])
        local text = run "run options.lua b=x=y --set c=3 --device ref --seed 7 --out runs --resume old"
        assert.are.equal("ref\t7\truns\told\toptions.lua\t7\tref\nb\tx=y\nc\t3\n", text)
    end)

    it("loads the plugins of DRIFT_PLUGINS", function()
        write("p.lua", [[print(require "drift".decay.neighbour { needed = 1 })]])
        local folder = os.getenv "DRIFT_TEST_PLUGIN_DIR"
        drift.mkdir "mine"
        os.execute(("cp '%s/good_neighbour.so' mine"):format(folder))
        local pipe = io.popen("DRIFT_PLUGINS=mine " .. program .. " run --device ref p.lua 2>&1")
        assert.are.equal("decay.neighbour{needed=1}", pipe:read "l")
        pipe:close()
    end)
end)

describe("a script", function()
    it("that fails ends with status 1 and its line", function()
        script_fails("local x = 1\nerror 'on purpose'", "script.lua:2: on purpose")
        script_fails("local x = = 1", "script.lua:1:")
        script_fails("local d = require 'drift'\nlocal s = d.sampler.heun { order = 9 }",
                     "script.lua:2: sampler heun: order = 9")
        script_fails("local d = require 'drift'\n\nlocal function f()\n  return d.net { nme = 1 }\nend\nf()",
                     "script.lua:4: drift.net has no field 'nme'")
        script_fails("error {}", "table")
        script_fails("require 'no_such_module'", "no_such_module")
    end)

    it("shows a traceback with --debug only", function()
        local text = script_fails("local function f() error 'deep' end\nf()", "deep")
        assert.is_falsy(text:find("traceback", 1, true))
        text = fails("run --debug --device ref script.lua", "deep", "stack traceback")
        assert.is_truthy(text:find("script.lua:2", 1, true), text)
    end)

    it("may end with a status of its own", function()
        local _, status = run("run --device ref " .. write("exit.lua", "os.exit(77, true)"))
        assert.are.equal(77, status)
    end)

    it("has no undefined globals, read or written, unless it asks for them", function()
        script_fails("local x = pritn", "script.lua:1: undefined global 'pritn'; did you mean 'print'?")
        script_fails("local x = 1\nx, y = 1, 2", "script.lua:2: 'y' is not declared; write: local y")
        script_fails("local function f() z = 1 end\nf()", "script.lua:1: 'z' is not declared")
        write("module.lua", "undefined_one = 1\nreturn {}")
        script_fails("require 'module'", "module.lua:1: 'undefined_one' is not declared")
        local text, status = run("run --no-strict --device ref " .. write("loose.lua", "y = z\nprint(y)"))
        assert.are.same({ "nil\n", 0 }, { text, status })
    end)

    it("finds modules beside it", function()
        drift.mkdir "beside"
        write("beside/part.lua", "return 42")
        write("beside/main.lua", "print((require 'part'))")
        assert.are.equal("42\n", (run "run --device ref beside/main.lua"))
    end)

    it("is loaded as text only, and so is what it loads", function()
        write("binary.lua", string.dump(function() end))
        fails("run --device ref binary.lua", "binary")
        write("evil.lua", string.dump(function() return 1 end))
        script_fails("require 'evil'", "evil")
        script_fails("assert(load(string.dump(function() end)))", "binary")
        script_fails("assert(load(string.dump(function() end), 'x', 'b'))", "text")
        script_fails("assert(loadfile 'binary.lua')", "binary")
        script_fails("dofile 'binary.lua'", "binary")
        assert.are.equal("3\n", (run("run --device ref " .. write("ok.lua", "print(load('return ...')(3))"))))
    end)

    it("does not let OpenMP's threads spin for long, unless asked to", function()
        write("spin.lua", 'print("spin " .. tostring(os.getenv "GOMP_SPINCOUNT"))')
        local function spin(setting)
            local pipe = io.popen("env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT " .. setting .. " " .. program .. " run --device ref spin.lua")
            local text = pipe:read "a"
            pipe:close()
            return text
        end
        assert.are.equal("spin 2000\n", spin "")
        assert.are.equal("spin 7\n", spin "GOMP_SPINCOUNT=7")
        assert.are.equal("spin nil\n", spin "OMP_WAIT_POLICY=active")
    end)

    it("fails when what it prints cannot be written", function()
        local pipe = io.popen(program .. " list 2>&1 >/dev/full; echo $?")
        local text = pipe:read "a"
        pipe:close()
        assert.is_truthy(text:find("standard output cannot be written", 1, true), text)
        assert.is_truthy(text:find("1\n", 1, true), text)
    end)

    it("keeps what it prints out of its files where standard output is closed", function()
        write("closed.lua", [[
            local file = io.open("kept.txt", "w")
            print "not in the file"
            io.stdout:flush()
            file:write "in the file"
            file:close()]])
        os.execute(program .. " run --device ref closed.lua >&-")
        local file = io.open "kept.txt"
        assert.are.equal("in the file", file:read "a")
        file:close()
    end)

    it("says how to go on after Ctrl-C in sampling", function()
        write("sampling.lua", [[
            local drift = require "drift"
            local run = drift.experiment { steps = 1, batch = 2 }
            local process = drift.process.flow_matching {}
            local net = drift.train { run = run, model = drift.models.cs180_unet { hidden = 1, time = "add" }, process = process,
                data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }, optim = drift.optim.adam {} }
            drift.sample { model = net, process = process, sampler = drift.sampler.euler { steps = 100000 }, n = 1, shape = { 1, 28, 28 },
                quiet = true, each = function(step) if step == 1 then print "ready" io.stdout:flush() end end }]])
        local pipe = io.popen(program .. " run --device cpu --out stopped_run sampling.lua >ready.txt 2>&1 & p=$!; i=0;" ..
            "while ! grep -q ready ready.txt && [ $i -lt 300 ]; do i=$((i + 1)); sleep 0.1; done;" ..
            "kill -INT $p; wait $p; echo $?; cat ready.txt")
        local text = pipe:read "a"
        pipe:close()
        assert.is_truthy(text:find("^130\n"), text)
        assert.is_truthy(text:find("stopped while sampling; go on with: ./drift run sampling.lua --resume stopped_run", 1, true), text)
    end)

    it("sees Ctrl-C as a flag first", function()
        write("wait.lua", [[
            local drift = require "drift"
            io.write "ready\n" io.flush()
            local t = drift.clock()
            while not drift.interrupted() and drift.clock() - t < 20 do drift.sleep(0.01) end
            print(drift.interrupted() and "stopped in order" or "never stopped")]])
        local when_ready = " >ready.txt & p=$!; until grep -q ready ready.txt; do sleep 0.05; done; kill -INT $p; "
        local text = run("run --device ref wait.lua" .. when_ready .. "wait $p; cat ready.txt; rm ready.txt")
        assert.is_truthy(text:find("stopped in order", 1, true), text)
        write("deaf.lua", 'io.write "ready\\n" io.flush() while true do end')
        local pipe = io.popen(program .. " run --device ref deaf.lua 2>/dev/null" .. when_ready ..
                              "sleep 0.2; kill -INT $p; wait $p; echo $?")
        assert.are.equal(130, pipe:read "n")
        pipe:close()
    end)
end)
