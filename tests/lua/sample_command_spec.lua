-- sample_command_spec.lua: drift sample, on a digit model of a few steps and on tiny models of DeepFloyd IF's form.
local drift = require "drift"
local program = assert(os.getenv "DRIFT")
local fixtures = os.getenv "DRIFT_FIXTURES"
local has_if = drift.exists(fixtures .. "/if/stage1_b/model_index.json") and drift.exists(fixtures .. "/t5/tiny/spiece.model")
local stage1, stage2, t5 = fixtures .. "/if/stage1_b", fixtures .. "/if/stage2_b", fixtures .. "/t5/tiny"

local function run(arguments)
  local pipe = assert(io.popen("DRIFT_DATA='" .. os.getenv "DRIFT_TEST_DATA" .. "' " .. program .. " " .. arguments .. " 2>&1; echo \"status $?\""))
  local output = pipe:read "a"
  pipe:close()
  local text, status = output:match "^(.*)status (%d+)\n$"
  return text, tonumber(status)
end

local function good(arguments)
  local text, status = run(arguments)
  assert.equal(0, status, text)
  return text
end

local function fails(arguments, ...)
  local text, status = run(arguments)
  assert.equal(1, status, text)
  for _, part in ipairs { "drift: ", ... } do assert.is_truthy(text:find(part, 1, true), text) end
  return text
end

local function size(path)                                          -- of a PNG, from its header
  local width, height = string.unpack(">I4I4", drift.read_file(path), 17)
  return { width, height }
end

