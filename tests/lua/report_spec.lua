-- report_spec.lua: the report of a comparison's folder: its data, Markdown and CSV; what is missing or hostile in it.
local drift = require "drift"
local data_of = require "drift.report.data"
local line_diff = require "drift.report.line_diff"
local make = require "comparison_folder"
local number = require "drift.report.number"
local page = require "drift.report.page"

-- RFC 4180, for one line
local function fields(line)
  local out, at = {}, 1
  while at <= #line + 1 do
    if line:sub(at, at) == '"' then
      local text = ""
      at = at + 1
      while true do
        local stop = line:find('"', at, true)
        text, at = text .. line:sub(at, stop - 1), stop + 1
        if line:sub(at, at) ~= '"' then break end
        text, at = text .. '"', at + 1
      end
      out[#out + 1], at = text, at + 1
    else
      local stop = line:find(",", at, true) or #line + 1
      out[#out + 1], at = line:sub(at, stop - 1), stop + 1
    end
  end
  return out
end

local function lines_of(path)
  local out = {}
  for line in drift.read_file(path):gmatch "[^\n]+" do out[#out + 1] = fields(line) end
  return out
end

local function finite(x) return type(x) == "number" and x == x end

describe("drift.report", function()
  local comparison, data

  setup(function()
    comparison = make "whole"
    drift.report("whole", { quiet = true })
    data = data_of "whole"
  end)

  it("writes the page, the text and the tables beside the comparison, or where it is told", function()
    assert.equal("elsewhere/below/report.html", drift.report("whole", { out = "elsewhere/below", quiet = true }))
    for _, file in ipairs { "report.html", "report.md", "results.csv", "summary.csv" } do
      assert.equal(drift.read_file("whole/" .. file), drift.read_file("elsewhere/below/" .. file))
    end
    assert.is_true(#drift.read_file "whole/report.html" < 1000000)
  end)

  it("has every value in results.csv with all its digits, and nothing where there is none", function()
    local lines, k = lines_of "whole/results.csv", 1
    assert.same({ "metric", "variant", "seed", "value", "low", "high" }, lines[1])
    for _, metric in ipairs(comparison.metrics) do
      for _, v in ipairs(comparison.variants) do
        for s, seed in ipairs(comparison.seeds) do
          k = k + 1
          local value, interval = metric.values[v.name][s], metric.intervals[v.name][s]
          assert.same({ metric.name, v.name, tostring(seed) }, { lines[k][1], lines[k][2], lines[k][3] })
          if finite(value) then assert.equal(value, tonumber(lines[k][4])) else assert.equal("", lines[k][4]) end
          if type(interval) == "table" then
            assert.same(interval, { tonumber(lines[k][5]), tonumber(lines[k][6]) })
          else
            assert.same({ "", "" }, { lines[k][5], lines[k][6] })
          end
        end
      end
    end
    assert.equal(k, #lines)
  end)

  it("has means, paired differences and costs in summary.csv", function()
    local lines, k = lines_of "whole/summary.csv", 1
    for _, metric in ipairs(comparison.metrics) do
      for i, v in ipairs(comparison.variants) do
        k = k + 1
        local line, s, p = lines[k], metric.summary[v.name], i > 1 and metric.paired[v.name] or {}
        assert.same({ metric.name, v.name, tostring(s.n) }, { line[1], line[2], line[3] })
        assert.same({ s.mean, s.low, s.high }, { tonumber(line[4]), tonumber(line[5]), tonumber(line[6]) })
        assert.same({ p.difference, p.low, p.high, p.n }, { tonumber(line[7]), tonumber(line[8]), tonumber(line[9]), tonumber(line[10]) })
        assert.equal(p.decided == nil and "" or tostring(p.decided), line[11])
        assert.equal(p.seeds_needed, tonumber(line[12]))
      end
    end
    local costs = {}
    for i = k + 1, #lines do costs[lines[i][1]] = (costs[lines[i][1]] or 0) + 1 end
    assert.same({ parameters = 3, flops_per_image = 3, plan_bytes = 3, peak_bytes = 3, images_per_second = 3 }, costs)
  end)

  it("says in Markdown what the page says, with texts that are only text", function()
    local text = drift.read_file "whole/report.md"
    for _, t in ipairs { data.tables.results, data.tables.differences, data.tables.costs, data.tables.seeds } do
      for _, row in ipairs(t.rows) do
        for _, cell in ipairs(row) do
          if cell.value then assert.truthy(text:find(cell.text .. (cell.interval and " " .. cell.interval or ""), 1, true)) end
        end
      end
    end
    assert.truthy(text:find(comparison.verdict, 1, true))
    assert.truthy(text:find("&lt;b&gt;&amp;\"' &lt;/script&gt;", 1, true))
    local outside = text:gsub("```diff.-```", "")
    assert.is_nil(outside:find "<")
  end)

  it("shows hostile names as text: nothing of them is markup in the page", function()
    local html = drift.read_file "whole/report.html"
    assert.equal(2, select(2, html:gsub("</script>", "")))
    assert.is_nil(html:find("<b>", 1, true))
    assert.is_nil(html:find("<img", 1, true))
    local embedded = html:match '<script type="application/json" id="data">(.-)</script>'
    assert.same(drift.json.decode(drift.json.encode(data)), drift.json.decode(embedded))
    local title = page { title = "a </title><script>x", variants = {} }
    assert.truthy(title:find("<title>a &lt;/title&gt;&lt;script&gt;x</title>", 1, true))
  end)

  it("is one file: the page names no other, and its policy allows nothing but itself", function()
    local html = drift.read_file "whole/report.html"
    local without_data = html:gsub('<script type="application/json".-</script>', "")
    assert.is_nil(without_data:find "src=")
    assert.is_nil(without_data:find "@import")
    assert.is_nil(without_data:find "url%(")
    assert.truthy(html:find("connect-src 'none'", 1, true))
    assert.truthy(page(data, { live = true }):find("connect-src 'self'", 1, true))
    for address in without_data:gmatch "https?://[^\"'%s]+" do assert.equal("http://www.w3.org/2000/svg", address) end
  end)

  it("gives paired differences an outcome in words, and says how many seeds would settle one that is open", function()
    local outcomes = {}
    for _, row in ipairs(data.tables.differences.rows) do outcomes[#outcomes + 1] = row[5].text .. (row[5].n and ": " .. row[5].n or "") end
    local wanted = {}
    for _, metric in ipairs(comparison.metrics) do
      for i = 2, 3 do
        local p = metric.paired[comparison.variants[i].name]
        local better = (p.difference < 0) == (metric.better == "lower")
        wanted[#wanted + 1] = p.decided and (better and "better" or "worse")
          or "undecided" .. (p.seeds_needed and (": %d seeds would settle it"):format(p.seeds_needed) or "")
      end
    end
    assert.same(wanted, outcomes)
    assert.truthy(table.concat(wanted, " "):find "would settle it")
  end)

  it("keeps losses as they are where they are few, and means of equal numbers of steps where they are many", function()
    assert.equal(1, data.losses.every)
    local values = {}
    for v in data.losses.curves[1].values:gmatch "%S+" do values[#values + 1] = tonumber(v) end
    local records = drift.read_metrics "whole/variant_1/seed_1"
    assert.equal(400, #values)
    for i = 1, 400 do assert.near(records[i].loss, values[i], 5.001e-6 * records[i].loss) end   -- of 6 digits
    local failed = data.losses.curves[#data.losses.curves]
    assert.equal("failed", failed.status)
    assert.truthy(failed.values:find " nan$")

    local losses = require "drift.report.losses"
    local long = {}
    for i = 1, 2500 do long[i] = { step = i, loss = i } end
    local function curves(records)
      return losses.curves { { variant = 0, seed = 1, status = "done", points = losses.points(records) } }
    end
    local binned = curves(long)
    assert.equal(3, binned.every)
    assert.equal("2 5 8 11 ", binned.curves[1].values:sub(1, 9))
    assert.equal(834, select(2, binned.curves[1].values:gsub("%S+", "")))
    assert.truthy(binned.curves[1].values:find " 2500$")
    local epochs = curves { { epoch = 1, epoch_loss = 0.5 }, { epoch = 2, epoch_loss = 0.25 } }
    assert.same({ "epoch", "0.5 0.25" }, { epochs.unit, epochs.curves[1].values })
  end)

  it("has pictures as one PNG for each cell, in the order of the tensor", function()
    assert.equal(8, #data.samples)
    assert.equal(8, #data.trajectories)
    local picture = data.samples[1]
    assert.same({ 20, 20, 10, 28, 28 }, { picture.n, picture.total, picture.columns, picture.width, picture.height })
    local images = drift.load_tensors("whole/variant_1/seed_1/samples.safetensors").images
    local sheet = drift.canvas(280, 56)
    for i = 0, 19 do sheet:blit(images[i + 1], i % 10 * 28, i // 10 * 28) end
    local base64 = require "drift.report.base64"
    local gray = {}
    for y = 0, 55 do
      gray[y + 1] = {}
      for x = 0, 279 do gray[y + 1][x + 1] = (sheet:pixel(x, y)) end
    end
    assert.equal("data:image/png;base64," .. base64(drift.png(gray)), picture.uri)
    assert.same({ 0, 0.2, 0.4, 0.6, 0.8, 1 }, (function(t)
      for i, x in ipairs(t) do t[i] = tonumber(("%.3f"):format(x)) end
      return { table.unpack(t) }
    end)(data.trajectories[1].t))
  end)

  it("keeps pages of large pictures small: fewer frames and pictures of a trajectory", function()
    local pictures = require "drift.report.pictures"
    drift.save_tensors("large.safetensors", { frames = drift.zeros { 50, 16, 3, 32, 32 }, t = drift.arange(50) })
    local all = pictures.trajectory "large.safetensors"
    assert.same({ 10, 16, 21, 50 }, { all.n, all.total, all.frames, all.steps })
    assert.same({ 0, 49 }, { all.t[1], all.t[21] })
    assert.equal(2, pictures.trajectory("large.safetensors", { pixels = 21 * 3072 * 2 }).n)
    assert.equal(1, pictures.trajectory("large.safetensors", { pixels = 1 }).n)
    drift.save_tensors("many.safetensors", { images = drift.zeros { 130, 2, 8, 8 } })
    local many = pictures.samples "many.safetensors"
    assert.same({ 100, 130 }, { many.n, many.total })
  end)

  it("takes the mean over seeds of noise levels and of cost and quality, with the interval that statistics give it", function()
    local mean_interval = require "drift.compare.statistics".mean_interval
    local series = data.noise_levels.series[1]
    assert.same({ "ratio", 8, 3 }, { data.noise_levels.x, #series.points, series.points[1].n })
    local values = {}
    for s = 1, 3 do values[s] = drift.read_json(("whole/variant_1/seed_%d/noise_levels.json"):format(s))[1].loss end
    local wanted = mean_interval(values)
    assert.same({ wanted.mean, wanted.low, wanted.high }, { series.points[1].mean, series.points[1].low, series.points[1].high })
    assert.same({ "frechet", "class_accuracy" }, { table.unpack(data.cost_quality.metrics) })
    assert.equal(2, data.cost_quality.series[#data.cost_quality.series].points[1].n)
  end)

  it("has a level's own interval where there is one seed, whether it stands in the row or with the value", function()
    make("levels", { seeds = 1, variants = 1, failed = false, steps = 20, pictures = 2 })
    drift.write_file("levels/variant_1/seed_1/noise_levels.json",
      [=[[ { "t": 0.5, "ratio": 1, "loss": 0.5, "low": 0.25, "high": 0.75, "n": 9, "eps": { "value": 2, "low": 1, "high": 3 } },
           { "t": 0.9, "ratio": 0.1, "loss": null, "eps": 1.5 } ]]=])
    local levels = data_of("levels").noise_levels
    assert.same({ "loss", "eps" }, { table.unpack(levels.quantities) })
    assert.same({ { x = 1, mean = 0.5, low = 0.25, high = 0.75, n = 1 } }, { table.unpack(levels.series[2].points) })
    assert.same({ { x = 0.1, mean = 1.5, n = 1 }, { x = 1, mean = 2, low = 1, high = 3, n = 1 } },
      { table.unpack(levels.series[1].points) })
  end)

  it("says first what is decided, and each line as a sentence", function()
    local value = drift.json.decode(drift.read_file "whole/comparison.json")
    value.verdict = "On frechet it is open.\nOn class_accuracy FiLM wins.\nOn final_loss_b nothing.\nA word on all."
    value.metrics[3].paired = {}
    value.headline = "Of 4 comparisons 1 is <decided>."
    drift.mkdir "said"
    drift.write_file("said/comparison.json", drift.json.encode(value))
    assert.same({ "On class_accuracy FiLM wins.", "On frechet it is open.", "On final_loss_b nothing.", "A word on all." },
      { table.unpack(data_of("said").verdict) })
    assert.equal(value.headline, data_of("said").headline)
    local folder = drift.report("said", { quiet = true }):match "^(.*)/"
    assert.truthy(drift.read_file(folder .. "/report.md"):find("**Of 4 comparisons 1 is &lt;decided&gt;.**", 1, true)
      or drift.read_file(folder .. "/report.md"):find("**Of 4 comparisons 1 is \\<decided\\>.**", 1, true))
  end)

  it("shows changed lines only, of the configuration and of the network", function()
    assert.same({ { op = "-", text = "b" }, { op = "+", text = "x" }, { op = " ", text = "… 1 equal line" }, { op = "+", text = "d" } },
      line_diff({ "a", "b", "c" }, { "a", "x", "c", "d" }))
    assert.same({}, line_diff({ "a", "b" }, { "a", "b" }))
    assert.same({ { op = "-", text = "a" } }, line_diff({ "a" }, {}))
    assert.equal(2, #data.tables.config.rows)
    assert.equal("0.0005", data.tables.config.rows[2][3].text)
    assert.is_true(data.tables.config.rows[2][4].same)
    assert.same({ 1, 2 }, { data.trees[1].variant, data.trees[2].variant })
  end)

  it("takes a run's folder for a comparison of one variant and one seed, and a run's parts for variants", function()
    local function run(dir, name, loss)
      drift.mkdir(dir)
      drift.write_file(dir .. "/config.json", drift.json.encode { name = name, seed = 7, parameters = { lr = loss }, network = { weights = 10 },
        training = { batch = 32 }, results = { seconds = 3 } })
      drift.write_file(dir .. "/metrics.jsonl", loss and drift.json.encode { step = 5, epoch = 1, epoch_loss = loss, seconds = 2 } .. "\n" or "")
    end
    run("one", "one", 0.25)
    drift.write_file("one/evaluation.json", [[{ "metrics": [ { "name": "kid", "value": 0.125, "low": 0.1, "high": null } ] }]])
    local one = data_of "one"
    assert.same({ 1, 1, true }, { #one.variants, #one.seeds, one.done })
    assert.same({ "0.2500", "0.1250" }, { one.tables.results.rows[1][2].text, one.tables.results.rows[1][3].text })
    assert.equal("80.00", one.tables.costs.rows[1][3].text)       -- 5 steps of 32 images in 2 s
    assert.equal("One run: nothing is compared.", one.verdict[1])
    run("several", "several", nil)
    run("several/a", "several, a", 0.5)
    run("several/b", "several, b", 0.75)
    local several = data_of "several"
    assert.same({ "a", "b" }, { several.variants[1].name, several.variants[2].name })
    assert.equal("0.7500", several.tables.results.rows[2][2].text)
    assert.equal("parameters.lr", several.tables.config.rows[1][1].text)
    assert.is_true(several.done)
  end)

  it("makes a report of whatever is there, and says what could not be read", function()
    make("half", { seeds = 2, steps = 20, pictures = 2 })
    drift.write_file("half/variant_1/seed_1/samples.safetensors", "nonsense")
    drift.write_file("half/variant_1/seed_2/metrics.jsonl", "[1\n{}\n")
    drift.write_file("half/variant_2/seed_1/cost_quality.json", "{}")
    drift.write_file("half/variant_2/seed_2/trajectory.safetensors", drift.read_file "half/variant_2/seed_2/samples.safetensors")
    local half = data_of "half"
    assert.equal(3, #half.problems)
    assert.truthy(half.problems[1]:find "^half/variant_1/seed_2/metrics.jsonl: line %d is not a record")
    assert.truthy(half.problems[3]:find("'frames'", 1, true))
    for _, options in ipairs { { variants = 1, seeds = 1, statistics = false }, { seeds = 1 }, { variants = 12, seeds = 1, statistics = false },
                               { samples = false, trajectories = false, noise_levels = false, cost_quality = false } } do
      options.steps, options.pictures = 20, 2
      make("some", options)
      drift.report("some", { quiet = true })
    end
    local value = { format = "drift.comparison/1", name = "least", variants = { { name = "a" } } }
    drift.mkdir "least"
    drift.write_file("least/comparison.json", drift.json.encode(value))
    drift.report("least", { quiet = true })
    assert.equal("One variant: nothing is compared.", data_of("least").verdict[1])
  end)

  it("finds cells elsewhere, as of runs that were there before they were compared", function()
    local value = drift.json.decode(drift.read_file "whole/comparison.json")
    for _, v in ipairs(value.variants) do
      for _, cell in ipairs(v.cells) do cell.dir = "../../whole/" .. cell.dir end
    end
    value.variants[1].cells[1].dir = drift.home .. "/nowhere"
    value.variants[1].cells[2].status = "waiting"
    drift.mkdir "of/elsewhere"
    drift.write_file("of/elsewhere/comparison.json", drift.json.encode(value))
    local elsewhere = data_of "of/elsewhere"
    assert.same({ 0, #data.losses.curves - 1, #data.samples - 1, false },
      { #elsewhere.problems, #elsewhere.losses.curves, #elsewhere.samples, elsewhere.done })
    assert.is_true(data.done)
  end)

  it("says why it cannot make a report", function()
    assert.error_matches(function() drift.report "nowhere" end, "there is no folder nowhere")
    drift.mkdir "empty"
    assert.error_matches(function() drift.report "empty" end, "neither comparison.json nor config.json")
    assert.error_matches(function() drift.report("whole", { into = "x" }) end, "into")
    drift.mkdir "wrong"
    for _, text in ipairs { "[]", "{}", '{ "variants": [ {} ] }', '{ "variants": 3 }', "{" } do
      drift.write_file("wrong/comparison.json", text)
      assert.error_matches(function() drift.report "wrong" end, "wrong/comparison.json: ")
    end
  end)

  it("does not read losses and pictures of cells that are done again where it is given a cache", function()
    local cache, value = {}, make("cached", { seeds = 1, variants = 2, failed = false, pictures = 2 })
    local first = data_of("cached", { cache = cache })
    for _, file in ipairs { "samples.safetensors", "metrics.jsonl" } do
      drift.write_file("cached/variant_1/seed_1/" .. file, "gone\n")
    end
    local second = data_of("cached", { cache = cache })
    assert.same({ first.samples, first.losses }, { second.samples, second.losses })
    assert.same({}, { table.unpack(second.problems) })
    value.variants[1].cells[1].status = "running"                  -- it is made again: what was kept is not
    drift.write_file("cached/comparison.json", drift.json.encode(value))
    local third = data_of("cached", { cache = cache })
    assert.same({ 2, 1, 1 }, { #third.problems, #third.samples, #third.losses.curves })

    drift.mkdir "resumed"                                          -- nor of a run that is resumed after its end
    drift.write_file("resumed/config.json", drift.json.encode { name = "resumed", seed = 1, results = { seconds = 1 } })
    for n = 1, 2 do
      local lines = {}
      for step = 1, n do lines[step] = drift.json.encode { step = step, epoch = 1, loss = 1 / step } .. "\n" end
      drift.write_file("resumed/metrics.jsonl", table.concat(lines))
      assert.equal(n, data_of("resumed", { cache = cache }).losses.last)
    end
  end)
end)

describe("numbers of a report", function()
  it("have four significant digits, or as many decimals as the column", function()
    for x, text in pairs { [0] = "0", [0.0412] = "0.04120", [12.3456] = "12.35", [999.96] = "1000", [-1234.5678] = "−1235", [1e-5] = "1.000e−05",
                           [0.00012346] = "0.0001235", [1e7] = "1.000e+07", [9.9999] = "10.00" } do
      assert.equal(text, number.text(x))
    end
    assert.equal("–", number.text(0 / 0))
    assert.equal("–", number.text(nil))
    assert.equal("–", number.fixed(math.huge, 3))
    assert.equal("0.00", number.fixed(-0.001, 2))
    assert.equal("−0.01", number.fixed(-0.012, 2))
    assert.equal("[−0.10, 0.20]", number.interval(-0.1, 0.2, 2))
    assert.equal("1,234,567", number.count(1234567))
    assert.equal("123", number.count(123))
    assert.equal("31.50 M", number.si(31.5e6))
    assert.equal("48.00 MiB", number.bytes(48 << 20))
    assert.equal("1 h 2 min", number.seconds(3725))
  end)

  it("have decimals for the largest value and the narrowest interval, within reason", function()
    assert.equal(5, number.decimals({ 0.0712, 0.0651 }))
    assert.equal(3, number.decimals({ 8.412 }, { 0.5 }))
    assert.equal(5, number.decimals({ 0.9712 }, { 0.00081 }))
    assert.equal(6, number.decimals({ 0.9712 }, { 1e-9 }))
    assert.equal(0, number.decimals({ 0 / 0, nil }))
    assert.equal(5, number.decimals({ 1.1, 1.2, 3.6e28 }, { 0.0001 }), "one that diverged hides no digits of the others")
    assert.equal("3.600e+28", number.fixed(3.6e28, 5))
    assert.equal(7, number.decimals_of_interval(-0.0000061, -0.0000020, 3), "a decided difference is not 0.000")
    assert.equal(3, number.decimals_of_interval(-1, 1, 3))
    assert.equal(3, number.decimals_of_interval(nil, nil, 3))
  end)

  it("are read back from CSV as the same numbers", function()
    math.randomseed(3)
    for _ = 1, 1000 do
      local x = (math.random() - 0.5) * 10 ^ math.random(-30, 30)
      assert.equal(x, tonumber(number.full(x)))
    end
    assert.equal("0.1", number.full(0.1))
    assert.equal("3", number.full(3))
    assert.equal("", number.full(0 / 0))
  end)

  it("are base64 as others write it", function()
    local base64 = require "drift.report.base64"
    for text, code in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=", foobar = "Zm9vYmFy" } do
      assert.equal(code, base64(text))
    end
    assert.equal("AP/+fw==", base64 "\0\xff\xfe\x7f")
  end)
end)
