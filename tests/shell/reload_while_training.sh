#!/bin/sh
# reload_while_training.sh: `drift run --watch` builds and swaps a plugin whose source has changed, between steps of a
# training that goes on: with the same bits where nothing but the file's time has changed; with the earlier version, and
# the compiler's message, where it does not build. Every reload is in config.json, and resuming says so.
set -eu
fail() { echo "reload_while_training: $*" >&2; exit 1; }
export DRIFT_DATA="$DRIFT_TEST_DATA"

mkdir my
cp "$DRIFT_HOME/tests/c/reload_plugin.h" my/changing.c
cat >my/Makefile <<END
changing.so: changing.c
	\$(CC) -std=gnu11 -O1 -shared -fPIC -fvisibility=hidden -w \$(FLAGS) -I '$DRIFT_HOME/core/include' changing.c -o changing.so
END
make -s -C my
export DRIFT_PLUGINS="$PWD/my"

cat >train.lua <<'END'
-- Question: does a training notice that its plugins are reloaded?
local drift = require "drift"
local run = drift.experiment { epochs = 40, batch = 100, steps = 0, pause = 0.0, reload_after = 0 }
-- The times of always, but each of them slowly, until there is a file "done".
local slow = drift.define.time_sampling { name = "slow", doc = "evenly, with pauses", draw = function(_, _, u)
  if run.pause > 0 and not drift.exists "done" then drift.sleep(run.pause) end
  return u
end }
local net = drift.net { name = "net", children = {
    a = drift.block.linear { in_features = 784, out_features = 4 }, c = drift.block.changing { features = 4 },
    b = drift.block.linear { in_features = 4, out_features = 784 } },
  forward = function(self, x)
    return self.b(self.c(self.a(x:reshape { x.shape[1], 784 }))):reshape { x.shape[1], 1, 28, 28 }
  end }
drift.train {
  run = run, data = drift.dataset.mnist {}, model = net, process = drift.process.changing_process {},
  optim = drift.optim.changing_optim { lr = 0.01 }, time_sampling = slow {},
  after_epoch = function(_, epoch)
    if epoch == run.reload_after then
      drift.write_file("my/changing.c", "#define FACTOR 1.5\n" .. drift.read_file "my/changing.c")
      drift.reload "changing"
    end
  end }
END

# wait_for TEXT: until the program has said it
wait_for() {
    i=0
    until grep -q "$1" stderr; do
        i=$((i + 1))
        [ $i -lt 2400 ] && kill -0 $child 2>/dev/null || { cat stderr >&2; fail "it does not say '$1'"; }
        sleep 0.05
    done
}
reloads() { python3 -c 'import json, sys
print([(r["step"], r["plugin"], len(r["sha256"])) for r in json.load(open(sys.argv[1] + "/config.json")).get("reloads", [])])' "$1"; }

# ---- an unchanged plugin, and one that does not build: the same bits ----
"$DRIFT" run train.lua --threads 1 --out whole >stdout 2>stderr || { cat stderr >&2; fail "the training failed"; }
[ "$(reloads whole)" = "[]" ] || fail "reloads where there were none: $(reloads whole)"

: >stderr # an earlier one must not be taken for its own
"$DRIFT" run train.lua pause=0.001 --threads 1 --watch --out watched >stdout 2>stderr &
child=$!
wait_for "epoch 1/40: mean loss"
touch my/changing.c
wait_for "reloaded plugin changing"
cp my/changing.c kept
echo "this is no C" >>my/changing.c
wait_for "plugin changing is not reloaded, the earlier one goes on: it does not build"
grep -q "changing.c:.*error" stderr || { cat stderr >&2; fail "the compiler's message is not shown"; }
mv kept my/changing.c
: >done
wait $child || { cat stderr >&2; fail "the training did not go on"; }
cmp whole/checkpoint.safetensors watched/checkpoint.safetensors || fail "a reload of an unchanged plugin has changed the weights"
case "$(reloads watched)" in
"[("*", 'changing', 64)"*) ;;
*) fail "config.json does not have the reload: $(reloads watched)" ;;
esac

