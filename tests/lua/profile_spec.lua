-- --profile: the trace is JSON with an event for each kernel, phases nest, and it is whole however the script ends.
local drift = require "drift"
local program = assert(os.getenv "DRIFT")

local function run(arguments)
  local pipe = assert(io.popen(program .. " " .. arguments .. " 2>stderr; echo \"status $?\""))
  local text, status = pipe:read "a":match "^(.*)status (%d+)\n$"
  pipe:close()
  return tonumber(status), drift.read_file "stderr", text
end

local function script(text)
  drift.write_file("script.lua", "local drift = require \"drift\"\n" .. text)
  return "script.lua"
end

-- The events that take time, by name, and all of them.
local function events(path)
  local named, all = {}, {}
  for _, event in ipairs(drift.json.decode(drift.read_file(path)).traceEvents) do
    if event.ph == "X" then
      named[event.name] = named[event.name] or {}
      table.insert(named[event.name], event)
      all[#all + 1] = event
    end
  end
  return named, all
end

local function inside(inner, outer)
  return inner.ts >= outer.ts - 0.002 and inner.ts + inner.dur <= outer.ts + outer.dur + 0.002    -- rounded to 1 ns
end

-- Events of one lane follow one another or lie within one another.
local function assert_nested(all)
  for i, a in ipairs(all) do
    for j = i + 1, #all do
      local b = all[j]
      local apart = a.ts + a.dur <= b.ts + 0.002 or b.ts + b.dur <= a.ts + 0.002
      assert.is_true(a.tid ~= b.tid or apart or inside(a, b) or inside(b, a), a.name .. " and " .. b.name .. " cross")
    end
  end
end

describe("--profile", function()
  it("writes the kernels and phases of a training", function()
    local status, said = run("run " .. script [[
      local run = drift.experiment { epochs = 1, batch = 20, steps = 6 }
      local data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }
      drift.train { run = run, data = data, model = drift.models.cs180_unet { hidden = 4 },
        process = drift.process.fixed_noise { sigma = 0.5, predict = "x0" }, optim = drift.optim.adam { lr = 1e-3 } }]]
      .. " --profile trace.json --out profiled")
    assert.are.equal(0, status, said)
    local named, all = events "trace.json"
    assert_nested(all)
    assert.are.equal(1, #named.epoch)
    assert.are.equal(6, #named.step)
    assert.are.equal(6, #named.data)
    assert.are.equal(1, #named.checkpoint)
    assert.are.equal(6, #named.adam_step)
    assert.is_true(#named.capture >= 2 and #named.replay >= 1)
    assert.is_true(inside(named.adam_step[6], named.replay[#named.replay]))
    assert.is_true(inside(named.replay[1], named.step[6 - #named.replay + 1]))
    for i = 1, 6 do
      assert.is_true(inside(named.step[i], named.epoch[1]))
      assert.is_true(inside(named.data[i], named.step[i]))
      assert.is_true(inside(named.adam_step[i], named.step[i]))
      assert.are_not.equal(named.step[i].tid, named.adam_step[i].tid)
    end
    local conv = named.conv2d[1]
    assert.are.equal("kernel", conv.cat)
    assert.are.equal("f32[20,1,28,28] f32[4,1,3,3] f32[4] -> f32[20,4,28,28]", conv.args.shapes)
    assert.are.equal(2 * 20 * 4 * 28 * 28 * 9, conv.args.flop)
    assert.are.equal(4 * (20 * 28 * 28 + 4 * 9 + 4 + 20 * 4 * 28 * 28), conv.args.bytes)
    assert.are.equal("f32", conv.args.dtype)
    assert.are.equal("cpu", conv.args.device)
    assert.are.equal("f32", named.adam_step[1].args.dtype)              -- of the weights, not of its f64 scalars
    assert.is_truthy(said:find("profile: %d+ launches took"), said)
    assert.is_truthy(said:find("\nconv2d_backward_weight ", 1, true), said)
  end)

  it("is whole where the script fails, exits or is killed", function()
    local text = [[
      drift.trace("outer", function()
        drift.trace("inner", function() drift.zeros(3):add(1) end)
        pcall(drift.trace, "caught", error, "x")
        for i = 1, 2000 do drift.ones(3):mul(2) end
        %s
      end)]]
    for ending, expected in pairs { ["error 'on purpose'"] = 1, ["os.exit(3, true)"] = 3,
                                    ["os.execute('kill -9 ' .. io.open('/proc/self/stat'):read 'n')"] = 137 } do
      local status, said = run("run " .. script(text:format(ending)) .. " --profile trace.json")
      assert.are.equal(expected, status, said)
      local named, all = events "trace.json"
      assert_nested { table.unpack(all, 1, 300) }
      assert.are.equal(1, #named.inner)
      assert.are.equal(1, #named.caught)
      assert.is_true(#named.mul > 500)
      if expected ~= 137 then
        assert.are.equal(2000, #named.mul)
        assert.is_true(inside(named.inner[1], named.outer[1]) and inside(named.caught[1], named.outer[1]))
        assert.is_truthy(said:find("profile: ", 1, true), said)
      end
    end
  end)

  it("names a file that cannot be written", function()
    local status, said = run("run " .. script "print 'ran'" .. " --profile none/trace.json")
    assert.are.equal(1, status)
    assert.is_truthy(said:find("none/trace.json cannot be written", 1, true), said)
  end)
end)

describe("drift.trace", function()
  it("gives what its function gives, and its errors, with a profile and without", function()
    local text = [[
      local a, b, c = drift.trace("t", function(...) return ... end, 1, nil, 3)
      print(a, b, c, select("#", drift.trace("t", function() end)))
      drift.trace("t", function() error "here" end)]]
    for _, option in ipairs { "", " --profile trace.json" } do
      local status, said, output = run("run " .. script(text) .. option)
      assert.are.equal(1, status)
      assert.are.equal("1\tnil\t3\t0\n", output)
      assert.is_truthy(said:find("script.lua:4: here", 1, true), said)
    end
  end)
end)

describe("drift.kernels", function()
  it("gives a row for each op and shapes of a function", function()
    local x = drift.ones { 2, 3 }
    local rows = drift.kernels(function() for _ = 1, 4 do x:mul(x) end end)
    assert.are.equal(1, #rows)
    assert.are.equal("mul", rows[1].op)
    assert.are.equal(4, rows[1].calls)
    assert.are.equal(4 * 3 * 24, rows[1].bytes)
    assert.is_true(rows[1].seconds > 0 and rows[1].least > 0)
    assert.is_false(drift.profiling())
  end)

  it("ends with its function's error", function()
    assert.has_error(function() drift.kernels(function() error "x" end) end)
    assert.is_false(drift.profiling())
    assert.has_error(function() drift.kernels(function() drift.kernels(function() end) end) end)
  end)
end)
