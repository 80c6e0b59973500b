#!/bin/sh
# What was built for ABI 1.0 works with this host, for as long as the major is 1 (tests/abi/v1_0):
#   (a) the plugin that was compiled at the freeze loads, and its components give the numbers that they gave (x86-64 only);
#   (b) its source, compiled today with the headers of the freeze, does so too;
#   (c) today's headers still have every member, enumerator and function of those, at its place.
set -eu
kept=$DRIFT_HOME/tests/abi/v1_0
fail() { echo "abi_v1_0: $*" >&2; exit 1; }

python3 "$DRIFT_HOME/tests/abi/layout.py" "$kept/include" "$DRIFT_HOME/core/include" || fail "the headers are not those of 1.0 and more"

"${CC:-cc}" -std=c11 -O1 -fPIC -shared -fvisibility=hidden -I"$kept/include" -o source.so "$kept/frozen.c" || fail "the source does not compile"
PLUGIN=$PWD/source.so "$DRIFT" run "$kept/expect.lua" || fail "the source, compiled today, gives something else"

if [ "$(uname -m)" = x86_64 ]; then
    PLUGIN=$kept/x86_64/frozen.so "$DRIFT" run "$kept/expect.lua" || fail "the plugin of the freeze gives something else"
else
    echo "abi_v1_0: SKIPPED on $(uname -m): the plugin that was compiled at the freeze is an x86-64 one"
fi
