#!/bin/sh
# run.sh: all that only a GPU can show, in one command: builds, runs the checks of checks.py and measure.py, writes a
# JSON of results and prints a table. Exit status 1 if a check failed; where there is no GPU all are skipped, and it
# says so.
#
#   tests/gpu/run.sh [RESULTS.json] [OPTION...]         RESULTS: build/gpu/results.json unless given
#
#   --quick           what takes two minutes in all: devices, conformance, parity, plans, a short measurement
#   --only A,B        checks, or groups of them ("speed" is speed.train64.bf16 and its like); --list: their names
#   --without A,B     all but these
#   --time SECONDS    for all of it; a check for which too little is left is skipped, one that runs then is stopped
#   --carried FOLDER  what tests/gpu/carry.sh made elsewhere, in place of a build here
#   --no-build        build/ as it is
#   --device NAME     cuda unless given
#   --merge           keeps what RESULTS has of checks that do not run now
#
# Environment: DRIFT_DATA, a folder with mnist/ in it (--carried brings its own); DRIFT_CUDA_LIBRARIES, folders of cuDNN
# and cuBLASLt where they are neither the system's nor in a wheel of python3; DRIFT_TORCH, a python that has PyTorch
# (else python3); DRIFT_PLUGIN_DIR, other plugins than the built ones; DRIFT_GPU_EMULATED, no nvidia-smi is asked.
set -eu
home=$(cd "$(dirname "$0")/../.." && pwd)
stop() { echo "run.sh: $*" >&2; exit 1; }

results=$home/build/gpu/results.json
carried='' build=yes list=''
case ${1:-} in '' | -*) ;; *) results=$1; shift ;; esac
count=$#
while [ "$count" -gt 0 ]; do                                # takes what is ours, and leaves the rest in its order
    case $1 in
    --carried)
        [ "$count" -gt 1 ] || stop "--carried needs a folder"
        carried=$2
        shift 2
        count=$((count - 2))
        continue
        ;;
    --no-build)
        build=''
        shift
        count=$((count - 1))
        continue
        ;;
    --list) list=yes ;;
    esac
    set -- "$@" "$1"
    shift
    count=$((count - 1))
done

# ---- a carried build: unpacked once ---------------------------------------------------------------------------------
unpack() {
    folder=$home/build/gpu/carried
    stamp=$(cksum <"$carried/build.tar.xz")
    if [ "$(cat "$folder/.stamp" 2>/dev/null)" != "$stamp" ]; then
        rm -rf "$folder"
        mkdir -p "$folder"
        python3 -W ignore -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' \
            "$carried/build.tar.xz" "$folder" ||
            stop "$carried/build.tar.xz cannot be unpacked"
        echo "$stamp" >"$folder/.stamp"
    fi
    export DRIFT_BUILD_DIR="$folder"
    export DRIFT_CARRIED_LIBRARIES="$folder/lib"
    export LUA_PATH="$folder/share/lua/?.lua;$folder/share/lua/?/init.lua;;" LUA_CPATH="$folder/lib/lua/?.so;;"
    if [ -z "${DRIFT_DATA:-}" ] && [ -d "$carried/data" ]; then
        DRIFT_DATA=$(cd "$carried/data" && pwd)
        export DRIFT_DATA
    fi
    if [ -z "${DRIFT_FIXTURES:-}" ] && [ -d "$folder/fixtures" ]; then export DRIFT_FIXTURES="$folder/fixtures"; fi
}

# ---- a build here ---------------------------------------------------------------------------------------------------
build_here() {
    export DRIFT_BUILD_DIR="${DRIFT_BUILD_DIR:-$home/build}"
    [ -n "$build" ] || return 0
    "$home/drift" version >/dev/null ||
        stop "Drift does not build here: bring a build from elsewhere (tests/gpu/carry.sh)"
    ninja -C "$DRIFT_BUILD_DIR" drift drift_plugins drift_gpu_tests >"$DRIFT_BUILD_DIR/build.log" 2>&1 || {
        grep -m 20 -A 8 -E '(error|warning): |^FAILED' "$DRIFT_BUILD_DIR/build.log" >&2 || :
        stop "the build failed; all of its output is in $DRIFT_BUILD_DIR/build.log"
    }
}

if [ -n "$carried" ]; then
    [ -e "$carried/build.tar.xz" ] || stop "$carried holds no build.tar.xz: tests/gpu/carry.sh makes it"
    unpack
elif [ -z "$list" ]; then
    build_here
fi
export DRIFT_BUILD_DIR="${DRIFT_BUILD_DIR:-$home/build}" DRIFT_HOME="$home" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
exec python3 "$home/tests/gpu/run_checks.py" "$results" "$@"
