#!/usr/bin/env python3
"""compare.py: is Drift as fast as PyTorch, here and now, and with how much memory?

  tests/bench/compare.py --all | --only PART[,PART...] | --list       what docs/performance.md tables
  tests/bench/compare.py --task train --hidden 64 --batch 128         one comparison of a size of your own
  tests/bench/compare.py --cuda --only train64,sample500              on a GPU: more steps, modes of PyTorch for it

Both sides do the same work (peers/pytorch_peer.py, and drift bench) in processes of their own, in turn: Drift, each
mode of PyTorch, then the next round, so that a slow minute of the machine meets all of them. All modes are measured
once; the rounds then alternate with the two fastest. Ratios are made within a round; see figures.py.

A part is a size and a precision (train64.f32), or threads, batches or start and a precision; "train64" is both
precisions. Results are merged into a file (--results), so that parts can be measured one by one, and the page is
written from all that the file has. --wrap is put before each measured process, for what gives it the machine to itself.
PyTorch comes from pip into a virtual environment in the cache, on first use only (--python names one that has it).
Status 1 if Drift is slower than a mode of PyTorch, or its peak is higher.
"""
import argparse
import json
import os
import pathlib
import shlex
import sys
import tempfile

import figures
import page
import sides as sides_module
from sides import Failed, HOME, Sides

SIZES = {
    "train64": dict(task="train", hidden=64, batch=128, steps=8, warmup=3),
    "denoise128": dict(task="denoise", hidden=128, batch=256, steps=3, warmup=2),
    "train32": dict(task="train", hidden=32, batch=128, steps=12, warmup=3),
    # Every sampling that counts is whole; while warming up the sampler takes fewer steps, on the same shapes.
    "sample40": dict(task="sample", hidden=64, batch=40, steps=2, warmup=1, warmup_euler=5),
    "sample500": dict(task="sample", hidden=64, batch=500, steps=1, warmup=1, warmup_euler=2),
}
ROUNDS = {"sample500": 2}
MODES = {
    "train": ["eager", "channels_last", "channels_last_fused_ftz", "compile", "compile_channels_last",
              "compile_channels_last_fused_ftz"],
    "sample": ["eager", "channels_last", "channels_last_inference_ftz", "channels_last_script_inference_ftz", "compile",
               "compile_channels_last", "compile_channels_last_freeze_inference_ftz"],
}
BF16_ONLY = {
    "train": [],
    "sample": ["channels_last_weights_inference", "compile_channels_last_weights_freeze_inference"],
}
# On a GPU a step takes milliseconds, and is timed in blocks without a wait for the device between its steps.
CUDA_STEPS = {
    "train64": dict(steps=200, warmup=20, block=20), "denoise128": dict(steps=60, warmup=10, block=10),
    "train32": dict(steps=200, warmup=20, block=20), "sample40": dict(steps=5, warmup=2, warmup_euler=50),
    "sample500": dict(steps=3, warmup=2, warmup_euler=50),
}
CUDA_MODES = ["channels_last", "channels_last_graph", "compile_channels_last_noautotune",
              "compile_channels_last_overhead", "compile_channels_last_graph"]
BATCHES = [64, 128, 256, 512]
PRECISIONS = ["f32", "bf16"]
PARTS = [f"{name}.{precision}" for name in [*SIZES, "threads", "batches", "start"] for precision in PRECISIONS]


def say(text):
    print(text, file=sys.stderr, flush=True)


class Comparison:
    def __init__(self, sides, args):
        self.sides, self.args = sides, args

    def figure(self, side, size, precision, threads=None, env=None):
        found = self.sides.figure(side, size, precision, threads or self.args.threads, env)
        say(f"  {side:50}{found['ms']:10.1f} ms {found['images_per_s']:9.1f} images/s {found['peak_mib']:7.0f} MiB")
        return found

    def all_modes(self, size, precision):
        """Each mode of PyTorch once: {mode: figure}. One that PyTorch cannot run here is left out, and said."""
        kind = "sample" if size["task"] == "sample" else "train"
        names = CUDA_MODES if self.args.cuda else MODES[kind] + BF16_ONLY[kind] * (precision == "bf16")
        names = self.args.modes.split(",") if self.args.modes else names
        few = size if self.args.cuda else size | {"steps": min(size["steps"], 3)}
        found = {}
        for mode in names:
            try:
                found[mode] = self.figure(mode, few, precision)
            except Failed as failure:
                say(f"  {mode}: left out: {failure}")
        if not found:
            sys.exit("compare.py: no mode of PyTorch runs")
        return found

    def alternate(self, size, precision, modes, rounds):
        names = ["drift", *figures.two_fastest(modes)]
        return [{name: self.figure(name, size, precision) for name in names} for _ in range(rounds)]

    def speed(self, name, size, precision, known):
        """A size's part. The modes of sample500 are chosen by sample40, where that was measured: the same work."""
        modes = known.get(f"sample40.{precision}", {}).get("modes") if name == "sample500" else None
        if modes and not self.args.modes:
            return {"rounds": self.alternate(size, precision, modes, self.args.rounds or ROUNDS.get(name, 3))}
        modes = self.all_modes(size, precision)
        rounds = self.alternate(size, precision, modes, self.args.rounds or ROUNDS.get(name, 3))
        return {"modes": modes, "rounds": rounds}

    def best_mode(self, precision, known):
        part = known.get(f"train64.{precision}")
        return figures.best_peer(part["rounds"]) if part else self.args.modes or "channels_last"

    def threads(self, precision, known):
        names, found = ["drift", self.best_mode(precision, known)], {}
        for _ in range(self.args.rounds or 3):
            for name in names:
                found.setdefault(name, []).append(
                    {str(n): self.figure(name, SIZES["train64"], precision, threads=n) for n in (1, 2)})
        return {"sides": found}

    def batches(self, precision, known):
        return {"rounds": [{str(batch): self.figure("drift", SIZES["train64"] | {"batch": batch, "steps": 4}, precision)
                            for batch in BATCHES} for _ in range(self.args.rounds or 3)]}

    def start(self, precision, known):
        """Seconds from a program's start to the end of its first step, with an empty cache and with the one it left."""
        best, rounds = self.best_mode(precision, known), []
        size = SIZES["train64"] | {"steps": 1, "warmup": 0}
        for _ in range(self.args.rounds or 3):
            round_ = {}
            for name in dict.fromkeys(["drift", "eager", best]):
                with tempfile.TemporaryDirectory() as empty:
                    env = {"XDG_CACHE_HOME": empty, "TORCHINDUCTOR_CACHE_DIR": empty + "/inductor"}
                    cold, warm = (self.figure(name, size, precision, env=env)["first_step_s"] for _ in range(2))
                round_[name] = {"cold": cold, "warm": warm}
            rounds.append(round_)
        return {"rounds": rounds}

    def part(self, name, known):
        kind, precision = name.split(".")
        if kind in SIZES:
            size = SIZES[kind] | (CUDA_STEPS[kind] if self.args.cuda else {})
            return self.speed(kind, size, precision, known)
        return {"threads": self.threads, "batches": self.batches, "start": self.start}[kind](precision, known)


