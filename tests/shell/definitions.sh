#!/bin/sh
# Files that define components in Lua may be named in DRIFT_PLUGINS: then the program knows them without a script; a file that
# cannot be run is an error that names it. A run's config.json has the hash of the file that defined its components.
set -eu

fail() { echo "$1" >&2; exit 1; }

cat > mine.lua <<'END'
-- mine.lua: half of it.
local drift = require "drift"
drift.define.clip { name = "halved", doc = "half of it", params = { { "by", "real", default = 0.5, min = 0, max = 1, doc = "the share" } },
  apply = function(self, x) return x * self.by end }
END

DRIFT_PLUGINS="$DRIFT_PLUGIN_DIR:mine.lua" "$DRIFT" help halved > help.txt
grep -q "drift.clip.halved { by = 0.5 }        (plugin mine)" help.txt || fail "help: $(cat help.txt)"
grep -q "^    half of it" help.txt || fail "help lacks the file's comment: $(cat help.txt)"
DRIFT_PLUGINS=mine.lua "$DRIFT" list clip | grep -q "halved" || fail "it is not listed"
DRIFT_PLUGINS=mine.lua "$DRIFT" list plugins | grep -q "^ *mine .*Lua .*mine.lua" || fail "its plugin is not listed"
"$DRIFT" help halved > none.txt 2>&1 && fail "it is known without its file"
"$DRIFT" list clip | grep -q "halved" && fail "it is listed without its file"

echo 'error "not today"' > bad.lua
DRIFT_PLUGINS=bad.lua "$DRIFT" list clip > bad.txt 2>&1 && fail "a file that fails is no error"
grep -q "bad.lua:1: not today" bad.txt || fail "$(cat bad.txt)"
DRIFT_PLUGINS=missing.lua "$DRIFT" list clip > missing.txt 2>&1 && fail "a file that is not there is no error"
grep -q "missing.lua" missing.txt || fail "$(cat missing.txt)"

DRIFT_PLUGINS=mine.lua "$DRIFT" doctor > doctor.txt || true
grep -q "mine.lua: components in Lua" doctor.txt || fail "doctor does not know it: $(cat doctor.txt)"
DRIFT_PLUGINS=bad.lua "$DRIFT" doctor > doctor.txt || true
grep -q "bad.lua:1: not today" doctor.txt || fail "doctor does not say what is wrong: $(cat doctor.txt)"

cat > script.lua <<'END'
local drift = require "drift"
local run = require "drift.run".open { name = "mine", parameters = {} }
print(run:path "config.json")
END
config=$(DRIFT_PLUGINS=mine.lua "$DRIFT" run script.lua | tail -1)
grep -q "$(sha256sum mine.lua | cut -d' ' -f1)" "$config" || fail "config.json lacks the hash of mine.lua: $(cat "$config")"
