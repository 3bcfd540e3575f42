# mnistlua replay: runs that come out the same, however they ended, and what is said where they do not.
. "$(dirname "$0")/tap.sh"

# train NAME FILE OPTIONS...: a run to replay; the folder's path is in $run afterwards.
train() {
  "$program" "${@:2}" --quiet >/dev/null 2>"$work/err"
  run=$(ls -dt runs/2*-"$1"* | head -1)
}

tiny 'e.optimizer = optim.SGD { lr = p.lr, momentum = 0.9 }
e.model = nn.Sequential { nn.Flatten(), nn.Linear(16), nn.Dropout(0.2), nn.ReLU(), nn.Linear(10) }' \
  'local p = ml.params { lr = { 1 / 30, "the rate" } }' >tiny.lua
train tiny tiny.lua --seed 4 --threads 2
replay=("$program" replay)
check "a run" 0 out='^replay +runs/[0-9]+-[0-9]+-tiny \(tiny\), seed 4$' out='^steps +16; the losses of 16 are the same$' \
  out='^weights +the same to the last bit$' lines=0 -- "${replay[@]}" last --quiet
check "with another number of threads" 0 out='the same to the last bit' -- "${replay[@]}" last --threads 1 --quiet
check "as JSON" 0 out='^\{"compared":16,"model":".*","name":"tiny","same":true,"steps":16\}$' lines=0 -- \
  "${replay[@]}" last --json --quiet
cp "$run/model.safetensors" alone.safetensors
mkdir away
check "a model alone" 0 out='their losses were not recorded' out='^weights +the same to the last bit$' -- \
  sh -c 'cd away && "$0" replay ../alone.safetensors --quiet' "$program"
[ "$(ls runs | grep -c tiny)" = 1 ] && [ -z "$(ls away)" ] && ok "nothing is written" || not_ok "nothing is written" "$(ls runs away)"
train tiny tiny.lua lr=0.12345678901234568
check "a parameter of the command line, with all its digits" 0 out='the same to the last bit' -- "${replay[@]}" last --quiet

cat >change.lua <<'LUA'
local core = require "mnistlua.core"
local list, metadata = assert(core.safetensors_read "alone.safetensors")
local function write(name, key, value)
  local changed = {}
  for k, v in pairs(metadata) do changed[k] = v end
  if key then changed[key] = value end
  assert(core.safetensors_write(name, list, changed))
end
write("seed.safetensors", "mnistlua.seed", "5")
write("hash.safetensors", "mnistlua.data_hash", "0123456789abcdef")
write("version.safetensors", "mnistlua.version", "0.0.1")
write("isa.safetensors", "mnistlua.isa", "abacus")
local t = list[1][2]:dim() == 1 and list[1][2] or list[2][2]     -- a bias
t[3] = t[3] + 0.25
write "weights.safetensors"
LUA
"$program" change.lua || exit 1
check "a weight that was changed" 3 out='^weights +differ, first in [0-9].bias: 1 of [0-9]+ values, by 0.25 at most' -- \
  "${replay[@]}" weights.safetensors --quiet
check "another seed" 3 out='^weights +differ, first in ' -- "${replay[@]}" seed.safetensors --quiet
check "other data is told first" 0 err='the hash of the training data was 0123456789abcdef and is' -- "${replay[@]}" hash.safetensors --quiet
check "another version" 0 err='the bits may differ: the version was 0.0.1 and is' -- "${replay[@]}" version.safetensors --quiet
check "another instruction set" 0 err='the instruction set was abacus and is' lines=1 -- "${replay[@]}" isa.safetensors --quiet

# A loss that was recorded as another one, and a config whose data depends on what it should not.
cat >record.lua <<'LUA'
local db = require("mnistlua.core").db("runs/runs.db", "write", 1000)
assert(db:query("UPDATE steps SET loss = loss + 0.001 WHERE step = 11 AND run = (SELECT MAX(id) FROM runs)"):run() == 1)
db:close()
LUA
"$program" record.lua || exit 1
check "the first step that differs" 3 out='^steps +differ, first at step 11 \(epoch 2\): train.loss was [0-9.]+ and is [0-9.]+$' -- \
  "${replay[@]}" last --quiet
check "and as JSON" 3 out='"difference":\{"epoch":2,"expected":[0-9.]+,"found":[0-9.]+,"step":11\}' out='"same":false' -- \
  "${replay[@]}" last --json --quiet