def verdict(title, rounds):
    """Prints the ratios of a size; true if Drift is ahead in both."""
    best, speed = figures.best_peer(rounds), figures.speed_ratio(rounds)
    peak, work = figures.memory_ratio(rounds), figures.memory_ratio(rounds, work=True)
    print(f"{title}: images/s over the best PyTorch ({best}) {figures.with_spread(speed)}; peak memory over its "
          f"{figures.with_spread(peak)}, without libraries {figures.with_spread(work)}", flush=True)
    return speed["median"] >= 1 and peak["median"] <= 1


def chosen(text):
    names = []
    for word in text.split(","):
        found = [part for part in PARTS if word in (part, part.split(".")[0])]
        if not found:
            sys.exit(f"compare.py: there is no part {word}; there are {', '.join(PARTS)}")
        names += found
    return names


def save(path, results):
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(results, indent=1))
    new.replace(path)


def measure_parts(comparison, args, names):
    path = pathlib.Path(args.results)
    results = json.loads(path.read_text()) if path.exists() else {"parts": {}}
    results["machine"] = sides_module.machine(comparison.sides.python)
    ahead = True
    for name in names:
        say(name)
        try:
            part = comparison.part(name, results["parts"])
        except Failed as failure:
            say(f"compare.py: {name}: {failure}")
            ahead = False
            continue
        words = ["python3", "tests/bench/compare.py", "--only", name, "--threads", str(args.threads)]
        part |= {"date": sides_module.today(), "commit": sides_module.commit(), "threads": args.threads,
                 "command": " ".join(words + (["--rounds", str(args.rounds)] if args.rounds else []))}
        results["parts"][name] = part
        save(path, results)
        if name.split(".")[0] in SIZES:
            ahead = verdict(name, part["rounds"]) and ahead
        if args.page:
            page.write(pathlib.Path(args.page), results)
    return ahead


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", help="parts, by commas")
    parser.add_argument("--list", action="store_true", help="the parts that there are")
    parser.add_argument("--task", default="train", choices=["train", "denoise", "sample"])
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--precision", default="f32", choices=[*PRECISIONS, "tf32"], help="of a size of your own")
    parser.add_argument("--modes", help="PyTorch's, by commas; default: all that may be fast")
    parser.add_argument("--rounds", type=int, help="default 3; sample500: 2")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--python", help="an interpreter that has torch")
    parser.add_argument("--wrap", default="", help="a command before each measured process")
    parser.add_argument("--results", help="default build/bench/results.json; with --cuda results-cuda.json")
    parser.add_argument("--page", help="the page to write; docs/performance.md with --all")
    args = parser.parse_args()
    if args.list:
        print("\n".join(PARTS))
        return 0
    if args.cuda and args.all:
        parser.error("--cuda goes with --only or a size of your own: docs/performance.md has what processors do")
    file = "results-cuda.json" if args.cuda else "results.json"
    args.results = args.results or str(HOME / "build" / "bench" / file)
    sides_module.build()
    sides = Sides(args.python or sides_module.python_with_torch(args.cuda), shlex.split(args.wrap), args.cuda)
    comparison = Comparison(sides, args)
    if args.all or args.only:
        args.page = args.page or (str(HOME / "docs" / "performance.md") if args.all else None)
        return 0 if measure_parts(comparison, args, PARTS if args.all else chosen(args.only)) else 1
    size = dict(task=args.task, hidden=args.hidden, batch=args.batch, steps=args.steps)
    try:
        part = comparison.speed("", size, args.precision, {})
    except Failed as failure:
        sys.exit(f"compare.py: {failure}")
    return 0 if verdict(f"{args.task}, D={args.hidden}, batch {args.batch}, {args.precision}", part["rounds"]) else 1


if __name__ == "__main__":
    sys.exit(main())
