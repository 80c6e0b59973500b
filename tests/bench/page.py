"""page.py: the results of compare.py as the tables of docs/performance.md, between its two markers."""
import figures

BEGIN, END = "<!-- compare.py: begin -->", "<!-- compare.py: end -->"
TITLES = {
    "train64": "class-conditional training, D=64, batch 128",
    "denoise128": "denoiser training, D=128, batch 256",
    "train32": "class-conditional training, D=32, batch 128",
    "sample40": "sampling 40 images, 50 steps, CFG, D=64",
    "sample500": "sampling 500 images, 50 steps, CFG, D=64",
}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def median_of(rounds, side, key):
    return figures.spread([r[side][key] for r in rounds])["median"]


def ratio_rows(parts):
    for name, title in TITLES.items():
        for precision in ("f32", "bf16"):
            part = parts.get(f"{name}.{precision}")
            if not part:
                continue
            rounds = part["rounds"]
            best = figures.best_peer(rounds)
            yield [title, precision, figures.short(median_of(rounds, "drift", "images_per_s")),
                   f"{figures.short(median_of(rounds, best, 'images_per_s'))} ({best})",
                   figures.with_spread(figures.speed_ratio(rounds)),
                   f"{median_of(rounds, 'drift', 'peak_mib'):.0f} / {median_of(rounds, best, 'peak_mib'):.0f}",
                   figures.with_spread(figures.memory_ratio(rounds)),
                   figures.with_spread(figures.memory_ratio(rounds, work=True)), len(rounds), part["commit"]]


def mode_lines(parts):
    for name, title in TITLES.items():
        for precision in ("f32", "bf16"):
            modes = parts.get(f"{name}.{precision}", {}).get("modes")
            if not modes:
                continue
            order = sorted(modes, key=lambda mode: -modes[mode]["images_per_s"])
            listed = ", ".join(f"{mode} {figures.short(modes[mode]['images_per_s'])}" for mode in order)
            yield f"- {title}, {precision}: {listed}"


def other_rows(parts, kind):
    """Of the parts threads.f32, batches.bf16, ...: (precision, part)"""
    return [(name.split(".")[1], part) for name, part in sorted(parts.items()) if name.split(".")[0] == kind]


def thread_rows(parts):
    for precision, part in other_rows(parts, "threads"):
        for side, rounds in part["sides"].items():
            few, many = sorted(rounds[0], key=int)[0], sorted(rounds[0], key=int)[-1]
            yield [side, precision, f"{few} to {many}", figures.with_spread(figures.scaling(rounds, few, many)),
                   part["commit"]]


def batch_rows(parts):
    for precision, part in other_rows(parts, "batches"):
        cost, dearest = figures.cost_per_image(part["rounds"])
        yield [precision, ", ".join(f"{batch}: {figures.short(c['median'])}" for batch, c in cost.items()),
               figures.short(dearest), part["commit"]]


def start_rows(parts):
    for precision, part in other_rows(parts, "start"):
        for side in part["rounds"][0]:
            cold, warm = (figures.spread([r[side][kind] for r in part["rounds"]]) for kind in ("cold", "warm"))
            yield [side, precision, figures.with_spread(cold), figures.with_spread(warm), part["commit"]]


def section(title, head, rows, note=None):
    rows = list(rows)
    if not rows:
        return []
    return [f"**{title}**" + (f" {note}" if note else ""), "", *table(head, rows), ""]


def text(results):
    parts, machine = results["parts"], results["machine"]
    dates = sorted({part["date"] for part in parts.values()})
    lines = [f"Measured on {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}: {machine}.", ""]
    lines += section("Against PyTorch.", ["work", "precision", "Drift images/s", "best PyTorch", "ratio",
                                          "peak MiB", "peak ratio", "without libraries", "rounds", "commit"],
                     ratio_rows(parts), "Ratios of images/s above 1: Drift is faster. Of peaks below 1: it needs less.")
    lines += section("Threads.", ["", "precision", "threads", "images/s grow by", "commit"], thread_rows(parts),
                     "Class-conditional training, D=64, batch 128.")
    lines += section("Batch size.", ["precision", "ms an image", "dearest / cheapest", "commit"], batch_rows(parts),
                     "The same training at several batch sizes, Drift.")
    lines += section("Start.", ["", "precision", "cold cache, s", "warm cache, s", "commit"], start_rows(parts),
                     "From the program's start to the end of its first step, the same training.")
    modes = list(mode_lines(parts))
    if modes:
        lines += ["PyTorch's modes, each measured once, images/s; the rounds alternate with the two fastest:", "",
                  *modes, ""]
    commands = list(dict.fromkeys(part["command"] for part in parts.values()))
    return "\n".join(lines + ["Commands:", "", *("    " + command for command in commands), ""])


def write(path, results):
    page = path.read_text()
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n{text(results)}{END}{after}")
