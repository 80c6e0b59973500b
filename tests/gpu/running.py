"""running.py: one check at work: its processes, their time limits, its log, and its verdict."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

HOME = pathlib.Path(__file__).resolve().parent.parent.parent


ACTIVE = set()                                                      # processes that checks wait for


class Failed(Exception):
    """The text says what failed."""


class Skipped(Exception):
    """The text says what is missing."""


class Machine:
    """What all checks share: where the build lies, and the environment of its programs."""

    def __init__(self, work, device):
        self.build = pathlib.Path(os.environ["DRIFT_BUILD_DIR"])
        self.device, self.work = device, pathlib.Path(work)
        self.torch = os.environ.get("DRIFT_TORCH", "python3")
        self.data = os.environ.get("DRIFT_DATA")
        self.env = dict(os.environ, DRIFT=str(self.build / "drift"), DRIFT_HOME=str(HOME), LC_ALL="C",
                        DRIFT_TEST_DATA=str(HOME / "tests" / "data"),
                        DRIFT_TEST_PLUGIN_DIR=str(self.build / "tests" / "plugins"), OMP_WAIT_POLICY="passive")
        self.env.setdefault("DRIFT_PLUGIN_DIR", str(self.build / "plugins"))
        self.env.setdefault("DRIFT_FIXTURES", str(HOME / "tests" / "fixtures"))
        self.env.setdefault("DRIFT_CPU_TUNE", "off")                # a loaded machine must not choose kernels
        self.env["DRIFT_DATA"] = str(HOME / "tests" / "data")       # a thousand digits, unless a check asks for all
        self.env.pop("DRIFT_DEVICE", None)
        wheels = ":".join(self.wheel_folders())
        if wheels and "DRIFT_CUDA_LIBRARIES" not in os.environ:
            self.env["DRIFT_CUDA_LIBRARIES"] = wheels
        libraries = [os.environ.get("DRIFT_CARRIED_LIBRARIES"), os.environ.get("LD_LIBRARY_PATH"), wheels]
        if any(libraries):
            self.env["LD_LIBRARY_PATH"] = ":".join(folder for folder in libraries if folder)

    def wheel_folders(self):
        """Where pip put NVIDIA's libraries for the python that has PyTorch: site-packages/nvidia/*/lib."""
        find = ("import glob, sys; print('\\n'.join(dict.fromkeys(f for p in sys.path if p "
                "for f in sorted(glob.glob(p + '/nvidia/*/lib')))))")
        try:
            done = subprocess.run([self.torch, "-c", find], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return []
        return [f for f in done.stdout.split("\n") if f and any(pathlib.Path(f).glob("lib*.so*"))]

    def has_torch(self):
        try:
            return subprocess.run([self.torch, "-c", "import torch"], capture_output=True, timeout=90).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False


class Running:
    """A check at work. Everything that it starts ends at its time limit; its output goes to a log of its own."""

    def __init__(self, machine, name, limit, quick):
        self.machine, self.name, self.quick = machine, name, quick
        self.began, self.limit = time.monotonic(), limit
        self.numbers, self.lock = {}, threading.Lock()
        self.work = machine.work / name
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.log_path = self.work / "log.txt"
        self.log_file = open(self.log_path, "ab", buffering=0)

    def left(self):
        return self.began + self.limit - time.monotonic()

    def log(self, text):
        with self.lock:
            self.log_file.write((text.rstrip("\n") + "\n").encode())

    def last_lines(self, n=15, width=200):
        text = self.log_path.read_bytes()[-20000:].decode(errors="replace")
        return [line[:width] for line in text.replace("\r", "\n").split("\n") if line.strip()][-n:]

    def drift(self, command, *words, device=None):
        """The words of a drift command: run, bench, ..., on the device."""
        return [str(self.machine.build / "drift"), command, "--device", device or self.machine.device, *map(str, words)]

    def program(self, path):
        """A built test program; skipped where there is none."""
        found = self.machine.build / path
        if not found.exists():
            raise Skipped(f"{path} is not built")
        return str(found)

    def call(self, command, env=None, folder=None, limit=None, on_line=None):
        """Runs it to its end and returns what it printed on stdout. Failed where its status is not 0, Skipped where it
        is 77. folder: where it runs, made if need be. on_line(text, when) is called for each line as it comes."""
        command = [str(word) for word in command]
        where = self.work / (folder or "")
        where.mkdir(parents=True, exist_ok=True)
        whole = dict(self.machine.env, HOME=str(self.work), XDG_CACHE_HOME=str(self.work / "cache"), **(env or {}))
        seconds = min(limit or 1e9, self.left())
        if seconds <= 0:
            raise Failed(f"no time left for {self.shown(command)}")
        process = subprocess.Popen(command, cwd=where, env=whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True)
        parts, log = {"out": [], "err": []}, []

        def read(stream, key):
            for line in stream:
                parts[key].append(line)
                log.append(line)
                if on_line:
                    on_line(line.decode(errors="replace"), time.monotonic())
        ACTIVE.add(process)
        readers = [threading.Thread(target=read, args=pair, daemon=True)
                   for pair in ((process.stdout, "out"), (process.stderr, "err"))]
        for reader in readers:
            reader.start()
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            stop(process)
            raise Failed(f"stopped after {seconds:.0f} s: {self.shown(command)}") from None
        finally:
            ACTIVE.discard(process)
            for reader in readers:
                reader.join(timeout=2)
            self.log("$ " + " ".join(command) + "\n" + b"".join(log).decode(errors="replace"))
        out = b"".join(parts["out"]).decode(errors="replace")
        if code == 77:
            raise Skipped(out.strip().split("\n")[-1] or "skipped by the program")
        if code != 0:
            what = f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
            said = b"".join(parts["err"]).decode(errors="replace").strip().split("\n")[-1]
            raise Failed(f"{what} from {self.shown(command)}" + (f": {said[:300]}" if said else ""))
        return out

    def shown(self, command):
        """A command without the folders that all have in common."""
        text = " ".join(command)
        for folder in (self.machine.build, HOME, self.work):
            text = text.replace(f"{folder}/", "")
        return text


def stop(process):
    """The process and all that it started."""
    for wait, number in ((5, signal.SIGTERM), (5, signal.SIGKILL)):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=wait)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def say(text):
    print(text, file=sys.stderr, flush=True)
