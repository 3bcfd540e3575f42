# Stopping and going on from outside: Ctrl-C, --max-time, --resume in all its forms, fork, what is refused and why, folders
# that cannot be used, two processes on one run. That the bits are the same after a kill is test_crash.sh's.
. "$(dirname "$0")/tap.sh"

# Sent SIGNAL in the step STOP_AT (by io.popen: os.execute would hold SIGINT back). 8 steps an epoch.
stop='on = { batch_start = function(run)
  if run.step == tonumber(os.getenv "STOP_AT") then io.popen("kill -s " .. os.getenv "SIGNAL" .. " $PPID"):close() end
end }'
tiny "e.epochs, e.$stop" 'local p = ml.params { epochs = { 3, "passes" }, lr = { 0.1, "rate" } }' >base.lua
sed 's/^e.epochs, e.on = {/e.epochs, e.optimizer, e.on = p.epochs, optim.SGD { lr = p.lr, momentum = 0.9 }, {/' base.lua >run.lua

newest() { ls "$1"/*/checkpoints/step-*.safetensors | tail -n 1; }
same() {
  if cmp -s "$2" "$3"; then ok "$1"; else not_ok "$1" "$2 and $3 differ" "$(ls -l "$2" "$3" 2>&1)"; fi
}
fresh() {
  rm -rf runs
  SIGNAL=${2:-TERM} STOP_AT=$1 "$program" run.lua --quiet >stopped 2>&1
}

check "a run leaves a checkpoint of its end" 0 noerr=. -- "$program" run.lua --quiet --out whole
same "which is that of the same run again" "$(newest whole)" \
  "$(SIGNAL=TERM "$program" run.lua --quiet --threads 1 --out again >/dev/null; newest again)"

# ---- stopping ----

rm -rf runs
check "SIGTERM: the step ends, a checkpoint is saved, the way on is shown" 143 out='5 steps .*interrupted' \
  out='^resume +mnistlua --resume [0-9]+-[0-9]+-tiny$' -- env SIGNAL=TERM STOP_AT=5 "$program" run.lua --quiet
if [ "$(basename "$(newest runs)")" = step-000000000005.safetensors ]; then ok "of that step"; else not_ok "of that step" "$(newest runs)"; fi
check "the line that is shown works" 0 err='goes on from runs/.*step-000000000005' err='epoch 3/3' -- \
  bash -c "\$0 $(sed -n 's/^resume *mnistlua//p' out)" "$program"
same "and leads to the same checkpoint" "$(newest whole)" "$(newest runs)"
same "and the same weights" whole/*/model.safetensors runs/*/model.safetensors
if [ "$(ls -d runs/*-tiny | wc -l)" = 1 ]; then ok "in the same folder"; else not_ok "in the same folder" "$(ls runs)"; fi
check "no step is recorded twice or lost" 0 out='^24$' -- \
  "$program" -e 'local store = require "mnistlua.store"
    store.with("runs", {}, function(db)
      local run = assert(store.find(db, "last"))
      print(db:row("SELECT COUNT(*) AS n FROM steps WHERE run = ?", run.id).n)
    end)'
rm -rf runs
check "SIGINT: 130" 130 -- env --default-signal=INT SIGNAL=INT STOP_AT=8 "$program" run.lua --quiet --json
if grep -q '"resume":"mnistlua --resume' out; then ok "--json has it too"; else not_ok "--json has it too" "$(cat out)"; fi
check "stopped at the end of an epoch" 0 -- "$program" --resume --quiet
same "the same" "$(newest whole)" "$(newest runs)"
rm -rf runs
check "--max-time: done, with the way on" 0 out='time limit' out='^resume' -- "$program" run.lua --quiet --max-time 0.0001s
check "and why is told later" 0 out='^status +done \(time limit reached\), ' -- "$program" runs show last
check "and on" 0 noerr='epoch' -- "$program" --resume last --quiet
same "to the same" "$(newest whole)" "$(newest runs)"
check "again and again" 0 out='^train accuracy' -- bash -c 'rm -rf runs; export SIGNAL=TERM
  STOP_AT=1 "$0" run.lua --quiet; for n in 2 7 8 9 16 23 24; do STOP_AT=$n "$0" --resume --quiet --threads $((n % 3 + 1)); done
  "$0" --resume --quiet' "$program"
same "to the same, too" "$(newest whole)" "$(newest runs)"

# ---- what can be named ----

check "a run that is done" 2 err='is done, at step 24; to go on with other settings: mnistlua fork runs/' lines=1 -- "$program" --resume
fresh 5
run=$(basename runs/*-tiny)
for name in last "$run" "runs/$run" "./runs/$run/" "$PWD/runs/$run" 1 "runs/$run/checkpoints/step-000000000005.safetensors" \
  "${run:0:12}"; do
  rm -rf kept && cp -r runs kept
  check "--resume $name" 0 err='goes on from .*step-000000000005' -- "$program" --resume "$name"
  same "to the same" "$(newest whole)" "$(newest runs)"
  rm -rf runs && mv kept runs
done
check "no such run" 2 err="there is no run 'nope' in runs" lines=1 -- "$program" --resume nope
check "a slip" 2 err="did you mean 'last'" lines=1 -- "$program" --resume lats
check "no folder of runs" 2 err="there is no folder 'nowhere'" lines=1 -- "$program" --resume --out nowhere
check "a file of weights" 1 err='model.safetensors: is not a checkpoint but a file of weights' lines=1 -- \
  "$program" --resume runs/"$run"/model.safetensors
cp "$(newest runs)" elsewhere.safetensors
rm -rf kept && cp -r runs kept
check "a checkpoint that was taken elsewhere begins a folder of its own" 0 err='goes on from elsewhere.safetensors' -- \
  "$program" --resume elsewhere.safetensors --out other
same "to the same weights" whole/*/model.safetensors other/*/model.safetensors
check "with the config at hand" 0 err='goes on' -- "$program" run.lua --resume
same "to the same" "$(newest whole)" "$(newest runs)"
rm -rf runs && mv kept runs

# ---- what has changed ----

check "another parameter" 2 err='lr was 0.1 and is 0.2; --force goes on' lines=1 -- "$program" --resume lr=0.2
check "with a config, too" 2 err='epochs was 3 and is 4' lines=1 -- "$program" run.lua epochs=4 --resume last
check "another seed" 2 err='seed was 0 and is 3' lines=1 -- "$program" --resume --seed 3
check "another precision" 2 err='precision was f32 and is bf16x3' -- "$program" --resume --precision bf16x3
sed 's/Linear(16)/Linear(12)/' run.lua >changed.lua
check "another config" 2 err="line 6 of the config was 'model = nn.* and is 'model" lines=1 -- "$program" changed.lua --resume
check "weights that do not fit, even by force" 2 err="cannot be used: model: '1.weight' is 16x784 where" -- \
  "$program" changed.lua --resume --force
sed 's/n = 256/n = 250/' run.lua >fewer.lua
check "other data" 2 err='data: train was .* samples, hash .* and is .* samples' lines=1 -- "$program" fewer.lua --resume
rm -rf kept && cp -r runs kept
check "--force goes on" 0 err='goes on although something changed: lr was 0.1 and is 0.2' -- "$program" --resume last lr=0.2 --force
if grep -q '"forced":true' runs/*/result.json; then ok "and marks the run"; else not_ok "and marks the run" "$(cat runs/*/result.json)"; fi
if cmp -s "$(newest whole)" "$(newest runs)"; then not_ok "which has come to something else"; else ok "which has come to something else"; fi
rm -rf runs && mv kept runs

# ---- damage ----

broken() { rm -rf runs && cp -r kept2 runs && damaged=$(newest runs); }
fresh 5 && :
STOP_AT=7 SIGNAL=TERM "$program" --resume --quiet >/dev/null
mv runs kept2
broken; truncate -s -7 "$damaged"
check "a truncated one: the one before it, with a warning" 0 err='warning: .*0007.safetensors: .*; the one before it is used' \
  err='goes on from .*0005' -- "$program" --resume
same "to the same" "$(newest whole)" "$(newest runs)"
broken; printf 'x' | dd of="$damaged" bs=1 seek=40000 conv=notrunc status=none
check "a flipped one" 0 err='warning: .*is damaged: its bytes have the checksum' err='goes on from .*0005' -- "$program" --resume
broken; printf 'PK\3\4zip' >"$damaged"
check "a zip" 0 err='warning: .*looks like a PyTorch zip; refused' err='goes on from .*0005' -- "$program" --resume
broken; printf '\200\002}q' >"$damaged"
check "a pickle, named itself" 1 err='looks like a PyTorch pickle; refused' lines=1 -- "$program" --resume "$damaged"
broken; sed -i 's/"mnistlua.checkpoint":"1"/"mnistlua.checkpoint":"2"/' "$damaged"
check "of a newer version" 1 err='was written by a newer mnistlua: format 2, and this one reads up to 1' -- "$program" --resume "$damaged"
broken; rm "$damaged"; mkfifo "$damaged"
check "a FIFO" 0 err='warning: .*FIFO' err='goes on from .*0005' -- timeout 20 "$program" --resume
broken; for file in runs/*/checkpoints/*; do : >"$file"; done
check "nothing but damage" 1 err='cannot be resumed: .*0007.safetensors: has 0 bytes' -- "$program" --resume
broken; rm -r runs/*/checkpoints
check "no checkpoint" 1 err='cannot be resumed: .*there is no checkpoint' lines=1 -- "$program" --resume

# ---- fork ----

rm -rf runs && cp -r whole runs
check "fork: more epochs" 0 err='goes on from .*0024' err='epoch 4/5' out='40 steps' -- "$program" fork last epochs=5
if [ "$(ls -d runs/*-tiny* | wc -l)" = 2 ]; then ok "is a run of its own"; else not_ok "is a run of its own" "$(ls runs)"; fi
if grep -q '"parent":{"run":"[^"]*-tiny","step":24}' runs/*/run.json; then ok "that knows its parent"; else not_ok "that knows its parent" "$(cat runs/*/run.json)"; fi
check "more epochs are what the longer run would have done" 0 -- "$program" run.lua epochs=5 --quiet --out five
same "to the bit" "$(ls -d five/*-tiny)/model.safetensors" "$(ls -d runs/*-tiny* | tail -n 1)/model.safetensors"
check "fork: another seed and rate" 0 err='goes on from' -- "$program" fork last epochs=6 lr=0.02 --seed 9
check "fork: nothing left to do" 2 err='it is of step .*, and the run is to end at step .*give it more epochs' lines=1 -- "$program" fork 1
check "fork: no such step" 1 err='has no checkpoint of step 7; those that it has: 24' lines=1 -- "$program" fork 1@7 epochs=9
check "fork: no best one" 1 err='has no best checkpoint' lines=1 -- "$program" fork 1@best epochs=9
check "fork: which step?" 2 err="expected RUN@STEP or RUN@best" lines=1 -- "$program" fork 1@x epochs=9
check "fork: of what?" 2 err='expected RUN or RUN@STEP' lines=1 -- "$program" fork
check "fork: no such parameter" 2 err="has no parameter 'epoch'; did you mean 'epochs'" lines=1 -- "$program" fork 1 epoch=9
check "fork --help" 0 out='from the state of an earlier one' -- "$program" fork --help

