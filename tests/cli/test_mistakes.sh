# Mistakes in a config: one line that names the place, what was expected and what was found; exit code 2, before training.
. "$(dirname "$0")/tap.sh"

# mistake NAME PATTERN [KEYS] [BEFORE]: the tiny config with these changes fails with one such line.
mistake() {
  tiny "${3:-}" "${4:-}" >bad.lua
  rm -rf runs
  check "$1" 2 err="^mnistlua: error: bad.lua:[0-9]+: .*$2" lines=1 -- "$program" bad.lua
  if [ -e runs ]; then not_ok "$1: nothing was begun" "$(ls runs)"; fi
}

mistake "a misspelt key" "unknown option 'optimiser'; did you mean 'optimizer'" 'e.optimiser = 1'
mistake "a misspelt layer" "did you mean 'Linear'" 'e.model = nn.Liner(3)'
mistake "a misspelt option" "did you mean 'momentum'" 'e.optimizer = optim.SGD { lr = 1, momentun = 0.9 }'
mistake "a misspelt optimizer" "did you mean 'AdamW'" 'e.optimizer = optim.Adamw { lr = 1 }'
mistake "a misspelt schedule" "did you mean 'OneCycleLR'" 'e.schedule = sched.OneCycelLR { max_lr = 1 }'
mistake "a misspelt event" "unknown event 'epoch_ends'; did you mean 'epoch_end'" 'e.on = { epoch_ends = print }'
mistake "a misspelt event in a callback" "did you mean 'batch_end'" 'e.callbacks = { { batch_ends = print } }'
mistake "a misspelt metric" "did you mean 'grad_norm'" 'e.metrics = { "grad_nrom" }'
mistake "a misspelt metric in expect" "did you mean 'test.acc'" 'e.expect = "test.ac>=0.5"'
mistake "a misspelt function of ml" "did you mean 'experiment'" 'ml.experimant {}'
mistake "a misspelt data source" "did you mean 'digits'" 'e.data = ml.data.digit {}'
mistake "a misspelt method of a tensor" "did you mean 'relu'" 'ml.zeros(2, 2):reul()'
mistake "a misspelt parameter in the script" "did you mean 'width'" 'print(p.widht)' 'local p = ml.params { width = { 1, "w" } }'
mistake "data is missing" "data: expected" 'e.data = nil'
mistake "a model that is no module" "model: expected an nn.Module" 'e.model = 5'
mistake "an optimizer that is none" "optimizer: expected" 'e.optimizer = "SGD"'
mistake "a loss that is none" "loss: expected" 'e.loss = 3'
mistake "a batch of 0" "batch: expected" 'e.batch = 0'
mistake "a batch of 2.5" "batch: expected" 'e.batch = 2.5'
mistake "epochs of 0" "epochs" 'e.epochs = 0'
mistake "a learning rate that is negative" "lr" 'e.optimizer = optim.SGD { lr = -1 }'
mistake "fewer outputs than classes" "10 classes" 'e.model = nn.Sequential { nn.Flatten(), nn.Linear(9) }'
mistake "a layer of another size" "expects 100 inputs but receives 784 .*nn.Flatten" \
  'e.model = nn.Sequential { nn.Flatten(), nn.Linear(100, 10) }'
mistake "a kernel larger than its input" "Conv2d.8, 5. expects images of at least 5x5 but receives 4x4 .8x4x4 from nn.MaxPool2d, line" \
  'e.model = nn.Sequential { nn.Conv2d(8, 5), nn.MaxPool2d(6), nn.Conv2d(8, 5) }'
mistake "groups that do not divide" "groups is 3, which does not divide 8 output channels" \
  'e.model = nn.Sequential { nn.Conv2d(8, 3, { groups = 3 }) }'
mistake "groups that the channels are no multiple of" "expects a multiple of 4 channels, its groups, but receives 1 " \
  'e.model = nn.Sequential { nn.Conv2d(8, 3, { groups = 4 }) }'
mistake "channels that do not fit" "expects 3 channels but receives 1 .*write nn.Conv2d.8, 3. to infer it" \
  'e.model = nn.Sequential { nn.Conv2d(3, 8, 3) }'
