-- scheduler_config.lua: what the scheduler_config.json of a diffusers DDPMScheduler says, in Drift's words. A value
-- that Drift has no equal of is refused by its name.
--   local s = drift.scheduler_config(path or table)
--   s.T, s.schedule, s.predict      the process: drift.process.ddpm { T =, schedule =, predict =, time = "index" }
--   s.variance                      "learned_range", "posterior" or "beta": how much noise a step adds
--   s.clip                          what holds the estimate of the data: { kind = "dynamic_threshold", ratio =, max = }
--                                   or { kind = "range", min =, max = } or nil. Thresholding overrides a plain clip.
--   s.timesteps                     spec of how N steps are laid
-- What a file may leave out, since older releases did not write it, has diffusers' own default.
local core = require "drift.core"
local drift = require "drift"

local shown = function(value) return value == core.json.null and "null" or core.json.encode(value) end

-- { type, default }; no default: the file must say it
local fields = {
    num_train_timesteps = { "integer" }, beta_schedule = { "string" }, prediction_type = { "string" },
    variance_type = { "string" }, beta_start = { "number", 1e-4 }, beta_end = { "number", 0.02 },
    clip_sample = { "boolean", true }, clip_sample_range = { "number", 1.0 }, thresholding = { "boolean", false },
    dynamic_thresholding_ratio = { "number", 0.995 }, sample_max_value = { "number", 1.0 },
    timestep_spacing = { "string", "leading" }, steps_offset = { "integer", 0 },
}

local function check_type(from, name, value, wanted)
    local found = math.type(value) or core.type(value)
    if wanted == "number" and type(value) == "number" or found == wanted then return end
    core.fail("%s: %s = %s must be %s %s", from, name, shown(value), wanted == "integer" and "an" or "a", wanted)
end

-- A field that is not known may say what it likes as long as it asks for nothing.
local function check_unknown(from, given)
    for name, value in next, given do
        if type(name) ~= "string" then core.fail("%s: is a list and no object of fields", from) end
        local idle = value == core.json.null or value == false or name:sub(1, 1) == "_"
        if not fields[name] and not idle then
            core.fail("%s: %s = %s is not supported", from, name, shown(value))
        end
    end
end

local function accepted(from, given)
    if core.type(given) ~= "table" then core.fail("%s: is no JSON object", from) end
    if given._class_name ~= "DDPMScheduler" then
        core.fail("%s: _class_name = %s; DDPMScheduler is what can be read", from,
            shown(given._class_name or core.json.null))
    end
    check_unknown(from, given)
    local c, names = {}, {}
    for name in next, fields do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
        local wanted, default = table.unpack(fields[name])
        c[name] = given[name]
        if c[name] == nil then c[name] = default end
        if c[name] == nil then core.fail("%s: %s is missing", from, name) end
        check_type(from, name, c[name], wanted)
    end
    return c
end

local function check_range(from, c, name, low, high)
    if c[name] >= low and c[name] <= high then return end
    core.fail("%s: %s = %s is outside [%g, %g]", from, name, shown(c[name]), low, high)
end

local function one_of(from, c, name, choices)
    local found = choices[c[name]]
    if found ~= nil then return found end
    local words = {}
    for word in next, choices do words[#words + 1] = word end
    table.sort(words)
    core.fail("%s: %s = %s is not supported; it may be %s", from, name, shown(c[name]), table.concat(words, ", "))
end

local function schedule_of(from, c)
    local names = { squaredcos_cap_v2 = "cosine", linear = "linear", scaled_linear = "scaled_linear" }
    local name = one_of(from, c, "beta_schedule", names)
    if name == "cosine" then return drift.schedule.cosine {} end
    return drift.schedule[name] { beta_start = c.beta_start, beta_end = c.beta_end }
end

local function clip_of(c)
    if c.thresholding then
        return { kind = "dynamic_threshold", ratio = c.dynamic_thresholding_ratio, max = c.sample_max_value }
    end
    if c.clip_sample then return { kind = "range", min = -c.clip_sample_range, max = c.clip_sample_range } end
end

local function timesteps_of(from, c)
    local names = { leading = "leading", linspace = "linspace", trailing = "trailing" }
    local name = one_of(from, c, "timestep_spacing", names)
    if name == "leading" then return drift.timesteps.leading { offset = c.steps_offset } end
    if name == "linspace" then return drift.timesteps.linspace { first_step = true } end
    return drift.timesteps.trailing {}         -- in these two diffusers takes no notice of steps_offset
end

local function convert(from, given)
    local c = accepted(from, given)
    check_range(from, c, "num_train_timesteps", 1, 1000000)
    check_range(from, c, "steps_offset", 0, c.num_train_timesteps - 1)
    check_range(from, c, "beta_start", 1e-12, 0.999)
    check_range(from, c, "beta_end", 1e-12, 0.999)
    check_range(from, c, "clip_sample_range", 1e-6, 1e6)
    check_range(from, c, "dynamic_thresholding_ratio", 1e-6, 1)
    check_range(from, c, "sample_max_value", 1, 1e6)
    return {
        T = c.num_train_timesteps, schedule = schedule_of(from, c),
        predict = one_of(from, c, "prediction_type", { epsilon = "eps" }),
        variance = one_of(from, c, "variance_type", { learned_range = "learned_range", fixed_small = "posterior",
            fixed_small_log = "posterior", fixed_large = "beta", fixed_large_log = "beta" }),
        clip = clip_of(c), timesteps = timesteps_of(from, c),
    }
end

-- What the released models say, for files that come without one.
local function released(stage)
    return convert("the released scheduler", {
        _class_name = "DDPMScheduler", num_train_timesteps = 1000, beta_schedule = "squaredcos_cap_v2",
        prediction_type = "epsilon", variance_type = "learned_range", thresholding = true,
        dynamic_thresholding_ratio = 0.95, sample_max_value = stage == 1 and 1.5 or 1.0,
    })
end

local function read(given)
    if type(given) ~= "string" then return convert("the scheduler's config", given) end
    return convert(given, drift.read_json(given))
end

return setmetatable({ released = released }, { __call = function(_, given) return read(given) end })
