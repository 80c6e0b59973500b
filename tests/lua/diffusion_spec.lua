-- diffusion_spec.lua: processes, noising, models with Lua networks, sampling with callbacks, all as scripts see them.
local drift = require "drift"

local flow = drift.process.flow_matching {}
local B = 3
local x0 = drift.randn { B, 1, 4, 4, purpose = "x0" }
local eps = drift.randn { B, 1, 4, 4, purpose = "eps" }

local function near(a, b, what)
    local difference = (a - b):abs():amax():item()
    assert.is_true(difference < 1e-5, ("%s differs by %g"):format(what, difference))
end

local function refused(f, ...)
    local ok, message = pcall(f)
    assert.is_false(ok)
    for _, part in ipairs { "diffusion_spec.lua:", ... } do assert.is_truthy(message:find(part, 1, true), message) end
end

describe("a process", function()
    it("tells its coefficients and its range", function()
        local c = flow:coef(0.25)
        assert.are.equal(0.25, c.alpha)
        assert.are.equal(0.75, c.sigma)
        local noise, data, steps = flow:range()
        assert.are.same({ 0, 1, 0 }, { noise, data, steps })
        assert.are.equal(300, select(3, drift.process.ddpm { T = 300 }:range()))
    end)

    it("makes a training batch with a time for each row", function()
        local t = { 0.1, 0.5, 0.9 }
        local n = drift.noising(flow, x0, eps, t)
        near(n.time, drift.tensor(t), "time")
        for i = 1, B do
            near(n.x_t[i], x0[i] * t[i] + eps[i] * (1 - t[i]), "x_t")
            near(n.target[i], x0[i] - eps[i], "target")
        end
        assert.are.same({ B, 1, 4, 4 }, drift.noising(flow:instance(), x0, eps, 0.5).input.shape)
        refused(function() return drift.noising(flow, x0, eps, { 0.5 }) end, "1 times for 3 images")
        refused(function() return drift.noising(drift.sampler.heun {}, x0, eps, 0.5) end,
                "expected a process, got sampler heun")
    end)

    it("draws times that depend on the sample's number alone", function()
        local all = drift.draw_times(flow, { purpose = "t", step = 2 }, 4)
        local late = drift.draw_times(flow, { purpose = "t", step = 2, sample = 2 }, 2)
        assert.are.same({ all[3], all[4] }, late)
    end)

    it("draws each step of a chain, from the first to the last", function()
        local seen = {}
        for _, t in ipairs(drift.draw_times(drift.process.ddpm { T = 4 }, { purpose = "t" }, 200)) do
            seen[t] = (seen[t] or 0) + 1
        end
        for t = 1, 4 do assert.is_true(seen[t] > 25, "step " .. t) end
        assert.are.equal(200, seen[1] + seen[2] + seen[3] + seen[4])
    end)

    it("draws times from a distribution, and weighs them", function()
        local logit, snr = drift.time_sampling.logit_normal { mean = 1, std = 0 }, drift.weighting.min_snr { gamma = 5 }
        local middle = 1 / (1 + math.exp(-1))
        for _, t in ipairs(drift.draw_times(flow, { purpose = "t" }, 3, logit)) do assert.is_true(math.abs(t - middle) < 1e-15) end
        assert.are.equal(logit:draw(flow, 0.25), logit:draw(flow, 0.75))
        refused(function() return logit:draw(flow, 1) end, "u = 1 is outside [0, 1)")
        refused(function() return drift.draw_times(flow, { purpose = "t" }, 3, snr) end,
                "expected a time_sampling, got weighting min_snr")

        local t = { 0.1, 0.5, 0.95 }
        local n = drift.noising(flow, x0, eps, t, { weighting = snr })
        for i = 1, B do
            local a, s = t[i], 1 - t[i]                           -- the velocity's D = alpha q - sigma p = -1
            assert.is_true(math.abs(n.weight[i]:item() - math.min(a * a, 5 * s * s)) < 1e-6)
            assert.is_true(math.abs(snr:weight(flow, t[i]) - math.min(a * a, 5 * s * s)) < 1e-12)
        end
        assert.is_nil(drift.noising(flow, x0, eps, t, {}).weight)
        assert.is_nil(drift.noising(flow, x0, eps, t, { weighting = drift.weighting.uniform {} }).weight)
        refused(function() return drift.noising(flow, x0, eps, t, { wieghting = snr }) end,
                "noising: no option 'wieghting'; it takes weighting")
        refused(function() return drift.noising(flow, x0, eps, t, { weighting = logit }) end,
                "expected a weighting, got time_sampling logit_normal")
    end)

    it("turns a prediction into data, noise and velocity", function()
        local n = drift.noising(flow, x0, eps, 0.3)
        near(drift.prediction_to(flow, 0.3, n.x_t, n.target, "x0"), x0, "x0")
        near(drift.prediction_to(flow, 0.3, n.x_t, n.target, "eps"), eps, "eps")
        near(drift.prediction_to(flow, 0.3, n.x_t, n.target, "velocity"), n.target, "velocity")
        near(drift.prediction_to(flow, 0.3, n.x_t, n.target, 2, 1), x0 * 2 + eps, "2 x0 + eps")
        refused(function() return drift.prediction_to(flow, 0.3, x0, x0, "x1") end, '"x1" is not')
    end)

    it("takes a Lua function where it takes a function", function()
        local calls = 0
        local custom = drift.process.ddpm { T = 10, schedule = drift.schedule.custom { beta = function(i, T)
            calls = calls + 1
            return 1e-4 + (0.02 - 1e-4) * i / (T - 1)
        end } }
        local linear = drift.process.ddpm { T = 10, schedule = drift.schedule.linear {} }
        for t = 1, 10 do assert.is_true(math.abs(custom:coef(t).alpha - linear:coef(t).alpha) < 1e-12) end
        assert.is_true(calls >= 10)
    end)

    it("reports an error inside such a function", function()
        local function broken() error "no beta today" end
        local bad = drift.process.ddpm { schedule = drift.schedule.custom { beta = broken } }
        refused(function() return bad:coef(1) end, "no beta today")
        local text = drift.process.ddpm { schedule = drift.schedule.custom { beta = function() return "half" end } }
        refused(function() return text:coef(1) end, "returned a string")
    end)
end)

