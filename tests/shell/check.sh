#!/bin/sh
# drift check: of a plugin whose components break one promise each, exactly those lines fail, with a message that says what was
# seen; what crashes, hangs or ends the process is one failed line, and the others go on. Components in Lua are checked the same.
# A template keeps all promises. Wrong arguments are one line.
set -eu
check=$(dirname "$DRIFT")/drift-check
[ -x "$check" ] || { echo "drift-check is not built"; exit 77; }
fail() { echo "$*"; exit 1; }

# ---- broken promises -----------------------------------------------------------------------------------------------------
# A line that fails | a part of its message. malloc: only where blocks of malloc are counted.
cat >expected <<'END'
block dead_weight: every weight and input has a gradient|weight b.unused gets no gradient
block dead_weight: each gradient is that of finite differences|weight b.unused gets no gradient
block forgets_state: weights and buffers survive a file|neither a weight nor a buffer
block nan_block: each gradient is that of finite differences|not finite
block nan_block: training and evaluation agree on shapes|its output in training: element 0 of f32[2,4,6,6] is nan
block nan_block: its numbers are finite|nan
block sees_neighbours: in evaluation no row sees its neighbours|row 0 differs by
block wrong_shape: training and evaluation agree on shapes|in evaluation its output is f32[2,2,6,6] where f32[2,4,6,6] belongs
clip crashes: holds each image within the data|crashed: signal 11 (Segmentation fault) in crashes_apply
conditioning ignores_time: depends on what it is given|another time changes its output by 0 only
conditioning ignores_time: sites may be tokens|another time
coupling not_deterministic: the same work gives the same bits, whatever ran between|gives other numbers
coupling not_deterministic: 1 and 2 threads agree|1 thread gives
coupling not_deterministic: running out of memory is an error|its numbers are others
coupling pairs_twice: each image gets one noise, and no noise is used twice|row 2 goes with image 3
dataset another_each_time: images are whole, in range, and the same each time|another one when it is read again
dataset another_each_time: the same work gives the same bits, whatever ran between|gives other numbers
dataset another_each_time: 1 and 2 threads agree|1 thread gives
dataset another_each_time: running out of memory is an error|its numbers are others
dataset too_bright: images are whole, in range, and the same each time|number 0 of image 9 is 255, outside [0, 1]
decay aborts: starts at 1 and never rises|crashed: signal 6 (Aborted) in give_up_loudly
decay ends_process: starts at 1 and never rises|ended the process: exit(3) in give_up
ema forgets_again: decays are shares that never fall|decay(1000000) = 0.99 after 0.999
filter hides_alloc_failure: running out of memory is an error|malloc 1 is refused it goes on with wrong numbers|malloc
filter ignores_alloc_failure: running out of memory is an error|crashed: signal 11 (Segmentation fault) in ignores_apply|malloc
filter keeps_tensors: nothing is left behind|a dr_keep without its dr_release
filter keeps_tensors: running out of memory is an error|tensors are left behind
filter leaks: nothing is left behind|77 bytes that leaks_apply asked for|malloc
filter leaves_files_open: nothing is left behind|each use leaves files open
filter moves_away: leaves the process as it was|it changes the working directory from
filter sets_locale: leaves the process as it was|it changes the locale from C to C.UTF-8
filter takes_signals: leaves the process as it was|it changes the handler of signal 2
filter no_doc: is named and documented, and its parameters' rows make sense|parameter size has no doc
filter not_linear: is linear and keeps the mean where it claims so|it is not linear
filter prints: leaves the process as it was|it prints: "a filter is applied"
filter rounds_down: the same work gives the same bits, whatever ran between|gives other numbers
filter rounds_down: running out of memory is an error|its numbers are others
filter rounds_down: leaves the process as it was|how floating-point numbers are rounded
guidance mixes_images: gives each image an estimate of its own|when it is alone in its batch
metric order_matters: the order of batches does not matter|in the other order
metric order_matters: has an interval that shrinks with more samples|intervals have width
op bad_gradient: each gradient is that of finite differences|gradient of input 1 at element 0 is
op bad_share: each gradient is that of finite differences|gradient of input 2 at element 0 is
op wrong_kernel: its kernels agree with its composed form|its kernel for f32 on ref differs from its composed form by
optim keeps_count: goes on from a file|something that it keeps is in no slot
process wrong_derivative: inverts itself, and its samples are the data|dsigma is 1.1, and sigma's slope 1
sampler no_noise: samples have the data's moments|samples of data with mean 0.4 have mean
sampler wrong_order: converges at the order that it declares|it declares order 2 and converges at order 1.0
schedule beta_above_1: betas stay between 0 and 1|beta of step 901 of 1000 is 1.5
schedule beta_above_1: makes a chain whose signal falls at every step|outside (0, 1)
schedule loops_forever: betas stay between 0 and 1|took longer than 
schedule loops_forever: makes a chain whose signal falls at every step|took longer than 
time_sampling too_late: times are ones that the process can be trained on|is outside [0.002, 80]
tokenizer loses_text: what it decodes is encoded the same again|23 ids, then 19
view fails_silently: is linear, orthogonal and exactly inverted|it gives nothing, and no error
view not_inverted: is linear, orthogonal and exactly inverted|invert is off by
weighting by_prediction: the prediction does not change what counts|what counts depends on what is predicted
END
seconds=2
if grep -qa __asan_init "$check"; then # it has a malloc of its own, and takes its time
    grep -v '|malloc$' expected | sed 's/|crashed: signal 11.*/|/' >counted # and ends a process in its own way
    mv counted expected
    seconds=10
fi

