"""test_figures.py: the arithmetic of the comparison and the page, on made-up figures (tests/shell/bench_figures.sh)."""
import pathlib
import tempfile
import unittest

import compare
import figures
import page


def figure(images_per_s, peak=1000, before=400, ms=100.0):
    return {"images_per_s": images_per_s, "peak_mib": peak, "before_mib": before, "ms": ms}


# Drift is at 300, 200, 400; a and b are the faster one in turn, b over all.
ROUNDS = [
    {"drift": figure(300, 500, 100), "a": figure(150, 1000, 400), "b": figure(100, 2000, 500)},
    {"drift": figure(200, 600, 100), "a": figure(120, 1000, 400), "b": figure(160, 2000, 500)},
    {"drift": figure(400, 400, 100), "a": figure(130, 1000, 400), "b": figure(160, 1600, 600)},
]


class Arithmetic(unittest.TestCase):
    def test_spread(self):
        self.assertEqual(figures.spread([3, 1, 2, 10]), {"median": 2.5, "min": 1, "max": 10, "n": 4})

    def test_ratio_is_to_the_best_mode_of_each_round(self):
        self.assertEqual(figures.speed_ratio(ROUNDS), {"median": 2.0, "min": 1.25, "max": 2.5, "n": 3})

    def test_best_mode_is_by_its_median_over_all_rounds(self):
        self.assertEqual(figures.best_peer(ROUNDS), "b")
        self.assertEqual(figures.best_peer(ROUNDS[:1]), "a")

    def test_memory_is_compared_with_the_best_mode(self):
        self.assertEqual(figures.memory_ratio(ROUNDS), {"median": 0.25, "min": 0.25, "max": 0.3, "n": 3})
        work = figures.memory_ratio(ROUNDS, work=True)                    # 400/1500, 500/1500, 300/1000
        self.assertAlmostEqual(work["median"], 0.3)
        self.assertAlmostEqual(work["max"], 1 / 3)

    def test_two_fastest(self):
        modes = {"a": figure(10), "b": figure(30), "c": figure(20)}
        self.assertEqual(figures.two_fastest(modes), ["b", "c"])
        self.assertEqual(figures.two_fastest({"a": figure(1)}), ["a"])

    def test_scaling(self):
        rounds = [{"1": figure(100), "2": figure(180)}, {"1": figure(100), "2": figure(190)}]
        self.assertAlmostEqual(figures.scaling(rounds, "1", "2")["median"], 1.85)

    def test_cost_per_image(self):
        rounds = [{"64": figure(0, ms=64), "256": figure(0, ms=192)},
                  {"64": figure(0, ms=128), "256": figure(0, ms=192)},
                  {"64": figure(0, ms=64), "256": figure(0, ms=256)}]
        cost, dearest = figures.cost_per_image(rounds)
        self.assertEqual(cost["64"], {"median": 1.0, "min": 1.0, "max": 2.0, "n": 3})
        self.assertEqual(cost["256"]["median"], 0.75)
        self.assertAlmostEqual(dearest, 4 / 3)

    def test_text(self):
        self.assertEqual(figures.with_spread({"median": 1.6, "min": 1.25, "max": 12.5}), "1.60 (1.25..12.5)")
        self.assertEqual(figures.short(1234.5), "1234")


class Page(unittest.TestCase):
    def results(self):
        same = {"date": "2026-01-02", "commit": "abcdef0", "command": "compare.py --only x"}
        return {"machine": "a machine", "parts": {
            "train64.f32": {"rounds": ROUNDS, "modes": {"a": figure(1), "b": figure(2)}} | same,
            "threads.f32": {"sides": {"drift": [{"1": figure(100), "2": figure(190)}]}} | same,
            "batches.f32": {"rounds": [{"64": figure(0, ms=64), "128": figure(0, ms=256)}]} | same,
            "start.f32": {"rounds": [{"drift": {"cold": 2.0, "warm": 0.5}}]} | same}}

    def test_tables_stand_between_the_markers_and_the_rest_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "page.md")
            path.write_text(f"before\n{page.BEGIN}\nyesterday\n{page.END}\nafter\n")
            page.write(path, self.results())
            once = path.read_text()
            page.write(path, self.results())
            self.assertEqual(path.read_text(), once)
        self.assertTrue(once.startswith("before\n") and once.endswith("after\n"))
        self.assertNotIn("yesterday", once)
        for part in ("a machine", "2026-01-02", "abcdef0", "2.00 (1.25..2.50)", "| 300 | 160 (b) |", "500 / 2000",
                     "1.90 (1.90..1.90)", "64: 1.00, 128: 2.00 | 2.00", "2.00 (2.00..2.00) | 0.50 (0.50..0.50)",
                     "f32: b 2.00, a 1.00", "compare.py --only x"):
            self.assertIn(part, once)

    def test_rows_are_as_long_as_their_heads(self):
        for block in page.text(self.results()).split("\n\n"):
            rows = [line for line in block.splitlines() if line.startswith("|")]
            self.assertLessEqual(len({line.count("|") for line in rows}), 1, block)


class Parts(unittest.TestCase):
    def test_names(self):
        self.assertEqual(compare.chosen("train64.bf16"), ["train64.bf16"])
        self.assertEqual(compare.chosen("threads,start.f32"), ["threads.f32", "threads.bf16", "start.f32"])
        with self.assertRaises(SystemExit):
            compare.chosen("train65")

    def test_rounds_alternate_drift_with_the_two_fastest_modes(self):
        order = []

        class Fake:
            def figure(self, side, size, precision, threads, env=None):
                order.append(side)
                return figure({"drift": 9, "eager": 1}.get(side, len(side)))
        args = type("Args", (), {"modes": "eager,bb,cccc", "rounds": 2, "threads": 1, "cuda": False})
        part = compare.Comparison(Fake(), args).part("train32.f32", {})
        self.assertEqual(order, ["eager", "bb", "cccc"] + ["drift", "cccc", "bb"] * 2)
        self.assertEqual(set(part["modes"]), {"eager", "bb", "cccc"})
        self.assertEqual(len(part["rounds"]), 2)


if __name__ == "__main__":
    unittest.main()
