"""report_page.py BROWSER: looks at the reports that report_page.lua has made in this folder. See report_page.sh."""
import http.server
import json
import math
import os
import re
import struct
import sys
import threading

from chromium_page import Browser

SECTIONS = ["results", "losses", "noise-levels", "samples", "trajectories", "cost-quality", "made"]


def must(condition, what):
    if not condition:
        raise SystemExit("report_page: " + what)


def equal(got, wanted, what):
    must(got == wanted, f"{what}: {got!r}, and should be {wanted!r}")


# ---- what the files say, without the code that makes the page --------------------------------------------------------
def read(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def losses(folder):
    with open(folder + "/metrics.jsonl", encoding="utf-8") as f:
        return [r["loss"] for r in map(json.loads, f) if "loss" in r]


def tensor(path, name):
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack("<Q", data[:8])[0]
    about = json.loads(data[8:8 + size])[name]
    begin, end = about["data_offsets"]
    return struct.unpack(f"<{(end - begin) // 4}f", data[8 + size + begin:8 + size + end]), about["shape"]


def written(x):
    """number.js's and number.lua's 4 significant digits"""
    exponent = int(f"{x:.3e}".split("e")[1])
    return f"{x:.{max(0, 3 - exponent)}f}".replace("-", "\u2212")


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


# ---- what the page shows ---------------------------------------------------------------------------------------------
def cells(page, table):
    """Rows of { text, value, interval }; cells that span rows come in each of them."""
    return page.evaluate("""(() => {
        const rows = [...document.querySelectorAll('#%s tbody tr')], out = rows.map(() => []);
        rows.forEach((row, r) => {
            let k = 0;
            for (const cell of row.cells) {
                while (out[r][k]) k++;
                const number = cell.querySelector('.number'), interval = cell.querySelector('.interval');
                const text = cell.querySelector('span') ? cell.querySelector('span').textContent : cell.textContent;
                for (let down = 0; down < cell.rowSpan; down++)
                    out[r + down][k] = { text, value: number ? number.dataset.value : null, interval: interval ? interval.textContent : null };
                k++;
            }
        });
        return out;
    })()""" % table)


def same_number(cell, value, what, interval=None):
    """The cell shows this value rounded to the decimals that it has, and the interval alike; or a dash where there is none."""
    if value is None:
        return equal((cell["text"], cell["value"]), ("\u2013", None), what)
    equal(float(cell["value"]), value, what)
    shown = cell["text"].replace("\u2212", "-")
    decimals = len(shown.partition(".")[2])
    must(abs(float(shown) - value) <= 0.5000001 * 10 ** -decimals, f"{what}: shows {shown} for {value}")
    must(value == 0 or abs(float(shown) - value) < 0.005 * abs(value), f"{what}: {shown} has too few digits for {value}")
    if interval and None not in interval:
        low, high = re.fullmatch(r"\[(.*), (.*)\]", cell["interval"].replace("\u2212", "-")).groups()
        for text, end in ((low, interval[0]), (high, interval[1])):
            equal(len(text.partition(".")[2]), decimals, what + ": decimals of the interval")
            must(abs(float(text) - end) <= 0.5000001 * 10 ** -decimals, f"{what}: shows {text} for {end}")


def check_tables(page, comparison):
    variants, seeds = comparison["variants"], comparison["seeds"]
    results = cells(page, "results-table")
    every = cells(page, "seeds-table")
    costs = cells(page, "costs-table")
    equal([row[0]["text"] for row in results], [v["label"] for v in variants], "the variants' labels")
    for k, metric in enumerate(comparison["metrics"]):
        for i, v in enumerate(variants):
            name = f"{metric['name']} of {v['name']}"
            summary = metric["summary"][v["name"]]
            same_number(results[i][1 + k], summary.get("mean"), name, [summary.get("low"), summary.get("high")])
            for s in range(len(seeds)):
                interval = metric["intervals"][v["name"]][s]
                same_number(every[i * len(seeds) + s][3 + k], metric["values"][v["name"]][s], f"{name}, seed {seeds[s]}", interval)
    for i, v in enumerate(variants):
        wanted = [v["params"], v["flops_per_image"], v["images_per_second"]["mean"], v["plan_bytes"], v["peak_bytes"]]
        equal([float(c["value"]) for c in costs[i][1:]], [float(x) for x in wanted], f"costs of {v['name']}")
    check_differences(page, comparison)


def check_differences(page, comparison):
    rows, r = cells(page, "differences-table"), 0
    for metric in comparison["metrics"]:
        for v in comparison["variants"]:
            paired = metric["paired"].get(v["name"]) if metric["paired"] else None
            if not paired:
                continue
            row, name = rows[r], f"{metric['name']}: difference of {v['name']}"
            r += 1
            must(row[0]["text"].startswith(metric["name"]), name)
            equal(row[1]["text"], v["label"], name)
            shown, decimals = row[2]["text"].replace("\u2212", "-"), len(row[2]["text"].partition(".")[2])
            equal(float(row[2]["value"]), paired["difference"], name)
            must(abs(float(shown) - paired["difference"]) <= 0.5000001 * 10 ** -decimals, f"{name}: {shown}")
            equal(row[4]["text"], str(paired["n"]), name + ": pairs")
            better = (paired["difference"] < 0) == (metric["better"] == "lower")
            equal(row[5]["text"], ("better" if better else "worse") if paired["decided"] else "undecided", name + ": outcome")
            if paired.get("seeds_needed"):
                equal(row[5]["interval"], f"{paired['seeds_needed']} seeds would settle it", name)
    equal(len(rows), r, "rows of differences")


def readouts(page, chart):
    return page.evaluate(f"""[...document.querySelectorAll('#{chart}')].map((c) =>
        [...c.parentNode.querySelectorAll('.series')].map((s) => [s.querySelector('.name').textContent, s.querySelector('.value').textContent]))[0]""")


def key(page, name, code):
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code)


