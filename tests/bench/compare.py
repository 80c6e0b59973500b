#!/usr/bin/env python3
"""compare.py: is a step of Drift as fast as PyTorch's, here and now?

  tests/bench/compare.py [--task train|denoise|sample] [--modes eager,channels_last] [--hidden 64] [--batch 128]
                         [--bf16] [--cuda] [--threads N] [--steps 8] [--rounds 3]

Both sides do the same work (see peers/) in processes of their own, in turn: Drift, each mode of PyTorch, then the next
round, so that a slow minute of the machine meets all of them. The table shows the best round's median of each, because
everything that disturbs a measurement makes it slower. "work MiB" is the peak without what a process has before the
network is made: PyTorch's libraries alone take hundreds of MiB. Status 1 if Drift is slower than any mode, or its peak
is higher.

PyTorch comes from pip into a virtual environment in the cache, on first use only (--python names one that has it).
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
HOME = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "drift"
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"


def python_with_torch(cuda):
    """The interpreter of a virtual environment that has torch; made on first use."""
    python = CACHE / "pytorch" / "bin" / "python"
    if python.exists() and subprocess.run([python, "-c", "import torch"], stderr=subprocess.DEVNULL).returncode == 0:
        return python
    print(f"installing PyTorch from pip into {python.parent.parent}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", python.parent.parent], check=True)
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "torch", "numpy"]
    # PyTorch's own index has wheels without CUDA, a tenth of the size; a network that does not reach it has PyPI.
    sources = [[]] if cuda else [["--retries", "0", "--timeout", "10", "--index-url", CPU_WHEELS], []]
    for source in sources:
        errors = None if source is sources[-1] else subprocess.DEVNULL
        if subprocess.run(install + source, stderr=errors).returncode == 0:
            return python
    sys.exit("compare.py: pip could not install PyTorch")


def measure(command, env):
    """Runs one side; its last line is one JSON object."""
    done = subprocess.run(command, env=env, cwd=HOME, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"compare.py: status {done.returncode} from {' '.join(map(str, command))}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="train", choices=["train", "denoise", "sample"])
    parser.add_argument("--modes", default="eager,channels_last", help="PyTorch's: also compile, compile_channels_last")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--python", help="an interpreter that has torch")
    args = parser.parse_args()

    python = args.python or python_with_torch(args.cuda)
    env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    size = dict(task=args.task, hidden=args.hidden, batch=args.batch, steps=args.steps)
    drift = [HOME / "drift", "run", HERE / "peers" / "drift_peer.lua", "--device", "cuda" if args.cuda else "cpu",
             "--precision", "bf16" if args.bf16 else "f32", "--threads", str(args.threads)]
    drift += [word for key, value in size.items() for word in ("--set", f"{key}={value}")]
    torch = [python, HERE / "peers" / "pytorch_peer.py", "--threads", str(args.threads)]
    torch += [word for key, value in size.items() for word in (f"--{key}", str(value))]
    torch += ["--bf16"] * args.bf16 + ["--cuda"] * args.cuda

    sides = {"drift": drift} | {f"pytorch {mode}": torch + ["--mode", mode] for mode in args.modes.split(",")}
    best, peak, work = {}, {}, {}
    for _ in range(args.rounds):
        for name, command in sides.items():
            figures = measure(command, env)
            best[name] = min(best.get(name, float("inf")), figures["ms_median"])
            peak[name] = max(peak.get(name, 0), figures["peak_mib"])
            work[name] = max(work.get(name, 0), figures["peak_mib"] - figures["before_mib"])

    print(f"{args.task}, hidden {args.hidden}, batch {args.batch}, {'bf16' if args.bf16 else 'f32'}, "
          f"{'cuda' if args.cuda else f'{args.threads} threads'}, best of {args.rounds} rounds of {args.steps}")
    print(f"{'':32}{'ms':>10}{'/ drift':>10}{'peak MiB':>10}{'/ drift':>10}{'work MiB':>10}")
    for name in sides:
        print(f"{name:32}{best[name]:10.1f}{best[name] / best['drift']:10.2f}"
              f"{peak[name]:10.0f}{peak[name] / peak['drift']:10.2f}{work[name]:10.0f}")
    slower = [name for name in sides if best[name] < best["drift"]]
    larger = [name for name in sides if peak[name] < peak["drift"]]
    for name in slower:
        print(f"drift is slower than {name}")
    for name in larger:
        print(f"drift needs more memory than {name}")
    sys.exit(1 if slower or larger else 0)


if __name__ == "__main__":
    main()
