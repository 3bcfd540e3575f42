# mnistlua sweep: grids and random trials, what fails and what is pruned, interrupted and resumed sweeps, mistakes.
. "$(dirname "$0")/tap.sh"

tiny 'e.data = ml.data.digits { n = 256, val = 64 } e.optimizer.lr = p.lr e.epochs = p.epochs
  if p.fault ~= "" then error(p.fault) end' \
  'local p = ml.params { lr = { 0.1, "the rate", min = 0 }, epochs = { 2, "passes", min = 1 }, fault = { "", "a message" },
    hidden = { {16}, "widths" } }' >tiny.lua
sweep=("$program" sweep)
folder() { ls -d "$1"/*-sweep-tiny* | tail -n 1; }
same() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got:      $2" "expected: $3"; fi; }

# ---- a grid ----
check "a grid" 0 out='^trial  status  val.acc  epochs +time  parameters$' out='^best +trial [1-4], val.acc [0-9.]+%$' \
  out='^repeat +mnistlua tiny.lua lr=[0-9.]+ hidden=.\{[0-9,]+\}.$' err='^sweep of tiny.lua: 4 trials' \
  err='1/4  trial [1-4] +done +val.acc [0-9.]+% .*lr=.* hidden=\{' lines=5 -- \
  "${sweep[@]}" tiny.lua lr=0.03,0.1,3e-2 hidden='{16},{12,8}'
cp out grid
run=$(sed -n 's/^run *//p' grid)
command=$(sed -n 's/^repeat *mnistlua //p' grid)
eval "\"$program\" $command --quiet --out again" >/dev/null
same "its command repeats the best trial" "$(sha256sum <"$(echo again/*/model.safetensors)")" "$(sha256sum <"$run/model.safetensors")"
same "a line for each trial is kept" "$(grep -c '"status":"done"' "$(folder runs)/trials.jsonl")" 4
check "its folder has the runs" 0 out='tiny' -- "$program" runs --out "$(folder runs)"
check "and is none itself" 0 err='no runs yet' -- "$program" runs
check "a finished sweep has nothing left to do" 0 err='0 trials of 4 left' out='^best ' -- "${sweep[@]}" --resume last
same "and does none of it again" "$(wc -l <"$(folder runs)/trials.jsonl")" 4

# ---- at random ----
points() { grep -o '"params":{[^}]*}' "$(folder "$1")/trials.jsonl" | sort; }
check "ranges" 0 err='3/3' lines=4 -- \
  "${sweep[@]}" tiny.lua lr='log(1e-3,1)' epochs='int(1,2)' --trials 3 --seed 5 --jobs 1 --out a
"${sweep[@]}" tiny.lua lr='log(1e-3,1)' epochs='int(1,2)' --trials 3 --seed 5 --jobs 2 --out b --quiet >/dev/null
same "a seed gives the same trials" "$(points a)" "$(points b)"
check "--seed is in the command" 0 out='^repeat .* --seed 5$' -- "${sweep[@]}" --resume last --out a
check "more trials of a sweep" 0 err='2 trials of 5 left' -- "${sweep[@]}" --resume last --trials 5 --out b
same "continue it" "$(wc -l <"$(folder b)/trials.jsonl")" 5
check "a space that is too small" 0 err='no more than 2 different trials, not 9' -- \
  "${sweep[@]}" tiny.lua epochs=1,2,2 --trials 9 --data digits
check "JSON" 0 out='^\{"best":[12],"better":"min","command":"mnistlua tiny.lua epochs=[12]","counts":\{"diverged":0,"done":2,' -- \
  "${sweep[@]}" tiny.lua epochs=1,2 --metric val.loss --json --quiet
cp out json
echo 'local core = require "mnistlua.core" local r = assert(core.json_decode(assert(core.read_file "json")))
assert(r.metric == "val.loss" and #r.trials == 2 and r.trials[2].params.epochs == "2" and r.trials[2].reports[2].epoch == 2)' >read.lua
check "which can be read" 0 lines=0 -- "$program" read.lua

# ---- what fails ----
check "failures are shown and end nothing" 0 err='trial 3   failed .*fault=oh no lr=0.1: tiny.lua:[0-9]+: oh no' out='^best +trial [12]' \
  -- "${sweep[@]}" tiny.lua fault=',oh no' lr=0.1,0.2 --jobs 1
check "also where it is quiet" 1 err='trial 1 +failed' lines=2 out='no trial has trained to its end' -- \
  "${sweep[@]}" tiny.lua fault=oh,no --quiet
sed 's/error(p.fault)/print "another"/' tiny.lua >changed && cp changed "$(folder runs)/config.lua" && cp changed tiny.lua
check "what failed is tried again" 0 err='trial 1 +done' -- "${sweep[@]}" --resume last
check "a loss that is no number" 0 err='trial 2 +diverged .*: diverged at step' out='^best +trial 1' -- \
  "${sweep[@]}" tiny.lua lr=0.1,1e30 --jobs 1
sed 's/e.epochs = p.epochs/e.epochs = p.lr > 0 and 2 or 10000000/' tiny.lua >hopeless.lua
for rule in asha median; do
  check "--prune $rule" 0 err='4/4  trial 4 +pruned +val.acc' out='^ +4  pruned' out='^best +trial [123]' -- \
    timeout 60 "${sweep[@]}" hopeless.lua lr=0.1,0.2,0.3,0 --jobs 1 --prune $rule --out p
done

echo 'local p = require("mnistlua").params { n = { 1, "which" } }
while p.n == 2 do io.stdout:write(("x"):rep(1000)) io.stderr:write(("y"):rep(1000)) end error "quick"' >noisy.lua
check "a flood of output keeps nobody waiting" 1 err='trial 2 +failed .*noisy.lua:2: quick' err='1 trial left' -- \
  timeout 60 "${sweep[@]}" noisy.lua n=2,1 --jobs 2 --max-time 1s --out q

# ---- stopped and resumed ----
# started OUT: a sweep whose first trial is short and whose second one has no end; returns when that one trains.
started() {
  "${sweep[@]}" tiny.lua epochs=1,10000000 --jobs 1 --out "$1" >"$1.out" 2>"$1.err" &
  pid=$!
  for _ in $(seq 200); do
    [ -s "$(folder "$1" 2>/dev/null)/trials.jsonl" ] && [ "$(ls -d "$(folder "$1")"/*/ | wc -l)" = 2 ] && break
    sleep 0.05
  done
  sleep 0.2
}
gone() {   # whether no process trains in the folder any more
  for _ in $(seq 100); do pgrep -f -- "--out $1/" >/dev/null || return 0; sleep 0.05; done
  return 1
}
started c 2>/dev/null
kill -TERM $pid
wait $pid
same "SIGTERM ends it" $? 143
grep -q '^best  *trial 1' c.out && grep -q '1 trial left; go on with: mnistlua sweep --resume .* --out c' c.err \
  && ok "and what is done is told" || not_ok "and what is done is told" "$(cat c.out c.err)"