describe("a coupling", function()
    it("gives the noise in the order of the images", function()
        local x = drift.tensor { 3, 1, 2, -1 }:reshape(4, 1, 1, 1)
        local noise = drift.tensor { 0.1, 0.2, 0.4, 0.3 }:reshape(4, 1, 1, 1)
        local label = drift.tensor({ 0, 1, 0, 1 }, "i32")
        local function paired(coupling, ...) return coupling:pair(x, noise, ...):reshape(4) end
        near(paired(drift.coupling.minibatch_ot {}), drift.tensor { 0.4, 0.2, 0.3, 0.1 }, "all")
        near(paired(drift.coupling.minibatch_ot { class_aware = true }, label), drift.tensor { 0.4, 0.3, 0.1, 0.2 }, "by class")
        near(paired(drift.coupling.independent {}, label), noise:reshape(4), "none")
        refused(function() return paired(drift.coupling.minibatch_ot { class_aware = true }) end, "needs data with labels")
        refused(function() return drift.coupling.independent {}:pair(x) end, "tensor")
    end)
end)

describe("a model", function()
    -- a network that knows the answer: for x = (1-t) eps + t x0 the velocity x0 - eps
    local function perfect(x, cond)
        local t = cond.time:reshape(-1, 1, 1, 1)
        local data = x0:narrow(0, 0, 1):expand(x.shape)
        return (data - x) / (1 - t)
    end

    it("samples to the data with Lua's network, and tells each step", function()
        local m = drift.model(flow, perfect)
        local steps = {}
        local y = m:sample { sampler = drift.sampler.euler { steps = 8 }, x = eps, each = function(i, n, t, x)
            assert.are.same(eps.shape, x.shape)
            steps[i] = ("%d/%d %g"):format(i, n, t)
        end }
        near(y, x0:narrow(0, 0, 1):expand(y.shape), "sample")
        assert.are.equal(8, m:calls())
        assert.are.equal("8/8 1", steps[8])
        assert.are.same({ 0, 0.5, 1 }, m:grid(drift.sampler.euler { steps = 2 }))
        near(m:sample { sampler = drift.sampler.euler {}, x = eps, grid = { 0, 0.9, 1 } }, y, "sample on a given grid")
    end)

    it("gives velocity, data and noise at a point", function()
        local m = drift.model(flow, perfect)
        local x = drift.noising(flow, x0:narrow(0, 0, 1), eps:narrow(0, 0, 1), 0.5).x_t
        near(m:velocity(x, 0.5), x0:narrow(0, 0, 1) - eps:narrow(0, 0, 1), "velocity")
        near(m:x0(x, 0.5), x0:narrow(0, 0, 1), "x0")
        near(m:eps(x, 0.5), eps:narrow(0, 0, 1), "eps")
    end)

    it("passes label and mask, both halves at once under guidance", function()
        local rows
        local function net(x, cond)
            rows = { #x, cond.label:totable(), cond.mask:totable(), cond.tokens }
            return x * cond.mask:reshape(-1, 1, 1, 1)
        end
        local label = drift.tensor({ 1, 2, 0 }, "i32")
        local m = drift.model(flow, net, { guidance = drift.guidance.cfg { scale = 3 }, label = label })
        local v = m:velocity(eps, 0.5)
        assert.are.same({ 6, { 1, 2, 0, 1, 2, 0 }, { 1, 1, 1, 0, 0, 0 } }, rows)
        near(v, eps * 3, "u + 3 (c - u)")
        assert.are.equal(1, m:calls())
        m:condition { label = drift.tensor({ 0, 0, 0 }, "i32") }
        m:velocity(eps, 0.5)
        assert.are.same({ 0, 0, 0, 0, 0, 0 }, rows[2])
    end)

    it("works with a built network", function()
        local net = drift.build(drift.models.cs180_unet { hidden = 1, time = "add", class = "scale" }):eval()
        local m = drift.model(flow, net, { label = drift.tensor({ 3 }, "i32"),
                                          guidance = { drift.guidance.cfg { scale = 2 } } })
        local noise = drift.randn { 1, 1, 28, 28, purpose = "noise" }
        assert.are.same({ 1, 1, 28, 28 }, m:sample { sampler = drift.sampler.euler { steps = 2 }, x = noise }.shape)
    end)

    it("raises what its functions raise, and works again afterwards", function()
        local fail = true
        local m = drift.model(flow, function(x) if fail then error "the network broke" end return x end)
        local sampler = drift.sampler.euler { steps = 2 }
        refused(function() return m:sample { sampler = sampler, x = eps } end, "the network broke")
        fail = false
        assert.are.same(eps.shape, m:sample { sampler = sampler, x = eps }.shape)
        refused(function() return m:sample { sampler = sampler, x = eps, each = function() error "enough" end } end,
                "enough")
        refused(function() return drift.model(flow, function() return 3 end):velocity(eps, 0.5) end,
                "expected a tensor, got a number")
        local function bad(x) return x:conv2d(drift.zeros(1)) end
        refused(function() return drift.model(flow, bad):velocity(eps, 0.5) end, "conv2d")
        refused(function() return drift.model(flow, 3) end, "needs a network or a function")
        refused(function() return m:sample { sampler = sampler } end, "x = the noise")
    end)

    it("may be asked for more inside its own callback", function()
        local m = drift.model(flow, perfect)
        local seen = 0
        m:sample { sampler = drift.sampler.euler { steps = 3 }, x = eps, each = function(i, n, t, x)
            if t < 1 then near(m:x0(x, t), x0:narrow(0, 0, 1):expand(x.shape), "x0 at a step") seen = seen + 1 end
        end }
        assert.are.equal(2, seen)
    end)

    it("leaves no memory behind", function()
        local m, sampler = drift.model(flow, perfect), drift.sampler.euler { steps = 5 }
        drift.scope(function() m:sample { sampler = sampler, x = eps } end)
        collectgarbage()
        local before = drift.device():memory().in_use
        drift.scope(function() m:sample { sampler = sampler, x = eps } end)
        assert.are.equal(before, drift.device():memory().in_use)
    end)
end)
