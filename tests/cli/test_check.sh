# mnistlua check: a list with a verdict a line, what is wrong and its exit code, and that nothing is written.
. "$(dirname "$0")/tap.sh"

tiny 'e.optimizer = optim.SGD { lr = p.lr }' 'local p = ml.params { lr = { 0.1, "the rate" } }' >tiny.lua
check "all is well" 0 out='^ok +config +tiny.lua, lr=0.1$' out='^ok +shapes +28x28 to 10 in 4 layers' \
  out='^ok +parameters +12,730 parameters, 49.7 KiB' out='^ok +labels +0 to 9, ' out='^ok +steps +16 steps: 2 epochs of 8 batches of 32, f32' \
  out='^ok +duplicates +train shares no sample' out='^ok +gradients +4 of 4 tensors agree' \
  out='^ok +one batch +32 samples, optim.SGD at 0.1: loss .* right$' out='^ok +speed .* ms a step.* the run takes about' \
  out='^ok +memory .* at most, .* of it data' lines=0 -- "$program" check tiny.lua
left=$(ls | tr '\n' ' ')
[ "$left" = "err out tiny.lua " ] && ok "nothing is left behind" || not_ok "nothing is left behind" "$left"
check "parameters of the command line" 0 out='config +tiny.lua, lr=0.05' out='optim.SGD at 0.05' -- "$program" check tiny.lua lr=0.05
check "colours" 0 out=$'\e\[32mok' -- "$program" check tiny.lua --color always
check "as JSON" 0 lines=0 -- sh -c '"$0" check tiny.lua --json >a.json' "$program"
cat >read.lua <<'LUA'
local core = require "mnistlua.core"
local r = assert(core.json_decode(assert(core.read_file "a.json")))
assert(r.ok and r.name == "tiny" and #r.checks == 10 and r.step_ms > 0 and r.eta_seconds > 0)
for _, row in ipairs(r.checks) do assert(row.verdict == "ok" and #row.name > 0 and #row.text > 0) end
LUA
check "with every row" 0 -- "$program" read.lua
check "its help lists the config's parameters" 0 out='lr=0.1 +the rate' -- "$program" check tiny.lua --help

tiny 'local Broken = nn.Module "Broken"
function Broken:init(n) self.scale = nn.Parameter(ml.ones(n)) end
function Broken:forward(x) return x * self.scale:detach() + (self.scale - self.scale:detach()) * 2 end
e.model = nn.Sequential { nn.Flatten(), nn.Linear(16), nn.ReLU(), Broken(16), nn.Linear(10) }' >broken.lua
check "a module with a wrong gradient" 2 out='^wrong +gradients +3.scale: its gradient says a slope of' out='^ok +memory' lines=0 -- \
  "$program" check broken.lua
check "and as JSON" 2 out='"ok":false' out='"verdict":"wrong"' -- "$program" check broken.lua --json
tiny 'local Cut = nn.Module "Cut"
function Cut.forward(_, x) return x:detach() end
e.model = nn.Sequential { nn.Flatten(), nn.Linear(16), Cut(), nn.Linear(10) }' >cut.lua
check "a gradient that does not arrive" 2 out='^wrong +gradients +1.weight gets no gradient, yet the loss changes with it' -- \
  "$program" check cut.lua
tiny 'e.optimizer = optim.SGD { lr = 1e30 }' >wild.lua
check "a rate that is far too large" 2 out='^wrong +one batch .*the loss stops being a number' -- "$program" check wild.lua --seconds 20
tiny 'e.optimizer = optim.SGD { lr = 1e-6 }' >tame.lua
check "one that is far too small is a warning" 0 out='^warning +one batch .*Adam at 0.001: .*see mnistlua lrfind' -- \
  "$program" check tame.lua --seconds 20
tiny 'e.loss = function(out) return (out * 0 + 2.5):mean() end' >dead.lua
check "a loss that cannot be learned" 2 out='^wrong +one batch .*look at the model and the loss' -- "$program" check dead.lua --seconds 20
tiny 'e.model = nn.Sequential { nn.Flatten(), nn.Linear(7) }' >few.lua
check "too few outputs" 2 out='^wrong +labels +0 to 9, but the model has 7 outputs' -- "$program" check few.lua
grep -q 'one batch' out && not_ok "ends the list" "$(cat out)" || ok "ends the list"
tiny 'e.model = nn.Sequential { nn.Linear(5) }' >shapes.lua
check "shapes that do not fit, at their line" 2 out='^wrong +shapes +shapes.lua:9: nn.Linear\(5\) expects rows' -- "$program" check shapes.lua
tiny 'e.data = e.data.train:subset(1, 200):split { val = 20 }; local b = e.data
b.test = ml.data.digits { n = 30 }.train' >shared.lua
check "test samples that are in train" 0 out='^warning +duplicates +30 of test in train, too, the first as samples 1 and 1$' -- \
  "$program" check shared.lua
tiny 'e.loop = function(run) for x, y in run:batches() do run:train_step(x, y) end end' >loop.lua
check "a loop of its own" 0 out='^ok +gradients' out='^skipped +one batch +the experiment has a loop of its own' -- "$program" check loop.lua
tiny 'e.schedule = sched.OneCycleLR { max_lr = 0.3 }; e.augment = ml.augment { shift = 2 }; e.accumulate = 2
e.average = optim.EMA {}; e.callbacks = { { epoch_end = function() error "heard" end } }' >more.lua
check "schedules, augmentation, averages and callbacks" 0 out='^ok +one batch' out='^ok +speed' lines=0 -- "$program" check more.lua

tiny 'e.lerning = 5' >unknown.lua
check "an unknown key" 2 err='unknown option .lerning' lines=1 -- "$program" check unknown.lua
check "an unknown parameter" 2 err="no parameter 'lrr'; did you mean 'lr'" lines=1 -- "$program" check tiny.lua lrr=3
check "no config" 2 err='no config given: mnistlua check CONFIG.lua' lines=1 -- "$program" check
check "a time that is none" 2 err="--seconds: expected a number above 0" lines=1 -- "$program" check tiny.lua --seconds soon
echo 'local y = 1' >none.lua
check "a config without an experiment" 2 err='check needs a config that returns an experiment' lines=1 -- "$program" check none.lua
left=$(ls -d runs 2>/dev/null)
[ -z "$left" ] && ok "still nothing is written" || not_ok "still nothing is written" "$left"
finish
