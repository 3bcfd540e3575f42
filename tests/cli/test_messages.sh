# Where a mistake is told that shows only when the library runs: the config's line that made the layer, the loss, the
# optimizer or the schedule, also where no line of the config is running.
. "$(dirname "$0")/tap.sh"

# told NAME CODE PATTERN KEYS [BEFORE]: the tiny config with these changes of one line each, KEYS on line 9, fails with
# one line that begins with bad.lua:9.
told() {
  tiny "$4" "${5:-}" >bad.lua
  check "$1" "$2" err="^mnistlua: error: bad.lua:9: $3" lines=1 -- "$program" bad.lua --quiet
}

told "an optimizer of another model" 2 "optim.SGD: none of its parameters is one of the model's" \
  'e.optimizer = optim.SGD(nn.Linear(3, 3):parameters(), { lr = 1 })'
told "a pattern without a parameter" 2 "optim.Adam: group 1: 'biass\\$' matches no parameter" \
  'e.optimizer = optim.Adam { groups = { { "biass$", lr = 1 } } }'
told "weights for other classes" 1 "cross_entropy: expected an? f32 weight of 10" 'e.loss = nn.CrossEntropyLoss { weight = { 1, 1 } }'
told "labels for a regression loss" 1 "mse: .*f32" 'e.loss = nn.MSELoss()'
told "a layer that is called last, by a tail call" 2 "nn.ReLU\\(\\): expected a tensor, got 3" 'e.model = N(nn.ReLU())' \
  'local N = nn.Module "N" function N:init(f) self.f = f end function N:forward() return self.f(3) end'
told "a model of layers without parameters" 2 "optim.SGD: nn.Sequential.* has no parameters" \
  'e.model, e.optimizer = nn.Sequential { nn.Flatten() }, optim.SGD { lr = 1 }'
told "a model that contains itself" 2 "nn.Sequential: a module cannot contain itself" 'e.model:add(e.model)'
told "a class in a container" 2 "nn.Sequential: element 5: nn.ReLU is a class; write nn.ReLU\\(\\)" 'e.model:add(nn.ReLU)'
told "a schedule that goes below 0" 1 "the schedule gave -1 at step 3; expected a learning rate of at least 0" \
  'e.schedule = function(step) return step < 3 and 0.1 or -1 end'
told "a schedule that gives NaN" 1 "the schedule gave nan at step 3" \
  'e.schedule = function(step) return step ~= 3 and 0.1 or 0 / 0 end'
told "arguments of sched.check" 2 "sched.check: epochs is 'x'" 'sched.check(sched.constant(1), "x")'
told "a share above 1" 2 "digits:split: val: .* got 3.5" 'e.data = e.data:split { val = 3.5 }'
told "a second test part" 2 "digits:split: test: there is a test part already, of 64 samples" 'e.data = e.data:split { test = 3 }'
told "a sample that is not there" 2 "digits: sample numbers are 1..256, got -1" 'print(e.data[-1])'

# with PARAMETERS KEYS: a config with these parameters and changes.
with() { tiny "${2:-}" "local p = ml.params { $1 }" >params.lua; }

with 'lr = { 0.1, "rate" }, hidden = { { 3 }, "widths" }' 'io.stderr:write(#p.hidden, "\n") for name in pairs(p) do print(name) end'
for text in '{abc}' '{1,{2}}' '{1,,2}' '1' '{1e999}'; do
  check "a list that is none: $text" 2 err="^mnistlua: error: parameter hidden: expected a list such as hidden='\{3\}', got '" \
    lines=1 -- "$program" params.lua "hidden=$text"
done
check "an empty list" 0 err='^0$' out='^hidden$' -- "$program" params.lua 'hidden={}' --quiet
check "a misspelt override has one punctuation" 2 err="has no parameter 'lrr'; did you mean 'lr'\?$" lines=1 -- \
  "$program" params.lua lrr=1
with 'lr = { 0.1, "rate" }' 'p.lr = 3'
check "parameters are read-only" 2 err='^mnistlua: error: params.lua:9: parameters are read-only; set lr on the command line' \
  lines=1 -- "$program" params.lua
with 'lr = { 0.1, 3 }'
check "a description that is no text" 2 err='^mnistlua: error: params.lua:3: .*the description is 3' lines=1 -- \
  "$program" params.lua --help
finish
