#!/usr/bin/env python3
"""compare.py: a DeepFloyd stage I UNet of the released sizes by Drift and by diffusers: seconds a step, and memory.

  tests/bench/if_peer/compare.py --python PYTHON [--only M.f32,L.bf16] [--rounds 2] [--scratch FOLDER] [--write]

PYTHON has torch, diffusers and accelerate. Weights are synthetic (weights.py) and written to the scratch folder once: in
f32 for the steps in f32, in f16 for those in bf16, as the released files are; both sides read the same file. Each figure
is a process of its own, in turn: Drift, diffusers eager and channels_last, then the next round. A step is a batch of two.
Drift first runs once without a figure, since the forms of convolutions are chosen when they are first met. XL.bf16 is
opened and run by Drift alone. --write puts the table into docs/performance.md; else it is printed. --cpu also compares
seconds of the processor with one thread, which a loaded machine disturbs less. Status 1: slower or larger than asked.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
HOME = HERE.parent.parent.parent
PAGE = HOME / "docs" / "performance.md"
BEGIN, END = "<!-- if_peer: begin -->", "<!-- if_peer: end -->"
FILES = {"M.f32": "f32", "M.bf16": "f16", "L.f32": "f32", "L.bf16": "f16", "XL.bf16": "f16"}
ALONE = {"XL.bf16"}
SPEED, MEMORY, OPEN_S, BEYOND_MIB = 1.5, 0.7, 1.0, 1024


def say(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, args):
        self.args, self.scratch = args, pathlib.Path(args.scratch)

    def folder(self, part):
        size, dtype = part.split(".")[0], FILES[part]
        folder = self.scratch / f"{size}-{dtype}"
        if not (folder / "written").exists():
            subprocess.run([self.args.python, HERE / "weights.py", size, dtype, folder], check=True)
            (folder / "written").touch()
        return folder

    def figure(self, part, side):
        precision, steps = part.split(".")[1], str(self.args.steps)
        folder = self.folder(part)
        env = dict(os.environ, XDG_CACHE_HOME=str(self.scratch / "cache"), OMP_NUM_THREADS=str(self.args.threads),
                   DRIFT_HOME=str(HOME), DRIFT_PLUGIN_DIR=str(self.args.build / "plugins"))
        command = [self.args.python, HERE / "torch_peer.py", folder, precision, side, steps]
        if side == "drift":
            warm = 0 if part in ALONE else 4  # a plan is recorded before it is replayed
            command = [self.args.build / "drift", "run", HERE / "drift_peer.lua", "--set", f"folder={folder}", "--set",
                       f"steps={1 if part in ALONE else self.args.steps + warm}", "--precision", precision, "--threads",
                       str(self.args.threads)]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode != 0 or not lines:
            sys.exit(f"compare.py: {side}, {part}: {done.stderr[-2000:]}")
        found = json.loads(lines[-1])
        key = "cpu_seconds" if self.args.cpu else "seconds"
        found["step_s"] = statistics.median(found[key][-self.args.steps:])
        say(f"  {part:8} {side:14} {found['step_s']:7.3f} s a step, opened in {found['open_s']:.2f} s, peak "
            f"{found['peak_mib']} MiB, own {found['own_mib']} MiB")
        return found

    def part(self, part):
        sides = ["drift"] if part in ALONE else ["drift", "eager", "channels_last"]
        self.figure(part, "drift")
        return [{side: self.figure(part, side) for side in sides} for _ in range(1 if part in ALONE else self.args.rounds)]


def median_of(rounds, side, key):
    return statistics.median(r[side][key] for r in rounds)


def row_of(part, rounds, file_mib):
    """A line of the table, and whether it holds what is asked for."""
    size, precision = part.split(".")
    step, peak, own = (median_of(rounds, "drift", key) for key in ("step_s", "peak_mib", "own_mib"))
    open_s = max(r["drift"]["open_s"] for r in rounds)
    line = [size, f"{precision}, file {FILES[part]}", f"{file_mib}", f"{open_s:.2f}", f"{step:.2f}"]
    if part in ALONE:
        return line + ["", "", f"{peak:.0f} ({own:.0f})", "", ""], open_s < OPEN_S and peak <= file_mib + BEYOND_MIB
    best = min(("eager", "channels_last"), key=lambda side: median_of(rounds, side, "step_s"))
    least = min(("eager", "channels_last"), key=lambda side: median_of(rounds, side, "peak_mib"))
    ratio = statistics.median(r[best]["step_s"] / r["drift"]["step_s"] for r in rounds)
    memory = peak / median_of(rounds, least, "peak_mib")
    line += [f"{median_of(rounds, best, 'step_s'):.2f} ({best})", f"**{ratio:.2f}**", f"{peak:.0f} ({own:.0f})",
             f"{median_of(rounds, least, 'peak_mib'):.0f} ({median_of(rounds, least, 'own_mib'):.0f}, {least})",
             f"**{memory:.2f}**"]
    return line, ratio >= SPEED and memory <= MEMORY


HEAD = ["size", "computes in", "file MiB", "opened s", "Drift s/step", "diffusers s/step", "faster by",
        "Drift peak MiB (own)", "diffusers peak MiB (own)", "memory"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--build", type=pathlib.Path, default=HOME / "build")
    p.add_argument("--scratch", default="/tmp/drift_if_peer")
    p.add_argument("--only", default=",".join(FILES))
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--steps", type=int, default=3)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--cpu", action="store_true")
    p.add_argument("--write", action="store_true")
    args = p.parse_args()
    args.build = args.build.resolve()
    if args.cpu:
        args.threads = 1
    bench, lines, kept = Bench(args), [], True
    for part in args.only.split(","):
        rounds = bench.part(part)
        file_mib = sum(f.stat().st_size for f in bench.folder(part).glob("*.safetensors")) >> 20
        line, holds = row_of(part, rounds, file_mib)
        lines.append(line)
        kept = kept and holds
    commit = subprocess.run(["git", "-C", HOME, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    text = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)] + ["| " + " | ".join(x) + " |" for x in lines]
    text += ["", f"Commit {commit}, {args.threads} threads, medians of {args.rounds} rounds of {args.steps} steps."]
    if args.write:
        page = PAGE.read_text()
        head, rest = page.split(BEGIN)
        PAGE.write_text(head + BEGIN + "\n" + "\n".join(text) + "\n" + END + rest.split(END)[1])
    else:
        print("\n".join(text))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
