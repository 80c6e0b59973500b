#!/bin/sh
# bad_input.sh: what a user can get wrong gives one clear message that says where, and exit status 1; nothing that was
# saved before is lost.
set -eu
fail() { echo "bad_input: $*" >&2; exit 1; }
export DRIFT_DATA="$DRIFT_TEST_DATA"

# refuses 'PATTERN' ARGUMENTS...: the program ends with status 1, says PATTERN on standard error, and no C or Lua
# traceback beside it
refuses() {
    pattern=$1
    shift
    status=0
    "$DRIFT" "$@" >stdout 2>stderr || status=$?
    [ $status = 1 ] || { cat stderr >&2; fail "status $status and not 1 from: drift $*"; }
    grep -Eq -- "$pattern" stderr || { cat stderr >&2; fail "no message like '$pattern' from: drift $*"; }
    if grep -Eq 'stack traceback|Segmentation|AddressSanitizer' stderr; then cat stderr >&2; fail "a traceback from: drift $*"; fi
}
script() { cat >"$1"; }

# ---- scripts --------------------------------------------------------------------------------------------------------
script syntax.lua <<'END'
local drift = require "drift"
local x = = 3
END
refuses 'syntax\.lua:2: ' run syntax.lua
refuses 'not_there\.lua' run not_there.lua
printf '\033Lua' >binary.lua
refuses 'binary\.lua' run binary.lua

script unknown_key.lua <<'END'
local drift = require "drift"

local sampler = drift.sampler.euler { stepz = 20 }
END
refuses "unknown_key\.lua:3: .*euler.*stepz.*did you mean 'steps'" run unknown_key.lua
script unknown_name.lua <<'END'
local drift = require "drift"
local sampler = drift.sampler.eulr { steps = 20 }
END
refuses "unknown_name\.lua:2: .*eulr.*did you mean 'euler'" run unknown_name.lua
script unknown_global.lua <<'END'
local drift = require "drift"
print(batchsize)
END
refuses "unknown_global\.lua:2: .*batchsize" run unknown_global.lua

script wrong_type.lua <<'END'
local drift = require "drift"
local optim = drift.optim.adam { lr = "fast" }
END
refuses 'wrong_type\.lua:2: .*adam.*lr (takes|must be) a number, (got|not) a string' run wrong_type.lua
script out_of_range.lua <<'END'
local drift = require "drift"
local optim = drift.optim.adam { lr = -1 }
END
refuses 'out_of_range\.lua:2: .*adam.*lr = -1 is outside' run out_of_range.lua

script deep_shape.lua <<'END'
local drift = require "drift"
local block = drift.block
local net = drift.build(drift.net { name = "unet",
  children = { down = drift.net { name = "down", children = { first = block.conv_block { in_channels = 1, out_channels = 4 },
                                                               second = block.conv_block { in_channels = 5, out_channels = 4 } },
                                  forward = function(net, x) return net.second(net.first(x)) end } },
  forward = function(net, x) return net.down(x) end })
net(drift.zeros(2, 1, 8, 8))
END
refuses 'unet\.down\.second\.c1\.conv\.0: conv2d: .*5.*got 4.*\[2,4,8,8\]' run deep_shape.lua

# ---- command line ---------------------------------------------------------------------------------------------------
mnist="$DRIFT_HOME/experiments/mnist_flow.lua"
refuses "epocs.*did you mean 'epochs'" run "$mnist" preset=smoke --set epocs=3
refuses 'epochs = two: expected a number' run "$mnist" preset=smoke --set epochs=two
refuses 'preset .tiny.: this script has quick, smoke, paper' run "$mnist" preset=tiny
refuses 'no backend .gpu9|backend .gpu9.' run "$mnist" preset=smoke --device gpu9
refuses 'precision is f32, bf16 or tf32, not bf17' run "$mnist" preset=smoke --precision bf17
refuses 'nowhere.*config\.json' run "$mnist" preset=smoke --resume nowhere
refuses 'nothing here is called' help no_such_thing

