"""figures.py: the arithmetic of the comparison: medians, spreads and ratios of what the rounds gave. No I/O.

A figure is what one process measured: images_per_s, ms, peak_mib, before_mib (before the network was made) and
first_step_s. A round is a dict of figures, one a side: "drift" and PyTorch's modes. Ratios are made inside each round,
whose sides ran one after another, and their median and extremes over the rounds are what is reported.
"""
import statistics


def spread(values):
    """Median, least and greatest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def peers(round_):
    return {name: figure for name, figure in round_.items() if name != "drift"}


def best_peer(rounds):
    """The mode of PyTorch with the highest median of images/s over the rounds."""
    speed = {}
    for round_ in rounds:
        for name, figure in peers(round_).items():
            speed.setdefault(name, []).append(figure["images_per_s"])
    return max(speed, key=lambda name: statistics.median(speed[name]))


def speed_ratio(rounds):
    """images/s of Drift over those of the fastest mode, which is sought anew in each round."""
    return spread([r["drift"]["images_per_s"] / max(f["images_per_s"] for f in peers(r).values()) for r in rounds])


def memory_ratio(rounds, work=False):
    """Peak of Drift's process over that of the best mode. work: of each without what it had before the network."""
    best = best_peer(rounds)

    def peak(figure):
        return figure["peak_mib"] - (figure["before_mib"] if work else 0)
    return spread([peak(r["drift"]) / peak(r[best]) for r in rounds])


def two_fastest(modes):
    """Names of the two fastest of {mode: figure}."""
    return sorted(modes, key=lambda name: -modes[name]["images_per_s"])[:2]


def scaling(rounds, few, many):
    """images/s with `many` threads over those with `few`, of the rounds' {threads: figure}."""
    return spread([r[many]["images_per_s"] / r[few]["images_per_s"] for r in rounds])


def cost_per_image(rounds):
    """{batch: spread of ms an image}, and how much the dearest batch size costs over the cheapest, by medians."""
    cost = {batch: spread([r[batch]["ms"] / int(batch) for r in rounds]) for batch in rounds[0]}
    medians = [c["median"] for c in cost.values()]
    return cost, max(medians) / min(medians)


def short(value):
    """Three or four digits, as people write them."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_spread(s):
    return f"{short(s['median'])} ({short(s['min'])}..{short(s['max'])})"
