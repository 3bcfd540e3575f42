# mnistlua runs: the list and its forms, show, tag, note, rm, and what is wrong with runs and databases.
. "$(dirname "$0")/tap.sh"

tiny 'e.optimizer.lr = p.lr e.epochs = p.epochs' \
  'local p = ml.params { lr = { 0.1, "the rate" }, epochs = { 2, "passes" }, hidden = { {16}, "widths" } }' >tiny.lua
runs=("$program" runs)

check "no folder of runs" 2 err="--out: there is no folder 'runs'" lines=1 -- "${runs[@]}"
mkdir runs
check "no runs yet" 0 err='no runs yet' lines=1 -- "${runs[@]}"
"$program" tiny.lua --quiet >/dev/null
"$program" tiny.lua lr=0.05 hidden='{8,4}' --seed 3 --quiet >/dev/null
sed 's/"tiny"/"other"/' tiny.lua >other.lua
"$program" other.lua epochs=1 --quiet >/dev/null
first=$(ls runs | grep -- '-tiny$' | head -n 1)

# ---- the list ----
check "the list" 0 out='^#  run +age  status  epochs  test.acc  parameters$' lines=0 -- "${runs[@]}"
check "the newest first, with what is not a default" 0 out='^3  .*-other +[0-9]+ s  done +1/1 +[0-9]+\.[0-9]+%  epochs=1$' \
  out='^2  .*-tiny.* +2/2 +[0-9.]+%  hidden=\{8,4\} lr=0.05$' -- "${runs[@]}"