# ---- data -----------------------------------------------------------------------------------------------------------
mkdir data
cp "$DRIFT_TEST_DATA"/mnist/* data/
chmod u+w data/*
for file in data/train-images*; do
    size=$(wc -c <"$file")
    head -c $((size / 2)) "$file" >cut && mv cut "$file"
done
script data.lua <<'END'
local drift = require "drift"
local data = drift.build(drift.dataset.mnist { path = "data" })
END
refuses 'train-images.*' run data.lua
script no_data.lua <<'END'
local drift = require "drift"
local data = drift.build(drift.dataset.mnist { path = "no_such_folder" })
END
refuses 'no_such_folder' run no_data.lua

# ---- plugins --------------------------------------------------------------------------------------------------------
mkdir plugins
cp "$DRIFT_TEST_PLUGIN_DIR/other_major.so" plugins/
DRIFT_PLUGINS=$PWD/plugins
export DRIFT_PLUGINS
refuses 'other_major\.so: built for ABI .* rebuild it' run "$mnist" preset=smoke
unset DRIFT_PLUGINS

# ---- checkpoints ----------------------------------------------------------------------------------------------------
"$DRIFT" run "$mnist" preset=smoke --out good >stdout 2>stderr || { cat stderr >&2; fail "the smoke run failed"; }
for file in config.json metrics.jsonl checkpoint.safetensors samples.safetensors samples.png epoch_01.png loss.svg; do
    [ -s good/$file ] || fail "the smoke run left no $file"
done
refuses 'good holds a run already' run "$mnist" preset=smoke --out good

# A script that fails before anything was done leaves its folder to the corrected one, and keeps what was there before.
script late.lua <<'END'
local drift = require "drift"
local run = drift.experiment { epochs = 1 }
if #run.dir > 0 then drift.optim.adam { lr = -1 } end
END
refuses 'lr = -1.*outside' run late.lua --out late
refuses 'lr = -1.*outside' run late.lua --out late
[ ! -e late ] || fail "a script that failed at once left its folder"
mkdir late && echo mine >late/note
refuses 'lr = -1.*outside' run late.lua --out late
[ -s late/note ] && [ -e late/config.json ] || fail "a folder with other files in it was touched"

cp -r good cut
head -c 5000 good/checkpoint.safetensors >cut/checkpoint.safetensors
refuses 'cut/checkpoint\.safetensors' run "$mnist" --resume cut --set epochs=2
cp -r good garbled
{ printf '\377\377\377\377\377\377\377\177'; tail -c +9 good/checkpoint.safetensors; } >garbled/checkpoint.safetensors
refuses 'garbled/checkpoint\.safetensors' run "$mnist" --resume garbled --set epochs=2
cp -r good other
refuses 'other/checkpoint\.safetensors|unet' run "$mnist" --resume other --set epochs=2 --set hidden=16

# A full disk, by a limit on the size of files: 8 KiB is room for the text files and not for the checkpoint. Without
# pictures after an epoch, which resuming would draw again first.
cat >plain.lua <<'END'
local drift = require "drift"
local run = drift.experiment { epochs = 2, batch = 16, steps = 3 }
drift.train { run = run, data = drift.dataset.mnist {}, model = drift.models.cs180_unet { hidden = 8 },
              process = drift.process.fixed_noise {}, optim = drift.optim.adam {} }
END
"$DRIFT" run plain.lua --out full >stdout 2>stderr || { cat stderr >&2; fail "the plain training failed"; }
again() { "$DRIFT" run plain.lua --resume full --set steps=6; }
before=$(cksum <full/checkpoint.safetensors)
status=0
(trap '' XFSZ; ulimit -f 16; again) >stdout 2>stderr || status=$?
[ $status = 1 ] || { cat stderr >&2; fail "status $status and not 1 on a full disk"; }
grep -q 'full/checkpoint\.safetensors' stderr || { cat stderr >&2; fail "no message names the checkpoint on a full disk"; }
[ "$before" = "$(cksum <full/checkpoint.safetensors)" ] || fail "a full disk harmed the checkpoint that was there"
[ "$(find full -name '*tmp*' | wc -l)" = 0 ] || fail "a full disk left a temporary file"
again >stdout 2>stderr || { cat stderr >&2; fail "the run could not go on after the disk had room again"; }
