"""measure.py: the checks of tests/gpu/run.sh that measure: Drift's speed on the GPU, where its time goes, how busy it
keeps the chip, and PyTorch's speed at the same work (tests/bench/peers/pytorch_peer.py).

speed.* and pytorch.* time steps in blocks without a wait for the device in between, as a training runs; the median
block counts. A pytorch.* check measures Drift before and after PyTorch's modes, and its ratio is that of the slower of
the two to the fastest mode.
"""
import csv
import io
import json
import pathlib
import re
import shutil
import subprocess
import threading
import time

from running import HOME, Failed, Skipped

SIZES = {
    "train64": dict(task="train", hidden=64, batch=128, steps=200, block=20),
    "denoise128": dict(task="denoise", hidden=128, batch=256, steps=60, block=10),
    "sample40": dict(task="sample", hidden=64, batch=40, steps=3),
    "sample500": dict(task="sample", hidden=64, batch=500, steps=3),
}
PRECISIONS = {"bf16": ["--precision", "bf16"], "tf32": ["--precision", "tf32"], "f32": ["--precision", "f32"]}
PEER_PRECISION = {"bf16": ["--bf16"], "tf32": ["--tf32"], "f32": []}
PEER_MODES = ["compile_channels_last_graph", "channels_last_graph", "compile_channels_last_overhead",
              "compile_channels_last_noautotune", "channels_last"]  # the fastest first, since time may run out
PEER_WARM_SECONDS = 150
RESERVE_SECONDS = 15                                                # for Drift after PyTorch's modes


# ---- Drift ----------------------------------------------------------------------------------------------------------
def bench(run, size, precision, **changes):
    """drift bench's result as a dictionary."""
    settings = {key: value for key, value in (size | changes).items() if key != "task"}
    settings = {"profiled": 0, **settings}
    words = [f"{key}={value}" for key, value in settings.items()]
    out = run.call(run.drift("bench", size["task"], "--json", *PRECISIONS[precision], *words))
    return json.loads(out)["results"][0]


def figure(result):
    return {"images_per_s": round(result["images_per_s"], 1), "ms": round(result["ms"]["median"], 4),
            "ms_min": round(result["ms"]["min"], 4), "ms_max": round(result["ms"]["max"], 4),
            "first_step_ms": round(result["first_step_ms"], 1),
            "device_mib": round(result["memory"]["device_peak"] / 2**20),
            "process_mib": round(result["memory"]["process_peak"] / 2**20)}


def kernel_rows(result):
    """drift bench's own profile, in which each kernel is waited for: right in proportion, too slow in sum."""
    return [{"name": f"{k['op']} {k['dtype']}", "calls": k["calls"], "ms": k["ms"], "share": k["share"],
             "gflop_per_s": k["gflop_per_s"], "gb_per_s": k["gb_per_s"]} for k in result["kernels"][:30]]


