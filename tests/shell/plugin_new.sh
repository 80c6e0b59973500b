#!/bin/sh
# plugin_new.sh: drift new writes, for every kind, a folder that builds alone with one command and whose own test passes;
# and refuses names that would not compile, that are taken, and folders that are there. The kinds' components are those of
# plugins/template, which the build compiles with all warnings as errors.
set -eu
fail() { echo "plugin_new: $*" >&2; exit 1; }
templates=$DRIFT_HOME/plugins/template
[ -d "$DRIFT_TEST_PLUGIN_DIR/template" ] || { echo "the templates are not built"; exit 77; }

# A template for every kind that the registry knows, and none for others.
"$DRIFT" list | sed -n 's/^\([a-z_]*\) ([0-9]*)$/\1/p' | grep -v '^model$' | sort >kinds
(cd "$templates" && for each in */; do echo "${each%/}"; done) | sort >templates
diff kinds templates || fail "plugins/template has not the registry's kinds"

# Each kind's test holds for the component that the build made; and for the same in Lua, which needs no build.
passes() {
    "$DRIFT" run "$1/test.lua" >log 2>&1 || { cat log; fail "the test of $1"; }
    grep -q 'test.lua: all is well' log || { cat log; fail "the test of $1 does not say that it is done"; }
}
while read -r kind; do
    mkdir "$kind"
    cp "$DRIFT_TEST_PLUGIN_DIR/template/$kind.so" "$templates/$kind/test.lua" "$kind/"
    passes "$kind"
    rm -r "$kind"
    if [ "$kind" = backend ]; then continue; fi
    "$DRIFT" new "$kind" "lua_$kind" --lua >said || fail "drift new $kind --lua"
    if grep -rq 'my_' "lua_$kind"; then grep -r 'my_' "lua_$kind"; fail "a name of the template was left"; fi
    passes "lua_$kind"
done <kinds
echo 'require "lua_op.lua_op"; print(require "drift".op.lua_op(require "drift".ones(1)):item())' >uses.lua
[ "$("$DRIFT" run uses.lua)" = 0.5 ] || fail "a component in Lua cannot be required from the folder around it"

# All that Drift can test of them, as `make check` does.
checks=$(dirname "$DRIFT")/drift-check
if [ -x "$checks" ]; then
    for so in "$DRIFT_TEST_PLUGIN_DIR"/template/*.so; do                  # one by one: all have the template's id
        "$checks" "$so" >log 2>&1 || { grep -v '^ok' log; fail "the checks of the template ${so##*/}"; }
        tail -n 1 log
    done
fi

# Four of them made, built with one command and with warnings as errors, tested, installed, under names of their own.
for each in sampler:own_sampler block:own_part op:own_op2 metric:a; do
    kind=${each%:*} name=${each#*:}
    "$DRIFT" new "$kind" "$name" >said || fail "drift new $kind $name"
    grep -q "$name/ is a plugin with the $kind $name" said || fail "what was made is not said"
    if grep -rq 'my_' "$name"; then grep -r 'my_' "$name"; fail "a name of the template was left"; fi
    make -s -C "$name" CFLAGS='-O1 -Wpedantic -Werror' >log 2>&1 || { cat log; fail "make in $name"; }
    [ ! -s log ] || { cat log; fail "make in $name has something to say"; }
    make -s -C "$name" test >log 2>&1 || { cat log; fail "make test in $name"; }
    "$DRIFT" list plugins | grep -q "^ *$name  *0.1 .*\./$name/$name.so" || fail "$name is not found from the folder around it"
done
make -s -C own_sampler check >log 2>&1 || { cat log; fail "make check"; }
grep -q '^ok  *sampler own_sampler' log || { cat log; fail "make check checks nothing"; }
"$DRIFT" check own_sampler >log 2>&1 || { cat log; fail "drift check of a folder"; }
grep -q '^ok  *sampler own_sampler' log || { cat log; fail "drift check of a folder checks nothing"; }
"$DRIFT" check lua_weighting/ >log 2>&1 || { cat log; fail "drift check of a folder in Lua"; }
grep -q '^ok  *weighting lua_weighting' log || { cat log; fail "drift check of a folder in Lua checks nothing"; }
make -s -C own_sampler install
[ -e "$XDG_DATA_HOME/drift/plugins/own_sampler.so" ] || fail "make install"
mkdir elsewhere
(cd elsewhere && "$DRIFT" help own_sampler | grep -q Ralston) || fail "what is installed is not found"
rm "$XDG_DATA_HOME/drift/plugins/own_sampler.so"
make -s -C own_part clean && [ ! -e own_part/own_part.so ] || fail "make clean"

# What the launcher makes is built by the launcher, which builds what a command lacks.
DRIFT_CALLED_AS=/there/drift "$DRIFT" new clip launched >said
grep -q '^DRIFT ?= /there/drift$' launched/Makefile || fail "the launcher is not in the Makefile"

# What C would only warn of: a function that is not there. And a folder that is not built is no crash of the checks.
sed -i 's/dr_axpy(w/dr_axpyy(w/' own_sampler/own_sampler.c
if make -s -C own_sampler >log 2>&1; then fail "a function that does not exist was built"; fi
grep -q "error: .*dr_axpyy" log || { cat log; fail "the compiler's own line is no error"; }
make -s -C own_sampler clean
if "$DRIFT" check own_sampler >log 2>&1; then fail "nothing was there to check"; fi
grep -q 'own_sampler is a folder without a plugin: build it (make) first' log || { cat log; fail "what is missing is not said"; }
sed -i 's/dr_axpyy(w/dr_axpy(w/' own_sampler/own_sampler.c
make -s -C own_sampler

# Help of a command is its own text, unless a component is called so.
"$DRIFT" help new | grep -q '^drift new KIND NAME' || fail "drift help new"
"$DRIFT" help check | grep -q '^ *drift check my_sampler.so' || fail "drift help check"
"$DRIFT" help list | grep -q '^drift check PLUGIN' || fail "drift help list"
"$DRIFT" new decay watch >said
make -s -C watch
"$DRIFT" help watch | grep -q '^decay watch: ' || fail "a component is hidden by a command"

# Without the program there is one clear line.
if make -s -C own_part DRIFT=/no/such/drift >log 2>&1; then fail "it built without headers"; fi
grep -q 'set DRIFT to the program' log || { cat log; fail "what is missing is not said"; }

refused() { # WORDS KIND NAME
    words=$1
    shift
    if "$DRIFT" new "$@" >log 2>&1; then fail "drift new $* is a success"; fi
    grep -q "$words" log || { cat log; fail "drift new $* does not say: $words"; }
}
refused "did you mean 'sampler'" samplr x
refused 'small letters' sampler Heun
refused 'small letters' sampler 2x
refused 'small letters' sampler ../x
refused 'small letters' sampler ''
refused 'word of C' sampler while
refused 'function of the C library' decay exp
refused 'something else by that name' sampler step
refused 'has a dr_pool_attr\|have a dr_pool_attr' op pool
refused "already, in the plugin samplers, " sampler heun
refused "already, in the plugin own_sampler, " sampler own_sampler
refused 'own_part is there already' filter own_part
refused 'what kind' sampler
refused 'no backend can be written in Lua' backend x --lua
[ ! -e x ] && [ ! -e Heun ] || fail "a refused name left something behind"
echo 'plugin_new: all is well'
