#!/bin/sh
# drift check over Drift's own plugins, label: slow: every component keeps every promise, each in a process of its own, with
# memory counted and refused and on 1 and 2 threads. Data sets that would have to be fetched are skipped.
set -eu
check=$(dirname "$DRIFT")/drift-check
[ -x "$check" ] || { echo "drift-check is not built"; exit 77; }
mkdir offline
printf '#!/bin/sh\necho offline >&2\nexit 1\n' >offline/python3
chmod +x offline/python3
PATH=$PWD/offline:$PATH DRIFT_DATA=$DRIFT_TEST_DATA "$check" --seconds 120 "$DRIFT_PLUGIN_DIR"/*.so \
    image_folder.path="$DRIFT_TEST_DATA/images" unigram.path="$DRIFT_TEST_DATA/tokenizer/tokenizer.json" \
    sentencepiece.path="$DRIFT_TEST_DATA/tokenizer/spiece.model" >report || { grep -A1 '^FAILED' report; exit 1; }
! grep '^note ' report || exit 1
for kind in block conditioning schedule process time_sampling weighting coupling sampler timesteps guidance clip view filter optim \
    decay ema dataset metric tokenizer backend; do
    grep -q "^ok       $kind " report || { echo "no $kind was checked"; exit 1; }
done
ok=$(sed -n 's/^\([0-9]*\) ok, 0 failed.*/\1/p' report)
[ "$ok" -gt 1500 ] || { echo "only $ok checks were made"; exit 1; }
