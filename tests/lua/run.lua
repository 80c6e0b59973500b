-- run.lua: runs the busted spec that DRIFT_SPEC names, inside the program, since the bindings live there:
--
--     DRIFT_SPEC=tests/lua/tensor_spec.lua build/drift run tests/lua/run.lua      (or: ./drift test lua/tensor)
--
-- A spec is a plain busted file (describe, it, before_each, assert.*) that starts with: local drift = require "drift".
-- Output is TAP. A failing test, an error anywhere and a file without tests are errors of this script, so the program
-- ends with status 1; a file of which every test is pending ends with 77, which ctest counts as skipped.
-- Debian's lua-busted and all that it needs (lfs, system, term, penlight, ...) are installed for Lua 5.4. Its own
-- command line is not used: it needs `arg`, and takes a run without a single test for a success.

local spec = assert(os.getenv "DRIFT_SPEC", "DRIFT_SPEC must name a spec file")
assert(loadfile(spec, "t"))                    -- busted's TAP handler has no words for a syntax error

-- busted and penlight look up globals that may be undefined, and define some of their own.
local strict = getmetatable(_G)
setmetatable(_G, nil)

local busted = require "busted.core" ()
require "busted" (busted)

local count = { success = 0, pending = 0, failure = 0, error = 0 }
busted.subscribe({ "test", "end" }, function(_, _, status)
    count[status] = count[status] + 1
    return nil, true
end)
-- Outside of a test: the file does not load, or a setup or teardown raises.
local function outside(element)
    if element.descriptor ~= "it" then count.error = count.error + 1 end
    return nil, true
end
busted.subscribe({ "error" }, outside)
busted.subscribe({ "failure" }, outside)

require "busted.modules.output_handler_loader" () (busted, "TAP",
    { defaultOutput = "TAP", language = "en", arguments = {}, verbose = true })
local load_files = require "busted.modules.test_file_loader" (busted, { "lua" })
load_files({ spec }, {}, { excludes = {}, recursive = false })
local execute = require "busted.execute" (busted)

setmetatable(_G, strict)
execute(1, {})

local failed = count.failure + count.error
local ran = count.success + failed
print(("# %d passed, %d failed, %d pending"):format(count.success, failed, count.pending))
if failed > 0 then error(("%s: %d of %d tests failed"):format(spec, failed, ran), 0) end
if ran == 0 and count.pending == 0 then error(spec .. ": no tests found", 0) end
if ran == 0 then os.exit(77, true) end
