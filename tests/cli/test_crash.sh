# A run that is killed, or whose files cannot be written, goes on to the same bits: kill -9 at random moments and at the
# system calls of a save, on another number of threads each time; no space, EIO. CRASH_KILLS=300 is the long version (make
# check-crash), which also goes through every call; system calls need strace.
. "$(dirname "$0")/tap.sh"
kills=${CRASH_KILLS:-10}
long=; [ "$kills" -gt 50 ] && long=yes
RANDOM=7

# Something of everything that has a state. A checkpoint at every second step, so that most moments are in one.
cat >crash.lua <<'LUA'
local ml = require "mnistlua"
local nn, optim, sched = ml.nn, ml.optim, ml.sched
local p = ml.params { epochs = { 12, "passes" } }
return ml.experiment {
  name = "crash", data = ml.data.digits { n = 176, test = 32, val = 48 },
  model = nn.Sequential { nn.Flatten(), nn.Linear(16), nn.BatchNorm1d(), nn.ReLU(), nn.Dropout(0.2), nn.Linear(10) },
  loss = nn.CrossEntropyLoss(), optimizer = optim.Adam { lr = 1e-2 },
  schedule = sched.plateau { lr = 1e-2, patience = 0, threshold = 0.1 }, average = optim.EMA { decay = 0.9 },
  augment = ml.augment { shift = 2, mixup = 0.2 }, epochs = p.epochs, batch = 32, accumulate = 2,
  checkpoint = { every = 2, best = "val.loss" },
  on = { batch_start = function(run)
    if run.step == tonumber(os.getenv "CRASH_AT") then os.execute "kill -TERM $PPID" end
  end },
  callbacks = { { sum = 0, batch_end = function(c, run)
    c.sum = c.sum + run.metrics["train.loss"]
    run.model[2].bias:add_(math.random() * 1e-3)
  end } },
}
LUA

final() { sha256sum <"$(ls "$1"/crash/*/checkpoints/step-*.safetensors | tail -n 1)"; }
weights() { sha256sum <"$(ls "$1"/crash/*/model.safetensors)"; }
status() { grep -o '"status":"[a-z]*"' "$1"/crash/*/result.json 2>/dev/null; }

# train DIR [OPTIONS]: the run in DIR/crash, begun if there is none that can go on. Its folder is told from others by being
# the only one.
train() {
  local dir=$1
  shift
  if ls "$dir"/crash/*/checkpoints/step-*.safetensors >/dev/null 2>&1; then set -- --resume last "$@"
  else rm -rf "$dir/crash"; set -- crash.lua "$@"; fi
  exec "$program" "$@" --out "$dir/crash" --threads $((RANDOM % 3 + 1)) --quiet
}

# ended DIR: lets the run end, and checks that it came to the bits of the one that was never stopped, with nothing left over.
same() {
  local name=$1 dir=$2 rest
  for _ in 1 2 3; do
    [ "$(status "$dir")" = '"status":"done"' ] && break
    (train "$dir") >>"$dir/log" 2>&1
  done
  rest=$(find "$dir" -name '*.tmp')
  if [ "$(final "$dir")" != "$whole" ]; then not_ok "$name" "another checkpoint" "$(tail -n 5 "$dir/log")"
  elif [ "$(weights "$dir")" != "$whole_weights" ]; then not_ok "$name" "other weights"
  elif [ -n "$rest" ]; then not_ok "$name" "left over: $rest"
  else ok "$name"; fi
}

mkdir whole
(train whole) >whole/log 2>&1 || not_ok "the run" "$(cat whole/log)"
whole=$(final whole) whole_weights=$(weights whole)

# ---- kill -9 at random moments ----

done_kills=0 rounds=0 spread=$((long ? 400 : 250))
while [ "$done_kills" -lt "$kills" ] && [ "$rounds" -lt $((10 * kills)) ]; do
  rounds=$((rounds + 1))
  dir=killed$rounds
  mkdir "$dir"
  while [ "$done_kills" -lt "$kills" ] && [ "$(status "$dir")" != '"status":"done"' ]; do
    (train "$dir") >>"$dir/log" 2>&1 &
    sleep "0.$(printf %03d $((RANDOM % spread + 20)))"
    kill -9 $! 2>/dev/null
    wait $! 2>/dev/null
    [ $? = 137 ] || break # it ended by itself
    done_kills=$((done_kills + 1))
  done
  same "killed at random moments, up to kill $done_kills" "$dir"
  rm -rf "$dir"
