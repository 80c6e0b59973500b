#!/bin/sh
# launcher.sh: the launcher and the build, tried on a tree of a few lines that has this repository's build files. It
# checks that the launcher builds on first use, only then, and again when a file is changed, added or deleted; that it
# passes errors and exit statuses on; that several at once do no harm.
set -eu
fail() { echo "launcher: $*" >&2; exit 1; }
mkdir -p tree/core/include/drift tree/lua tree/plugins/one tree/tests/c
cd tree
cp "$DRIFT_HOME/drift" "$DRIFT_HOME/CMakeLists.txt" .
cp -r "$DRIFT_HOME/cmake" .
cp "$DRIFT_HOME/tests/CMakeLists.txt" "$DRIFT_HOME/tests/run_one.sh" tests/
if [ -d "${DRIFT%/*}/onednn" ]; then mkdir build && cp -al "${DRIFT%/*}/onednn" build/; fi         # nothing to fetch
unset CC DRIFT_HOME DRIFT_PLUGIN_DIR DRIFT_BUILD_DIR DRIFT_TEST_WRAP

echo 'int number(void);' >core/include/drift/plugin.h
echo '#include <drift/plugin.h>
int number(void) { return 1; }' >core/number.c
cat >lua/main.c <<'END'
#include <drift/plugin.h>
#include <stdio.h>
int main(int n, char **words)
{
    printf("%d %s\n", number(), n > 1 ? words[n - 1] : "none");
    return n > 2;
}
END
echo 'extern int dr_plugin_entry; int dr_plugin_entry = 1;' >plugins/one/one.c
echo '#include <drift/plugin.h>
int main(void) { return number() == 3; }' >tests/c/number.c
export CMAKE_BUILD_PARALLEL_LEVEL=2

# says WORDS ARGUMENTS...: the program prints WORDS, and the launcher says nothing of its own on standard output
says() {
    expected=$1
    shift
    printed=$(./drift "$@" 2>stderr) || { cat stderr >&2; fail "status not 0 from ./drift $*"; }
    [ "$printed" = "$expected" ] || fail "./drift $* printed '$printed', not '$expected'"
}
quiet() { [ ! -s stderr ] || { cat stderr >&2; fail "$1"; }; }

says '1 none'
grep -q building stderr || fail "the first call does not say that it builds"
[ -e build/plugins/one.so ] || fail "no plugin was built"
says '1 two words' 'two words'          # one argument
quiet "the second call has something to say"
if ./drift a b >/dev/null; then fail "the program's exit status is lost"; fi

# An up-to-date build costs little: 20 calls in under 2 s.
start=$(date +%s%N)
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do ./drift >/dev/null; done
took=$((($(date +%s%N) - start) / 20000000))
echo "overhead: $took ms a call"
[ "$took" -lt 100 ] || fail "a call takes $took ms"

sed -i 's/return 1/return 2/' core/number.c
says '2 none'
echo 'int other(void); int other(void) { return 0; }' >core/other.c
says '2 none'
[ -e build/CMakeFiles/drift_core.dir/core/other.c.o ] || fail "an added file is not built"

# drift-check is built where `./drift check` asks for it, and then found to be up to date.
mkdir tests/checks
echo 'int found(void); int found(void) { return 1; }' >tests/checks/kinds.c
echo 'int main(void) { return 0; }' >tests/checks/main.c
echo 'int bound(void); int bound(void) { return 1; }' >lua/bound.c
touch CMakeLists.txt
says '2 none'
[ ! -e build/drift-check ] || fail "a call that does not check builds drift-check"
says '2 check' check
[ -x build/drift-check ] || fail "./drift check does not build drift-check"
started=$(stat -c %Y%s build/build.log)
says '2 check' check
quiet "the second ./drift check has something to say"
[ "$started" = "$(stat -c %Y%s build/build.log)" ] || fail "the second ./drift check builds again"

mkdir plugins/two && cp plugins/one/one.c plugins/two/
says '2 none'
[ -e build/plugins/two.so ] || fail "an added plugin is not built"
rm -r plugins/two core/other.c
says '2 none'
[ ! -e build/plugins/two.so ] || fail "the plugin of a deleted folder is still there"

cp core/number.c good.c
echo 'int broken = ;' >>core/number.c
if ./drift 2>stderr; then fail "a build that fails is a success"; fi
grep -q 'number.c:3:.*error' stderr || { cat stderr >&2; fail "the compiler's error is not shown"; }
grep -q 'build/build.log' stderr || fail "the log is not named"
cp good.c core/number.c
sed -i 's/return 2/return 3/' core/number.c

# Four at once: one builds, the others wait, all run.
for i in 1 2 3 4; do ./drift "$i" >out.$i 2>/dev/null & done
wait
for i in 1 2 3 4; do [ "$(cat out.$i)" = "3 $i" ] || fail "one of four at once printed '$(cat out.$i)'"; done

# Tests: the status is the verdict, and ctest has the last word.
if ./drift test >out 2>&1; then fail "a failing test is a success"; fi
grep -q '0% tests passed, 1 tests failed out of 1' out || { cat out >&2; fail "no closing line"; }
sed -i 's/return 3/return 4/' core/number.c
./drift test --preset quick >out 2>&1 || { cat out >&2; fail "a passing test fails"; }
grep -q '100% tests passed, 0 tests failed out of 1' out || fail "no closing line"
if ./drift test no_such_test >out 2>&1; then fail "no test at all is a success"; fi
if ./drift test --preset fast >out 2>&1; then fail "an unknown preset is a success"; fi
grep -q 'unknown preset fast' out || fail "an unknown preset is not named"

# A moved tree is built anew, in its new place.
cd ..
mv tree 'another tree'
cd 'another tree'
says '4 none'

# A build folder that cannot be made.
if DRIFT_BUILD_DIR=/dev/null/build ./drift 2>stderr; then fail "a build folder that cannot be made is a success"; fi
grep -q 'cannot write /dev/null/build' stderr || fail "the folder that cannot be written is not named"

# A system without apt and compiler: the list of packages, and status 1.
mkdir bin
for tool in sh readlink dirname grep cksum tr cat find head mkdir rmdir flock cp rm id; do
    ln -s "$(command -v $tool)" bin/
done
if PATH=$PWD/bin DRIFT_BUILD_DIR=elsewhere ./drift 2>stderr; then fail "it built without a compiler"; fi
grep -q 'not Debian or Ubuntu' stderr || { cat stderr >&2; fail "an unknown system is not said to be one"; }
grep -q 'libffi-dev' stderr || fail "an unknown system gets no list of packages"
echo 'launcher: all is well'
