# mnistlua compare: curves over each other, what differs, other forms, and mistakes.
. "$(dirname "$0")/tap.sh"

tiny 'e.optimizer.lr = p.lr e.epochs = p.epochs e.metrics = { "user.x" }
e.on = { batch_end = function(run) if run.step > 1 then run:log { ["user.x"] = run.step } end end }' \
  'local p = ml.params { lr = { 0.1, "the rate" }, epochs = { 3, "passes" }, kind = { "plain", "a word" } }' >tiny.lua
"$program" tiny.lua --quiet >/dev/null
"$program" tiny.lua lr=0.05 epochs=2 --seed 3 --quiet >/dev/null
{ cat tiny.lua; echo; echo '-- one line more'; } >other.lua
"$program" other.lua lr=0.01 --quiet >/dev/null
compare=(env LC_ALL=C.UTF-8 "$program" compare)

check "two runs" 0 out='^A +1  [0-9]+-[0-9]+-tiny$' out='^B +2  .*-tiny(-2)?  epochs=2 lr=0.05$' \
  out='^train.loss over steps, logarithmic$' out='^test.acc over epochs$' lines=0 -- "${compare[@]}" 1 2
check "what differs" 0 out='^lr +0\.1 +0\.05$' out='^seed +0 +3$' out='^test.acc +[0-9.]+% +[0-9.]+% +[-+][0-9.]+$' \
  out='^ +A +B +B - A$' -- "${compare[@]}" 1 2
if grep -q '^kind\|^precision' out; then not_ok "and nothing else" "$(cat out)"; else ok "and nothing else"; fi
check "what does not" 0 out='^the same: kind=plain' -- "${compare[@]}" 1 2
check "curves as letters where there are no colours" 0 out='│.*AB?A?' out='│.*B' -- "${compare[@]}" 1 2
check "in colours as dots" 0 out=$'│.*\e\\[32m[^A-Z]+\e\\[0m' out=$'\e\\[33mB' -- "${compare[@]}" 1 2 --color always
check "in ASCII" 0 out='^ +[0-9.]+ \|.*A' -- env LC_ALL=C "$program" compare 1 2
if LC_ALL=C grep -q '[^ -~]' out; then not_ok "which is all of it" "$(cat out)"; else ok "which is all of it"; fi
"${compare[@]}" 1 2 3 >out
widest=$(grep -v "^the configs differ" out | LC_ALL=C.UTF-8 wc -L)
[ "$widest" -le 80 ] && ok "it fits 80 columns" || not_ok "it fits 80 columns" "$widest"
check "configs that differ" 0 out='^the configs differ: diff runs/.*/config.lua runs/.*/config.lua$' -- "${compare[@]}" 1 3
check "one's own metric" 0 out='^user.x over steps$' -- "${compare[@]}" 1 2 --metric user.x
check "several" 0 out='^lr over steps' out='^val|^test.loss over epochs' -- "${compare[@]}" 1 2 --metric lr --metric test.loss
check "one run alone" 0 out='^train.loss over steps' -- "${compare[@]}" last
if grep -q 'the same' out; then not_ok "has no table"; else ok "has no table"; fi
check "JSON" 0 out='^\{"differs":\["epochs","lr",' -- "${compare[@]}" 1 2 --json
cat >read.lua <<'LUA'
local core = require "mnistlua.core"
local r = assert(core.json_decode(assert(core.read_file "json")))
assert(#r.runs == 2 and r.runs[1].number == 1 and r.runs[2].params.lr == 0.05 and #r.runs[2].epochs_done == 2)
LUA
cp out json
check "which can be read" 0 -- "$program" read.lua

check "no runs" 2 err='expected mnistlua compare RUN RUN' lines=1 -- "${compare[@]}"
check "a run that is not there" 2 err="there is no run 'tinny' in runs; did you mean 'tiny" lines=1 -- "${compare[@]}" 1 tinny
check "a run twice" 2 err="'last' and '3' are the same run" lines=1 -- "${compare[@]}" last 3
check "a name that several have" 2 err="'20[0-9]+' stands for 3 runs" lines=1 -- "${compare[@]}" 1 "$(date +%Y)"
check "a metric that nobody has" 2 err="no.* curve of 'tran.loss'; did you mean 'train.loss'" lines=1 -- \
  "${compare[@]}" 1 2 --metric tran.loss
check "no folder of runs" 2 err="there is no folder 'none'" lines=1 -- "${compare[@]}" 1 2 --out none
rm runs/runs.db
check "without the metrics of steps" 0 out='^no curves: ' out='^lr +0.1 +0.05$' -- "${compare[@]}" 1 2
finish