describe("drift sample", function()
  it("says what it takes, and what was wrong", function()
    assert.is_truthy(good "sample --help":find("--embeddings FILE", 1, true))
    assert.is_truthy(good "help":find("drift sample", 1, true))
    assert.equal(good "sample --help", good "help sample")
    fails("sample", "which model?")
    fails("sample --modell x", "did you mean --model")
    fails("sample --model", "--model needs a value")
    fails("sample --model a --model b", "--model is given twice")
    fails("sample --model none --prompt x", "none: there is no such file or folder")
    fails("sample --model a --prompt x extra", "one argument too many: extra")
    fails("sample --model a --prompt x --class 3", "say one of them")
    fails("sample --model a --text b --embeddings c", "say one of them")
    for _, count in ipairs { "0", "-1", "1.5", "many" } do fails("sample --model a --count " .. count, "--count takes a whole number") end
    fails("sample --model a --guidance nan", "--guidance takes a number")
    fails("sample --model a --class 3,x", "--class takes a whole number")
    fails("sample --model a --steps 0", "--steps takes a whole number")
    fails("run x.lua --prompt y", "--prompt is an option of drift sample")
    fails("sample --model a --precision f16", "--precision is f32, bf16 or tf32")
  end)

  it("draws classes with a run's network, the same for the same seed", function()
    good(("run '%s/experiments/mnist_flow.lua' preset=smoke --out digits"):format(drift.home))
    good "sample --model digits --class 3,4 --count 3 --steps 2 --out three"
    assert.same({ "1.png", "2.png", "3.png", "grid.png", "sample.json" }, drift.files "three")
    assert.same({ 28, 28 }, size "three/1.png")
    good "sample --model digits --class 3 --count 1 --steps 2 --out one.png"
    assert.equal(drift.read_file "three/1.png", drift.read_file "one.png")
    good "sample --model digits --class 3 --count 1 --steps 2 --out one.png --seed 1"
    assert.are_not.equal(drift.read_file "three/1.png", drift.read_file "one.png")
    local record = drift.json.decode(drift.read_file "three/sample.json")
    assert.same({ 0, 3, 2, { 3, 4 } }, { record.seed, record.count, record.steps, record.classes })
    fails("sample --model digits --prompt x", "draws classes: --class 3, not --prompt")
    fails("sample --model digits", "draws classes: --class 3")
    fails("sample --model digits --class 10", "from 0 to 9")
    fails("sample --model digits --class 3 --stage2 digits", "--stage2 enlarges")
    drift.write_file("taken", "x")
    fails("sample --model digits --class 3 --out taken", "taken is a file, but not a PNG")
    fails("sample --model digits --class 3 --negative x", "--negative is for a model of text; digits draws classes")
    fails("sample --model digits --class 3 --steps2 4", "--steps2 is for stage II")
  end)

  it("draws without classes where a run knows none, and says so to who names one", function()
    good(("run '%s/experiments/ddpm_time.lua' preset=smoke --out timed"):format(drift.home))
    good "sample --model timed --count 2 --steps 2 --out two"
    assert.are_not.equal(drift.read_file "two/1.png", drift.read_file "two/2.png")
    fails("sample --model timed --class 3", "timed was trained without classes: leave --class out")
    fails("sample --model timed --prompt x", "timed was trained without classes: leave --prompt out")
    local g = drift.generator_of "timed"
    assert.equal(0, g.classes)
    assert.error_matches(function() drift.edit.iterative { generator = g, condition = 3 } end, "takes no condition, not 3")
  end)

  it("knows before it samples that its pictures cannot be written, and makes the folders that they need", function()
    good(("run '%s/experiments/mnist_flow.lua' preset=smoke --out model"):format(drift.home))
    local function early(out, message)
      local text = fails(("sample --model model --class 3 --steps 2 --out '%s'"):format(out), message)
      assert.is_nil(text:find("sampling", 1, true), text)
    end
    drift.mkdir "folder.png"
    drift.write_file("file", "x")
    early("folder.png", "folder.png is a folder")
    early("/proc/x.png", "--out /proc/x.png cannot be written")
    early("file/x.png", "file is not a folder")
    early("", "--out takes a folder or a file")
    good "sample --model model --class 3 --steps 2 --out new/deep/x.png"
    assert.same({ "x.png" }, drift.files "new/deep")
  end)

  if not has_if then
    pending "draws prompts: no fixtures of DeepFloyd IF"
    return
  end

  it("draws prompts, in two stages", function()
    local command = ("sample --model '%s' --stage2 '%s' --text '%s' --prompt 'A photo of a dog' --count 2 --steps 2 --steps2 2 "):format(stage1, stage2, t5)
    good(command .. "--out dogs")
    assert.same({ "1.png", "1_stage1.png", "2.png", "2_stage1.png", "grid.png", "sample.json" }, drift.files "dogs")
    assert.same({ { 32, 32 }, { 16, 16 } }, { size "dogs/1.png", size "dogs/1_stage1.png" })
    good(command:gsub("A photo of a dog", "  a PHOTO of a dog ") .. "--out same")         -- lower case, stripped
    assert.equal(drift.read_file "dogs/2.png", drift.read_file "same/2.png")
    good(command .. "--out other --negative 'a cat'")
    assert.are_not.equal(drift.read_file "dogs/2.png", drift.read_file "other/2.png")
    fails(("sample --model '%s' --text '%s' --prompt x"):format(stage2, t5), "is stage II")
    local text = fails(("sample --model '%s' --stage2 '%s' --text '%s' --prompt x"):format(stage1, stage1, t5), "is not stage II")
    assert.is_nil(text:find("sampling", 1, true), text)                -- not after minutes of stage I
    fails(("sample --model '%s' --prompt x"):format(stage1), "has no text_encoder/", "embeddings")
    fails(("sample --model '%s'"):format(stage1), "--prompt TEXT")
    fails(("sample --model '%s' --class 3"):format(stage1), "--prompt TEXT")
  end)

  it("cuts a prompt that is too long with a note, and takes one that is not UTF-8", function()
    local command = ("sample --model '%s' --text '%s' --steps 1 --out x.png --prompt "):format(stage1, t5)
    local text = good(command .. "'" .. ("a dog on a beach "):rep(40) .. "'")
    assert.is_truthy(text:find("its end is cut off", 1, true), text)
    text = good(command .. "'a dog \xff\xfe'")
    assert.is_truthy(text:find("not UTF-8", 1, true), text)
  end)
end)
