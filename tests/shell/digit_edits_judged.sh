#!/bin/sh
# label: slow
# digit_edits_judged.sh: the edits with the model of digits that preset=quick trains, each over 100 images that nothing
# was tuned on (seed 0), do what they promise by the classifier's reading:
#   anagrams read as 6 upright and as 9 turned in at least 70%, where plain nines do not; of all pairs of digits at
#       least 15%, where a model that heeds one condition of the two gives 5% (0, 1, 8 with themselves, 6 with 9)
#   hybrids read as the far digit when blurred and as the near one by their detail in at least 60%, either digit alone
#       in under 20%
#   inpainting leaves known pixels within 1e-6 and gives the right class, told, in at least 80%
#   image to image is the closer to the drawing, the later it starts
# It needs the whole of MNIST, since a thousand digits do not teach enough, and about 4 minutes on two idle cores, so it
# is run by who says where that lies; else it is skipped:
#   DRIFT_WHOLE_DATA=~/.cache/drift ./drift test digit_edits_judged        (a folder with mnist/)
set -eu
fail() { echo "digit_edits_judged: $*" >&2; exit 1; }

if [ -z "${DRIFT_WHOLE_DATA:-}" ]; then
    echo "digit_edits_judged: skipped: DRIFT_WHOLE_DATA does not say where the whole of MNIST is;" \
         "./drift run experiments/noising.lua fetches it into ~/.cache/drift"
    exit 77
fi
export DRIFT_DATA="$DRIFT_WHOLE_DATA"
if [ ! -e "$DRIFT_DATA/mnist/train-images-idx3-ubyte" ] && [ ! -e "$DRIFT_DATA/mnist/train-images-idx3-ubyte.gz" ]; then
    fail "$DRIFT_DATA/mnist has no training images"
fi

for name in anagram hybrid inpaint image_to_image; do
    "$DRIFT" run "$DRIFT_HOME/experiments/digits_$name.lua" preset=quick --out "$name" >stdout 2>"$name.notes" || {
        cat "$name.notes" >&2
        fail "$name: the run failed"
    }
    grep -E 'read|right class|named|falls' "$name.notes"
done
[ "$(grep -l 'training a model of digits' ./*.notes)" = ./anagram.notes ] || fail "the model was not trained once"

exec python3 - <<'PY'
import json, sys

names = "anagram", "hybrid", "inpaint", "image_to_image"
judged = {name: json.load(open(f"{name}/config.json"))["judged"] for name in names}
anagram, hybrid, inpaint = judged["anagram"], judged["hybrid"], judged["inpaint"]
wrong = []


def hold(what, share, low=0.0, high=1.0, n=100):
    if not (low <= share["value"] <= high and share["n"] >= n):
        wrong.append(f"{what}: {share['text']}, but should be {100 * low:g} to {100 * high:g}% of at least {n}")


hold("anagrams, both", anagram["anagram"]["both"], low=0.70)
hold("plain nines, both", anagram["plain_9"]["both"], high=0.20)
hold("anagrams of every pair", anagram["every_pair"], low=0.15)
hold("hybrids, both", hybrid["hybrid"]["both"], low=0.60)
hold("plain sixes, both", hybrid["plain_6"]["both"], high=0.20)
hold("plain fives, both", hybrid["plain_5"]["both"], high=0.20)
hold("inpainting, class given", inpaint["class"]["right"], low=0.80)
for way, result in inpaint.items():
    if way != "known" and not result["known_off"] <= 1e-6:
        wrong.append(f"inpainting, {way}: known pixels are {result['known_off']} off")
for condition, result in judged["image_to_image"].items():
    distances = [at["distance"]["value"] for at in result["starts"]]
    if len(distances) != 6 or not all(a > b for a, b in zip(distances, distances[1:])):
        wrong.append(f"image to image, {condition}: the mean distance does not fall: {distances}")

for line in wrong:
    print(f"digit_edits_judged: {line}", file=sys.stderr)
sys.exit(1 if wrong else 0)
PY
