#!/bin/sh
# install.sh: what cmake --install makes stands by itself, wherever it is moved: the program finds its Lua code, plugins and
# libraries around itself, and drift new, make, make test work there with nothing of the source tree or the build.
set -eu
fail() { echo "install: $*" >&2; exit 1; }
build=$(dirname "$DRIFT")
source=$DRIFT_HOME
here=$PWD
cmake --install "$build" --prefix "$here/first" >log 2>&1 || { cat log; fail "cmake --install"; }
mv first 'the moved one'
prefix="$here/the moved one"
drift="$prefix/bin/drift"
unset DRIFT_HOME DRIFT_PLUGIN_DIR DRIFT_TEST_PLUGIN_DIR DRIFT

says() { printf '%s\n' "$1" | grep -q -- "$2" || { printf '%s\n' "$1"; fail "it does not say: $2"; }; }
never() { # WHAT TEXT: nothing of the source tree, of the build or of the first place
    for place in "$source/core" "$source/lua" "$source/plugins" "$source/tests/data" "$build/plugins" "$build/onednn" "$build/drift" "$here/first"; do
        if printf '%s\n' "$2" | grep -qF -- "$place"; then printf '%s\n' "$2"; fail "$1 comes from $place"; fi
    done
}

[ "$("$drift" headers)" = "$prefix/include" ] || fail "drift headers: $("$drift" headers)"
[ -e "$prefix/include/drift/plugin.h" ] && [ -e "$prefix/share/drift/docs/reference.md" ] || fail "headers or docs"
mkdir work
cd work
plugins=$("$drift" list plugins)
says "$plugins" "$prefix/lib/drift/plugins/backend_cpu.so"
never "a plugin" "$plugins"
doctor=$("$drift" doctor) || { echo "$doctor"; fail "drift doctor"; }
says "$doctor" "ok       home          $prefix/share/drift"
never "something" "$(printf '%s\n' "$doctor" | grep -v '^ok       cache')"

# A plugin from nothing, built against the installed headers, found, tested; and one by pkg-config's flags.
for each in sampler:installed_sampler dataset:installed_shapes; do
    "$drift" new "${each%:*}" "${each#*:}" >said || fail "drift new"
    make -s -C "${each#*:}" >log 2>&1 || { cat log; fail "make"; }
    make -s -C "${each#*:}" test check >log 2>&1 || { cat log; fail "make test check"; }
    grep -q ' ok, 0 failed' log || { cat log; fail "make check checks nothing"; }
done
never "the new plugin's program" "$(cat installed_sampler/Makefile)"
"$drift" new decay installed_decay >said
flags=$(PKG_CONFIG_PATH="$prefix/lib/pkgconfig" pkg-config --cflags drift)
eval "${CC:-cc} -std=gnu11 -fPIC -shared $flags installed_decay/*.c -o installed_decay/installed_decay.so -lm" ||
    fail "drift.pc: $flags" # eval: blanks in paths are escaped
"$drift" run installed_decay/test.lua >log || fail "the plugin built by pkg-config"

# It trains: networks in Lua, data from the small MNIST that is installed too.
cat >train.lua <<'END'
local drift = require "drift"
local run = drift.experiment { epochs = 1, batch = 16, steps = 3 }
drift.train { run = run, data = drift.dataset.installed_shapes { n = 64 }, process = drift.process.flow_matching {},
  model = drift.models.improved_unet { hidden = 8, in_channels = 1 }, optim = drift.optim.adam { lr = 1e-3 },
  decay = drift.decay.installed_decay {} }
print(#drift.dataset.mnist { fetch = false }.train > 0)
END
"$drift" run train.lua >log 2>&1 || { cat log; fail "training"; }
grep -q '^true$' log || { cat log; fail "the small MNIST"; }
echo 'install: all is well'
