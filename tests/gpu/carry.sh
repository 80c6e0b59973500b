#!/bin/sh
# carry.sh: makes a folder with all that tests/gpu/run.sh --carried FOLDER needs on a machine that has an NVIDIA driver,
# the wheels of cuDNN and cuBLASLt (PyTorch brings them) and python3, but no compiler and none of Drift's libraries.
#
#   tests/gpu/carry.sh [FOLDER] [OPTION...]             FOLDER: .gpu unless given; git does not see it
#
#   --architectures LIST   what kernels/cuda is compiled for: 90-real (H100, H200) unless given
#   --data FOLDER          has mnist/*.gz: 11 MB, for the whole trainings (else: $DRIFT_DATA); --no-data: without
#   --fixtures FOLDER      parity checks these too; without, those of the source tree, which has to be there anyway
#
# It holds build.tar.xz: the program, stripped; plugins, with kernels/cpu for any processor with AVX2; the test programs
# that need a GPU; the shared libraries of all these that a bare machine may lack; busted, for the Lua specs. The build
# is build/carried, and stays. The source tree is needed there as well: Lua, experiments, fixtures.
set -eu
home=$(cd "$(dirname "$0")/../.." && pwd)
stop() { echo "carry.sh: $*" >&2; exit 1; }

folder=$home/.gpu architectures=90-real data=${DRIFT_DATA:-} fixtures='' most_mib=55
case ${1:-} in '' | -*) ;; *) folder=$1; shift ;; esac
while [ $# -gt 0 ]; do
    case $1 in
    --architectures) architectures=$2; shift ;;
    --data) data=$2; shift ;;
    --no-data) data='' ;;
    --fixtures) fixtures=$2; shift ;;
    *) stop "unknown option $1" ;;
    esac
    shift
done

build=$home/build/carried
cmake -S "$home" -B "$build" -G Ninja -DDRIFT_CUDA=ON -DDRIFT_CPU_MARCH=x86-64-v3 \
    "-DDRIFT_CUDA_ARCHITECTURES=$architectures" >"$build.log" 2>&1 || {
    tail -n 20 "$build.log" >&2
    stop "cmake failed"
}
ninja -C "$build" drift drift_plugins drift_gpu_tests >"$build.log" 2>&1 || {
    grep -m 20 -A 8 -E '(error|warning): |^FAILED' "$build.log" >&2 || :
    stop "the build failed; all of its output is in $build.log"
}

pack=$(mktemp -d)
trap 'rm -rf "$pack"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$pack/plugins" "$pack/lib/lua" "$pack/share/lua" "$pack/tests/ops" "$pack/tests/parity" "$pack/tests/plugins"
cp "$build/drift" "$pack/"
cp "$build"/plugins/*.so "$pack/plugins/"
cp "$build"/tests/plugins/*.so "$pack/tests/plugins/"
cp "$build/tests/parity/parity" "$pack/tests/parity/"
find "$build/tests/ops" -maxdepth 1 -type f -name 'cuda_*' -perm -u+x -exec cp {} "$pack/tests/ops/" \;

# Libraries: what these ask for, but for the C library's own and C++'s, of which a machine has its own.
find "$pack" -type f -exec ldd {} + 2>/dev/null | sed -n 's/^\t\([^ ]*\) => \(\/[^ ]*\) .*/\1 \2/p' | sort -u |
while read -r name path; do
    case $name in
    libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | ld-linux* | libgcc_s.so.* | libstdc++.so.*) ;;
    *) cp -L "$path" "$pack/lib/$name" ;;
    esac
done
find "$pack" -type f -exec strip --strip-unneeded {} +

# busted and what it needs, found as Lua finds them.
for where in /usr/share/lua/5.4 /usr/local/share/lua/5.4; do
    [ -d "$where" ] && cp -rL "$where/." "$pack/share/lua/"
done
for where in /usr/lib/*/lua/5.4 /usr/local/lib/lua/5.4; do
    [ -d "$where" ] && cp -rL "$where/." "$pack/lib/lua/"
done
[ -d "$pack/share/lua/busted" ] || echo "carry.sh: busted is not here, so the Lua specs will be skipped" >&2

if [ -n "$fixtures" ]; then
    mkdir "$pack/fixtures"
    cp -rL "$fixtures/." "$pack/fixtures/"
    rm -rf "$pack/fixtures/generate" "$pack/fixtures/t5" "$pack/fixtures/if"
    chmod -R u+w "$pack/fixtures"
fi
git -C "$home" describe --always --dirty --exclude='*' >"$pack/commit" 2>/dev/null || echo unknown >"$pack/commit"

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
rm -rf "$folder/build.tar.xz" "$folder/data"
tar -C "$pack" --sort=name --mtime=@0 --owner=0 --group=0 -cf - . | xz -T0 -6 >"$folder/build.tar.xz"
if [ -n "$data" ]; then
    [ -d "$data/mnist" ] || stop "$data holds no mnist/"
    mkdir -p "$folder/data/mnist"
    cp "$data"/mnist/*.gz "$folder/data/mnist/"
    chmod u+w "$folder"/data/mnist/*
else
    echo "carry.sh: without MNIST (--data FOLDER), so the whole trainings will be skipped" >&2
fi

# Kept out of commits by this checkout's own list of what git does not look at.
exclude=$(git -C "$home" rev-parse --git-path info/exclude 2>/dev/null || :)
case $folder in
"$home"/*)
    exclude=$(cd "$home" && readlink -m "$exclude")
    mkdir -p "$(dirname "$exclude")"
    grep -qxF "/${folder#"$home"/}/" "$exclude" 2>/dev/null || echo "/${folder#"$home"/}/" >>"$exclude"
    ;;
esac

mib=$(($(du -sk "$folder" | cut -f1) / 1024))
echo "$folder: $mib MiB at $(cat "$pack/commit"); there: sh tests/gpu/run.sh --carried ${folder#"$home"/}"
[ "$mib" -le "$most_mib" ] || stop "that is more than $most_mib MiB"