mistake "a stride of 0" "stride is 0; expected a whole number >= 1" 'e.model = nn.Conv2d(8, 3, { stride = 0 })'
mistake "a misspelt padding" "padding is 'sane'; .*did you mean 'same'" 'e.model = nn.Conv2d(8, 3, { padding = "sane" })'
mistake "a recurrent layer after nn.Flatten" \
  "LSTM.8. expects samples of steps x features but receives 784 .from nn.Flatten, line" \
  'e.model = nn.Sequential { nn.Flatten(), nn.LSTM(8), nn.Linear(10) }'
mistake "a recurrent layer without units" "hidden is 0; expected a whole number >= 1" 'e.model = nn.GRU(0)'
mistake "an output that there is not" "output is 'frist'; expected one of 'last', 'all'" \
  'e.model = nn.RNN { 8, output = "frist" }'
mistake "tensors that do not fit" "matmul.*2x3.*4x5" 'ml.zeros(2, 3):matmul(ml.zeros(4, 5))'
mistake "an unknown normalisation" "normalise" 'e.data = ml.data.digits { n = 16, normalise = "nice" }'
mistake "an error of the user's" "my own mistake" 'error("my own mistake")'
mistake "two ml.params" "second time" 'ml.params {}' 'local p = ml.params { width = { 1, "w" } }'

tiny '' 'local p = ml.params { lr = { 0.1, "rate", min = 0 }, wide = { true, "w" }, kind = { "a", "k", choices = { "a", "b" } },
  hidden = { {3}, "h" } }' >params.lua
check "a misspelt override" 2 err="has no parameter 'lrr'; did you mean 'lr'" lines=1 -- "$program" params.lua lrr=1
check "an override that is no number" 2 err="parameter lr: expected a number, got 'fast'" lines=1 -- "$program" params.lua lr=fast
check "an override out of range" 2 err='parameter lr: expected at least 0, got -1' lines=1 -- "$program" params.lua lr=-1
check "an override that is no boolean" 2 err='expected true or false' lines=1 -- "$program" params.lua wide=yes
check "an override that is no choice" 2 err='expected one of a, b' lines=1 -- "$program" params.lua kind=c
check "an override that is no list" 2 err='expected a list' lines=1 -- "$program" params.lua 'hidden={os.exit(9)}'
check "a list override" 0 -- "$program" params.lua 'hidden={512,128}' --quiet
check "--help of a config lists its parameters" 0 out='^  lr=0.1 +rate \(at least 0\)' out='hidden=\{3\}' -- "$program" params.lua --help

printf 'local x = = 3\n' >syntax.lua
check "a syntax error" 2 err='^mnistlua: error: syntax.lua:1: ' lines=1 -- "$program" syntax.lua
: >empty.lua
check "an empty config runs as a script" 0 -- "$program" empty.lua
printf '\xef\xbb\xbf#!/usr/bin/env mnistlua\nprint "hello"\n' >bom.lua
check "a byte-order mark and #! are fine" 0 out='^hello' -- "$program" bom.lua
printf '\x1bLua\x54\x00\x19\x93' >code.lua
check "bytecode is refused" 2 err='code.lua.*compiled Lua' lines=1 -- "$program" code.lua
cp code.lua module.lua; echo 'require "module"' >uses.lua
check "bytecode by require is refused" 2 err='binary chunk|compiled' lines=1 -- "$program" uses.lua
echo 'return 5' >five.lua
check "a config that returns something else" 2 err='returns ml.experiment' lines=1 -- "$program" five.lua
echo 'error(nil)' >enil.lua
check "error(nil)" 2 err='without a value' lines=1 -- "$program" enil.lua
echo 'error(setmetatable({}, {__tostring = function() error("x") end}))' >etable.lua
check "an error whose tostring fails" 2 err='error value of type table' lines=1 -- "$program" etable.lua
echo 'local function f() return 1 + f() end f()' >deep.lua
check "endless recursion" 2 err='stack overflow' lines=1 -- "$program" deep.lua

