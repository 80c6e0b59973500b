#!/usr/bin/env python3
"""page.py RESULTS.json... [PAGE.md]: results of tests/gpu/run.sh as Markdown, on stdout, or between PAGE's two markers.
Of a check in several results the last counts."""
import json
import pathlib
import sys

BEGIN, END = "<!-- tests/gpu/page.py: begin -->", "<!-- tests/gpu/page.py: end -->"
HOPPER = {"bf16": 989, "tf32": 495, "f32": 67}                     # dense TFLOP/s of the data sheets
PEAK_TFLOPS = {"H100": HOPPER, "H200": HOPPER}
TITLES = {
    "train64": "class-conditional training, D=64, batch 128", "denoise128": "denoiser training, D=128, batch 256",
    "sample40": "sampling 40 images, 50 steps, CFG, D=64", "sample500": "sampling 500 images, 50 steps, CFG, D=64",
}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), ""] if rows else []


def share_of_peak(gpu, precision, tflops):
    for name, peaks in PEAK_TFLOPS.items():
        if name in gpu:
            return f"{100 * tflops / peaks[precision]:.1f}%"
    return "?"


def speed_rows(checks, gpu):
    for name, check in checks.items():
        group, _, rest = name.partition(".")
        numbers = check["numbers"]
        if group != "speed" or "ms" not in numbers:
            continue
        size, precision = rest.split(".")
        tflops = 1e-3 * (numbers.get("gflop_per_s") or 0)
        yield [TITLES[size], precision, f"{numbers['images_per_s']:.0f}", f"{numbers['ms']:.3f}",
               f"{tflops:.1f} ({share_of_peak(gpu, precision, tflops)})", numbers["device_mib"]]


def peer_rows(checks):
    for name, check in checks.items():
        numbers = check["numbers"]
        if not name.startswith("pytorch") or "ratio" not in numbers:
            continue
        size, precision = name.split(".")[1:]
        modes = sorted(numbers["modes"].items(), key=lambda item: -item[1]["images_per_s"])
        slower = min(one["images_per_s"] for one in numbers["drift"])
        yield [TITLES[size], precision, f"{slower:.0f}", f"**{numbers['ratio']:.2f}**",
               ", ".join(f"{mode} {found['images_per_s']:.0f}" for mode, found in modes)]


def kernel_tables(checks):
    for name, check in checks.items():
        numbers = check["numbers"]
        if not name.startswith("counters") or not numbers.get("kernels"):
            continue
        size, precision = name.split(".")[1:]
        yield f"**Where the time goes**: {TITLES[size]}, {precision}. {numbers['summary']}."
        yield ""
        yield from table(["kernel", "calls", "ms", "share", "GB/s", "of peak bandwidth", "of peak compute"],
                         [[f"`{k['name'][:60]}`", f"{k['calls']:.0f}", f"{k['ms']:.3f}", f"{100 * k['share']:.1f}%",
                           f"{k['gb_per_s']:.0f}", f"{k['memory_percent']:.0f}%", f"{k['compute_percent']:.0f}%"]
                          for k in numbers["kernels"][:16]])


def page(all_results):
    checks = {check["name"]: check for results in all_results for check in results["checks"]}
    machines = [results["machine"] for results in all_results]
    gpu = machines[-1]["gpu"] or "no GPU"
    measured = dict.fromkeys(f"{m['date']}: {m['gpu'] or 'no GPU'}; {m['processors']} processors; commit {m['commit']}."
                             for m in machines)
    measures = ("speed", "pytorch", "counters")
    lines = [*measured, ""]
    lines += table(["work", "precision", "images/s", "ms", "TFLOP/s (of the data sheet's)", "device MiB"],
                   list(speed_rows(checks, gpu)))
    lines += table(["work", "precision", "Drift, images/s", "to the fastest", "PyTorch, images/s"],
                   list(peer_rows(checks)))
    lines += kernel_tables(checks)
    lines += table(["check", "status", "s", "what it found"],
                   [[f"`{name}`", check["status"], f"{check['seconds']:.0f}",
                     (check["why"] or check["numbers"].get("summary", "")).replace("|", "/").split("\n")[0]]
                    for name, check in checks.items() if name.split(".")[0].split("_")[0] not in measures
                    or check["status"] != "passed"])
    return "\n".join(lines)


def main():
    words = sys.argv[1:]
    target = words.pop() if words and words[-1].endswith(".md") else None
    if not words:
        sys.exit(__doc__)
    text = page([json.loads(pathlib.Path(word).read_text()) for word in words])
    if not target:
        print(text)
        return
    path = pathlib.Path(target)
    before, _, rest = path.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"{path} has no line {BEGIN} and {END} below it")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