def point_at(page, chart, end="Home", code=36):
    page.evaluate(f"document.getElementById('{chart}').focus()")
    key(page, end, code)
    return dict(readouts(page, chart))


def set_control(page, name, value):
    page.evaluate(f"""(() => {{ const c = document.getElementById('{name}');
        if (c.type === 'checkbox') c.click();
        else {{ c.value = '{value}'; c.dispatchEvent(new Event(c.type === 'range' ? 'input' : 'change')); }} }})()""")


def check_curves(page, folder, comparison):
    """The readout at the first place of each curve, and of the loss at the last, against what the cells' files have there."""
    set_control(page, "losses-smooth", 0)
    last = point_at(page, "losses-chart", "End", 35)
    shown, levels, costs = (point_at(page, chart) for chart in ("losses-chart", "levels-chart", "cost-chart"))
    for v in comparison["variants"]:
        done = [f"{folder}/{c['dir']}" for c in v["cells"] if c["status"] == "done"]
        for step, readout in ((0, shown), (-1, last)):
            at = [losses(d)[step] for d in done]
            wanted = f"{written(mean(at))} [{written(min(at))}, {written(max(at))}]"
            equal(readout[v["label"]], wanted, f"loss at the {'first' if step == 0 else 'last'} step of {v['name']}")
        level = mean([min(read(d + "/noise_levels.json"), key=lambda r: r["ratio"])["loss"] for d in done])
        equal(levels[v["label"]].split(" ")[0], written(level), f"loss at the lowest level of {v['name']}")
        row = [min((r for r in read(d + "/cost_quality.json") if r["sampler"] == "euler"), key=lambda r: r["nfe"]) for d in done]
        quality = mean([r["metrics"][0]["value"] for r in row])
        equal(costs[v["label"] + ", euler"].split(" ")[0], written(quality), f"quality at fewest evaluations of {v['name']}")