gone c && ok "no trial runs on" || not_ok "no trial runs on" "$(pgrep -fa -- '--out c/')"
check "--resume with a time limit" 0 err='^sweep of tiny.lua: 1 trial of 2 left' err='1 trial left' out='^ +1  done' -- \
  "${sweep[@]}" --resume last --out c --max-time 1s
started d 2>/dev/null
check "two processes" 1 err="process $pid runs this sweep" lines=1 -- "${sweep[@]}" --resume last --out d
kill -9 $pid
wait $pid 2>/dev/null
gone d && ok "kill -9 leaves no trial behind" || not_ok "kill -9 leaves no trial behind" "$(pgrep -fa -- '--out d/')"
printf '{"trial":2,"stat' >>"$(folder d)/trials.jsonl"
check "a cut line is no trial" 0 err='1 trial of 2 left' -- "${sweep[@]}" --resume last --out d --max-time 1s
echo '{"trial":2,"status":"done","params":{"epochs":"7"},"metrics":{},"reports":[]}' >>"$(folder d)/trials.jsonl"
check "a line of another sweep" 1 err='trial 2 is not the one' lines=1 -- "${sweep[@]}" --resume last --out d
# A trial's fifth epoch stops the sweep (its parent); the later ones last until the sweep has passed that on.
tiny 'e.epochs = p.epochs e.on = { epoch_end = function(run)
    if not os.getenv("TO_STOP") or run.epoch < 5 then return end
    if run.epoch == 5 then os.execute("kill -TERM $(cut -d \\  -f 4 /proc/$PPID/stat)") end
    os.execute("sleep 0.3")
  end }' 'local p = ml.params { epochs = { 2, "passes", min = 1 } }' >stops.lua
