-- drift.reload as scripts see it: it builds, exchanges between steps, and a training goes on as if nothing had been. What
-- the exchange itself keeps and refuses is held by tests/c/reload.c; the plugin is tests/c/reload_plugin.h.
local drift = require "drift"
local hot_reload = require "drift.hot_reload"

local home = os.getenv "DRIFT_HOME"
local source = drift.read_file(home .. "/tests/c/reload_plugin.h")
local loaded = false

-- A folder as `drift new` leaves it: sources, and a Makefile that makes FOLDER/NAME.so.
local function write(options)
  drift.mkdir "changing"
  drift.write_file("changing/changing.c", source)
  drift.write_file("changing/Makefile", ([[
changing.so: changing.c Makefile
	$(CC) -std=gnu11 -O1 -shared -fPIC -fvisibility=hidden -w %s -I '%s/core/include' changing.c -o changing.so
]]):format(options, home))
end

local function begin(options)
  write(options)
  if not loaded then
    assert(os.execute "make -s -C changing")
    drift.load_plugin "changing/changing.so"
    loaded = true
  else
    drift.reload "changing"
  end
end

-- The last note that is about it.
local function notes_of(f)
  local lines = {}
  drift.on_note(function(line) lines[#lines + 1] = line end)
  local ok, message = pcall(f)
  drift.on_note(nil)
  return table.concat(lines, "\n"), ok, message
end

local function factor() return drift.export.changing_number() end

describe("drift.reload", function()
  it("builds by the Makefile beside the plugin, and exchanges", function()
    begin "-DFACTOR=2.0"
    local block = drift.build(drift.block.changing { features = 2, scale = 5 })
    local ones = drift.ones(1, 2)
    assert.equal(20, block(ones):sum():item())
    write "-DFACTOR=3.0"
    local done
    local note = notes_of(function() done = drift.reload "changing" end)
    assert.equal(1, done.modules)
    assert.equal(drift.sha256_file "changing/changing.so", done.sha256)
    assert.truthy(note:find("reloaded plugin changing (" .. done.sha256:sub(1, 12) .. ")", 1, true))
    assert.equal(30, block(ones):sum():item())
    assert.equal(3, factor())
    drift.reload "block.changing"
    drift.reload "./changing/changing.so"
  end)

  it("leaves the file as it is where build = false", function()
    begin "-DFACTOR=2.0"
    write "-DFACTOR=3.0"
    drift.reload("changing", { build = false })
    assert.equal(2, factor())
  end)

  it("shows what the compiler says, and the earlier version goes on", function()
    begin "-DFACTOR=2.0"
    write "-DFACTOR=3.0 -DDOES_NOT_COMPILE"
    local ok, message = pcall(drift.reload, "changing")
    assert.is_false(ok)
    assert.truthy(message:find("reload_spec.lua", 1, true))
    assert.truthy(message:find("plugin changing is not reloaded, the earlier one goes on: it does not build (make ", 1, true))
    assert.truthy(message:find("changing.c:", 1, true))
    assert.equal(2, factor())
  end)

  it("names what it does not know, and takes no option that it does not have", function()
    begin ""
    assert.has_error(function() drift.reload "chaning" end)
    assert.truthy(select(2, pcall(drift.reload, "chaning")):find("did you mean 'changing'?", 1, true))
    assert.truthy(select(2, pcall(drift.reload, "changing", { biuld = false })):find "no option 'biuld'")
    assert.truthy(select(2, pcall(drift.reload, 7)):find "takes the name of a plugin")
    assert.truthy(select(2, pcall(drift.reload, "backend.cpu", { build = false })):find "is a device")
  end)

  it("is refused wherever a plugin or a recording is under way", function()
    begin ""
    local function refused(where, f)
      local ok, message = pcall(f)
      assert.is_false(ok)
      assert.truthy(tostring(message):find("it is reloaded between steps, and not within " .. where, 1, true), message)
    end
    local function again() drift.reload("changing", { build = false }) end
    local net = drift.build(drift.net { name = "n", forward = function(_, x)
      again()
      return x
    end })
    local x = drift.ones(1, 1, 2, 2)
    refused("a forward", function() net(x) end)
    refused("the function of a plan", function() drift.plan(function(i) again() return i.x end) { x = x } end)
    refused("a function that a plugin calls", function()
      drift.build(drift.decay.changing_decay { curve = function(t) again() return t end }):factor(0, 1)
    end)
    local model = drift.model(drift.process.changing_process {}, function(y) again() return y end)
    refused("a sampling run", function() model:sample { sampler = drift.sampler.changing_sampler {}, x = x, rng = { purpose = "noise" } } end)
    model = drift.model(drift.process.changing_process {}, function(y) return y end)
    refused("a sampling run", function()
      model:sample { sampler = drift.sampler.changing_sampler {}, x = x, rng = { purpose = "noise" }, each = again }
    end)
    again()
  end)

  it("leaves weights in their files", function()
    begin "-DFACTOR=2.0"
    local spec = drift.block.changing_pair { features = 4 }
    local net, writer = drift.build(spec, { seed = 3 }), drift.writer()
    for _, weight in ipairs(net:named()) do
      writer:tensor(weight.path, #weight.tensor.shape > 1 and weight.tensor:cast "f16" or weight.tensor)
    end
    writer:commit "pair.safetensors"
    local mapped = drift.build(spec, { weights = "pair.safetensors" })
    local x = drift.ones(2, 4)
    local before = mapped(x):tostring_bytes()
    write "-DFACTOR=3.0"
    drift.reload "changing"
    assert.not_equal(before, mapped(x):tostring_bytes())
    assert.equal("f16", mapped:state_dict()["second.weight"].dtype)
    write "-DFACTOR=2.0"
    drift.reload "changing"
    assert.equal(before, mapped(x):tostring_bytes())
  end)

  it("keeps a Lua function that was given as a parameter", function()
    begin "-DFACTOR=2.0"
    local decay = drift.build(drift.decay.changing_decay { curve = function(t) return t + 1 end })
    write "-DFACTOR=3.0"
    drift.reload "changing"
    collectgarbage()
    assert.equal(3 * 5, decay:factor(4, 1))
  end)
end)

describe("a component written in Lua", function()
  local function write_definition(factor, more)
    drift.write_file("doubler.lua", ([[
local drift = require "drift"
return drift.define.block { name = "doubler", doc = "a factor", params = { { "scale", "real", default = 1, doc = "a factor" }%s },
  create = function(self, b) self.gain = b:weight("gain", { 2 }, 1) end,
  forward = function(self, x) return x * self.gain * (%s * self.scale) end }
]]):format(more or "", factor))
  end

  it("is reloaded by its file, and weights stay", function()
    write_definition "2.0"
    dofile "doubler.lua"
    local block = drift.build(drift.block.doubler { scale = 5 })
    local plan, ones = drift.plan(function(i) return block(i.x) end), drift.ones(1, 2)
    drift.no_grad(function()
      block:parameters()[1].tensor:assign(drift.tensor { 1, 3 })
      for _ = 1, 4 do assert.equal(40, plan { x = ones }:sum():item()) end
      write_definition "3.0"
      local note = notes_of(function() drift.reload "doubler" end)
      assert.truthy(note:find "^ran .*doubler.lua again")
      for _ = 1, 4 do assert.equal(60, plan { x = ones }:sum():item()) end
      write_definition("4.0", ", { \"other\", \"real\", default = 1, doc = \"another\" }")
      note = notes_of(function() drift.reload "doubler" end)
      assert.truthy(note:find "block doubler goes on as it was")
      assert.equal(60, plan { x = ones }:sum():item())
      drift.write_file("doubler.lua", "this is no Lua")
      assert.is_false((pcall(drift.reload, "doubler")))
      assert.equal(60, plan { x = ones }:sum():item())
    end)
  end)
end)

-- ---- training -------------------------------------------------------------------------------------------------------
local function network()
  return drift.net { name = "net", children = {
      a = drift.block.linear { in_features = 4, out_features = 4 },
      c = drift.block.changing_pair { features = 4 },
      n = drift.block.batch_norm { num_features = 4 },
    },
    forward = function(self, x)
      local h = self.c(self.a(x:reshape { x.shape[1], 4 }))
      return self.n(h:reshape { x.shape[1], 4, 1, 1 }):reshape { x.shape[1], 1, 2, 2 }
    end }
end

-- Losses of n steps on the changing data set, all of whose parts are the plugin's; `between` is called after each.
local function losses(n, between)
  local net = drift.build(network())
  local data = drift.build(drift.dataset.changing_data {})
  local loader = data:loader { split = "train", batch = 2, seed = 1 }
  local optimizer = drift.optimizer(drift.optim.changing_optim { lr = 0.01 }, net)
  local step = drift.train_step { net = net, optimizer = optimizer, process = drift.process.changing_process {}, p_uncond = 0 }
  local list = {}
  net:train()
  for i = 1, n do
    local batch = loader:read(1 + (i - 1) // 4, 1 + (i - 1) % 4)
    list[i] = ("%a"):format(drift.scope(step, batch, 1.0, i):item())
    if between then between(i) end
  end
  return list, net
end

describe("a training", function()
  it("goes on with the same bits where an unchanged plugin was reloaded", function()
    begin ""
    local expected, net = losses(24)
    local got, reloaded = losses(24, function(i)
      if i == 5 or i == 12 or i == 13 then drift.reload("changing", { build = false }) end
    end)
    assert.same(expected, got)
    for i, weight in ipairs(net:named()) do
      assert.equal(weight.tensor:tostring_bytes(), reloaded:named()[i].tensor:tostring_bytes())
    end
  end)

  it("goes on with the new code from the next step on", function()
    begin "-DFACTOR=2.0"
    local expected = losses(12)
    write "-DFACTOR=2.5"
    local got = losses(12, function(i) if i == 6 then drift.reload "changing" end end)
    for i = 1, 6 do assert.equal(expected[i], got[i]) end
    for i = 7, 12 do assert.not_equal(expected[i], got[i]) end
  end)

  it("goes on where a reload fails, with the same bits", function()
    begin "-DFACTOR=2.0"
    local expected = losses(12)
    write "-DFACTOR=3.0 -DNEW_WEIGHT"
    local got = losses(12, function(i)
      if i == 6 then assert.is_false((pcall(drift.reload, "changing"))) end
    end)
    assert.same(expected, got)
  end)
end)

describe("the watcher", function()
  it("reloads what has changed when it has settled, and says so; what fails is tried again at the next change", function()
    begin "-DFACTOR=2.0"
    local before = 0
    local changed = hot_reload.watcher()
    local function look() drift.sleep(0.55); changed(function() before = before + 1 end) end
    look()
    assert.equal(0, before)
    write "-DFACTOR=3.0"
    look()
    assert.equal(2, factor())                                     -- it may not be whole yet
    local note = notes_of(look)
    assert.truthy(note:find "^reloaded plugin changing")
    assert.equal(3, factor())
    assert.equal(1, before)
    write "-DFACTOR=4.0 -DDOES_NOT_COMPILE"
    look()
    note = notes_of(look)
    assert.truthy(note:find("^plugin changing is not reloaded, the earlier one goes on: it does not build"))
    assert.equal("", notes_of(look))                              -- once
    assert.equal(3, factor())
    write "-DFACTOR=4.0"
    look()
    notes_of(look)
    assert.equal(4, factor())
  end)
end)