status=0
"$check" --seconds $seconds "$DRIFT_TEST_PLUGIN_DIR/broken_promises.so" >report || status=$?
[ $status = 1 ] || fail "broken promises end with status $status"
sed -n 's/^FAILED   //p' report | sort >failed
cut -d'|' -f1 expected | sort | diff - failed || fail "other lines fail than those that should"
while IFS='|' read -r line part _; do
    message=$(grep -A1 -F "FAILED   $line" report | sed 1d)
    case $message in *"$part"*) ;; *) fail "'$line' says: $message" ;; esac
done <expected
# By its processor's time, or on a machine where it gets little of that by the clock.
[ "$(grep -c 'took longer than .* in loops_beta$' report)" = 2 ] || fail "it is not said where loops_forever was: $(grep -A1 loops_forever report)"
grep -A1 '^note ' report | grep -q 'exports 1 other name: broken_promises_exported' || fail "an exported name is not noted"
grep -q "^ok       sampler wrong_order: samples have the data's moments" report || fail "others do not go on"
tail -n 1 report | grep -q " ok, $(wc -l <expected) failed, " || fail "it counts otherwise: $(tail -n 1 report)"

# ---- loading ---------------------------------------------------------------------------------------------------------------
status=0
"$check" "$DRIFT_TEST_PLUGIN_DIR/crashes_at_load.so" "$DRIFT_TEST_PLUGIN_DIR/no_entry.so" >report || status=$?
[ $status = 1 ] || fail "what cannot be loaded ends with status $status"
grep -A1 'crashes_at_load.so: loads' report | grep -q 'crashed: signal 11 (Segmentation fault) in start\|ended the process' || fail "$(cat report)"
grep -A1 'no_entry.so: loads' report | grep -q 'no symbol dr_plugin_entry' || fail "$(cat report)"

# ---- kept promises: a template; those of all kinds are checked in plugin_new.sh ----------------------------------------------
${CC:-cc} -std=gnu11 -O1 -shared -fPIC -fvisibility=hidden -I "$DRIFT_HOME/core/include" "$DRIFT_HOME"/plugins/template/plugin.c \
    "$DRIFT_HOME"/plugins/template/sampler/*.c -lm -o template.so
"$DRIFT" check template.so >report || fail "$(cat report)"
grep -q '^ok       sampler my_sampler: converges at the order that it declares' report || fail "$(cat report)"
tail -n 1 report | grep -q '^[0-9]* ok, 0 failed, 0 skipped$' || fail "the template: $(cat report)"

# A metric may refuse samples for which real images are missing, at once or when it is asked for its value.
mkdir strict
cp "$DRIFT_HOME"/plugins/template/plugin.c strict/
sed '/^    (void)label;/a\    if (((my_metric *)self)->real.n == 0) return dr_fail(DR_EINVAL, "metric my_metric: needs real images first");' \
    "$DRIFT_HOME"/plugins/template/metric/my_metric.c >strict/my_metric.c
[ "$(grep -c 'needs real images first' strict/my_metric.c)" = 2 ] || fail "the template of a metric is another one"
${CC:-cc} -std=gnu11 -O1 -shared -fPIC -fvisibility=hidden -I "$DRIFT_HOME/core/include" strict/*.c -lm -o strict.so
"$DRIFT" check strict.so >report || fail "$(cat report)"

# ---- Lua ---------------------------------------------------------------------------------------------------------------------
cat >mine.lua <<'END'
local drift = require "drift"
drift.define.block {
  name = "lua_gate", doc = "Squeeze-and-excitation", example = "2,4,8,8", example_args = { channels = 4 },
  params = { { "channels", "int", required = true, min = 1, max = 65536, doc = "channels of the image" } },
  create = function(self, b)
    self.layer = b:child("layer", drift.block.linear { in_features = self.channels, out_features = self.channels })
  end,
  forward = function(self, x) return x * self.layer(x:mean { 2, 3 }):sigmoid():reshape(-1, self.channels, 1, 1) end,
}
drift.define.schedule { name = "lua_wrong", doc = "above 1", beta = function(self, i, T) return i == 3 and 2 or 0.1 end }
END
status=0
"$DRIFT" check mine.lua >report || status=$?
[ $status = 1 ] || fail "a Lua file ends with status $status"
grep -q '^ok       block lua_gate: each gradient is that of finite differences' report || fail "$(cat report)"
! grep '^FAILED   block' report || fail "$(cat report)"
grep -A1 '^FAILED   schedule lua_wrong: betas' report | grep -q 'beta of step 3 of 20 is 2' || fail "$(cat report)"

# ---- parameters, JSON, wrong arguments --------------------------------------------------------------------------------------
"$DRIFT" check "$DRIFT_PLUGIN_DIR/tokenizers.so" unigram.path="$DRIFT_TEST_DATA/tokenizer/tokenizer.json" >report || fail "$(cat report)"
grep -q '^ok       tokenizer unigram: what it decodes is encoded the same again' report || fail "$(cat report)"
grep -q '^skipped  tokenizer sentencepiece: .*sentencepiece.path=' report || fail "$(cat report)"
"$DRIFT" check --json "$DRIFT_PLUGIN_DIR/decay.so" >report || fail "$(cat report)"
python3 -c 'import json; r = json.load(open("report")); assert r["failed"] == 0 and r["ok"] == len(r["checks"]) > 20' || fail "no such JSON"
wrong() { # wrong MESSAGE ARGUMENT...
    part=$1
    shift
    status=0
    "$DRIFT" check "$@" >out 2>&1 || status=$?
    [ $status = 2 ] && [ "$(wc -l <out)" = 1 ] && grep -q "$part" out || fail "drift check $*: $status, $(cat out)"
}
wrong 'No such file' not_there.so
wrong 'NAME.PARAM=VALUE' template.so steps=3
wrong 'needs a number above 0' --seconds soon template.so