done
[ "$done_kills" -ge "$kills" ] || not_ok "killed $kills times" "$done_kills times in $rounds runs"

# ---- at system calls ----

# The leak sanitizer cannot work in a process that is traced.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"

if ! strace -f -o /dev/null -e inject=getpid:error=EIO true 2>/dev/null; then
  skip "killed at system calls" "strace cannot be used"
  finish
  exit
fi

# A run of 8 steps that was stopped in the fifth, and what it comes to; each of the following goes on with a copy of it.
rm -rf whole
mkdir whole begun
"$program" crash.lua epochs=2 --out whole/crash --quiet >whole/log 2>&1
whole=$(final whole) whole_weights=$(weights whole)
CRASH_AT=5 "$program" crash.lua epochs=2 --out begun/crash --quiet >begun/log 2>&1

# struck NAME FILE CALL WHAT WHEN CODE: goes on with the run; WHAT befalls the WHEN-th CALL that each thread makes for the file
# (its temporaries too) or for its folder. Returns whether it did. The exit code is one of CODE.
struck() {
  local name=$1 file=$2 call=$3 what=$4 when=$5 codes=$6 dir=$work/struck code paths=() n
  rm -rf "$dir"
  cp -r begun "$dir"
  file=$(echo "$dir"/crash/*-crash)/$file
  paths=(-P "$file")
  [ "$when" -gt 1 ] && paths+=(-P "$(dirname "$file")")                 # which every thread comes to later
  # With -D the program keeps the number of the shell that becomes strace, which is in the names of its temporaries.
  (bash -c 'file=$1 dir=$2 program=$3; shift 3
    for n in 0 1 2 3 4 5 6 7 8 9; do set -- "$@" -P "$file.$$.$n.tmp"; done
    exec strace -D -f -qq -o "$dir/trace" "$@" "$program" --resume last --out "$dir/crash" --threads 2 --quiet' \
    - "$file" "$dir" "$program" "${paths[@]}" -e "trace=$call" -e signal=none -e "inject=$call:$what:when=$when" \
    >"$dir/log" 2>&1; exit $?) 2>/dev/null
  code=$?
  for n in 1 2 3 4 5 6 7 8 9; do [ -s "$dir/trace" ] || sleep 0.02; done       # its writer may be behind
  [ $code = 137 ] || grep -q INJECTED "$dir/trace" || return 1
  if ! grep -qw -- "$code" <<<"$codes"; then not_ok "$name" "exit code $code, expected $codes" "$(cat "$dir/log")"
  elif [ $code != 137 ] && find "$dir" -name '*.tmp' | grep -q .; then not_ok "$name" "a temporary is left"
  elif [ $code = 1 ] && ! grep -q '^mnistlua: error: ' "$dir/log"; then not_ok "$name" "no message" "$(cat "$dir/log")"
  else
    [ $code = 1 ] && (train "$dir") >>"$dir/log" 2>&1                   # the one before it is as good
    same "$name" "$dir"
  fi
}

# must NAME FILE ...: one that has to be struck.
must() { struck "$@" || not_ok "$1" "there was no such call" "$(tail -n 3 "$work/struck/trace" "$work/struck/log")"; }

sixth=checkpoints/step-000000000006.safetensors
eighth=checkpoints/step-000000000008.safetensors
if [ -n "$long" ]; then
  for file in $sixth $eighth model.safetensors result.json; do
    for call in openat write fsync close rename unlink; do
      for what in signal=KILL error=EIO error=ENOSPC; do
        codes="0 1"; [ $what = signal=KILL ] && codes=137
        for when in 1 2 3 4 5 6; do struck "$file: $call $when: $what" $file $call $what $when "$codes" || break; done
      done
    done
  done
else
  must "killed in an fsync" $sixth fsync signal=KILL 1 137
  must "killed before a name is there" $eighth rename signal=KILL 1 137
  must "killed before a folder is synced" $eighth fsync signal=KILL 2 137
  must "a checkpoint on the way cannot be synced" $sixth fsync error=EIO 1 0
fi
must "no space for the last checkpoint" $eighth write error=ENOSPC 1 1
if grep -q "error: .*$eighth: cannot be written: No space left on device" struck/log; then ok "and it says so"
else not_ok "and it says so" "$(cat struck/log)"; fi
must "no name for the last checkpoint" $eighth rename error=EIO 1 1
finish
