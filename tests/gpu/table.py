"""table.py: the results of tests/gpu/run.sh as a short table."""


def of(results):
    lines = ["", f"{results['machine']['gpu'] or 'no GPU'}; {results['machine']['processors']} processors; "
             f"{results['machine']['commit']}"]
    for check in results["checks"]:
        what = check["why"] or check["numbers"].get("summary", "")
        first = what.split("\n")[0]
        lines.append(f"  {check['name']:34} {check['status']:8} {check['seconds']:7.1f} s  {first[:150]}")
        if check["status"] == "failed":
            lines += ["      | " + line[:160] for line in check["output"][-6:]]
    for line in speed(results["checks"]):
        lines.append("  " + line)
    count = {status: sum(check["status"] == status for check in results["checks"])
             for status in ("passed", "failed", "skipped")}
    lines.append("".join(f"{n} {status}, " for status, n in count.items()) + f"{results.get('seconds', 0):.0f} s")
    return "\n".join(lines)


def speed(checks):
    """Where the time goes, in the trainings and samplings that were measured."""
    lines = []
    for check in checks:
        kernels = check["numbers"].get("kernels") or []
        if kernels:
            lines += ["", f"{check['name']}: where the time goes",
                      f"{'':46} {'calls':>6} {'ms':>9} {'share':>7}"]
        for kernel in kernels[:14]:
            more = "".join(f"  {kernel[key]:7.1f} {unit}" for key, unit in
                           (("gflop_per_s", "GFLOP/s"), ("gb_per_s", "GB/s"), ("memory_percent", "% memory"),
                            ("compute_percent", "% compute")) if kernel.get(key))
            lines.append(f"{kernel['name'][:46]:46} {kernel['calls']:6.0f} {kernel['ms']:9.3f} "
                         f"{100 * kernel['share']:6.1f}%{more}")
    return lines