mistake "a class in place of a loss" "nn.CrossEntropyLoss is a class; write nn.CrossEntropyLoss\(\)" 'e.loss = nn.CrossEntropyLoss'
mistake "a class in place of a model" "nn.Linear is a class" 'e.model = nn.Linear'
mistake "epochs and steps" "give epochs or steps, not both" 'e.steps = 3'
tiny | sed 's/^return //' >unreturned.lua
check "an experiment that is not returned" 2 err='unreturned.lua:[0-9]+: .*not returned' lines=1 -- "$program" unreturned.lua
tiny 'e.epohcs = 3' | sed 's/^return \(.*\)$/do return \1 end/' >tail.lua
check "a tail call still names the config" 2 err='^mnistlua: error: tail.lua:.*did you mean .epochs' lines=1 -- "$program" tail.lua
tiny 'e.epohcs = 3' | sed '$s/$/;/' >semicolon.lua
check "a semicolon after the last return" 2 err='semicolon.lua:[0-9]+: ' lines=1 -- "$program" semicolon.lua
cat >handled.lua <<'LUA'
local ml = require "mnistlua"
local d = ml.data.idx { images = "nope", labels = "nope" } or ml.data.digits { n = 10 }
error("another mistake")
LUA
check "a fault that was handled does not hide a later mistake" 2 err='handled.lua:3: another mistake' lines=1 -- "$program" handled.lua

# While it trains: exit code 1, and 4 for numbers that are none.
tiny 'e.on = { batch_end = function(run) if run.step == 3 then error("from a callback") end end }' >callback.lua
check "an error in a callback" 1 err='callback.lua:[0-9]+: from a callback' noerr='traceback' -- "$program" callback.lua
tiny 'e.optimizer = optim.SGD { lr = 1e30 }' >nan.lua
check "a loss of NaN" 4 err='diverged at step [0-9]+ \(epoch 1\): the loss is -?(nan|inf).*(layer|parameter)' -- "$program" nan.lua
if find runs -path '*nan*' -name '*.safetensors' | grep -q .; then not_ok "no weights of NaN are saved"; else ok "no weights of NaN are saved"; fi
tiny 'e.on = { diverged = function() return "skip" end } e.optimizer = optim.SGD { lr = 1e30 }' >skip.lua
check "diverged steps can be skipped" 0 -- "$program" skip.lua --quiet
tiny 'e.loop = function(run) for x, y in run:batches() do run:log { ["train.los"] = 1 } end end' >log.lua
check "a misspelt metric in run:log" 1 err="log.lua:[0-9]+: .*did you mean 'train.loss'" -- "$program" log.lua
tiny 'e.loop = function(run) for x, y in run:batches() do print(run.stepp) end end' >field.lua
check "a misspelt field of run" 1 err="field.lua:[0-9]+: .*did you mean 'step'" -- "$program" field.lua
tiny 'local kept e.loop = function(run) for x in run:batches() do kept = kept or x if run.step == 2 then print(kept:sum()) end end end' >kept.lua
check "a value kept beyond its step" 1 err='kept.lua:[0-9]+: .*earlier step.*:clone\(\)' -- "$program" kept.lua
tiny 'e.loop = function(run) for x, y in run:batches() do run.optimizer:zero_grad() run.loss(run.model(x), y):backward()
  run.optimizer:step() end end e.optimizer = optim.SGD { lr = 1e30 }' >silent.lua
check "a loop that logs nothing diverges all the same" 4 err='diverged' -- "$program" silent.lua
tiny 'e.loss = function() return 1 end' >number.lua
check "a loss that returns a number" 1 err='number.lua:[0-9]+: the loss function must return a tensor' -- "$program" number.lua
tiny 'e.loss = function(o, y) return o end' >many.lua
check "a loss of many elements" 1 err='many.lua:[0-9]+: .*got one of 32x10' -- "$program" many.lua
tiny 'local inner = ml.experiment(e) e.on = { batch_end = function() require("mnistlua.trainer").train(
  require("mnistlua.trainer").prepare(inner, { seed = 0 }), { progress = { clear = print } }) end }' >nested.lua
check "a run inside a run" 1 err='nested.lua:[0-9]+: a run cannot begin inside another' -- "$program" nested.lua
tiny 'e.on = { batch_end = function(run) for x in run:batches() do end end }' >reenter.lua
check "batches inside a callback" 1 err='reenter.lua:[0-9]+: run:batches\(\) cannot be used in a callback' -- "$program" reenter.lua
tiny 'e.loop = function(run) for x in run:batches() do end for x in run:batches() do end end' >twice.lua
check "batches after the end are none" 0 lines=3 -- "$program" twice.lua
finish
