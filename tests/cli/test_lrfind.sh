# mnistlua lrfind: the curve in both kinds of characters, JSON, that nothing is left behind, and mistakes.
. "$(dirname "$0")/tap.sh"

tiny "" 'local p = ml.params { lr = { 0.1, "the rate" }, decay = { 0, "weight decay" } }' >tiny.lua
sweep=("$program" lrfind tiny.lua --steps 40 --from 1e-3)

check "a curve and a suggestion" 0 out='^suggestion +[0-9]' out='mnistlua tiny.lua lr=[0-9]' out='^ +[└+]' lines=0 -- \
  "${sweep[@]}"
check "braille where the terminal speaks UTF-8" 0 out='│.*⣀' -- env LC_ALL=C.UTF-8 "${sweep[@]}"
check "plain ASCII elsewhere" 0 out='^ +[0-9.]+ \|.*\*' -- env LC_ALL=C "${sweep[@]}"
if LC_ALL=C grep -q '[^ -~]' out; then not_ok "which is all of it" "$(cat out)"; else ok "which is all of it"; fi
LC_ALL=C check "it fits 80 columns" 0 out=suggestion -- "${sweep[@]}"
widest=$(awk '{ if (length($0) > n) n = length($0) } END { print n }' out)
[ "$widest" -le 80 ] && ok "every line does" || not_ok "every line does" "$widest"
left=$(ls | tr '\n' ' ')
[ "$left" = "err out tiny.lua " ] && ok "nothing is left behind" || not_ok "nothing is left behind" "$left"

check "the same points again" 0 -- sh -c "\"$program\" lrfind tiny.lua --steps 20 --json >a.json; \"$program\" lrfind tiny.lua \
  --steps 20 --json --threads 1 >b.json; cmp a.json b.json"
cat >read.lua <<'LUA'
local core = require "mnistlua.core"
local r = assert(core.json_decode(assert(core.read_file "a.json")))
assert(#r.points == 20 and r.points[1].lr == 1e-5 and math.abs(r.points[20].lr - 10) < 1e-9 and r.name == "tiny")
LUA
check "JSON with every point" 0 -- "$program" read.lua
check "parameters of the config" 0 out=suggestion -- "${sweep[@]}" decay=0.01
check "its help lists them" 0 out='decay=0 +weight decay' -- "$program" lrfind tiny.lua --help
check "its own help" 0 out='--smooth' -- "$program" lrfind --help

check "no config" 2 err='no config given: mnistlua lrfind CONFIG.lua' lines=1 -- "$program" lrfind
check "rates the wrong way round" 2 err='--from: expected a rate below that of --to \(0.1\), got 1' lines=1 -- \
  "$program" lrfind tiny.lua --from 1 --to 0.1
check "a rate that is none" 2 err="--to: expected a learning rate above 0, got 'fast'" lines=1 -- \
  "$program" lrfind tiny.lua --to fast
check "too few steps" 2 err='--steps: expected a whole number from 10' lines=1 -- "$program" lrfind tiny.lua --steps 3
check "too much smoothing" 2 err='--smooth: expected a number from 0 up to but not 1' lines=1 -- \
  "$program" lrfind tiny.lua --smooth 1
check "an unknown option" 2 err='--step' lines=1 -- "$program" lrfind tiny.lua --step 3
check "an unknown parameter" 2 err="no parameter 'lrr'; did you mean 'lr'" lines=1 -- "$program" lrfind tiny.lua lrr=3
tiny 'e.loop = function() end' >loop.lua
check "a loop of its own is told at the config's line" 1 err='loop.lua:[0-9]+: lrfind: the experiment has a loop' lines=1 -- \
  "$program" lrfind loop.lua
check "a misspelt command" 2 err="did you mean 'mnistlua lrfind'" lines=1 -- "$program" lrfnd
tiny "" 'local y = nil' | sed 's/^return .*//' >none.lua
check "a config without an experiment" 2 err='lrfind needs a config that returns an experiment' lines=1 -- \
  "$program" lrfind none.lua
tiny 'e.optimizer = optim.SGD { lr = 1, momentum = 0.9 }' >wild.lua
check "rates too large from the start" 1 err='begin with a smaller rate \(--from\)' lines=1 -- \
  "$program" lrfind wild.lua --from 1e20 --to 1e30
finish