def check_differences_of_samples(page, folder, comparison):
    """mean |a-b| under the pictures, against the tensors'."""
    samples_of = lambda v: tensor(f"{folder}/{v['cells'][0]['dir']}/samples.safetensors", "images")
    base, shape = samples_of(comparison["variants"][0])
    set_control(page, "samples-view", "0")
    wait_for(page, "document.querySelectorAll('.sample figcaption .interval')[1].textContent.includes('mean')", "the differences are drawn")
    shown = page.evaluate("[...document.querySelectorAll('#samples .sample figcaption .interval')].map((s) => s.textContent)")
    equal(shown[0], "", "the variant that differences are taken from has none")
    for i, v in enumerate(comparison["variants"][1:], 1):
        other, _ = samples_of(v)
        byte = lambda x: math.floor(min(1, max(0, x)) * 255 + 0.5)
        wanted = sum(abs(byte(a) - byte(b)) for a, b in zip(base, other)) / len(base) / 255
        got = float(shown[i].split()[-1])
        must(abs(got - wanted) < 2e-3 * wanted, f"mean |a-b| of {v['name']}: {got}, and should be {wanted}")
    equal(page.evaluate("document.getElementById('samples-1').width"), 10 * (shape[3] + 1) - 1, "the canvas's width")
    set_control(page, "samples-view", "pictures")
    wait_for(page, "!document.querySelectorAll('.sample figcaption .interval')[1].textContent", "pictures again")


def wait_for(page, condition, what):
    page.until(lambda: page.evaluate(condition), what)


def ready(page):
    wait_for(page, "!document.querySelector('.part:empty')", "all parts are drawn")


def check_controls(page):
    """Every control changes what is drawn, and changing it back gives the same."""
    line = "document.querySelector('#losses-chart .line').getAttribute('d')"
    level = "document.querySelector('#levels-chart .line').getAttribute('d')"
    cost = "document.querySelector('#cost-chart .line').getAttribute('d')"
    picture = lambda canvas: f"document.getElementById('{canvas}').toDataURL()"
    for name, value, back, what in [
            ("losses-smooth", 6, 0, line), ("losses-log-x", True, False, line), ("losses-log-y", True, False, line),
            ("levels-log-x", True, False, level), ("levels-log-y", True, False, level), ("cost-log-y", True, False, cost),
            ("cost-metric", "class_accuracy", "frechet", cost), ("cost-sampler", "heun", "", cost),
            ("samples-view", "2", "pictures", picture("samples-1")), ("samples-view", "1", "pictures", picture("samples-0")),
            ("samples-seed", "2", "1", picture("samples-0")), ("trajectory-frame", 0, 5, picture("trajectory-1")),
            ("trajectory-seed", "2", "1", picture("trajectory-0"))]:
        before = page.evaluate(what)
        must(before and len(before) > 20, f"{name}: nothing is drawn")
        set_control(page, name, value)
        wait_for(page, f"{what} !== {json.dumps(before)}", f"{name} = {value} changes what is drawn")
        set_control(page, name, back)
        wait_for(page, f"{what} === {json.dumps(before)}", f"{name} back to {back} is what it was")
    set_control(page, "samples-view", "0")
    before = page.evaluate(picture("samples-1"))
    set_control(page, "samples-gain", "8")
    wait_for(page, f"{picture('samples-1')} !== {json.dumps(before)}", "differences are drawn stronger")
    set_control(page, "samples-view", "pictures")


def check_legend_and_pointer(page):
    page.evaluate("document.querySelector('#losses-chart').parentNode.querySelectorAll('.series')[1].click()")
    equal(page.evaluate("document.querySelectorAll('#losses-chart .line').length"), 2, "lines after one was switched off")
    wait_for(page, "!document.getElementById('samples-1') && !document.getElementById('trajectory-1')", "its pictures are off too")
    page.evaluate("document.querySelector('#levels-chart').parentNode.querySelectorAll('.series')[1].click()")
    wait_for(page, "document.querySelectorAll('#losses-chart .line').length === 3 && !!document.getElementById('samples-1')", "all are on again")
    page.evaluate("document.getElementById('losses-chart').scrollIntoView({ block: 'center' })")
    box = page.evaluate("(({ left, top, width, height }) => ({ left, top, width, height }))(document.getElementById('losses-chart').getBoundingClientRect())")
    head = "document.querySelector('#losses-chart').parentNode.querySelector('.readout').textContent"
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=box["left"] + box["width"] / 2, y=box["top"] + box["height"] / 2)
    at = int(page.evaluate(head).split()[-1])
    must(abs(at - 200) < 20, f"the mouse in the middle of 400 steps points at step {at}")
    page.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": box["left"] + box["width"] / 4, "y": box["top"] + box["height"] / 2}])
    page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    at = int(page.evaluate(head).split()[-1])
    must(abs(at - 90) < 30, f"a finger at a quarter of 400 steps points at step {at}")
    page.evaluate("document.getElementById('samples-0').focus()")
    key(page, "ArrowRight", 39)
    wait_for(page, "document.querySelectorAll('.picked-row canvas').length === 3", "a picked picture is shown large")
    equal(page.evaluate("document.activeElement.id"), "samples-0", "the keyboard stays where it was")
    page.evaluate("document.getElementById('trajectory-play').click()")
    wait_for(page, "document.querySelector('output[for=trajectory-frame]').textContent === '3 of 6'", "the trajectory plays")


