# --precision and precision = in a config: who decides, what is said, what is recorded. On the portable instruction set
# bf16 is emulated on every machine.
. "$(dirname "$0")/tap.sh"
export MNISTLUA_ISA=portable
note='^note: AMX: .*; bf16 products are computed by an exact emulation \(the same bits, slower\)$'
tiny >tiny.lua
tiny 'e.precision = "bf16"' >bf16.lua

check "f32 is the default" 0 out='"precision":"f32"' noerr='note:' -- "$program" tiny.lua --json
check "--precision bf16 says that it is emulated" 0 out='"precision":"bf16"' err="$note" err='portable, bf16\)$' -- \
  "$program" tiny.lua --json --precision bf16
if [ "$(grep -c '^note:' err)" = 1 ]; then ok "once"; else not_ok "once" "$(cat err)"; fi
check "so does the config" 0 out='"precision":"bf16"' err="$note" -- "$program" bf16.lua --json
check "the command line overrules the config" 0 out='"precision":"f32"' noerr='note:' -- "$program" bf16.lua --json --precision f32
check "--quiet is quiet" 0 out='"precision":"bf16x3"' lines=0 -- "$program" tiny.lua --json --quiet --precision bf16x3
check "auto is f32 without AMX" 0 out='"precision":"f32"' noerr='note:' -- "$program" tiny.lua --json --precision auto
check "the result's file has it" 0 out='"precision":"bf16"' -- bash -c '"$0" bf16.lua --quiet --out o && cat o/*/result.json' "$program"
check "the weights' file has it" 0 out='"mnistlua.precision":"bf16"' -- bash -c 'head -c 2000 o/*/model.safetensors | tr -d "\0"'
check "a wrong value" 2 err="--precision: expected f32, bf16, bf16x3, auto, got 'bf61'; did you mean 'bf16'\?" lines=1 -- \
  "$program" tiny.lua --precision bf61
check "a value that is nothing like it" 2 err="--precision: .*got '7'$" lines=1 -- "$program" tiny.lua --precision 7
check "twice" 2 err='precision' lines=1 -- "$program" tiny.lua --precision f32 --precision bf16
tiny 'e.precision = "bf61"' >wrong.lua
check "a wrong key names the line" 2 lines=1 \
  err="^mnistlua: error: wrong.lua:[0-9]+: ml.experiment: precision is 'bf61'; expected one of .*; did you mean 'bf16'\?" -- \
  "$program" wrong.lua
check "a statement in bf16" 0 out='^bf16$' err="$note" lines=1 -- "$program" -e 'print(ml.precision())' --precision bf16
check "a script that chooses" 0 out='^f32 bf16$' err="$note" lines=1 -- \
  "$program" -e 'local was = ml.precision "bf16"; print(was .. " " .. ml.precision())'
check "a script's wrong name" 2 err="-e:1: ml.precision: name is 'f23'.*did you mean 'f32'" lines=1 -- \
  "$program" -e 'ml.precision "f23"'
same='rm -rf r1 r2; for t in 1 2; do "$0" bf16.lua --quiet --threads $t --out r$t >/dev/null; done; cmp r1/*/*.safetensors r2/*/*.safetensors'
check "1 and 2 threads give the same bytes in bf16" 0 -- bash -c "$same" "$program"
finish