# ---- folders ----

check "--checkpoint-every" 0 -- "$program" run.lua --quiet --out every --checkpoint-every 10
if [ "$(ls every/*/checkpoints | tr '\n' ' ')" = "step-000000000010.safetensors step-000000000020.safetensors step-000000000024.safetensors " ]
then ok "writes them"; else not_ok "writes them" "$(ls every/*/checkpoints)"; fi
check "--checkpoint-every never" 0 -- "$program" run.lua --quiet --out none --checkpoint-every never
if [ -z "$(ls none/*/checkpoints)" ]; then ok "writes none"; else not_ok "writes none" "$(ls none/*/checkpoints)"; fi
check "--checkpoint-every nonsense" 2 err="--checkpoint-every: expected a number of steps, a time such as 10m" lines=1 -- \
  "$program" run.lua --checkpoint-every often
fresh 5
: >afile
check "a folder that cannot be used is told before the first step" 1 err='cannot be used' noerr='epoch' lines=1 -- \
  "$program" --resume "$(cp "$(newest runs)" five.safetensors; echo five.safetensors)" --out afile/x

fresh 5
mkfifo hold
cat >holding.lua <<'LUA'
local core = require "mnistlua.core"
local lock = assert(core.lock(arg_dir .. "/lock"))
print "held" io.stdout:flush()
io.open("hold"):read "a"
LUA
"$program" -e "arg_dir = '$(ls -d runs/*-tiny)' dofile 'holding.lua'" >held 2>&1 &
holder=$!
for _ in $(seq 100); do grep -q held held 2>/dev/null && break; sleep 0.05; done
check "two processes on one run: the second is told" 1 err="process $holder trains in this folder" lines=1 -- "$program" --resume
: >hold
wait $holder
check "until the first has gone" 0 -- "$program" --resume --quiet
same "to the same" "$(newest whole)" "$(newest runs)"
finish