def speed(size_name, precision):
    def body(run):
        size = SIZES[size_name]
        if run.quick:
            size = size | {"steps": max(1, size["steps"] // 4)}
        result = bench(run, size, precision, profiled=1 if size["task"] == "sample" else 3)
        run.numbers |= figure(result) | {"kernels": kernel_rows(result), "gflop": result.get("gflop"),
                                         "gflop_per_s": result.get("gflop_per_s"), "kernel_ms": result.get("kernel_ms")}
        run.numbers["summary"] = (f"{result['images_per_s']:.0f} images/s, {result['ms']['median']:.3f} ms"
                                  f" ({result['ms']['min']:.3f}..{result['ms']['max']:.3f}),"
                                  f" {1e-3 * result.get('gflop_per_s', 0):.1f} TFLOP/s")
    return body


def sample_many(precision, images=10000, at_once=1000):
    """The whole sampling, from noise to images, after a short one that makes plans and choices."""
    def body(run):
        size = dict(task="sample", hidden=64, batch=images, steps=1)
        result = bench(run, size, precision, warmup=1, warmup_euler=4, sample_batch=at_once)
        seconds = 1e-3 * result["ms"]["median"]
        run.numbers |= figure(result) | {"seconds": seconds,
                                         "summary": f"{images} guided images, 50 steps: {seconds:.2f} s"}
    return body


# ---- how busy the GPU is --------------------------------------------------------------------------------------------
class Busy:
    """nvidia-smi's share of time in which a kernel ran, sampled ten times a second while the body of `with` runs."""

    def __enter__(self):
        self.samples = []
        command = ["nvidia-smi", "--query-gpu=utilization.gpu,clocks.sm,power.draw", "--format=csv,noheader,nounits",
                   "-lms", "100"]
        try:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            self.process = None
            return self
        threading.Thread(target=self.read, daemon=True).start()
        return self

    def read(self):
        for line in self.process.stdout:
            numbers = re.findall(r"[\d.]+", line)
            if numbers:
                self.samples.append((time.monotonic(), [float(n) for n in numbers]))

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait()

    def between(self, begin, end):
        """{"busy_percent", "clock_mhz", "watts"}: means over that time; empty where there are no samples."""
        rows = [numbers for when, numbers in self.samples if begin <= when <= end]
        names = ["busy_percent", "clock_mhz", "watts"]
        return {name: round(sum(row[i] for row in rows) / len(rows), 1)
                for i, name in enumerate(names) if rows and all(len(row) > i for row in rows)}


def busy(precision):
    def body(run):
        size = SIZES["train64"]
        steps = max(200, int(6 / (1e-3 * bench(run, size, precision)["ms"]["median"])))
        with Busy() as samples:
            result = bench(run, size, precision, steps=steps)
            end = time.monotonic()
        found = samples.between(result["first_step_clock"] + 1.5, end - 0.5)
        if not found:
            raise Skipped("nvidia-smi gives no utilization here")
        run.numbers |= found | {"summary": f"busy {found['busy_percent']:.0f}% of the time in training"
                                f" ({found.get('clock_mhz', 0):.0f} MHz, {found.get('watts', 0):.0f} W)"}
    return body


# ---- whole trainings ------------------------------------------------------------------------------------------------
def epoch_records(path):
    lines = path.read_text().split("\n") if path.exists() else []
    return [record for record in (json.loads(line) for line in lines if line) if "epoch_loss" in record]


def experiment(script, precision, *words):
    """An experiment of the spec as a user runs it: what its epochs took, and all of it, with data and pictures."""
    def body(run):
        if not run.machine.data or not (pathlib.Path(run.machine.data) / "mnist").is_dir():
            raise Skipped("needs MNIST: DRIFT_DATA names a folder with mnist/ in it")
        ends, where = [], run.work / "run"

        def note(text, when):
            if re.search(r"epoch \d+/\d+: mean loss", text):
                ends.append(when)
        begin = time.monotonic()
        with Busy() as samples:
            try:
                run.call(run.drift("run", HOME / "experiments" / script, "preset=paper", "--precision", precision,
                                   "--out", where, *words), {"DRIFT_DATA": run.machine.data}, on_line=note)
            finally:
                whole, epochs = time.monotonic() - begin, epoch_records(where / "metrics.jsonl")
                found = samples.between(ends[0], ends[-1]) if len(ends) > 1 else {}
                seconds, losses = [e["seconds"] for e in epochs], [e["epoch_loss"] for e in epochs]
                run.numbers |= {"training_s": round(sum(seconds), 3), "epochs_s": seconds, "losses": losses,
                                "whole_s": round(whole, 2), **found}
                run.numbers["summary"] = (f"{len(seconds)} epochs in {sum(seconds):.2f} s; all of it {whole:.1f} s; "
                                          f"loss {losses[-1] if losses else float('nan'):.4f}; "
                                          f"busy {found.get('busy_percent', '?')}%")
        report = where / "evaluation.json"
        if report.exists():
            run.numbers["evaluation"] = json.loads(report.read_text())
    return body


# ---- where the time goes, by the chip's own counters ----------------------------------------------------------------
COUNTERS = {"gpu__time_duration.sum": "ns", "dram__bytes.sum": "bytes",
            "dram__throughput.avg.pct_of_peak_sustained_elapsed": "memory_percent",
            "sm__throughput.avg.pct_of_peak_sustained_elapsed": "compute_percent"}
UNITS = {"nsecond": 1, "ns": 1, "usecond": 1e3, "us": 1e3, "msecond": 1e6, "ms": 1e6, "second": 1e9, "s": 1e9,
         "byte": 1, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9, "%": 1}


def ncu_rows(text):
    """[(kernel, {"ns", "bytes", ...})] from ncu --csv --page raw: a line of names, one of units, then one a kernel."""
    table = list(csv.reader(io.StringIO(text[text.index('"ID"'):])))
    names, units, rows = table[0], table[1], []
    for line in table[2:]:
        if len(line) != len(names):
            continue
        values = {}
        for name, unit, value in zip(names, units, line):
            if name in COUNTERS:
                values[COUNTERS[name]] = float(value.replace(",", "") or 0) * UNITS.get(unit, 1)
        rows.append((line[names.index("Kernel Name")], values))
    return rows


def last_step(rows, least=50):
    """The kernels of the last step: the shortest end of the list that the kernels before it repeat."""
    names = [name for name, _ in rows]
    for n in range(least, len(names) // 2 + 1):
        if names[-n:] == names[-2 * n:-n]:
            return rows[-n:]
    raise Failed(f"no step repeats among {len(names)} kernels")


def by_kernel(rows):
    """The rows of a step, summed by kernel, the longest first."""
    total, kinds = sum(values["ns"] for _, values in rows), {}
    for name, values in rows:
        short = re.sub(r"\(.*|^void ", "", name.replace("(anonymous namespace)::", ""))
        kind = kinds.setdefault(short, dict(calls=0, ns=0.0, bytes=0.0, memory=0.0, compute=0.0))
        kind["calls"] += 1
        kind["ns"] += values["ns"]
        kind["bytes"] += values["bytes"]
        kind["memory"] += values["memory_percent"] * values["ns"]
        kind["compute"] += values["compute_percent"] * values["ns"]
    return [{"name": name, "calls": k["calls"], "ms": 1e-6 * k["ns"], "share": k["ns"] / total,
             "gb_per_s": k["bytes"] / k["ns"], "memory_percent": k["memory"] / k["ns"],
             "compute_percent": k["compute"] / k["ns"]}
            for name, k in sorted(kinds.items(), key=lambda item: -item[1]["ns"])]


def counters(size_name, precision):
    """Each kernel of a step by ncu, steps as written: a graph's kernels are the same ones."""
    def body(run):
        ncu = shutil.which("ncu") or shutil.which("/usr/local/cuda/bin/ncu")
        if not ncu:
            raise Skipped("ncu is not here")
        size = SIZES[size_name] | {"steps": 1, "block": 1}
        bench(run, size, precision, warmup=1)                       # so that all choices are on disk
        log = run.work / "ncu.csv"
        words = [f"{key}={value}" for key, value in (size | {"warmup": 2, "profiled": 0}).items() if key != "task"]
        run.call([ncu, "--clock-control", "none", "--csv", "--page", "raw", "--log-file", log,
                  "--metrics", ",".join(COUNTERS), *run.drift("bench", size["task"], "--json", "--no-plan",
                                                              *PRECISIONS[precision], *words)])
        rows = last_step(ncu_rows(log.read_text()))
        total, run.numbers["kernels"] = sum(values["ns"] for _, values in rows), by_kernel(rows)
        in_bytes = sum(values["bytes"] for _, values in rows)
        run.numbers |= {"kernels_ms": 1e-6 * total, "launches": len(rows), "gb": 1e-9 * in_bytes}
        run.numbers["summary"] = (f"{len(rows)} kernels, {1e-6 * total:.3f} ms in them, {1e-9 * in_bytes:.2f} GB "
                                  f"({in_bytes / total:.0f} GB/s)")
    return body


# ---- PyTorch --------------------------------------------------------------------------------------------------------
def peer(run, size, precision, mode, limit, warm=False):
    """A mode's figure; warm: it only fills the cache of torch.compile, which all checks share."""
    cache = run.machine.work / "inductor"
    warmup = 2 if size["task"] == "sample" else 10
    given = size | (dict(steps=1, block=1, warmup=1) if warm else dict(warmup=warmup))
    words = [word for key, value in given.items() for word in (f"--{key}", value)]
    out = run.call([run.machine.torch, "-W", "ignore", HOME / "tests" / "bench" / "peers" / "pytorch_peer.py", "--cuda",
                    "--mode", mode, *words, *PEER_PRECISION[precision]],
                   {"TORCHINDUCTOR_CACHE_DIR": str(cache), "TRITON_CACHE_DIR": str(cache / "triton"),
                    "LD_LIBRARY_PATH": ""}, limit=limit)
    found = json.loads(out.strip().split("\n")[-1])
    return {key: found[key] for key in ("images_per_s", "ms_median", "ms_min", "ms_max", "peak_mib", "torch")}


def pytorch(size_name, precision, modes, limit=120):
    """The modes in turn, with Drift before and after. A mode that fails or takes too long is left out, and said."""
    def body(run):
        if not run.machine.has_torch():
            raise Skipped(f"{run.machine.torch} has no PyTorch (DRIFT_TORCH names a python that has)")
        size, found, left_out = SIZES[size_name], {}, {}
        drift = [figure(bench(run, size, precision))]
        for mode in modes:
            left = run.left() - RESERVE_SECONDS
            try:
                if left < RESERVE_SECONDS:
                    raise Failed("no time left")
                found[mode] = peer(run, size, precision, mode, min(limit, left))
            except Failed as why:
                left_out[mode] = str(why)
        run.numbers |= {"modes": found, "left_out": left_out, "drift": drift}
        if not found:
            raise Failed(f"no mode of PyTorch ran: {left_out}")
        drift.append(figure(bench(run, size, precision)))
        best = max(found, key=lambda mode: found[mode]["images_per_s"])
        slower = min(drift, key=lambda one: one["images_per_s"])
        ratio = slower["images_per_s"] / found[best]["images_per_s"]
        run.numbers |= {"best": best, "ratio": round(ratio, 3)}
        others = ", ".join(f"{mode} {f['images_per_s']:.0f}" for mode, f in found.items() if mode != best)
        run.numbers["summary"] = (f"{slower['images_per_s']:.0f} images/s, {ratio:.2f} x the fastest ({best}, "
                                  f"{found[best]['images_per_s']:.0f}); others: {others}"
                                  + (f"; left out: {', '.join(left_out)}" if left_out else ""))
    return body


def fill_cache(run):
    """Compiles for the pytorch.* checks, several at once, so that they find it in the cache."""
    if not run.machine.has_torch():
        raise Skipped(f"{run.machine.torch} has no PyTorch")
    jobs = []
    for size, precision in (("train64", "bf16"), ("train64", "tf32"), ("denoise128", "bf16"), ("sample500", "bf16")):
        jobs.append(threading.Thread(target=lambda s=size, p=precision: try_peer(run, s, p)))
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()


def try_peer(run, size, precision):
    try:
        peer(run, SIZES[size], precision, "compile_channels_last_noautotune", PEER_WARM_SECONDS, warm=True)
    except Failed as why:
        run.log(str(why))


def of(name, about, body, **more):
    return dict(name=name, about=about, body=body, alone=True, **more)


def speeds():
    for precision in PRECISIONS:
        for size in SIZES:
            quick = precision == "bf16" and size in ("train64", "sample40")
            yield of(f"speed.{size}.{precision}", "drift bench: speed, and where the time goes", speed(size, precision),
                     quick=quick, limit=90)


def peers():
    for precision in PRECISIONS:
        for size in SIZES:
            yield of(f"pytorch.{size}.{precision}", "PyTorch at the same work, in turn with Drift",
                     pytorch(size, precision, PEER_MODES), limit=400, least=60, usual=precision != "f32")
        yield of(f"pytorch_autotune.train64.{precision}", "the same with max-autotune, which takes minutes to compile",
                 pytorch("train64", precision, ["compile_channels_last", "compile_channels_last_graph_autotune"], 400),
                 limit=900, least=120, usual=False)


CHECKS = [
    dict(name="pytorch_cache", about="compiles for pytorch.*, beside the checks that need no quiet", body=fill_cache,
         limit=200, usual=False),
    *speeds(),
    of("busy.train64.bf16", "how much of the time a kernel runs in training", busy("bf16"), limit=60),
    of("counters.train64.bf16", "each kernel of a step by ncu: time, bytes, share of the chip's peaks",
       counters("train64", "bf16"), limit=150, least=30),
    of("counters.denoise128.bf16", "the same for the denoiser", counters("denoise128", "bf16"), limit=150, least=30),
    of("whole.flow", "experiments/mnist_flow.lua, 10 epochs, D=64", experiment("mnist_flow.lua", "bf16"), limit=120,
       least=20),
    of("whole.denoiser", "experiments/denoiser.lua, 5 epochs, D=128", experiment("denoiser.lua", "bf16"), limit=120,
       least=20),
    of("whole.sampling", "10,000 guided images, 50 steps", sample_many("bf16"), limit=90, least=20),
    *peers(),
]
