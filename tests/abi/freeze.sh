#!/bin/sh
# freeze.sh: keeps the plugin ABI as it is now in tests/abi/v1_0: the headers, and frozen.c compiled with them (x86-64). Run once,
# when 1.0 is frozen, and never again: what is kept is what tests/shell/abi_v1_0.sh holds every later host to.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
headers=$here/../../core/include/drift kept=$here/v1_0
[ "$(uname -m)" = x86_64 ] || { echo "freeze.sh: the shared object that is kept is an x86-64 one" >&2; exit 1; }
grep -q '^#define DR_ABI_MAJOR 1$' "$headers/abi.h" && grep -q '^#define DR_ABI_MINOR 0$' "$headers/abi.h" ||
    { echo "freeze.sh: the headers are not those of 1.0 any more; nothing is changed" >&2; exit 1; }
rm -rf "$kept/include" "$kept/x86_64"
mkdir -p "$kept/include/drift" "$kept/x86_64" # a plugin beside expect.lua would be loaded by itself
cp "$headers"/abi.h "$headers"/api.def "$headers"/attributes.h "$headers"/kernel.h "$headers"/kinds.h "$headers"/ops.h "$headers"/plugin.h \
   "$kept/include/drift/"
cd "$kept"
build="-std=c11 -Os -s -fPIC -shared -fvisibility=hidden -Iinclude -o x86_64/frozen.so frozen.c"
# shellcheck disable=SC2086   # several words on purpose
${CC:-cc} $build
printf 'cc %s\n%s\n' "$build" "$(${CC:-cc} --version | head -1)" >built.txt
ls -l x86_64/frozen.so
