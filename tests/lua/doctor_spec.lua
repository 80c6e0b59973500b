-- doctor_spec.lua: drift doctor: exit status 0 where all that is needed is there; with anything broken a line that
-- names it, what to do, status 1, and never a crash.
local drift = require "drift"
local program, home, data = assert(os.getenv "DRIFT"), drift.home, os.getenv "DRIFT_TEST_DATA"

-- Output (both streams) and exit status, with the environment changed: doctor "DRIFT_DATA=empty".
local function doctor(environment)
    local pipe = assert(io.popen(("env %s '%s' doctor 2>&1; echo \"status $?\""):format(environment or "", program)))
    local text, status = pipe:read "a":match "^(.*)status (%d+)\n$"
    pipe:close()
    return text, tonumber(status)
end

local function has(text, ...)
    for _, part in ipairs { ... } do assert.is_truthy(text:find(part, 1, true), text) end
end

-- Status 1 and these words, in a report that goes on to its end.
local function finds(environment, ...)
    local text, status = doctor(environment)
    assert.are.equal(1, status, text)
    has(text, "see above", ...)
    return text
end

local function sh(command) assert(os.execute(command)) end

describe("drift doctor", function()
    it("ends with status 0 where all that is needed is there, and says what it looked at", function()
        local text, status = doctor()
        assert.are.equal(0, status, text)
        has(text, "ok       version       drift " .. drift.version, "plugin ABI 1.", "ok       home          " .. home,
            " loaded: ", "blocks", "Lua           5.4", "jansson", "libffi", "giflib", "libspng", "libturbojpeg",
            "oneDNN", "sentencepiece", "device        ref: ", "device        cpu: ", "cuda", "threads", "memory",
            "ok       cache", "MNIST", "ok       classifier", "all that is needed is there")
        for _, word in ipairs { "\nbroken ", "\nmissing " } do assert.is_falsy(text:find(word, 1, true), text) end
    end)

    it("says of every device what drift devices says", function()
        local text, pipe = doctor(), io.popen(("'%s' devices"):format(program))
        for line in pipe:lines() do
            local name, what = line:match "^(%S+)%s+(.*)$"
            has(text, name, (what:gsub("^none: ", "")))
        end
        pipe:close()
        for _, d in ipairs(drift.devices()) do has(text, d.text) end
    end)

    it("names a plugin that is none, and what the folder lacks", function()
        drift.mkdir "none"
        drift.write_file("none/x.so", "no library")
        local text = finds("DRIFT_PLUGIN_DIR=none", "broken   plugin        none/x.so is refused: ", "build it again",
            "missing  plugins       none: no plugin could be loaded", "none lacks backend_cpu",
            "unset DRIFT_PLUGIN_DIR")
        assert.is_falsy(text:find("lacks template", 1, true), text)
        finds("DRIFT_PLUGIN_DIR=nowhere", "missing  plugins       nowhere: ")
    end)

    it("outlives half a plugin", function()
        drift.mkdir "half"
        sh "head -c 20000 \"$DRIFT_PLUGIN_DIR/blocks.so\" >half/half.so"
        finds("DRIFT_PLUGINS=half", "broken   plugin        half/half.so is refused: ", "ok       classifier")
    end)

    it("says that a folder without lua/ is not the home", function()
        drift.mkdir "homeless"
        local text, status = doctor "DRIFT_HOME=homeless"
        assert.are.equal(1, status, text)
        has(text, "missing  home          homeless/lua/drift/start.lua cannot be read", "set DRIFT_HOME")
    end)

    it("says what of its own code is damaged, and looks at the rest", function()
        drift.mkdir "damaged"
        sh(("cp -r '%s/lua' damaged && ln -s '%s/plugins' '%s/tests' damaged"):format(home, home, home))
        drift.write_file("damaged/lua/drift/doctor/machine.lua", "return {")
        drift.write_file("damaged/lua/drift/models/digit_classifier.safetensors", "torn")
        finds("DRIFT_HOME=damaged", "broken   processor     ", "damaged/lua/drift/doctor/machine.lua",
              "broken   classifier    ", "digit_classifier.safetensors", "ok       cache")
    end)

    it("names a cache that cannot be written", function()
        drift.write_file("file", "not a folder")                      -- refused to root as well
        finds("XDG_CACHE_HOME=file/cache", "broken   cache         folder file", "set XDG_CACHE_HOME")
    end)

    it("names data that is damaged, in DRIFT_DATA and in the cache", function()
        drift.mkdir "torn"
        sh(("cp '%s'/mnist/* torn && chmod u+w torn/* && rm -f torn/train-labels*"):format(data))
        drift.write_file("torn/train-labels-idx1-ubyte", "torn")
        finds("DRIFT_DATA=torn", "broken   MNIST         ", "torn/train-labels-idx1-ubyte", "unset DRIFT_DATA")
        drift.mkdir "cache/drift/mnist"
        drift.write_file("cache/drift/mnist/train-images-idx3-ubyte", "torn")
        finds("XDG_CACHE_HOME=cache", "broken   MNIST         the copy in the cache is damaged: cache/drift/mnist/")
    end)

    it("has a folder of data without data for a note, and says how to get MNIST", function()
        drift.mkdir "empty"
        local text, status = doctor "DRIFT_DATA=empty"
        assert.are.equal(0, status, text)
        has(text, "note     DRIFT_DATA    empty holds no MNIST", "note     MNIST         not here yet",
            "fetches it into the cache")
        text = doctor(("DRIFT_DATA='%s'"):format(data))
        has(text, "note     MNIST         mnist: " .. data .. "/mnist holds the small subset")
    end)

    it("says which settings change speed, and what convolutions were measured", function()
        has(doctor "DRIFT_CPU_TUNE=off DRIFT_SYNC=1",
            "note     settings      DRIFT_CPU_TUNE=off DRIFT_SYNC=1 change speed")
        local text, status = doctor "-u DRIFT_CPU_TUNE"
        assert.are.equal(0, status, text)
        has(text, "note     convolutions  0 files of choices in the cache")
        assert.is_falsy(text:find("settings", 1, true), text)
        local cpu, threads, onednn = text:match "device        cpu: ([^\n]*), (%d+) threads?, oneDNN (%S+)"
        drift.mkdir "tuned/drift"                                     -- as kernels/cpu/conv2d_choice.c writes it
        local choices = "drift convolutions 3, oneDNN %s, %s, %s threads\n1 2 3 outer\n4 5 6 onednn\n"
        drift.write_file("tuned/drift/convolutions-1f.txt", choices:format(onednn, cpu, threads))
        has(doctor "-u DRIFT_CPU_TUNE XDG_CACHE_HOME=tuned", "ok       convolutions  1 file of choices",
            "convolutions-1f.txt has 2 shapes measured on this processor")
    end)

    it("says when DRIFT_DEVICE names a device that is not there", function()
        finds("DRIFT_DEVICE=cqu", "broken   DRIFT_DEVICE  cqu: ", "unset DRIFT_DEVICE")
    end)

    it("leaves no file in the cache", function()
        doctor "XDG_CACHE_HOME=fresh"
        assert.are.same({ "mnist" }, drift.files "fresh/drift")       -- a folder, as every search for MNIST makes it
        assert.are.same({}, drift.files "fresh/drift/mnist")
        assert.are.same({ ".", ".." }, drift.hidden_files "fresh/drift")
    end)

    it("takes no argument", function()
        local pipe = io.popen(("'%s' doctor cpu 2>&1; '%s' docter 2>&1"):format(program, program))
        has(pipe:read "a", "one argument too many: cpu", "did you mean drift doctor")
        pipe:close()
    end)
end)
