#!/bin/sh
# bench_figures.sh: the comparison with PyTorch does its sums right, and writes its page. Without PyTorch.
set -eu
cd "$DRIFT_HOME/tests/bench"
python3 -m unittest -q test_figures
