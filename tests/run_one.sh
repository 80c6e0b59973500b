#!/bin/sh
# run_one.sh BUILD NAME COMMAND...: runs one test in an empty folder of its own. The test finds
#   DRIFT                  the program                      DRIFT_HOME              the source tree
#   DRIFT_PLUGIN_DIR       the built plugins                DRIFT_TEST_PLUGIN_DIR   those of tests/plugins
#   DRIFT_FIXTURES         tests/fixtures unless set        DRIFT_TEST_DATA         tests/data
#   HOME, XDG_CACHE_HOME, XDG_DATA_HOME, TMPDIR   inside its folder, so that it neither reads nor writes what is the user's
# DRIFT_TEST_WRAP, if set, goes before the command (valgrind).
set -eu
build=$1 name=$2
shift 2
home=$(cd "$(dirname "$0")/.." && pwd)
work=$build/tests/work/$name
rm -rf "$work"
mkdir -p "$work/tmp" "$work/home"
cd "$work"

export DRIFT="$build/drift" DRIFT_HOME="$home" DRIFT_PLUGIN_DIR="$build/plugins"
export DRIFT_TEST_PLUGIN_DIR="$build/tests/plugins" DRIFT_TEST_DATA="$home/tests/data" DRIFT_LAUNCHER="$home/drift"
export DRIFT_FIXTURES="${DRIFT_FIXTURES:-$home/tests/fixtures}"
export HOME="$work/home" XDG_CACHE_HOME="$work/home/.cache" XDG_DATA_HOME="$work/home/.local/share" TMPDIR="$work/tmp" LC_ALL=C
export PYTHONDONTWRITEBYTECODE=1
export DRIFT_CPU_TUNE="${DRIFT_CPU_TUNE:-off}" # a loaded machine must not choose which kernels are tested
unset DRIFT_DATA DRIFT_DEVICE DRIFT_PLUGINS DRIFT_CALLED_AS
# Tests run side by side: threads that wait for work must not spin on a processor that another test needs.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=0}"
export LSAN_OPTIONS="${LSAN_OPTIONS:-suppressions=$home/tests/leak.supp:print_suppressions=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
# shellcheck disable=SC2086   # several words on purpose
exec ${DRIFT_TEST_WRAP:-} "$@"
