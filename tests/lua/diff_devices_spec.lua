-- drift diff-devices: the layer in which two devices differ is named, forward, backward and in the optimizer, whatever
-- differs after it; devices that differ by rounding agree; what is not comparable is said.
local drift = require "drift"
local program = assert(os.getenv "DRIFT")

-- A folder of plugins with the backend "crooked" alone.
os.execute("mkdir -p plugins && cp " .. os.getenv "DRIFT_TEST_PLUGIN_DIR" .. "/crooked.so plugins/")

-- The output's stdout, stderr and exit status.
local function diff(script, arguments)
  local command = "DRIFT_PLUGINS=plugins %s diff-devices %s %s 2>stderr; echo \"status $?\""
  local pipe = assert(io.popen(command:format(program, script, arguments)))
  local output = pipe:read "a"
  pipe:close()
  local text, status = output:match "^(.*)status (%d+)\n$"
  return text, tonumber(status), drift.read_file "stderr"
end

local script = "train.lua"
drift.write_file(script, [[
local drift = require "drift"
local run = drift.experiment { steps = 3, hidden = 4, batch = 2 }
drift.train { run = run, data = drift.dataset.mnist { path = os.getenv "DRIFT_TEST_DATA" .. "/mnist" }, p_uncond = 0.2,
  process = drift.process.flow_matching {}, optim = drift.optim.adam { lr = 1e-3 },
  model = drift.models.cs180_unet { hidden = run.hidden, time = "add", class = "scale" } }
]])

-- The first row of the table: layer and op.
local function first(text)
  local row = text:match "allowed\n([^\n]*)\n"
  assert.is_truthy(row, text)
  return row:match "^(%S+)%s+(%S+)"
end

describe("diff-devices", function()
  it("finds that two devices agree, but for rounding", function()
    local text, status, said = diff(script, "--device cpu --against ref")
    assert.equal(0, status, text .. said)
    assert.is_truthy(text:find("cpu and ref agree: %d+ results of %d+ ops, 2 steps"), text)
    assert.is_falsy(said:find("drift: ", 1, true), said)
    text, status = diff(script, "--device crooked --against ref --steps 1")
    assert.equal(0, status, text)
    assert.is_truthy(text:find("crooked and ref agree: %d+ results of %d+ ops, 1 steps"), text)
  end)

  it("names the layer of a kernel that is wrong forward", function()
    local text, status = diff(script, "--device crooked,op=avg_pool2d --against ref")
    assert.equal(1, status)
    local layer, op = first(text)
    assert.equal("avg_pool2d", op)
    assert.is_truthy(layer:find "^unet", layer)
    assert.is_truthy(text:find("differs from ref in 2 of %d+ results"), text)  -- once a step: what follows is right
  end)

  it("names the layer of one call that is wrong", function()
    local text, status = diff(script, "--device crooked,op=conv2d,from=6 --against ref --steps 1")
    assert.equal(1, status)
    local right = diff(script, "--device crooked,op=conv2d,from=7 --against ref --steps 1")
    local layer, op = first(text)
    assert.equal("conv2d", op)
    assert.is_truthy(layer:find "^unet%.", layer)
    assert.is_true(layer ~= (first(right)), layer)
  end)

  it("names the layer of a gradient, and the optimizer", function()
    local text, status = diff(script, "--device crooked,op=conv2d_backward_weight --against ref --steps 1")
    assert.equal(1, status)
    local layer, op = first(text)
    assert.equal("conv2d_backward_weight", op)
    assert.is_truthy(layer:find "^unet%.", layer)
    text, status = diff(script, "--device crooked,op=adam_step,share=0.001 --against ref --steps 1")
    assert.equal(1, status)
    layer, op = first(text)
    assert.equal("adam_step", op)
    assert.equal("-", layer)
  end)

  it("takes scripts without a training, and stops at their end", function()
    drift.write_file("plain.lua", [[
      local drift = require "drift"
      local x = drift.randn { 4, 3, purpose = "x" }
      print(drift.op.softmax(x, {}):sum():item())]])
    local text, status = diff("plain.lua", "--device cpu --against ref")
    assert.equal(0, status, text)
    assert.is_truthy(text:find("agree: 3 results of 3 ops, 0 steps"), text)
  end)

  it("says where the devices do not run the same, and what went wrong", function()
    drift.write_file("branches.lua", [[
      local drift = require "drift"
      local x = drift.ones(3):exp()
      if drift.device().name == "ref" then x = x:exp() else x = x:tanh() end]])
    local text, status = diff("branches.lua", "--device cpu --against ref")
    assert.equal(1, status)
    assert.is_truthy(text:find("op 3 is tanh at ", 1, true) and text:find("and exp at ", 1, true), text)
    drift.write_file("shorter.lua", [[
      local drift = require "drift"
      local x = drift.ones(3):exp()
      if drift.device().name == "ref" then x = x:exp() end]])
    text, status = diff("shorter.lua", "--device cpu --against ref")
    assert.equal(1, status)
    assert.is_truthy(text:find("did more", 1, true), text)
    drift.write_file("fails.lua", "error 'oh'")
    local _, failed, said = diff("fails.lua", "--device cpu --against ref")
    assert.equal(1, failed)
    assert.is_truthy(said:find("oh", 1, true))
    _, failed, said = diff(script, "--device nothing --against ref")
    assert.equal(1, failed)
    assert.is_truthy(said:find("no backend 'nothing'", 1, true), said)
    text, failed, said = diff(script, "--device ref --against nothing")
    assert.equal(1, failed)
    assert.is_truthy(said:find("on nothing the script failed", 1, true), said)
  end)
end)
