#!/bin/sh
# label: slow
# experiments_smoke.sh: every script in experiments/ runs with preset=smoke on the subset of MNIST, in seconds, and
# leaves the pictures that it promises, each whole by its format's rules. Resumed after its end with all pictures gone,
# it makes every one again, with the same bytes. A new script is run as well; what it promises is a line in promised()
# below.
set -eu
fail() { echo "experiments_smoke: $*" >&2; exit 1; }
export DRIFT_DATA="$DRIFT_TEST_DATA"
check="$DRIFT_HOME/tests/shell/check_pictures.py"

promised() {
    case $1 in
    noising)            echo noising.png ;;
    denoiser)           echo epoch_01.png out_of_distribution.png loss.svg ;;
    denoise_pure_noise) echo epoch_01.png loss.svg ;;
    ddpm_time | flow_time)
        echo epoch_01.png samples.png samples.safetensors denoising.gif training.gif loss.svg ;;
    mnist_flow | ddpm_class)
        echo epoch_01.png samples.png samples.safetensors guidance.png denoising.gif training.gif loss.svg ;;
    without_decay)
        echo samples.png losses.svg decay/loss.svg decay/epoch_01.png decay/samples.png decay/training.gif \
             constant/loss.svg constant/epoch_01.png constant/samples.png constant/training.gif ;;
    time_injection)
        echo samples.png losses.svg add/loss.svg add/epoch_01.png add/samples.png add/training.gif \
             scale/loss.svg scale/epoch_01.png scale/samples.png scale/training.gif ;;
    improved_unet)
        echo samples.png losses.svg noise_levels.svg evaluation_plain.json evaluation_improved.json improved/samples.png ;;
    predictions)
        echo samples.png losses.svg noise_levels.svg eps/evaluation.json v_min_snr/samples.png ;;
    rectified_flow)
        echo samples.png ddpm/loss.svg rectified_flow/loss.svg ;;
    reflow)
        echo few_steps.png pairs.safetensors evaluation_reflow_1.json first/loss.svg reflow/loss.svg ;;
    samplers)
        echo samplers.png loss.svg ;;
    ema_width)
        echo ema_width.png evaluation_last.json evaluation_width_0.15.json loss.svg ;;
    couplings)
        echo samples.png losses.svg evaluation_ot_2.json ot/loss.svg ;;
    guidance)
        echo guidance.png evaluation_5.json net/loss.svg weak/loss.svg ;;
    digits_anagram)
        echo anagram.png plain_6.png every_pair.png anagram.safetensors ;;
    digits_hybrid)
        echo hybrid.png every_pair.png hybrid.safetensors ;;
    digits_inpaint)
        echo inpainting.png inpainting.safetensors ;;
    digits_image_to_image)
        echo image_to_image.png ;;
    compare_class_conditioning)
        echo comparison.json report.html report.md results.csv scale/seed_1/samples.png scale/seed_1/loss.svg \
             cross_attention/seed_1/cost_quality.json film/seed_1/trajectory.safetensors ;;
    esac
}

pictures_of() { find "$1" -name '*.png' -o -name '*.gif' -o -name '*.svg' | sort; }

# run NAME WHAT ARGUMENTS...
run() {
    name=$1 what=$2
    shift 2
    "$DRIFT" run "$DRIFT_HOME/experiments/$name.lua" "$@" >stdout 2>stderr || { cat stderr >&2; fail "$name: the run $what failed"; }
}

scripts=0
for script in "$DRIFT_HOME"/experiments/*.lua; do
    name=$(basename "$script" .lua)
    scripts=$((scripts + 1))
    run "$name" "with preset=smoke" preset=smoke --out "$name"
    for file in $(promised "$name"); do
        [ -s "$name/$file" ] || fail "$name: there is no $file"
    done
    # shellcheck disable=SC2046   # names without blanks
    python3 "$check" $(pictures_of "$name") || fail "$name: a picture is not whole"
    if [ -n "$(promised "$name")" ]; then
        grep -q '^wall time .* everything is in' stderr || fail "$name: it does not say the wall time"
        [ ! -s "$name/metrics.jsonl" ] || grep -q 'final loss [0-9.]* (mean of epoch 1)' stderr || fail "$name: no final loss"
    fi

    pictures_of "$name" >"$name.pictures"
    mkdir -p "before/$name"
    (cd "$name" && find . \( -name '*.png' -o -name '*.gif' -o -name '*.svg' \) -exec sh -c '
        mkdir -p "../before/$0/$(dirname "$1")" && mv "$1" "../before/$0/$1"' "$name" {} \;)
    run "$name" "that resumes it" --resume "$name"
    while read -r picture; do
        cmp "before/$picture" "$picture" || fail "$name: resumed, $picture is another"
    done <"$name.pictures"
done
[ $scripts -ge 23 ] || fail "only $scripts scripts"
