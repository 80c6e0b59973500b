#!/bin/sh
# watch.sh: `drift watch` shows a run from before its folder is there until after its end, on 127.0.0.1 only; refuses
# what is not asked in the page's way; holds out against clients that are slow, rude or many; changes nothing in the
# folder; and ends on Ctrl-C with status 0.
set -eu
fail() { echo "watch: $*" >&2; exit 1; }
export DRIFT_DATA="$DRIFT_TEST_DATA"

"$DRIFT" watch nothing --port 70000 >stdout 2>stderr && fail "it takes port 70000"
if grep -q 'needs libmicrohttpd' stderr; then
    grep -q 'apt-get install libmicrohttpd-dev' stderr || fail "it does not say what to install"
    exit 77
fi
grep -q 'port.*70000' stderr || { cat stderr >&2; fail "it does not say what is wrong with port 70000"; }

cat >slow.lua <<'END'
local drift = require "drift"
local run = drift.experiment { epochs = 5, batch = 100, checkpoint_every = 2, steps = 0 }
local net = drift.net { name = "one", weights = { gain = { shape = { 1 }, init = 1 } },
                        forward = function(n, x) return x * n.gain end }
drift.train { run = run, data = drift.dataset.mnist {}, model = net, optim = drift.optim.sgd { lr = 1e-3 },
  loss = function(n, batch) drift.sleep(0.1) return (n(batch.image) - batch.image * 0.5):pow(2):mean() end }
run:finish()
END

exec python3 "$DRIFT_HOME/tests/shell/watch_client.py"
