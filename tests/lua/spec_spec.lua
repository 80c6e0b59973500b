-- spec_spec.lua: specs: checked where they are written, printed, hashed, compared, built. The plugin good_neighbour has
-- a parameter of each type.
local drift = require "drift"
drift.load_plugin(os.getenv "DRIFT_TEST_PLUGIN_DIR" .. "/good_neighbour.so")

local function refused(f, ...)
    local ok, message = pcall(f)
    assert.is_false(ok)
    for _, part in ipairs { "spec_spec.lua:", ... } do assert.is_truthy(message:find(part, 1, true), message) end
end

describe("a spec", function()
    it("carries its file's opening comment, also one whose end mark stands alone in the last line", function()
        for _, c in ipairs(drift.components "decay") do
            if c.plugin == "good_neighbour" then assert.is_truthy(c.comment:find("^A third party's plugin: .*only%.\n?$")) return end
        end
        error "good_neighbour is not there"
    end)

    it("is checked by the component's schema, at the script's line", function()
        local heun, neighbour = drift.sampler.heun, drift.decay.neighbour
        refused(function() return heun { order = 7 } end, "sampler heun: order = 7 is outside [1, 2]")
        refused(function() return heun { ordr = 1 } end, "did you mean 'order'?")
        refused(function() return drift.sampler.huen {} end, "did you mean 'heun'?")
        refused(function() return drift.samplr end, "did you mean")
        refused(function() return heun { order = "2" } end, "order must be a whole number, not a string")
        refused(function() return heun { order = 1.5 } end, "order must be a whole number, not 1.5")
        refused(function() return heun { order = 0 / 0 } end, "order")
        refused(function() return heun { 2 } end, "given by name")
        refused(function() return heun(2) end, "takes one table")
        refused(function() return neighbour {} end, "needed is required")
        refused(function() return neighbour { needed = 1, shape = "slop" } end, "flat|slope|step")
        refused(function() return neighbour { needed = 1, warm = 1 } end, "warm must be true or false")
        refused(function() return neighbour { needed = 1, label = 3 } end, "label must be a string")
        refused(function() return neighbour { needed = 1, steps = { 1, 101 } } end, "steps = 101 is outside [0, 100]")
        refused(function() return neighbour { needed = 1, steps = { 1.5 } } end, "whole numbers")
        refused(function() return neighbour { needed = 1, steps = 3 } end, "steps must be a list")
        local long = {}
        for i = 1, 65 do long[i] = i end
        refused(function() return neighbour { needed = 1, steps = long } end, "at most 64")
        refused(function() return neighbour { needed = 1, curve = 3 } end, "curve must be a function")
        refused(function() return neighbour { needed = 1, schedule = heun {} } end,
                "schedule must be a schedule, not sampler heun")
        refused(function() return neighbour { needed = 1, schedule = "linaer" } end, "did you mean 'linear'?")
        refused(function() return neighbour { needed = 1, schedule = drift.schedule.linear { beta_end = 7 } } end,
                "schedule linear: beta_end")
    end)

    it("takes lists of components, and says which item is wrong", function()
        local neighbour, linear = drift.decay.neighbour, drift.schedule.linear
        local s = neighbour { needed = 1, rate = 0, parts = { linear { beta_start = 0.25 }, "linear" } }
        assert.are.equal(2, #s.params.parts)
        assert.are.equal("linear", s.params.parts[2].name)
        assert.are.near(0.0001 + 0.25 + 2 * 0.0001, s:factor(1, 10), 1e-12)          -- in their order: 1 p1 + 2 p2
        assert.are.equal('decay.neighbour{rate=0, needed=1, parts={schedule.linear{beta_start=0.25}, "linear"}}', tostring(s))
        assert.are.equal(0.25, s:table().params.parts[1].params.beta_start)
        assert.are.equal("linear", drift.json.decode(drift.json.encode(s:table())).params.parts[2].name)
        local function with(...) return neighbour { needed = 1, rate = 0, parts = { ... } } end
        assert.are.equal(s:hash(), with(linear { beta_start = 0.25 }, linear {}):hash())
        assert.are_not.equal(s:hash(), with(linear {}, linear { beta_start = 0.25 }):hash())
        assert.are.equal(neighbour { needed = 1 }:hash(), neighbour { needed = 1, parts = {} }:hash())
        refused(function() return with(linear {}, drift.sampler.heun {}) end,
                "decay neighbour: parts[2] must be a schedule, not sampler heun")
        refused(function() return with(linear {}, 3) end, "parts[2] must be a schedule, not a number")
        refused(function() return with("linaer") end, "parts[1]: ", "did you mean 'linear'?")
        refused(function() return neighbour { needed = 1, parts = linear {} } end, "parts must be a list of the kind schedule, not a spec")
        refused(function() return neighbour { needed = 1, parts = { first = linear {} } } end, "without holes or names")
        refused(function() return neighbour { needed = 1, parts = { linear {}, nil, linear {} } } end, "without holes or names")
        local many = {}
        for i = 1, 65 do many[i] = "linear" end
        refused(function() return neighbour { needed = 1, parts = many } end, "parts has 65 entries; at most 64")
    end)

    it("takes tensors, also written as lists, and keeps its own copy", function()
        local neighbour = drift.decay.neighbour
        local t = drift.tensor { { 1, 2 }, { 3, 4 } }
        local s = neighbour { needed = 1, rate = 0, table = t }
        assert.are.near(10.0001, s:factor(1, 10), 1e-6)
        t[1] = 9
        assert.are.near(10.0001, drift.build(s):factor(1, 10), 1e-6)
        local same = neighbour { needed = 1, rate = 0, table = { { 1, 2 }, { 3, 4 } } }
        assert.are.equal(s:hash(), same:hash())
        assert.are_not.equal(s:hash(), neighbour { needed = 1, rate = 0, table = { 1, 2, 3, 4 } }:hash())
        assert.are_not.equal(s:hash(), neighbour { needed = 1, rate = 0, table = { { 1, 2 }, { 3, 5 } } }:hash())
        assert.is_truthy(s:table().params.table:find "^tensor:f32%[2,2%]:%x+$")
        assert.is_truthy(tostring(s):find("table=f32[2,2]", 1, true))
        refused(function() return neighbour { needed = 1, table = 3 } end, "table must be a tensor, not a number")
        refused(function() return neighbour { needed = 1, table = { 1, "a" } } end, "table must be a tensor of f32", "a string")
        refused(function() return neighbour { needed = 1, table = drift.tensor({ 1 }, "i32") } end,
                "table takes a tensor of f32, got i32[1]")
    end)

    it("takes whole numbers written as floats, and numbers as integers", function()
        assert.are.equal(drift.sampler.heun { order = 1 }, drift.sampler.heun { order = 1.0 })
        assert.are.equal(drift.optim.adam { lr = 1 }, drift.optim.adam { lr = 1.0 })
    end)

    it("shows kind, name, and all parameters with their defaults", function()
        local s = drift.decay.neighbour { needed = 2, steps = { 1, 2 } }
        assert.are.equal("decay", s.kind)
        assert.are.equal("neighbour", s.name)
        assert.are.equal(3, s.params.count)
        assert.are.equal("slope", s.params.shape)
        assert.are.same({ 1, 2 }, s.params.steps)
        assert.are.equal("linear", s.params.schedule.name)
        assert.is_true(s.params.warm)
    end)

    it("prints what differs from the defaults", function()
        assert.are.equal("sampler.heun{order=1}", tostring(drift.sampler.heun { order = 1 }))
        assert.are.equal("sampler.heun{}", tostring(drift.sampler.heun { order = 2 }))
        local s = drift.decay.neighbour { needed = 2, label = "a", schedule = drift.schedule.linear { beta_end = 0.5 } }
        assert.are.equal('decay.neighbour{label="a", schedule=schedule.linear{beta_end=0.5}, needed=2}', tostring(s))
    end)

    it("cannot be changed, and is not changed through what it was made of", function()
        local steps = { 1, 2 }
        local s = drift.decay.neighbour { needed = 2, steps = steps }
        steps[1] = 9
        s.params.steps[2] = 9
        assert.are.same({ 1, 2 }, s.params.steps)
        assert.has_error(function() s.needed = 3 end)
        local other = s:with { needed = 3 }
        assert.are.equal(2, s.params.needed)
        assert.are.equal(3, other.params.needed)
        assert.are.same({ 1, 2 }, other.params.steps)
        assert.has_error(function() return s:with { neded = 3 } end)
    end)

    it("has a hash of its meaning", function()
        local heun = drift.sampler.heun
        assert.are.equal(64, #heun {}:hash())
        assert.are.equal(heun {}:hash(), heun { order = 2 }:hash())
        assert.is_true(heun {} == heun { order = 2 })
        assert.is_false(heun {} == heun { order = 1 })
        assert.is_false(heun { steps = 20 } == drift.sampler.euler { steps = 20 })
        local function custom(k) return drift.schedule.custom { beta = function(i, T) return k * (i + 1) / T end } end
        assert.are.equal(custom(0.5):hash(), custom(0.5):hash())
        assert.are_not.equal(custom(0.5):hash(), custom(0.25):hash())
        local nested = drift.process.ddpm { schedule = custom(0.5) }
        assert.are_not.equal(nested:hash(), drift.process.ddpm {}:hash())
    end)

    it("has the same hash in another run", function()
        local script = os.tmpname()
        local f = assert(io.open(script, "w"))
        f:write 'local d = require "drift"\n'
        f:write 'print(d.process.ddpm { schedule = d.schedule.custom { beta = function(i) return i end } }:hash())'
        f:close()
        local function run()
            local p = assert(io.popen(os.getenv "DRIFT" .. " run --device ref " .. script))
            local line = p:read "l"
            p:close()
            return line
        end
        local first = run()
        assert.are.equal(64, #first)
        assert.are.equal(first, run())
        os.remove(script)
    end)

    it("is a plain table for records", function()
        local t = drift.decay.neighbour { needed = 2, curve = function(x) return x end }:table()
        assert.are.equal("decay", t.kind)
        assert.are.equal("linear", t.params.schedule.name)
        assert.is_truthy(t.params.curve:match "^function:%x+$")
        local text = drift.json.encode(t)
        assert.are.equal(2, drift.json.decode(text).params.needed)
        assert.is_truthy(text:find('"steps":[]', 1, true) or text:find('"steps": []', 1, true), text)
    end)

    it("is told from other values", function()
        assert.is_true(drift.is_spec(drift.sampler.heun {}))
        assert.is_true(drift.is_spec(drift.sampler.heun {}, "sampler"))
        assert.is_false(drift.is_spec(drift.sampler.heun {}, "optim"))
        assert.is_false(drift.is_spec {})
        assert.are.equal("spec", drift.type(drift.sampler.heun {}))
        assert.are.equal("instance", drift.type(drift.build(drift.sampler.heun {})))
        assert.are.equal("table", drift.type {})
        assert.has_error(function() return drift.instance(drift.sampler.heun {}, "optim") end)
    end)
end)

describe("an instance", function()
    it("is built anew by build, once by instance", function()
        local s = drift.schedule.linear {}
        assert.is_true(rawequal(s:instance(), s:instance()))
        assert.is_false(rawequal(drift.build(s), drift.build(s)))
        assert.are.equal("schedule", drift.build(s).kind)
        assert.are.equal(1e-4, drift.build(s):beta(0, 10))
        assert.are.equal(1e-4, s:beta(0, 10))
        assert.has_error(function() return s:bate(0, 10) end)
        assert.has_error(function() return s:instance().nothing end)
    end)

    it("holds its component parameters", function()
        local s = drift.decay.neighbour { needed = 1, rate = 0.25,
                        schedule = drift.schedule.linear { beta_start = 0.5 } }
        assert.are.equal(0.75, s:factor(1, 10))
        assert.are.equal(0.5001, drift.decay.neighbour { needed = 1 }:factor(1, 10))
    end)
end)

describe("the registry", function()
    it("tells what there is", function()
        local kinds = {}
        for _, c in ipairs(drift.components()) do kinds[c.kind] = (kinds[c.kind] or 0) + 1 end
        assert.is_true(kinds.op > 50 and kinds.block > 5)
        local neighbour
        for _, c in ipairs(drift.components "decay") do if c.name == "neighbour" then neighbour = c end end
        assert.are.equal("good_neighbour", neighbour.plugin)
        assert.are.equal(12, #neighbour.params)
        local found = false
        for _, p in ipairs(drift.plugins()) do found = found or (p.id == "good_neighbour" and #p.sha256 == 64) end
        assert.is_true(found)
    end)

    it("writes help", function()
        local text = drift.help "neighbour"
        for _, part in ipairs { "decay neighbour: every type of parameter",
                        "flat, slope, step", "required", "[1, 10]" } do
            assert.is_truthy(text:find(part, 1, true), text)
        end
        assert.is_truthy(drift.list "sampler":find("heun", 1, true))
        assert.has_error(function() return drift.help "huen" end)
    end)
end)