TO_STOP=1 "${sweep[@]}" stops.lua epochs=40 --jobs 1 --out w >/dev/null 2>&1
sweeps=$(ls -d w/*-sweep-stops)
check "a trial that is stopped with the sweep" 0 out='"status":"stopped"' -- cat "$sweeps/trials.jsonl"
same "had not come to its end" "$(grep -c '"status"' "$sweeps/trials.jsonl") $(grep -c '"epoch":40' "$sweeps/trials.jsonl")" "1 0"
check "goes on with it" 0 err='1/1  trial 1 +done' out='^ +1  done .* 40 ' -- "${sweep[@]}" --resume last --out w
same "in its own folder" "$(ls -d "$sweeps"/*-tiny* | wc -l)" 1
"$program" stops.lua epochs=40 --quiet --out straight >/dev/null
same "and ends as if it had not been" "$(sha256sum <"$(echo "$sweeps"/*/model.safetensors)")" \
  "$(sha256sum <"$(echo straight/*/model.safetensors)")"
if command -v script >/dev/null; then
  script -qec "stty cols 60; $program sweep tiny.lua epochs=1,10000000 --max-time 3s --out e" /dev/null </dev/null >tty
  grep -q 'epoch [0-9]*/10000000' tty && grep -q '1 of 2, best trial 1' tty && ok "a live table" || not_ok "a live table" "$(cat -v tty)"
else
  skip "a live table" "script is not installed"
fi

# ---- mistakes, told before anything is made ----
mkdir none
bad() { local name=$1 want=$2; shift 2; check "$name" 2 err="$want" lines=1 -- "${sweep[@]}" "$@" --out none; }
bad "an unknown parameter" "has no parameter 'lrr'; did you mean 'lr'" tiny.lua lrr=1,2
bad "a wrong type" "parameter lr: expected a number, got 'fast'" tiny.lua lr=0.1,fast
bad "out of range" 'parameter lr: expected at least 0, got -1' tiny.lua lr='uniform(-1,1)' --trials 3
bad "a range without a number of trials" 'say how many values to try with --trials' tiny.lua lr='log(1,2)'
bad "a huge grid" 'these lists give 262144 trials' tiny.lua epochs=$(seq -s, 512) lr=$(seq -s, 512)
bad "no config" 'no config given' --jobs 1
bad "no such config" 'missing.lua: cannot be opened' missing.lua lr=1
bad "an unknown metric" "--metric: unknown metric 'val.ac'; did you mean 'val.acc'" tiny.lua --metric val.ac
bad "an unknown rule" "'--prune' must be one of" tiny.lua --prune best
bad "a sweep that is not there" "there is no sweep 'last': none has no sweeps" --resume last
bad "options that a sweep keeps" 'keeps its --seed; leave it out' --resume last --seed 3
bad "a config for one that goes on" 'keeps its config and parameters' --resume last lr=1
check "a misspelt sweep" 2 err="there is no sweep 'smeep' in runs; its newest is .*-sweep-tiny" lines=1 -- "${sweep[@]}" --resume smeep
echo '-- later' >>tiny.lua
check "a config that has changed" 1 err='tiny.lua has changed since the sweep began' lines=1 -- "${sweep[@]}" --resume last
sed -i 's/"version":1/"version":9/' "$(folder runs)/sweep.json"
check "a plan of a later version" 1 err='is of version 9; this program knows versions up to 1' lines=1 -- "${sweep[@]}" --resume last
echo '[1' >"$(folder runs)/sweep.json"
check "a damaged plan" 1 err='sweep.json: expected the plan of a sweep' lines=1 -- "${sweep[@]}" --resume last
same "nothing was made" "$(ls none)" ""
finish
