#!/bin/sh
# plugin_search.sh: where plugins are found, and in which order; that a file is loaded once; that what is broken stops only
# those who ask for it, unless DRIFT_PLUGINS names it; that one component in two files is an error naming both.
set -eu
fail() { echo "plugin_search: $*" >&2; exit 1; }
built=$DRIFT_TEST_PLUGIN_DIR/template
[ -e "$built/sampler.so" ] || { echo "the templates are not built"; exit 77; }
user=$XDG_DATA_HOME/drift/plugins
mkdir -p project/plugins named "$user" empty

# with_id NEW FILE: the sampler's plugin under another id of the same length, so that the file stays whole
with_id() { sed "s/my_plugin/$1/g" "$built/sampler.so" >"$2"; }
echo 'local drift = require "drift"
print(drift.sampler.my_sampler { steps = 3 })' >project/uses.lua
echo 'print "it runs"' >project/plain.lua
good() { "$DRIFT" "$@" >out 2>err || { cat err; fail "drift $*"; }; }
bad() { if "$DRIFT" "$@" >out 2>err; then cat out; fail "drift $* is a success"; fi; }
says() { grep -q -- "$1" "$2" || { cat "$2"; fail "it does not say: $1"; }; }
quiet() { [ ! -s err ] || { cat err; fail "it has something to say"; }; }

# ---- each place, for a script and for commands without one
bad run project/uses.lua
says "there is no sampler 'my_sampler'" err
for place in project/my_sampler.so project/plugins/my_sampler.so project/my_sampler/my_sampler.so \
    project/plugins/my_sampler/my_sampler.so "$user/my_sampler.so" "$user/my_sampler/my_sampler.so"; do
    mkdir -p "${place%/*}"
    cp "$built/sampler.so" "$place"
    good run project/uses.lua
    quiet
    (cd project && good list plugins && says "$(basename "$place")  (" out && good help my_sampler)
    rm "$place"
done
cp "$built/sampler.so" named/
DRIFT_PLUGINS=empty:named good run project/uses.lua
DRIFT_PLUGINS=named/sampler.so good list plugins
says 'named/sampler.so  (DRIFT_PLUGINS)' out
cp project/uses.lua empty/
(cd named && good list plugins && says '\./sampler.so  (in this folder)' out && bad run ../empty/uses.lua) # it lies elsewhere

# ---- the same file by several ways; another build of the same plugin; another plugin with the same component
ln -s "$PWD/named/sampler.so" project/linked.so
DRIFT_PLUGINS=named good run project/uses.lua
quiet
rm project/linked.so
cp "$built/sampler.so" "$user/installed.so"
cp "$built/sampler.so" project/newer.so
good run project/uses.lua
quiet # a copy, as `make install` leaves it
echo >>project/newer.so
good run project/uses.lua
says "installed.so (the user's plugins) is left out: project/newer.so is the same plugin, my_plugin" err
rm project/newer.so
with_id other_one project/other.so
bad run project/plain.lua
says 'project/other.so' err
says "$user/installed.so" err
says 'take one of the two out' err
rm project/other.so "$user/installed.so"

# ---- broken: a note for those around the script, an error for those that were asked for
cp "$DRIFT_TEST_PLUGIN_DIR/newer_minor.so" "$DRIFT_TEST_PLUGIN_DIR/refuses.so" project/
printf 'not a library, but dr_plugin_entry is in it, and so is \0my_sampler\0' >project/torn.so
echo 'int f(void) { return 1; }' | "${CC:-cc}" -shared -fPIC -xc - -o project/foreign.so
head -c 12000 "$built/sampler.so" >project/half.so
good run project/plain.lua
says 'it runs' out
says 'project/half.so (beside the script) is left out: the file is cut short' err
rm project/half.so
says 'project/newer_minor.so (beside the script) is left out: .*rebuild it' err
says 'project/refuses.so (beside the script) is left out: .*quantum' err
says 'project/torn.so (beside the script) is left out' err
if grep -q foreign err; then cat err; fail "a library that is no plugin is spoken of"; fi
bad run project/uses.lua
says "there is no sampler 'my_sampler'; plugin project/torn.so, which may have it, is left out: " err
(cd project && good list plugins && says 'left out: .*torn.so' out)
(cd project && good doctor && says 'note     plugin        ./torn.so is left out' out)
DRIFT_PLUGINS=project bad run project/plain.lua
says 'plugin project/[a-z_]*.so: ' err
rm project/torn.so project/newer_minor.so project/refuses.so
cp "$built/sampler.so" project/mine.so
(cd project && good doctor && says 'ok       plugin        my_plugin, ./mine.so (in this folder)' out)

# ---- a file of another user's, beside a script that is not his
if [ "$(id -u)" = 0 ] && chown 12345 project/mine.so 2>/dev/null; then
    bad run project/uses.lua
    says 'mine.so, which may have it, is left out: it belongs to another user' err
    DRIFT_PLUGINS=project/mine.so good run project/uses.lua
    chown 12345 project/uses.lua
    good run project/uses.lua
fi
echo 'plugin_search: all is well'
