"""sides.py: runs one side of the comparison, Drift or a mode of PyTorch, in a process of its own: one figure each."""
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
HOME = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "drift"
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"

# Says when the measured program itself starts: what stands before it, such as a wrapper that waits, does not count.
STAMP = "import os, sys, time; print(time.monotonic(), flush=True); os.execvp(sys.argv[1], sys.argv[1:])"


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


class Failed(Exception):
    """A process that gave no figure; the text says which and why."""


class Sides:
    def __init__(self, python, wrap, cuda=False):
        self.python, self.wrap, self.cuda = str(python), list(wrap), cuda

    def drift(self, size, precision, threads, env=None):
        """size: task, hidden, batch, steps, warmup and, for sample, warmup_euler."""
        command = [str(HOME / "drift"), "bench", size["task"], "--json", "--device", "cuda" if self.cuda else "cpu",
                   "--threads", str(threads), "--precision", precision, "profiled=0"]
        settings = ["hidden", "batch", "steps", "block"] + ["warmup", "warmup_euler"] * (size["task"] == "sample")
        settings += ["warmup"] * (size.get("warmup") == 0)      # else its own: what is planned is so after some steps
        command += [f"{key}={size[key]}" for key in settings if key in size]
        start, out = self.run(command, threads, env)
        result = json.loads(out)["results"][0]
        memory, ms = result["memory"], result["ms"]
        return {"images_per_s": result["images_per_s"], "ms": ms["median"], "ms_min": ms["min"], "ms_max": ms["max"],
                "peak_mib": memory["device_peak" if self.cuda else "process_peak"] / 2**20,
                "before_mib": 0 if self.cuda else memory["process_before"] / 2**20,
                "first_step_s": result["first_step_clock"] - start}

    def torch(self, mode, size, precision, threads, env=None):
        command = [self.python, "-W", "ignore", str(HERE / "peers" / "pytorch_peer.py"), "--mode", mode,
                   "--threads", str(threads)]
        for key in ("task", "hidden", "batch", "steps", "block", "warmup", "warmup_euler"):
            command += [f"--{key.replace('_', '-')}", str(size[key])] if key in size else []
        command += ["--bf16"] * (precision == "bf16") + ["--tf32"] * (precision == "tf32") + ["--cuda"] * self.cuda
        start, out = self.run(command, threads, env)
        result = json.loads(out)
        return {"images_per_s": result["images_per_s"], "ms": result["ms_median"], "ms_min": result["ms_min"],
                "ms_max": result["ms_max"], "peak_mib": result["peak_mib"], "before_mib": result["before_mib"],
                "first_step_s": result["first_step_clock"] - start}

    def figure(self, side, size, precision, threads, env=None):
        """side: "drift", or a mode of PyTorch."""
        if side == "drift":
            return self.drift(size, precision, threads, env)
        return self.torch(side, size, precision, threads, env)

    def run(self, command, threads, env):
        """When the program started, and its last line."""
        whole = self.wrap + [sys.executable, "-c", STAMP] + command
        done = subprocess.run(whole, env=dict(os.environ, OMP_NUM_THREADS=str(threads), **(env or {})), cwd=HOME,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines = done.stdout.strip().splitlines()
        if done.returncode != 0 or len(lines) < 2:
            raise Failed(f"status {done.returncode} from {' '.join(command)}\n{done.stderr.strip()[-2000:]}")
        return float(lines[0]), lines[-1]


def build():
    """So that no measurement waits for the compiler."""
    if subprocess.run([HOME / "drift", "version"], stdout=subprocess.DEVNULL).returncode != 0:
        sys.exit("compare.py: Drift does not build")


def commit():
    def git(*words):
        return subprocess.run(["git", "-C", HOME, *words], capture_output=True, text=True).stdout.strip()
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "core", "kernels", "plugins", "lua", "cmake")
    return (git("rev-parse", "--short=7", "HEAD") or "unknown") + (" with changes" if changed else "")


def machine(python):
    """One line: processor, what matters of it, memory, versions."""
    def first(path, key):
        for line in open(path, errors="replace"):
            if line.startswith(key):
                return line.split(":", 1)[1].strip()
        return ""
    flags = first("/proc/cpuinfo", "flags").split()
    features = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags]
    memory = int(first("/proc/meminfo", "MemTotal").split()[0] or 0) / 2**20
    version = subprocess.run([python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True)
    small = ["hidden=2", "batch=1", "steps=1", "profiled=0"]
    onednn = subprocess.run([HOME / "drift", "bench", "train", "--json", *small], capture_output=True, text=True)
    describe = json.loads(onednn.stdout)["describe"] if onednn.returncode == 0 else "?"
    return (f"{first('/proc/cpuinfo', 'model name')}, {os.cpu_count()} processors ({', '.join(features)}), "
            f"{memory:.0f} GiB; PyTorch {version.stdout.strip()}; Drift on {describe}")


def today():
    return time.strftime("%Y-%m-%d")
