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

# drift check: what is right passes all, what keeps values of earlier calls does not.
cat > leaky.lua <<'END'
local drift = require "drift"
local kept = {}
drift.define.clip { name = "leaky", doc = "keeps something of each call",
  apply = function(_, x) kept[#kept + 1] = {} return x:clamp(-1, 1) end }
drift.define.clip { name = "hoarder", doc = "keeps tensors",
  apply = function(_, x) kept[#kept + 1] = (x + 1):keep() return x:clamp(-1, 1) end }
END
cat > good.lua <<'END'
local drift = require "drift"
drift.define.clip { name = "good", doc = "as range", apply = function(_, x) return x:clamp(-1, 1) end }
END
"$DRIFT" check good.lua > good.txt 2>&1 || fail "$(cat good.txt)"
grep -q "ok .*clip good: nothing is left behind" good.txt || fail "$(cat good.txt)"
"$DRIFT" check leaky.lua > leaky.txt 2>&1 && fail "a leak is not found"
grep -q "bytes behind that are no garbage" leaky.txt || fail "$(cat leaky.txt)"
grep -q "KiB of tensors behind" leaky.txt || fail "$(cat leaky.txt)"
grep -q "^FAILED .*clip hoarder: nothing is left behind" leaky.txt || fail "$(cat leaky.txt)"