def colour(page):
    return [int(x) for x in re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]]


def check_themes(page):
    must(min(colour(page)) > 230, f"light: {colour(page)}")
    page.evaluate("document.getElementById('theme').click()")
    must(max(colour(page)) < 60, f"dark, by the button: {colour(page)}")
    page.evaluate("document.getElementById('theme').click()")
    must(min(colour(page)) > 230, f"light again: {colour(page)}")


def check_access(page):
    equal(page.evaluate("[...document.querySelectorAll('canvas, svg[role=img], [role=region]')].filter((n) => !n.getAttribute('aria-label')).length"), 0,
          "pictures, figures and tables without a name")
    equal(page.evaluate("[...document.querySelectorAll('input, select')].filter((n) => n.labels.length === 0).length"), 0, "controls without a label")
    small = page.evaluate("[...document.querySelectorAll('#report *')].filter((n) => n.textContent && parseFloat(getComputedStyle(n).fontSize) < 12).length")
    equal(small, 0, "elements with tiny letters")


def no_overflow(page, what):
    for width in (375, 320):
        page.size(width, 800, True)
        page.until(lambda: page.evaluate(f"innerWidth === {width} && [...document.querySelectorAll('.chart')].every((c) => c.clientWidth <= {width})"), "the new width")
        equal(page.evaluate("document.documentElement.scrollWidth"), width, f"{what}: width that is needed on a screen {width} wide")


def quiet(page, what):
    equal(page.messages, [], f"{what}: what the console said")
    strange = [u[:80] for u in page.requests if not u.startswith("data:") and not (u.startswith("file:") and u.endswith(what + "/report.html"))]
    equal(strange, [], f"{what}: requests")
    equal(page.evaluate("typeof window.hostile"), "undefined", f"{what}: a text of the data ran as a script")


def open_report(browser, name, **size):
    page = browser.open(f"file://{os.getcwd()}/{name}/report.html", **size)
    ready(page)
    return page


def check_full(browser):
    comparison, page = read("full/comparison.json"), open_report(browser, "full")
    equal(page.evaluate("document.querySelector('h1').textContent"), comparison["title"], "title")
    must(comparison["verdict"] in page.evaluate("document.querySelector('.verdict').textContent"), "the verdict is on top")
    check_tables(page, comparison)
    check_curves(page, "full", comparison)
    check_differences_of_samples(page, "full", comparison)
    check_controls(page)
    check_legend_and_pointer(page)
    check_themes(page)
    check_access(page)
    error = comparison["variants"][2]["cells"][2]["error"]
    must(error in page.evaluate("document.querySelector('.failed').textContent"), "the failed cell's error is shown as it is")
    no_overflow(page, "full")
    quiet(page, "full")
    page = open_report(browser, "full", dark=True)
    must(max(colour(page)) < 60, f"dark, as the system is: {colour(page)}")
    page.theme(False)
    wait_for(page, "document.documentElement.dataset.theme === 'light'", "the system has become light")


