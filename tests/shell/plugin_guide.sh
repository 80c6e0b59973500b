#!/bin/sh
# plugin_guide.sh: docs/writing-a-plugin.md, followed to the letter: its shell commands are run, its C files are compiled
# with all warnings as errors and put where it says, and its scripts run with them.
set -eu
fail() { echo "plugin_guide: $*" >&2; exit 1; }
mkdir bin work
ln -s "$DRIFT" bin/drift
export PATH="$PWD/bin:$PATH" DRIFT_DATA="$DRIFT_TEST_DATA"
flags='-O1 -Wpedantic -Werror'

# Blocks in their order: 01.sh, 02.lua, 03.c, ...
awk '/^```/ { if (inside) { inside = 0; close(file) } else { kind = substr($0, 4); inside = 1; file = sprintf("%02d.%s", ++n, kind) }
              next }
     inside { print >file }' "$DRIFT_HOME/docs/writing-a-plugin.md"
set -- [0-9][0-9].*
[ $# -ge 15 ] || fail "only $# blocks of code were found"
ls [0-9][0-9].* | grep -v '\.\(sh\|c\|lua\)$' && fail "a block is not sh, c or lua"

# C: the name stands in the first line. Those of the guide's first part go into the folder that `drift new` made.
place() {
    name=$(sed -n '1s|^/\* \([a-z_]*\)\.c: .*|\1|p' "$1")
    [ -n "$name" ] || fail "$1 does not begin with its name"
    of=$(sed -n '1s/.*: of \([a-z_]*\): .*/\1/p' "$1") # a further file of that plugin
    if [ -n "$of" ]; then cp "$1" "work/$of/$name.c"; else cp "$1" file.c; fi
    name=${of:-$name}
    if [ ! -d "work/$name" ]; then
        mkdir "work/$name"
        cp "$DRIFT_HOME/plugins/template/plugin.c" "$DRIFT_HOME/plugins/template/Makefile" "work/$name/"
        sed -i "s/my_plugin/$name/; s/my_drift/drift/" "work/$name/plugin.c" "work/$name/Makefile"
    fi
    if [ -z "$of" ]; then mv file.c "work/$name/$name.c"; fi
    make -s -C "work/$name" CFLAGS="$flags" >log 2>&1 || { cat log; fail "$name does not build"; }
    if [ -e "work/$name/test.lua" ]; then make -s -C "work/$name" test >log 2>&1 || { cat log; fail "the test of $name"; }; fi
    if [ -z "$of" ]; then made="${made:-} $name/$name.so"; fi
}

for block in "$@"; do
    case $block in
    *.sh) (cd work && sh -eu "../$block") >log 2>&1 || { cat "$block" log; fail "$block"; } ;;
    *.c) place "$block" ;;
    *.lua)
        cp "$block" "work/$block"
        (cd work && drift run "$block" --threads 1) >log 2>&1 || { cat -n "$block" log; fail "$block"; }
        ;;
    esac
done
cat log
# What drift check has to say of them all.
checks=$(dirname "$DRIFT")/drift-check
if [ -x "$checks" ]; then
    # shellcheck disable=SC2086   # several words on purpose
    (cd work && "$checks" $made) >log 2>&1 || { cat log; fail "drift check"; }
    tail -n 1 log
fi
echo 'plugin_guide: all is well'
