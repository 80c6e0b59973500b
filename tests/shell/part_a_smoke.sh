#!/bin/sh
# label: slow
# part_a_smoke.sh: every script in experiments/part_a runs with preset=smoke on tiny models of DeepFloyd IF's form, with a
# tiny T5, on a photograph of another size, and leaves the pictures that it promises, whole; resumed, the same bytes. On a
# digit model the same scripts run with classes for prompts. Without a model each says what it needs, and makes no folder.
set -eu
fail() { echo "part_a_smoke: $*" >&2; exit 1; }
[ -d "$DRIFT_FIXTURES/if/stage1_b" ] || { echo "part_a_smoke: no fixtures of DeepFloyd IF in $DRIFT_FIXTURES" >&2; exit 77; }
check="$DRIFT_HOME/tests/shell/check_pictures.py"
photo="$DRIFT_TEST_DATA/images/disc/3_420.jpg"
sketch="$DRIFT_TEST_DATA/images/square/7_1bit.png"

run() { "$DRIFT" run "$@" >stdout 2>stderr || { cat stderr >&2; fail "$* failed"; }; }
refused() { # TEXT ARGUMENTS...: fails with that text
    text=$1
    shift
    if "$DRIFT" run "$@" >stdout 2>stderr; then fail "$* should fail"; fi
    grep -qF -- "$text" stderr || { cat stderr >&2; fail "$*: the message lacks: $text"; }
    [ ! -e runs ] || fail "$*: made a folder"
}

promised() {
    case $1 in
    a0_text_to_image) echo samples.png samples_stage2.png steps_2.safetensors ;;
    a1_denoising)     echo denoisers.png iterative.png samples.safetensors ;;
    a2_sampling)      echo samples.png samples.safetensors ;;
    a3_guidance)      echo guidance.png samples.safetensors ;;
    a4_image_to_image) echo image_to_image.png samples.safetensors ;;
    a5_inpainting)    echo inpainting.png samples.safetensors ;;
    a6_anagrams)      echo anagrams.png samples.safetensors ;;
    a7_hybrids)       echo hybrids.png samples.safetensors ;;
    a8_stage2)        echo stage2.png samples.safetensors ;;
    *) fail "a new script: say here what $1 promises" ;;
    esac
}

# What a script is told beside the model; $2: of text, or of digits.
particular() {
    case $1 in
    a1_denoising | a5_inpainting | a8_stage2) echo "image=$photo" ;;
    a4_image_to_image) echo "image=$photo | $sketch" ;;
    *) echo "negative=" ;;
    esac
}

digits="$PWD/digits"
DRIFT_DATA="$DRIFT_TEST_DATA" run "$DRIFT_HOME/experiments/mnist_flow.lua" preset=smoke --out "$digits"
scripts=0
for script in "$DRIFT_HOME"/experiments/part_a/*.lua; do
    name=$(basename "$script" .lua)
    scripts=$((scripts + 1))
    refused "--set model=FOLDER" "$script" preset=smoke
    refused "model = none: there is no such file or folder" "$script" preset=smoke model=none "image=$photo" stage2="$DRIFT_FIXTURES/if/stage2_b"
    run "$script" preset=smoke "model=$DRIFT_FIXTURES/if/stage1_b" "stage2=$DRIFT_FIXTURES/if/stage2_b" \
        "text=$DRIFT_FIXTURES/t5/tiny" "$(particular "$name")" --out "$name"
    for file in $(promised "$name"); do [ -s "$name/$file" ] || fail "$name: there is no $file"; done
    # shellcheck disable=SC2046   # names without blanks
    python3 "$check" $(find "$name" -name '*.png') || fail "$name: a picture is not whole"
    mkdir -p before
    rm -rf "before/$name"
    cp -r "$name" "before/$name"
    find "$name" -name '*.png' -exec rm {} +
    run "$script" --resume "$name"
    for file in $(promised "$name"); do
        cmp "before/$name/$file" "$name/$file" || fail "$name: resumed, $file is another"
    done

    case $name in a0_* | a8_*) continue ;; esac
    prompt=3
    case $name in a6_* | a7_*) prompt="6 | 9" ;; esac
    run "$script" preset=smoke "model=$digits" "prompt=$prompt" "$(particular "$name")" --out "$name-digits"
    for file in $(promised "$name"); do [ -s "$name-digits/$file" ] || fail "$name on digits: there is no $file"; done
done
[ $scripts -eq 9 ] || fail "$scripts scripts, not 9"

a=$DRIFT_HOME/experiments/part_a
m="model=$DRIFT_FIXTURES/if/stage1_b"
refused "--set image=PATH" "$a/a4_image_to_image.lua" "$m"
refused "--set stage2=FOLDER" "$a/a8_stage2.lua" "$m" "image=$photo"
t="text=$DRIFT_FIXTURES/t5/tiny"
refused_later() { # TEXT ARGUMENTS...: the same once the model is open
    rm -rf refused
    message=$1
    shift
    if "$DRIFT" run "$@" preset=smoke "$t" --out refused >stdout 2>stderr; then fail "$* should fail"; fi
    grep -qF -- "$message" stderr || { cat stderr >&2; fail "$*: the message lacks: $message"; }
    [ ! -e refused/samples.safetensors ] || fail "$*: made samples"
}
refused_later 'this experiment takes 1 prompt; "a | b" is 2' "$a/a2_sampling.lua" "$m" "prompt=a | b"
refused_later 'this experiment takes 2 prompts' "$a/a6_anagrams.lua" "$m" prompt=a
refused_later 'this experiment takes 1 picture' "$a/a5_inpainting.lua" "$m" "image=$photo | $sketch"
refused_later 'is not stage II' "$a/a0_text_to_image.lua" "$m" "stage2=$DRIFT_FIXTURES/if/stage1_b"
refused_later 'is stage II' "$a/a2_sampling.lua" "model=$DRIFT_FIXTURES/if/stage2_b"
refused_later 'this model draws classes' "$a/a2_sampling.lua" "model=$digits"
echo text >no_picture.png
refused "no_picture.png: neither a PNG nor a JPEG" "$a/a4_image_to_image.lua" "$m" "image=$photo | no_picture.png"
refused "no_picture.png: neither a PNG nor a JPEG" "$a/a5_inpainting.lua" "$m" "image=$photo" mask=no_picture.png
refused "image = none.png: there is no such file" "$a/a1_denoising.lua" "$m" image=none.png
refused "mask = none.png: there is no such file" "$a/a5_inpainting.lua" "$m" "image=$photo" mask=none.png
