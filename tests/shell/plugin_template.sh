#!/bin/sh
# The plugin that new ones are copied from: it compiles without a warning, loads beside the others, and the registry's
# tests hold its sampler to the order that it declares and its parameters to their bounds.
set -eu
build=$(dirname "$DRIFT_PLUGIN_DIR")
[ -x "$build/tests/registry/samplers" ] || { echo "the registry's tests are not built"; exit 77; }
mkdir plugins
cp "$DRIFT_PLUGIN_DIR"/*.so plugins/
${CC:-cc} -std=gnu11 -O1 -shared -fPIC -fvisibility=hidden -Wall -Wextra -Wpedantic -Werror \
    -I "$DRIFT_HOME/core/include" "$DRIFT_HOME"/plugins/template/*.c -o plugins/template.so
for test in samplers parameters; do
    DRIFT_PLUGIN_DIR=$PWD/plugins "$build/tests/registry/$test" >log 2>&1 || { cat log; exit 1; }
    grep -q 'sampler/1 template' log || { cat log; echo "$test did not see the template's sampler"; exit 1; }
done