check "filters" 0 out='^2 ' -- "${runs[@]}" lr=0.05 'test.acc>=0' status=done
[ "$(wc -l <out)" = 2 ] && ok "which leave one" || not_ok "which leave one" "$(cat out)"
check "an order" 0 out='^2 .*hidden' -- "${runs[@]}" --sort lr --limit 1
check "that only some are shown is said" 0 err='^1 of 3 runs; --limit 0 shows all$' lines=1 -- "${runs[@]}" --limit 1
check "nothing found" 0 err='no run meets these filters' -- "${runs[@]}" lr=7
check "colours" 0 out=$'\e\\[32mdone' -- "${runs[@]}" --color always
check "NO_COLOR" 0 -- env NO_COLOR=1 "${runs[@]}"
if grep -q $'\e' out; then not_ok "means none" "$(cat out)"; else ok "means none"; fi
check "JSON" 0 out='^\[\{"number":3,.*"params":\{"epochs":1,"hidden":"\{16\}","lr":0.1\}' -- "${runs[@]}" --json
cat >read.lua <<'LUA'
local core = require "mnistlua.core"
local list = assert(core.json_decode(assert(core.read_file "out")))
assert(#list == 3 and list[2].seed == 3 and list[2].params.lr == 0.05 and list[2].results["test.count"] == 64)
LUA
cp out json
check "which can be read" 0 -- sh -c "cp json out; exec \"$program\" read.lua"
check "CSV" 0 out='^number,folder,name,.*,params.epochs,params.hidden,params.lr,.*results.test.acc,.*,tags$' \
  out='^2,.*,"\{8,4\}",0.05,' -- "${runs[@]}" --csv

if command -v script >/dev/null; then
  narrow() { script -qec "stty cols $1; $program runs $2" /dev/null </dev/null | tr -d '\r' | sed 's/\x1b\[[0-9;]*m//g'; }
  widest=$(narrow 60 | awk '{ if (length($0) > n) n = length($0) } END { print n }')
  [ "$widest" -le 60 ] && ok "lines fit a terminal" || not_ok "lines fit a terminal" "$widest" "$(narrow 60)"
  if narrow 120 | grep -q "$first"; then ok "a wide one shows folders"; else not_ok "a wide one shows folders" "$(narrow 120)"; fi
else
  skip "lines fit a terminal" "script is not installed"
fi

# ---- one run ----
check "show" 0 out='^command +mnistlua tiny.lua hidden=.\{8,4\}. lr=0.05 --seed 3$' out='^defaults +epochs=2' \
  out='^test accuracy +[0-9]' out='^epoch  train.loss' out='^    2  ' -- "${runs[@]}" show 2
check "show the last one" 0 out='^run +.*-other   \(number 3\)' -- "${runs[@]}" show
check "show as JSON" 0 out='^\{.*"facts":\{.*"number":3' -- "${runs[@]}" show last --json
command=$("${runs[@]}" show 2 | sed -n 's/^command *mnistlua //p')
before=$(sha256sum <"runs/$(ls runs | grep -- '-tiny' | sed -n 2p)/model.safetensors")
eval "\"$program\" $command --quiet --out again" >/dev/null
[ "$before" = "$(sha256sum <again/*/model.safetensors)" ] && ok "its command gives the same weights" || not_ok "its command gives the same weights"
cat >config.lua <<'LUA'
local core = require "mnistlua.core"
local _, metadata = assert(core.safetensors_read(assert(io.popen "ls again/*/model.safetensors"):read "l"))
assert(metadata["mnistlua.config"] == core.read_file "tiny.lua" and metadata["mnistlua.param.lr"] == "0.05")
LUA
check "the weights hold the config's text" 0 -- "$program" config.lua
check "tag" 0 lines=0 -- "${runs[@]}" tag 1 good x
check "tag again, and take off" 0 lines=0 -- "${runs[@]}" tag 1 x --remove
check "a tag as a filter" 0 out='^1 .*#good$' -- "${runs[@]}" tag=good
check "note" 0 lines=0 -- "${runs[@]}" note 1 'the "first" one'
check "which show shows" 0 out='^note +the "first" one$' out='^tags +good$' -- "${runs[@]}" show 1

# ---- rm ----
check "rm asks on a terminal only" 2 err='--force' lines=1 -- "${runs[@]}" rm 3
check "rm --force" 0 err='^deleted runs/.*-other$' lines=1 -- "${runs[@]}" rm --force last
[ "$(ls runs | grep -c other)" = 0 ] && ok "the folder is gone" || not_ok "the folder is gone" "$(ls runs)"
if command -v script >/dev/null; then
  echo n | script -qec "$program runs rm 2" /dev/null >asked
  grep -q 'delete this run? (y/n)' asked && [ "$(ls runs | grep -c tiny)" = 2 ] && ok "no is no" || not_ok "no is no" "$(cat asked)"
  echo yes | script -qec "$program runs rm 2" /dev/null >asked
  [ "$(ls runs | grep -c tiny)" = 1 ] && ok "yes is yes" || not_ok "yes is yes" "$(cat asked)"
fi

# ---- mistakes ----
check "a run that is not there" 2 err="there is no run 'tyny' in runs; did you mean 'tiny'\?" lines=1 -- "${runs[@]}" show tyny
check "a misspelt action" 2 err="'shwo' is neither a filter nor an action of runs; did you mean 'show'\?" lines=1 -- "${runs[@]}" shwo
check "a misspelt key" 2 err="did you mean 'lr'" lines=1 -- "${runs[@]}" lrr=1
check "a misspelt sort key" 2 err="did you mean 'test.acc'" lines=1 -- "${runs[@]}" --sort test.ac
check "a limit that is none" 2 err='--limit: expected a whole number' lines=1 -- "${runs[@]}" --limit few
check "options of other actions" 2 err='--force goes with runs rm' lines=1 -- "${runs[@]}" --force
check "and of the list" 2 err='--csv does not go with runs show' lines=1 -- "${runs[@]}" show --csv
check "two forms" 2 err='--json or --csv, not both' lines=1 -- "${runs[@]}" --json --csv
check "tag without a tag" 2 err='expected mnistlua runs tag RUN TAG' lines=1 -- "${runs[@]}" tag last
check "a tag with control bytes" 2 err="got 'a\\\\x1bb'" lines=1 -- "${runs[@]}" tag last $'a\eb'
check "show of two" 2 err='mnistlua compare' lines=1 -- "${runs[@]}" show 1 2
check "a misspelt command" 2 err="did you mean 'mnistlua runs'" lines=1 -- "$program" rums

# ---- two processes, and none any more ----
tiny 'e.epochs = 1000000' >long.lua
"$program" long.lua --quiet >/dev/null 2>&1 &
pid=$!
for _ in $(seq 100); do ls runs/*-2/lock runs/*/lock 2>/dev/null | wc -l | grep -qx 2 && sleep 0.3 && break; sleep 0.1; done
check "a run under way" 0 out=' running ' -- "${runs[@]}" status=running
check "cannot be deleted" 1 err="process $pid trains in it" lines=1 -- "${runs[@]}" rm --force last
kill -9 $pid
wait $pid 2>/dev/null
check "one that was killed" 0 out='^status +killed, ' -- "${runs[@]}" show last
check "keeps its metrics" 0 out='^ +[0-9]+ +[0-9.]+ +[0-9.]+%' -- "${runs[@]}" show last

# ---- databases ----
"$program" tiny.lua --quiet >/dev/null 2>err & "$program" tiny.lua --quiet >/dev/null 2>err2 & wait
[ ! -s err ] && [ ! -s err2 ] && ok "two runs at once" || not_ok "two runs at once" "$(cat err err2)"
check "are both recorded" 0 out='^\[' -- "${runs[@]}" --json name=tiny 'age<60'
all=$("${runs[@]}" --csv | wc -l)
head -c 5000 /dev/urandom >runs/runs.db
check "a damaged database is made again" 0 err='warning: .*runs.db: file is not a database; it was kept as runs/runs.db.damaged-1' lines=1 -- \
  "${runs[@]}" --csv
[ "$(wc -l <out)" = "$all" ] && ok "with every run" || not_ok "with every run" "$(cat out)"
echo 'PRAGMA user_version = 5' >sql
cat >newer.lua <<'LUA'
local db = require("mnistlua.core").db("runs/runs.db", "write", 1000)
assert(db:exec "PRAGMA user_version = 5")
LUA
"$program" newer.lua
check "a newer database is refused" 1 err='runs.db was written by a newer mnistlua: its tables have version 5, .* up to 1' lines=1 -- "${runs[@]}"
check "and training goes on without" 0 err='warning: this run is not recorded: .*version 5' -- "$program" tiny.lua
rm runs/runs.db*

# Root may write anywhere: what is read-only to it is a mount.
mkdir fixed && cp -r runs/. fixed && "${runs[@]}" --out fixed >/dev/null
if mount --bind fixed fixed 2>/dev/null && mount -o remount,bind,ro fixed 2>/dev/null; then
  check "a folder that cannot be written is listed" 0 out='tiny' lines=0 -- "${runs[@]}" --out fixed
  check "but not changed" 1 err='fixed: .*Read-only file system' lines=1 -- "${runs[@]}" tag last x --out fixed
  check "nor trained in" 1 err='the output folder fixed cannot be used: .*Read-only' lines=1 -- "$program" tiny.lua --out fixed
  umount fixed
else
  for name in listed changed trained; do skip "a read-only folder is $name" "nothing can be mounted here"; done
fi
finish
