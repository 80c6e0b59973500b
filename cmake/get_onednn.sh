#!/bin/sh
# get_onednn.sh FOLDER: puts oneDNN 3.2 (include/, lib/libdnnl.so.3) into FOLDER.
#
# It comes from two PyPI wheels, checked by sha256 and unpacked once into the user's cache; FOLDER gets hard links where
# the file system allows it, else copies, so that a build folder stays whole when the cache is cleared. The wheels hold
# the library three times, as copies; only the one that the soname (libdnnl.so.3) names is kept.
set -eu
version=2023.2.0
runtime_sha256=2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb
devel_sha256=9763c69e8c907e119056bd52ad918ca84ac9ba939d130a99dfa95ccca3e5e284

target=$1
[ -e "$target/complete" ] && exit 0
stop() { echo "drift: $*" >&2; exit 1; }

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
    stop "the oneDNN wheels are for x86-64 Linux: install oneDNN 3 or newer with its CMake files, then try again"
command -v python3 >/dev/null || stop "python3 is needed to fetch oneDNN"

cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/drift
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || { cache=$target.cache; mkdir -p "$cache"; }
unpacked=$cache/onednn-$version

if [ ! -e "$unpacked/complete" ]; then
    work=$(mktemp -d "$cache/onednn.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    echo "drift: fetching oneDNN $version from PyPI (39 MB) into $unpacked" >&2
    cat >"$work/requirements.txt" <<END
onednn-cpu-gomp==$version --hash=sha256:$runtime_sha256
onednn-devel-cpu-gomp==$version --hash=sha256:$devel_sha256
END
    python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --require-hashes \
        --only-binary :all: --dest "$work/wheels" --requirement "$work/requirements.txt" >&2 ||
        stop "pip could not fetch onednn-cpu-gomp and onednn-devel-cpu-gomp $version (sha256-pinned)"
    for wheel in "$work"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$work/files"; done
    mkdir -p "$work/onednn/lib"
    mv "$work"/files/onednn_cpu_gomp-*.data/data/lib/libdnnl.so.3 "$work/onednn/lib/"
    mv "$work"/files/onednn_devel_cpu_gomp-*.data/data/include "$work/onednn/include"
    mv "$work"/files/onednn_cpu_gomp-*.data/data/share/doc/onednn "$work/onednn/licenses"
    : >"$work/onednn/complete"
    # Another build may have put it there meanwhile; a folder without the last file is the rest of an old accident.
    [ -e "$unpacked/complete" ] || { rm -rf "$unpacked"; mv -T "$work/onednn" "$unpacked" 2>/dev/null || :; }
    [ -e "$unpacked/complete" ] || stop "could not write $unpacked"
fi

rm -rf "$target"
mkdir -p "$(dirname "$target")"
cp -al "$unpacked" "$target" 2>/dev/null || { rm -rf "$target"; cp -a "$unpacked" "$target"; }
