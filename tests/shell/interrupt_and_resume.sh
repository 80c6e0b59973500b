#!/bin/sh
# interrupt_and_resume.sh: Ctrl-C finishes the step, writes a checkpoint and says how to go on; a run that was stopped
# and resumed ends with the same weights, optimizer state and losses, bit for bit, as one that was not.
set -eu
fail() { echo "interrupt_and_resume: $*" >&2; exit 1; }
export DRIFT_DATA="$DRIFT_TEST_DATA"
mnist="$DRIFT_HOME/experiments/mnist_flow.lua"
settings="preset=smoke steps=0 epochs=2 batch=50 hidden=4 sample_steps=2"

# shellcheck disable=SC2086   # several words on purpose
"$DRIFT" run "$mnist" $settings --threads 1 --out whole >stdout 2>stderr || { cat stderr >&2; fail "the whole run failed"; }

# Stop after the first logged progress, wherever that is; the signal goes to the program itself.
# shellcheck disable=SC2086
"$DRIFT" run "$mnist" $settings --threads 1 --out parts >stdout 2>stderr &
child=$!
i=0
while [ ! -s parts/config.json ] || ! grep -q training parts/config.json; do
    i=$((i + 1))
    [ $i -lt 600 ] || fail "the run did not start"
    sleep 0.05
done
sleep 0.2
kill -INT $child 2>/dev/null || :
status=0
wait $child || status=$?
if [ $status != 0 ]; then
    [ $status = 130 ] || { cat stderr >&2; fail "status $status and not 130 after Ctrl-C"; }
    grep -q -- '--resume parts' stderr || { cat stderr >&2; fail "it does not say how to resume"; }
    "$DRIFT" run "$mnist" --threads 1 --resume parts >stdout 2>stderr || { cat stderr >&2; fail "the run cannot be resumed"; }
    grep -q 'resumed from parts' stderr || fail "it does not say that it resumed"
else
    echo "the run ended before the signal" >&2
fi
cmp whole/checkpoint.safetensors parts/checkpoint.safetensors || fail "the checkpoints differ"
cmp whole/samples.safetensors parts/samples.safetensors || fail "the samples differ"
# Losses as numbers, without the wall-clock times: how many digits a line is written with depends on those.
losses() {
    python3 -c 'import json, sys
for line in open(sys.argv[1]):
    record = json.loads(line)
    record.pop("seconds", None)
    print(sorted(record.items()))' "$1"
}
losses whole/metrics.jsonl >whole.losses
losses parts/metrics.jsonl >parts.losses
cmp whole.losses parts.losses || fail "the losses differ"
