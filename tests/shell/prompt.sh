#!/bin/sh
# The prompt: at a terminal it completes names, parameters and methods, explains, shows values and pictures, survives
# mistakes and Ctrl-C, and remembers lines (prompt_session.py). Of a file it runs line by line, and stops at an error.
set -eu
fail() { echo "prompt: $*" >&2; exit 1; }

cat >lines <<'END'
local a = 2
for i = 1, 2 do
  a = a * 3
end
a
drift.decay.constant {}
END
printed=$("$DRIFT" --device ref <lines) || fail "lines of a file: status not 0"
[ "$printed" = "18
decay.constant{}" ] || fail "lines of a file gave '$printed'"

printf 'nonsense\nprint "never"\n' >lines
if "$DRIFT" --device ref <lines >out 2>err; then fail "an error in a file: status 0"; fi
grep -q "there is no 'nonsense'" err || fail "the error is not said: $(cat err)"
if grep -q never out; then fail "lines behind an error are run"; fi

# Without libedit lines are read all the same, but nothing completes.
if ! ldd "$DRIFT" | grep -q libedit; then echo "built without libedit: completion is not tested"; exit 77; fi
exec python3 "$DRIFT_HOME/tests/shell/prompt_session.py" "$DRIFT"
