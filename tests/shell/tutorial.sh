#!/bin/sh
# Every snippet of docs/tutorial.md does what the tutorial says: scripts run, commands and the prompt print what stands below
# them (tutorial_steps.py).
set -eu
DRIFT_DATA=$DRIFT_TEST_DATA
export DRIFT_DATA
exec python3 "$DRIFT_HOME/tests/shell/tutorial_steps.py" "$DRIFT_HOME/docs/tutorial.md" "$DRIFT"