tiny 'e.data = ml.data.digits { n = 256, test = 64, seed = math.tointeger(os.getenv "SEED" or 0) }; e.name = "outside"' >outside.lua
train outside outside.lua
check "data that has changed" 3 err='the hash of the training data was [0-9a-f]{16} and is [0-9a-f]{16}$' out='differ, first at step 1 ' -- \
  env SEED=7 "${replay[@]}" last --quiet

# Ways of a run to end: interrupted, out of time, stopped by callbacks; the trainer's variety.
tiny 'e.name = "cut"; e.batch = 8
e.on = { batch_end = function(run)
  if run.step == 13 and os.getenv "STOP" then io.popen("kill -INT $PPID"):close() end
  local ends = ml.clock() + (os.getenv "SLOW" and 0.05 or 0)
  while ml.clock() < ends do end
end }' >cut.lua
STOP=1 train cut cut.lua
check "an interrupted run" 0 out='^steps +13; the losses of 13 are the same' out='to the last bit' -- "${replay[@]}" last --quiet
SLOW=1 train cut cut.lua --max-time 0.3s
check "one that ran out of time" 0 out='^steps +[1-9]; the losses of [1-9] are the same' out='to the last bit' -- "${replay[@]}" last --quiet
STOP=1 train cut cut.lua
"$program" --resume last --quiet >/dev/null 2>&1
check "an interrupted one that went on to its end" 0 out='^steps +64; the losses of 64' out='to the last bit' -- "${replay[@]}" last --quiet
check "Ctrl-C in a replay" 130 out='not compared: interrupted' -- env STOP=1 "${replay[@]}" last --quiet
tiny 'e.name = "full"; e.epochs = 6; e.schedule = sched.OneCycleLR { max_lr = 0.3 }; e.augment = ml.augment { shift = 2 }
e.data = ml.data.digits { n = 256, val = 64, test = 64 }; e.average = optim.EMA {}; e.accumulate = 2; e.clip = 1
e.model = nn.Sequential { nn.Flatten(), nn.Linear(16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(10) }
e.callbacks = { ml.callbacks.CSVLogger { path = "log.csv" }, ml.callbacks.TimeLimit { "1h" },
  ml.callbacks.BestWeights {}, ml.callbacks.EarlyStopping { patience = 2 } }' >full.lua
train full full.lua
sum=$(cksum <log.csv)
check "averages, augmentation, early stopping, best weights" 0 out='the same to the last bit' lines=0 -- "${replay[@]}" last --quiet
[ "$sum" = "$(cksum <log.csv)" ] && ok "log files stay as they are" || not_ok "log files stay as they are" "$(cat log.csv)"
cp "$run/model.safetensors" best.safetensors
check "and from the model alone" 0 out='the same to the last bit' -- "${replay[@]}" best.safetensors --quiet
tiny 'e.name = "mine"; e.loop = function(run)
  for x, y in run:batches() do
    run.optimizer:zero_grad()
    local loss = run.loss(run.model(x), y)
    loss:backward()
    run.optimizer:step()
    run:log { ["train.loss"] = loss:item() }
  end
end' >mine.lua
train mine mine.lua
check "a loop of one's own" 0 out='the losses of 16 are the same' out='to the last bit' -- "${replay[@]}" last --quiet
tiny 'e.name = "parent"; e.checkpoint = { every = 3, keep = 9 }; e.epochs = p.epochs' 'local p = ml.params { epochs = { 1, "epochs" } }' >parent.lua
train parent parent.lua
"$program" fork last@6 epochs=2 --quiet >/dev/null 2>&1 || not_ok "a fork to replay" "no fork"
check "a fork, from its parent's checkpoint" 0 out='^steps +16; the losses of 10' out='to the last bit' -- "${replay[@]}" last --quiet
rm "$run"/checkpoints/step-000000000006.safetensors
check "whose checkpoint is gone" 1 err='has no checkpoint of step 6' lines=1 -- "${replay[@]}" last --quiet

check "a checkpoint" 2 err='is a checkpoint; give the run, or its weights' lines=1 -- sh -c '"$0" replay '"$run"'/checkpoints/*08.safetensors' "$program"
check "no such run" 2 err="there is no run 'nobody' in runs" lines=1 -- "${replay[@]}" nobody
check "nothing given" 2 err='replay: expected RUN or MODEL' lines=1 -- "${replay[@]}"
"$program" -e 'require("mnistlua.core").safetensors_write("bare.safetensors", {{"a", ml.ones(2)}}, {format="pt"})'
check "a file that no training wrote" 1 err='bare.safetensors: its metadata has no config' lines=1 -- "${replay[@]}" bare.safetensors
finish
