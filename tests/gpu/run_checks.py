#!/usr/bin/env python3
"""run_checks.py: runs checks and writes their results; run.sh, which says what its options are, calls it.

First those that may run beside each other, then those that measure, each alone. The JSON is written anew after each, so
that what was found outlives whatever ends this program:

  {"machine": {...}, "options": {...}, "seconds": N, "checks": [
      {"name", "status": "passed"|"failed"|"skipped", "why", "seconds", "numbers": {...}, "output": [last lines]}, ...]}

All output of all checks goes to a file beside it, RESULTS-log.txt.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from checks import CHECKS
from running import ACTIVE, HOME, Failed, Machine, Running, Skipped, say, stop
import table

BESIDE = max(1, min(6, (os.cpu_count() or 2) // 2))


def chosen(checks, args):
    def named(words):
        wanted = [word for word in (words or "").split(",") if word]
        for word in wanted:
            if not any(fits(check, word) for check in checks):
                sys.exit(f"run.sh: there is no check {word} (see --list)")
        return wanted

    def fits(check, word):
        return check.name == word or check.name.startswith(word + ".")
    only, without = named(args.only), named(args.without)
    return [check for check in checks
            if (any(fits(check, word) for word in only) if only else check.quick or not args.quick and check.usual)
            and not any(fits(check, word) for word in without)]


class Results:
    def __init__(self, path, args, machine):
        self.path, self.lock, self.began = pathlib.Path(path), threading.Lock(), time.monotonic()
        self.log = self.path.with_name(self.path.stem + "-log.txt")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = []
        if args.merge and self.path.exists():
            kept = json.loads(self.path.read_text())["checks"]
        else:
            self.log.write_text("")
        options = {key: value for key, value in vars(args).items() if key != "results"}
        self.all = {"machine": machine, "options": options, "checks": kept}

    def add(self, result, log_path=None):
        with self.lock:
            checks = [check for check in self.all["checks"] if check["name"] != result["name"]]
            self.all["checks"] = [*checks, result]
            self.all["seconds"] = round(time.monotonic() - self.began, 1)
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(self.all, indent=1) + "\n")
            new.replace(self.path)
            if log_path:
                with open(self.log, "ab") as log, open(log_path, "rb") as own:
                    log.write(f"\n==== {result['name']}: {result['status']}\n".encode() + own.read()[-2_000_000:])
        say(f"{result['status']:8} {result['name']:40} {result['seconds']:7.1f} s"
            + (f"  {result['why'][:160]}" if result["why"] else ""))


def result_of(check, status, why=""):
    return {"name": check.name, "status": status, "why": why, "seconds": 0.0, "numbers": {}, "output": []}


def run_one(check, machine, args, deadline):
    """The result of a check, and where its log lies."""
    result, left = result_of(check, "passed"), deadline - time.monotonic()
    if left < check.least:
        return result_of(check, "skipped", f"{max(0, left):.0f} s left, and it needs {check.least}"), None
    running = Running(machine, check.name, min(check.limit, left), args.quick)
    try:
        check.body(running)
    except Skipped as why:
        result |= {"status": "skipped", "why": str(why)}
    except Failed as why:
        result |= {"status": "failed", "why": str(why)}
    except Exception as error:                                  # a mistake in a check must not end the others
        running.log(traceback.format_exc())
        result |= {"status": "failed", "why": f"{type(error).__name__}: {error}"}
    running.log_file.close()
    result |= {"seconds": round(time.monotonic() - running.began, 1), "numbers": running.numbers}
    if result["why"]:
        with open(running.log_path, "ab") as log:
            log.write((result["why"] + "\n").encode())
    if result["status"] != "passed" or check.show:
        result["output"] = running.last_lines(check.show or 15)
    return result, running.log_path


def end_early(results, work):
    """On Ctrl-C or SIGTERM: what was found so far, and nothing is left running."""
    def handler(number, _):
        for process in list(ACTIVE):
            stop(process)
        shutil.rmtree(work, ignore_errors=True)
        print(table.of(results.all), flush=True)
        os._exit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def describe():
    """What is under the checks: the GPU by nvidia-smi, the processor, the commit."""
    def first_line(command):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip().split("\n")[0] if done.returncode == 0 else None
    commit = pathlib.Path(os.environ["DRIFT_BUILD_DIR"], "commit")
    return {
        "gpu": first_line(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]),
        "processors": os.cpu_count(),
        "commit": commit.read_text().strip() if commit.exists() else
        first_line(["git", "-C", HOME, "describe", "--always", "--dirty", "--exclude=*"]),
        "date": time.strftime("%Y-%m-%d"),
    }


def main():
    parser = argparse.ArgumentParser(prog="run.sh", description="see the head of tests/gpu/run.sh")
    parser.add_argument("results")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--without")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--time", type=float, default=36000)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--merge", action="store_true")
    args = parser.parse_args()
    if args.list:
        for check in CHECKS:
            print(f"{check.name:40} {'quick ' if check.quick else '      '} {check.about}")
        return 0
    began = time.monotonic()
    work = tempfile.mkdtemp(prefix="drift-gpu-")
    try:
        machine = Machine(work, args.device)
        description = describe()
        results = Results(args.results, args, description)
        wanted = chosen(CHECKS, args)
        end_early(results, work)
        if args.device.split(":")[0] == "cuda" and not description["gpu"] and not os.environ.get("DRIFT_GPU_EMULATED"):
            for check in wanted:
                results.add(result_of(check, "skipped", "nvidia-smi finds no GPU here"))
        else:
            deadline = began + args.time
            with concurrent.futures.ThreadPoolExecutor(BESIDE) as pool:
                for done in concurrent.futures.as_completed(
                        [pool.submit(run_one, check, machine, args, deadline) for check in wanted if not check.alone]):
                    results.add(*done.result())
            for check in wanted:
                if check.alone:
                    results.add(*run_one(check, machine, args, deadline))
        order = [check.name for check in CHECKS]
        results.all["checks"].sort(key=lambda c: order.index(c["name"]) if c["name"] in order else len(order))
        results.path.write_text(json.dumps(results.all, indent=1) + "\n")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(table.of(results.all))
    print(f"{results.path} and {results.log}")
    return 1 if any(check["status"] == "failed" for check in results.all["checks"]) else 0


if __name__ == "__main__":
    sys.exit(main())