def check_run(browser):
    page = open_report(browser, "run")
    records = [json.loads(line) for line in open("run/metrics.jsonl", encoding="utf-8")]
    row, rows = cells(page, "results-table")[0], read("run/evaluation.json")["metrics"]
    same_number(row[1], records[-1]["epoch_loss"], "final loss")
    for k, metric in enumerate(rows):
        same_number(row[2 + k], metric["value"], metric["name"], [metric["low"], metric["high"]])
    equal(cells(page, "costs-table")[0][1]["text"], "11,203", "parameters")
    no_overflow(page, "run")
    quiet(page, "run")


def check_others(browser):
    """Where pieces are missing there is a line that says so in their place, and no error."""
    missing = {"one_variant": ["noise-levels", "samples", "trajectories", "cost-quality"],
               "one_step": ["noise-levels", "samples", "trajectories", "cost-quality"], "begun": SECTIONS[:-1], "broken": [],
               "nothing_kept": ["noise-levels", "samples", "trajectories", "cost-quality"], "twelve": [], "plain_colours": [], "compared": ["cost-quality"]}
    for name, sections in missing.items():
        page = open_report(browser, name)
        for section in SECTIONS:
            there = page.evaluate(f"!!document.querySelector('#{section}')")
            must(there, f"{name}: there is no section {section}")
            says = page.evaluate(f"!!document.querySelector('#{section} > .missing, #{section} .part > .missing')")
            equal(says, section in sections, f"{name}, {section}: a line says that it is missing")
        no_overflow(page, name)
        quiet(page, name)
        if name == "one_step":
            equal(page.evaluate("document.querySelectorAll('#losses-chart .dot').length"), 2, "dots of runs with one step")
        if name == "twelve":
            equal(page.evaluate("document.querySelectorAll('#differences details .diff').length"), 11, "networks, folded away")
        if name == "compared":  # by a command that opens no device
            equal(page.evaluate("document.querySelectorAll('#samples canvas').length"), 2, "samples of two runs")
        if name == "broken":
            equal(page.evaluate("document.querySelectorAll('#made .failed li').length"), 2, "problems that are told")
        if name == "twelve":
            looks = page.evaluate("""[...document.querySelector('#losses-chart').parentNode.querySelectorAll('.swatch line')].map((l) =>
                l.getAttribute('stroke') + l.getAttribute('stroke-dasharray'))""")
            equal(len(set(looks)), 12, "variants that look different")


def check_live(browser):
    """Served, the page takes over what is new, and stays as the reader has set it."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *a):
            super().__init__(*a, directory="live")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.open(f"http://127.0.0.1:{server.server_address[1]}/index.html", width=900)
    ready(page)
    wait_for(page, "document.getElementById('live').textContent.startsWith('live')", "the page is live")
    set_control(page, "losses-smooth", 3)
    set_control(page, "trajectory-frame", 2)
    page.evaluate("document.querySelector('details').open = true; document.querySelector('#losses-chart').parentNode.querySelectorAll('.series')[0].click()")
    page.evaluate("window.scrollTo(0, document.querySelector('#samples').offsetTop)")
    before = page.evaluate("window.scrollY")
    data = read("live/data.json")
    data["verdict"] = ["Something else <i>now</i>."]
    with open("live/new", "w", encoding="utf-8") as f:
        json.dump(data, f)
    os.replace("live/new", "live/data.json")
    wait_for(page, "document.querySelector('.verdict').textContent === 'Something else <i>now</i>.'", "what is new is shown")
    ready(page)
    equal(page.evaluate("[document.getElementById('losses-smooth').value, document.getElementById('trajectory-frame').value, document.querySelector('details').open]"),
          ["3", "2", True], "controls after new data")
    equal(page.evaluate("document.querySelectorAll('#losses-chart .line').length"), 2, "a series that was off stays off")
    equal(page.evaluate("window.scrollY"), before, "scroll after new data")
    page.messages = [m for m in page.messages if "favicon" not in m and "404" not in m]
    equal(page.messages, [], "live: what the console said")
    server.shutdown()


with Browser(sys.argv[1], os.path.abspath("profile")) as chromium:
    check_full(chromium)
    check_run(chromium)
    check_others(chromium)
    check_live(chromium)
print("report_page: all is as it should be")
