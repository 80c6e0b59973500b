#!/bin/sh
# label: slow
# kill_and_resume.sh: a run that is killed (SIGKILL) at any moment, as often as one likes, and resumed each time, ends
# with the same bytes in its checkpoint, averages of weights, snapshots, metrics, tables, curve and pictures as one that
# never was. Moments are drawn over the whole length of what is left of a run, more densely at its start and end and while a
# file is being written, from a seed that is printed. DRIFT_KILLS=60 ./drift test kill_and_resume kills more often (for
# more than ctest has time for: DRIFT_KILLS=300 sh tests/run_one.sh $PWD/build k sh $PWD/tests/shell/kill_and_resume.sh);
# KILL_SEED repeats a draw.
set -eu
kills=${KILLS:-${DRIFT_KILLS:-4}}
seed=${KILL_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
echo "kill_and_resume: KILLS=$kills KILL_SEED=$seed"
fail() { echo "kill_and_resume: KILL_SEED=$seed: $*" >&2; exit 1; }
export DRIFT_DATA="$DRIFT_TEST_DATA"

# Everything that a training keeps, in a small one that saves often: 30 steps of 3 epochs.
cat >train.lua <<'LUA'
local drift = require "drift"
local run = drift.experiment { epochs = 3, batch = 100, lr = 1e-3 }
local process = drift.process.flow_matching {}
local function draw(net, steps)
  return drift.sample { model = net, process = process, sampler = drift.sampler.euler { steps = steps }, n = 10,
                        labels = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 }, shape = { 1, 28, 28 }, quiet = true }
end
local net, averages = drift.train {
  run = run, data = drift.dataset.mnist {}, process = process, p_uncond = 0.1, checkpoint_every = 2, ema_every = 3,
  model = drift.models.cs180_unet { hidden = 1, time = "add", class = "scale" },
  optim = drift.optim.adam { lr = run.lr }, decay = drift.decay.exponential { to = 0.1 },
  ema = { drift.ema.power { sigma_rel = 0.05 }, drift.ema.power { sigma_rel = 0.1 }, drift.ema.warmup {} },
  after_epoch = function(net, epoch, averages)
    local images = averages[2]:with(draw, net, 2)
    run:log { note = "averaged", mean = images:mean():item() }
    run:figure(("epoch_%d"):format(epoch), drift.class_grid(images, { classes = 10, rows = 1 }))
  end }
averages[1]:swap()
drift.save_tensors(run:path "samples.safetensors", { images = draw(net, 10) })
net:save(run:path "averaged.safetensors")
LUA

"$DRIFT" run train.lua --threads 1 --out warm >stdout 2>stderr || { cat stderr >&2; fail "the run failed"; }
begun=$(date +%s%N)
"$DRIFT" run train.lua --threads 1 --out whole >stdout 2>stderr || { cat stderr >&2; fail "the whole run failed"; }
length=$((($(date +%s%N) - begun) / 1000000))

# What must be equal, of one run: no word about timing, and which file it is.
show() {
    (cd "$1" && sed 's/"seconds": [0-9.e-]*/"seconds": 0/' metrics.jsonl &&
        sed 's/,[0-9.e-]*$/,0/' metrics.csv && # its last column is seconds
        for file in *.safetensors ema/*.safetensors loss.svg *.png *.tfevents.*; do cksum "$file"; done)
}
show warm >warm.shown
show whole >whole.shown
cmp warm.shown whole.shown || fail "two runs that nobody stopped differ"
grep -q '"mean"' whole.shown || fail "after_epoch logged nothing"

# For each kill: how far into what is left of the run; what to wait for then (1: a file that is being written, 2: the
# checkpoint of the last step, and some milliseconds); whether to kill the same run again.
awk -v s="$seed" -v n="$((20 * kills + 100))" 'BEGIN {
    srand(s)
    for (i = 0; i < n; i++) {
        kind = rand(); u = rand()
        at = kind < 0.15 ? 0.08 * u : kind < 0.35 ? 0.85 + 0.2 * u : u
        printf "%.4f %d %d\n", at, (kind > 0.9 ? 2 : (kind > 0.7)), (rand() < 0.6)
    } }' >draws

step_of() { head -c 20000 "$1" | grep -ao '"step":"[0-9]*"' | head -n 1 | tr -dc 0-9; }

# Where the run in $1 was: from what it left.
place() {
    writing=$(find "$1" -name '.drift-*.tmp' 2>/dev/null | sed 's|.*/||' | head -n 1)
    if [ ! -e "$1/config.json" ]; then echo "before it had a config.json${writing:+, writing it}"
    elif [ -e "$1/averaged.safetensors" ]; then echo "at its very end${writing:+, writing a file}"
    elif [ ! -e "$1/checkpoint.safetensors" ]; then echo "before its first checkpoint${writing:+, writing a file}"
    elif [ "$(step_of "$1/checkpoint.safetensors")" = 30 ]; then echo "after the last step${writing:+, writing a file}"
    else echo "checkpoint of step $(step_of "$1/checkpoint.safetensors")${writing:+, writing a file}"; fi
}

begin() { # as a user would: resumed where there is something to resume
    if [ -e part/config.json ]; then set -- --resume part; else set -- --out part; fi
    "$DRIFT" run train.lua --threads 1 "$@" >stdout 2>stderr &
    child=$!
}

wait_for_the_end() {
    while kill -0 $child 2>/dev/null; do
        if [ -e part/checkpoint.safetensors ] && [ "$(step_of part/checkpoint.safetensors)" = 30 ]; then
            sleep "$(awk -v at="$1" 'BEGIN { printf "%.3f", at * 0.08 }')"
            return 0
        fi
    done
}

wait_for_writing() {
    while kill -0 $child 2>/dev/null; do
        for name in part/.drift-*.tmp part/ema/.drift-*.tmp; do [ ! -e "$name" ] || return 0; done
    done
}

done_kills=0 runs=0 draw=0
: >places
while [ "$done_kills" -lt "$kills" ]; do
    rm -rf part
    more=1
    while [ $more = 1 ]; do
        draw=$((draw + 1))
        # shellcheck disable=SC2046   # three words, see above
        set -- $(sed -n "${draw}p" draws)
        step=0
        [ ! -e part/checkpoint.safetensors ] || step=$(step_of part/checkpoint.safetensors)
        begin
        sleep "$(awk -v at="$1" -v l="$length" -v s="$step" \
            'BEGIN { printf "%.3f", at * l / 1000 * (0.1 + 0.9 * (30 - s) / 30) }')"
        case $2 in 1) wait_for_writing ;; 2) wait_for_the_end "$1" ;; esac
        more=$3
        kill -KILL $child 2>/dev/null || :
        status=0
        wait $child 2>/dev/null || status=$?
        if [ $status = 137 ]; then
            done_kills=$((done_kills + 1))
            place part >>places
        elif [ $status = 0 ]; then
            more=0                                             # it had ended
        else
            cat stderr >&2
            fail "status $status after a resume"
        fi
    done
    begin
    wait $child || { cat stderr >&2; fail "the run cannot be resumed after: $(tail -n 1 places)"; }
    show part >part.shown
    if ! cmp whole.shown part.shown; then
        diff whole.shown part.shown >&2 || :
        fail "the bytes differ after: $(tail -n 3 places)"
    fi
    left=$(find part -name '.drift-*.tmp')
    [ -z "$left" ] || fail "a killed write was left behind: $left"
    runs=$((runs + 1))
done
echo "kill_and_resume: $done_kills kills in $runs runs of $length ms, killed:"
sort places | uniq -c | sort -k 2,3 -k 5n