# ---- one that loads, and fails in its first step: nothing is lost, and the run goes on from there ----
rm done
cp my/changing.c kept
: >stderr # an earlier one must not be taken for its own
"$DRIFT" run train.lua pause=0.001 --threads 1 --watch --out stopped >stdout 2>stderr &
child=$!
wait_for "epoch 1/40: mean loss"
{ echo "#define FORWARD_FAILS"; cat kept; } >new
mv new my/changing.c
wait_for "block changing: not like this"
status=0
wait $child || status=$?
[ $status = 1 ] || { cat stderr >&2; fail "status $status where a step failed"; }
step=$(python3 -c 'import json; print(json.load(open("stopped/config.json"))["reloads"][-1]["step"])')
mv kept my/changing.c
touch my/changing.c
make -s -C my
: >done
"$DRIFT" run train.lua --threads 1 --resume stopped >stdout 2>stderr || { cat stderr >&2; fail "it cannot be resumed"; }
grep -q "resumed from stopped: .* and $step steps done" stderr || { cat stderr >&2; fail "it does not go on at step $step"; }
cmp whole/checkpoint.safetensors stopped/checkpoint.safetensors || fail "stopped by a failing version and resumed, it ends with other bits"

# ---- a changed one: its step is recorded, and a run that is stopped and resumed after it ends with the same bits ----
cp my/changing.c kept
"$DRIFT" run train.lua epochs=6 reload_after=2 --threads 1 --out changed >stdout 2>stderr || { cat stderr >&2; fail "the training failed"; }
[ "$(reloads changed)" = "[(20, 'changing', 64)]" ] || fail "the reload after step 20 is recorded as $(reloads changed)"
cp kept my/changing.c
make -s -C my
"$DRIFT" run train.lua epochs=6 reload_after=2 steps=40 --threads 1 --out parts >stdout 2>stderr || { cat stderr >&2; fail "the training failed"; }
python3 - <<'END' # a resumed run has the parameters of its own: the limit goes there
import json
config = json.load(open("parts/config.json"))
config["parameters"]["steps"] = 0
json.dump(config, open("parts/config.json", "w"))
END
"$DRIFT" run train.lua --threads 1 --resume parts >stdout 2>stderr || { cat stderr >&2; fail "it cannot be resumed"; }
grep -q "parts: plugins were reloaded on its way: changing after step 20" stderr || { cat stderr >&2; fail "resuming does not say that a plugin was reloaded"; }
[ "$(reloads parts)" = "[(20, 'changing', 64)]" ] || fail "after resuming the reloads are $(reloads parts)"
cmp changed/checkpoint.safetensors parts/checkpoint.safetensors || fail "resumed after a reload, it ends with other bits"

# ---- another version at resuming is noted ----
cp kept my/changing.c
make -s -C my
"$DRIFT" run train.lua --threads 1 --resume parts >stdout 2>stderr || { cat stderr >&2; fail "it cannot be resumed"; }
grep -q "parts: plugin changing is another version now" stderr || { cat stderr >&2; fail "another version is not noted"; }

# ---- outside of a training: before a drift.sample or drift.evaluate, and not by a second watcher within one ----
rm -f done
cat >sample.lua <<'END'
-- Question: is a plugin that changes swapped in between two samplings?
local drift = require "drift"
local net = drift.build(drift.net { name = "net", children = { c = drift.block.changing { features = 4 } },
  forward = function(self, x) return self.c(x:reshape { x.shape[1], 4 }):reshape { x.shape[1], 1, 2, 2 } end })
local sampled
while not drift.exists "done" do
  drift.sample { model = net, process = drift.process.flow_matching {}, sampler = drift.sampler.euler { steps = 2 },
                 shape = { 1, 2, 2 }, n = 1, quiet = true }
  if not sampled then drift.note "sampled once" end
  sampled = true
  drift.sleep(0.05)
end
END
: >stderr
touch my/changing.c # changed before it begins, and not built
"$DRIFT" run sample.lua --threads 1 --watch >stdout 2>stderr &
child=$!
wait_for "sampled once"
wait_for "reloaded plugin changing"
echo "this is no C" >>my/changing.c
wait_for "plugin changing is not reloaded, the earlier one goes on: it does not build"
: >done
wait $child || { cat stderr >&2; fail "sampling did not go on"; }
