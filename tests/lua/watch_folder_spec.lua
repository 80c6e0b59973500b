-- What `drift watch` answers to a browser, and when it looks at the folder (lua/drift/watch/folder.lua).
local drift = require "drift"
local folder_of = require "drift.watch.folder"

describe("a folder that is watched", function()
  local made, problem, n

  local function watched(dir)
    made, problem = 0, nil
    return folder_of(dir, {
      data = function(at)
        made = made + 1
        if problem then error(problem, 0) end
        return { title = at, made = made, problems = drift.json.array { "as the report says" } }
      end,
      page = function(data, o) return ("page of %s, %s, %d"):format(data.title, tostring(o.live), data.made) end,
    })
  end

  local function data_of(w)
    w.look_at = -math.huge                      -- as if half a second had passed
    local status, kind, body, etag = w:answer "/data.json"
    return status, drift.json.decode(body), etag, kind
  end

  local function new_run()
    n = (n or 0) + 1
    local dir = "watched_" .. n
    drift.mkdir(dir)
    drift.write_file(dir .. "/config.json", "{}")
    return dir
  end

  it("is read again when a file was written, came or went, and only then", function()
    local dir = new_run()
    local w = watched(dir)
    local _, _, etag = data_of(w)
    for _ = 1, 5 do
      local status, data, again = data_of(w)
      assert.same({ 200, 1, etag }, { status, data.made, again })
    end
    local changes = {
      function() drift.write_file(dir .. "/metrics.jsonl", "1\n") end,
      function() drift.write_file(dir .. "/metrics.jsonl", "2\n") end,
      function() drift.mkdir(dir .. "/add/seed_1") drift.write_file(dir .. "/add/seed_1/cell.json", "{}") end,
      function() os.remove(dir .. "/metrics.jsonl") end,
    }
    for i, change in ipairs(changes) do
      change()
      assert.equal(i + 1, select(2, data_of(w)).made)
      assert.equal(i + 1, select(2, data_of(w)).made)
    end
    drift.write_file(dir .. "/checkpoint.safetensors", "large, and of no use to a report")
    assert.equal(#changes + 1, select(2, data_of(w)).made)
  end)

  it("is looked at twice a second at most, whoever asks how often", function()
    local dir = new_run()
    local w = watched(dir)
    data_of(w)
    drift.write_file(dir .. "/metrics.jsonl", "1\n")
    for _ = 1, 100 do w:answer "/data.json" end
    assert.equal(1, made)
  end)

  it("shows what could be read last, and why there is nothing newer", function()
    local dir = new_run()
    local w = watched(dir)
    data_of(w)
    problem = "metrics.jsonl: line 2 is not a record"
    drift.write_file(dir .. "/metrics.jsonl", "1\n")
    local status, data = data_of(w)
    assert.same({ 200, 1, problem }, { status, data.made, data.live.problem })
    assert.same({ "as the report says", "as it was before: " .. problem }, { data.problems[1], data.problems[2] })
    problem = nil
    drift.write_file(dir .. "/metrics.jsonl", "12\n")
    status, data = data_of(w)
    assert.same({ 200, 3, 1 }, { status, data.made, #data.problems })
    assert.is_nil(data.live.problem)
  end)

  it("that is not there, is a file, or has no run says so until it has", function()
    local w = watched "not there <yet>"
    local status, data, etag, kind = data_of(w)
    assert.same({ 503, "application/json" }, { status, kind })
    assert.is_nil(etag)
    assert.matches("not there yet", data.waiting)
    local _, _, page = w:answer "/"
    assert.is_nil(page:find("<yet>", 1, true))
    assert.matches("&lt;yet&gt;", page)
    assert.matches("http%-equiv=\"refresh\"", page)
    drift.mkdir "not there <yet>"
    assert.matches("no run has begun", select(2, data_of(w)).waiting)
    drift.write_file("not there <yet>/config.json", "{}")
    assert.equal(200, (data_of(w)))
    assert.equal("page of not there <yet>, true, 1", select(3, w:answer "/"))
    drift.write_file("a_file", "")
    assert.matches("is a file", select(2, data_of(watched "a_file")).waiting)
  end)

  it("gives no file by its path", function()
    local w = watched(new_run())
    for _, path in ipairs { "/config.json", "/../config.json", "//", "/data.json/", "", "/data", "/index.html" } do
      assert.equal(404, (w:answer(path)))
    end
  end)

  it("is shown by the report: a run that has just begun, too", function()
    local dir = new_run()
    drift.write_file(dir .. "/config.json", drift.json.encode { name = "begun", parameters = { epochs = 1 }, seed = 0 })
    drift.write_file(dir .. "/metrics.jsonl", "")
    local w = folder_of(dir)
    local status, data = data_of(w)
    assert.same({ 200, "begun", 0 }, { status, data.title, #data.problems })
    drift.write_file(dir .. "/metrics.jsonl", '{"step": 1, "epoch": 1, "loss": 0.5}\n{"step": 2, "epoch": 1, "loss": 0.')
    status, data = data_of(w)
    assert.same({ 200, 0 }, { status, #data.problems })
    assert.matches("<html", select(3, w:answer "/"))
  end)
end)
