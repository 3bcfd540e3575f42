# ml.callbacks from outside: what a run leaves behind, an event file as an independent reader finds it, runs that fail,
# mistakes and full disks.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/tap.sh"

# config DATA CALLBACKS [ON]: a config of a few steps.
config() {
  cat <<LUA
local ml = require "mnistlua"
local nn, optim, cb = ml.nn, ml.optim, ml.callbacks
return ml.experiment {
  name = "run", data = $1,
  model = nn.Sequential { nn.Flatten(), nn.Linear(8), nn.ReLU(), nn.Linear(10) },
  loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1 }, epochs = 5, batch = 64, metrics = { "user.two" },
  callbacks = {
    $2
  },
  on = { $3 },
}
LUA
}
small='ml.data.digits { n = 500, val = 100, test = 100 }'

config 'ml.data.mnist { n = 500, val = 200 }' \
  'cb.EarlyStopping { patience = 3 }, cb.BestWeights {}, cb.CSVLogger {}, cb.TensorBoard { every = 3 },
   cb.StopOnTarget { "val.acc>=0.4", "train.loss<50" }, cb.TimeLimit { "10m" }, cb.EMA { decay = 0.5 }' \
  'batch_end = function(run) run:log { ["user.two"] = 2 } end' >all.lua
check "a run with all of them" 0 out='"stopped":"target reached: val.acc>=0.4, train.loss<50"' \
  err='^best weights: val.acc [0-9.]+%, of epoch [0-9]$' -- "$program" all.lua --data digits --json
cp out result
dir=$(echo runs/*-run)
check "the CSV file has a line per epoch" 0 out='^epoch,step,train.loss,train.acc,val.loss,val.acc,lr,user.two$' -- \
  cat "$dir/metrics.csv"
epochs=$(grep -oE '"epochs":[0-9]+' result | tail -c +10)
check "and no more" 0 out="^$((epochs + 1))$" -- grep -c "" "$dir/metrics.csv"
if command -v python3 >/dev/null; then
  check "an independent reader reads the event file" 0 out='^3 lr 0.1' -- \
    python3 "$here/read_events.py" "$dir/events.out.tfevents.mnistlua"
  cp out events
  check "it has a mean of every three steps" 0 out='^3 user.two 2$' out='^6 train.loss [0-9.]+$' out='^8 train.acc ' -- \
    cat events
  for name in val.loss val.acc test.loss test.acc; do
    read -r step _ value < <(grep " $name " events | tail -n 1)
    check "$name there is the result's" 0 -- python3 -c 'import json, struct, sys
result = json.load(open("result"))
value = struct.unpack("f", struct.pack("f", result[sys.argv[1]]))[0]
assert "%.9g" % value == sys.argv[2], (value, sys.argv[2])
assert result["steps"] == int(sys.argv[3])' "$name" "$value" "$step"
  done
  python3 -c 'data = bytearray(open("'"$dir"'/events.out.tfevents.mnistlua", "rb").read())
data[60] ^= 1
open("damaged", "wb").write(data)'
  check "and would notice a damaged one" 1 err='a checksum is wrong' -- python3 "$here/read_events.py" damaged
else
  skip "an independent reader reads the event file" "no python3"
fi
rm -r runs

# ---- runs that fail ----

# The saved weights give the loss that the CSV file has for the best epoch.
cat >measure.lua <<'LUA'
local ml = require "mnistlua"
local nn, core = ml.nn, require "mnistlua.core"
local model = nn.Sequential { nn.Flatten(), nn.Linear(8), nn.ReLU(), nn.Linear(10) }
local dir = core.list_dir "runs"
for _, name in ipairs(dir) do if name:find "-run$" then dir = "runs/" .. name end end
model:build { 1, 28, 28 }
assert(model:load(dir .. "/model.safetensors"))
local loss, least = 0, math.huge
local data = ml.data.digits { n = 500, val = 100, test = 100 }
for x, y in data.val:batches { batch = 100 } do loss = nn.CrossEntropyLoss()(model(x), y):item() end
for line in io.lines(dir .. "/metrics.csv") do
  least = math.min(least, tonumber(line:match "^%d+,%d+,[^,]*,[^,]*,([^,]*)") or math.huge)
end
assert(math.abs(loss - least) < 1e-5, loss .. " " .. least)
print "the best"
LUA
broken() {
  local name=$1 code=$2 message=$3
  config "$small" 'cb.BestWeights { "val.loss" }, cb.CSVLogger {}' \
    "epoch_start = function(run) if run.epoch == 3 then run.optimizer.lr = 1 end end,
     batch_end = function(run) if run.epoch == 4 then $4 end end" >broken.lua
  check "$name" "$code" err="$message" err='^best weights: val.loss ' -- "$program" broken.lua
  check "$name: the best weights are saved" 0 out='the best' -- "$program" measure.lua
  rm -r runs
}
broken "an error" 1 'what a pity' 'error "what a pity"'
broken "divergence" 4 'loss' 'run.model[2].weight:fill_(1e38) run.model[4].weight:fill_(1e38)'
broken "SIGTERM" 143 'epoch 3' 'os.execute "kill -TERM $PPID"'
broken "a time limit" 0 'epoch 3' 'run.deadline = 0'

# ---- mistakes ----

mistake() {
  config "$small" "$2" >mistake.lua
  check "$1" "$3" err="$4" noerr='epoch 1' -- "$program" mistake.lua
}
mistake "an unknown metric" 'cb.EarlyStopping { metric = "val.ac" }' 2 \
  "^mnistlua: error: mistake.lua:8: .*unknown metric 'val.ac'; did you mean 'val.acc'\?"
mistake "a metric that is not measured" 'cb.BestWeights { metric = "test.acc" }' 2 \
  '^mnistlua: error: mistake.lua:8: .*measured at the end only'
mistake "no patience" 'cb.EarlyStopping { patience = 0 }' 2 'mistake.lua:8: .*patience is 0; expected a whole number >= 1'
mistake "a path that cannot be written" 'cb.CSVLogger { "mistake.lua/log.csv" }' 1 \
  'mistake.lua:8: callbacks.CSVLogger: mistake.lua'

config "$small" 'cb.CSVLogger { "/dev/full" }' >full.lua
check "a full disk is a warning, and the run goes on" 0 out='test accuracy' err='warning: callbacks.CSVLogger: /dev/full' \
  err='^epoch 5' -- "$program" full.lua
cp err said
check "that is given once" 0 out='^1$' -- grep -c warning said
finish
