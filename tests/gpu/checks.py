"""checks.py: the checks of tests/gpu/run.sh: whether what runs on a GPU is right. How fast it is: measure.py.

A check's body gets a Running (running.py), raises Failed or Skipped, and leaves what it found in run.numbers;
numbers["summary"] is what the table shows.
"""
import concurrent.futures
import dataclasses
import filecmp
import json
import math
import os
import re
import shutil
import typing

import measure
from running import HOME, Failed, Skipped

PARTS = max(1, min(8, (os.cpu_count() or 2) // 2))               # of a conformance program, beside each other


@dataclasses.dataclass
class Check:
    name: str
    about: str
    body: typing.Callable
    limit: float = 120                                              # seconds that it may take
    least: float = 10                                               # fewer left: it does not begin
    quick: bool = False                                             # belongs to --quick
    alone: bool = False                                             # measures time, so nothing runs beside it
    usual: bool = True                                              # runs without being named
    show: int = 0                                                   # last lines kept where it passes


# ---- devices --------------------------------------------------------------------------------------------------------
def devices(run):
    if not os.environ.get("DRIFT_GPU_EMULATED"):
        run.call(["nvidia-smi", "--format=csv,noheader", "--query-gpu=name,driver_version,memory.total,compute_cap,"
                  "clocks.max.sm,clocks.max.memory"])
    out = run.call(run.drift("bench", "train", "--json", "hidden=8", "batch=4", "steps=2", "warmup=4", "profiled=1"))
    run.numbers["summary"] = json.loads(out)["describe"]
    run.call([run.machine.build / "drift", "devices"])


# ---- conformance ----------------------------------------------------------------------------------------------------
def cases(part, of, labels=""):
    return {"DRIFT_CASES": f"{part}/{of}" + (f",{labels}" if labels else "")}


def conformance(program):
    """Every op, dtype and layout against ref; a program that picks its cases, in parts beside each other."""
    picks = re.search("cases_match|case_is_picked", (HOME / "tests" / "ops" / f"{program}.c").read_text())
    parts = PARTS if picks else 1

    def body(run):
        path = run.program(f"tests/ops/{program}")
        with concurrent.futures.ThreadPoolExecutor(parts) as pool:
            jobs = [pool.submit(run.call, [path], cases(part, parts), f"part{part}") for part in range(parts)]
            concurrent.futures.wait(jobs)
        failures = [str(job.exception()) for job in jobs if isinstance(job.exception(), Failed)]
        if failures:
            raise Failed(f"{len(failures)} of {parts} parts: {failures[0]}")
        for job in jobs:
            job.result()
    return body


# ---- parity and specs -----------------------------------------------------------------------------------------------
def parity(run):
    out = run.call([run.program("tests/parity/parity")], {"DRIFT_PARITY_DEVICES": run.machine.device})
    run.numbers["summary"] = out.strip().split("\n")[-1]


def specs(*names, option=None):
    """tests/lua/NAME_spec.lua on the device, opened with that option, all of them, also where one fails."""
    def body(run):
        device = run.machine.device + (f",{option}" if option else "")
        test, passed, failed = HOME / "tests" / "lua", [], []
        for name in names:
            env = {"DRIFT_SPEC": str(test / f"{name}_spec.lua"), "TMPDIR": str(run.work)}
            try:
                out = run.call(run.drift("run", test / "run.lua", device=device), env, f"spec-{name}")
                passed.append(f"{name}: " + re.search(r"# (\d+ passed.*)", out).group(1))
            except Failed:
                if "module 'busted" in run.log_path.read_text(errors="replace"):
                    raise Skipped("busted is not here") from None
                failed.append(name)
        run.numbers["summary"] = "; ".join(passed)
        if failed:
            raise Failed("specs that fail: " + ", ".join(failed))
    return body


# ---- trainings that must agree --------------------------------------------------------------------------------------
def train(run, folder, *words, device=None):
    """A short training; its run's folder, and its losses."""
    where = run.work / folder
    run.call(run.drift("run", HOME / "tests" / "gpu" / "training.lua", "--out", where, *words, device=device))
    records = [json.loads(line) for line in (where / "metrics.jsonl").read_text().split("\n") if line]
    return where, [record["loss"] for record in records if "loss" in record]


def must_be_same_bytes(one, other):
    (a, losses_a), (b, losses_b) = one, other
    if losses_a != losses_b:
        step = next(i for i, pair in enumerate(zip(losses_a, losses_b)) if pair[0] != pair[1])
        raise Failed(f"the losses part at step {step + 1}: {losses_a[step]} and {losses_b[step]}")
    if not filecmp.cmp(a / "checkpoint.safetensors", b / "checkpoint.safetensors", shallow=False):
        raise Failed("equal losses, but checkpoints of different bytes")


def plans(precision):
    """Steps replayed as a graph give the bytes of the steps as written."""
    def body(run):
        same = ["--precision", precision]
        must_be_same_bytes(train(run, "replayed", *same), train(run, "as_written", "--no-plan", *same))
        run.numbers["summary"] = "50 steps, the same bytes"
    return body


def determinism(precision):
    def body(run):
        same = ["--precision", precision, "hidden=32", "batch=64", "steps=60", "epochs=4"]
        must_be_same_bytes(train(run, "first", *same), train(run, "second", *same))
        run.numbers["summary"] = "60 steps twice, the same bytes"
    return body


def cpu_vs_cuda(run):
    """The same script and seed. Sums round differently, which training may amplify. ref and cpu stay within 3e-7."""
    close, near = 1e-5, 1e-3                                        # relative: of the first 5 losses, and of 50
    (_, cpu), (_, gpu) = train(run, "cpu", device="cpu"), train(run, "gpu")
    off = [abs(a - b) / max(abs(a), 1e-6) for a, b in zip(cpu, gpu)]
    run.numbers |= {"cpu": cpu, "gpu": gpu, "off_first_5": max(off[:5]), "off": max(off),
                    "summary": f"losses differ by {max(off[:5]):.1e} in 5 steps, {max(off):.1e} in {len(off)}"}
    if len(cpu) != len(gpu) or len(off) < 50 or not all(map(math.isfinite, off)):
        raise Failed(f"{len(cpu)} losses on cpu, {len(gpu)} on the GPU")
    if max(off[:5]) > close or max(off) > near:
        raise Failed(run.numbers["summary"] + f" (allowed {close:.0e} and {near:.0e})")


def diff_devices(run):
    """The first layer whose values part, by the program itself."""
    program = str(run.machine.build / "drift")
    if "diff-devices" not in run.call([program, "--help"]):
        raise Skipped("this build has no drift diff-devices")
    run.call([program, "diff-devices", HOME / "tests" / "gpu" / "training.lua", "--device", run.machine.device,
              "--out", run.work / "run"])


# ---- compute-sanitizer ----------------------------------------------------------------------------------------------
def sanitizer(tool):
    found = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if not found:
        raise Skipped("compute-sanitizer is not here")
    return [found, "--tool", tool, "--error-exitcode", "9", "--print-limit", "20", "--target-processes", "all"]


def sanitized_cases(tool, of, labels=""):
    def body(run):
        run.call([*sanitizer(tool), run.program("tests/ops/cuda_matches_ref")], cases(0, of, labels))
    return body


def sanitized_step(run):
    words = ["hidden=8", "batch=4", "steps=1", "warmup=5", "profiled=0"]
    run.call([*sanitizer("memcheck"), *run.drift("bench", "train", *words)])


PROGRAMS = sorted(path.stem for path in (HOME / "tests" / "ops").glob("cuda_*.c")
                  if re.search(r"^(int )?main *\(", path.read_text(), re.M))

CHECKS = [
    Check("devices", "the driver, drift devices, a few steps", devices, limit=60, quick=True, show=8),
    *(Check(f"conformance.{name}", "every op and case against ref", conformance(name), limit=200, quick=True)
      for name in PROGRAMS),
    Check("parity", "PyTorch's values", parity, limit=120, quick=True, show=40),
    Check("plans.spec", "tests/lua/plan_spec.lua on the device", specs("plan"), quick=True),
    Check("plans.f32", "graphs give the bytes of the steps as written", plans("f32"), quick=True),
    Check("plans.bf16", "the same in bf16", plans("bf16"), quick=True),
    Check("specs", "Lua specs of tensors, networks and training on the device",
          specs("tensor", "net", "average", "train_step"), limit=200),
    Check("batch_invariant", "an image's bits in any batch, with cuda,batch_invariant=true",
          specs("sample_batches", option="batch_invariant=true"), quick=True),
    Check("cpu_vs_cuda", "the same script and seed: losses", cpu_vs_cuda, quick=True),
    Check("diff_devices", "drift diff-devices: the first layer that parts", diff_devices),
    Check("determinism.f32", "two runs, the same bytes", determinism("f32"), quick=True),
    Check("determinism.bf16", "the same in bf16", determinism("bf16"), quick=True),
    Check("sanitizer.cases", "memcheck: some cases of conformance", sanitized_cases("memcheck", 20), limit=150),
    Check("sanitizer.step", "memcheck: training steps, as written and as a graph", sanitized_step, limit=150),
    Check("sanitizer.races", "racecheck: some cases of conformance", sanitized_cases("racecheck", 40), limit=150),
    *(Check(**fields) for fields in measure.CHECKS),
]
