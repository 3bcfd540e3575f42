# What ends a program from outside: SIGINT and SIGTERM, held and not, and a limit on the size of files. No temporary is
# left, what is saved is whole, and no link is replaced.
. "$(dirname "$0")/tap.sh"

# signalled NAME SIGNAL TIMES CODE SCRIPT: runs the script, which prints "ready" and ends by itself after some seconds, sends
# it the signal so often, and checks the exit code. What a shell runs in the background ignores SIGINT, and so would the
# program: env takes that back.
signalled() {
  local name=$1 signal=$2 times=$3 code=$4 script=$5 pid got
  mkfifo pipe
  env --default-signal=INT "$program" -e "local core = require 'mnistlua.core' $script" >pipe 2>err &
  pid=$!
  exec 3<pipe
  rm pipe
  read -r _ <&3
  for _ in $(seq "$times"); do
    kill -s "$signal" "$pid" 2>/dev/null
    sleep 0.2
  done
  wait "$pid"
  got=$?
  cat <&3 >out
  exec 3<&-
  if [ "$got" = "$code" ]; then ok "$name"; else not_ok "$name" "exit code $got, expected $code" "$(cat err)"; fi
}
begin='local began = core.clock() print "ready" io.stdout:flush()'
on='while core.clock() - began < 10 do'

signalled "the first SIGINT ends a script in a loop" INT 1 130 "$begin $on end"
signalled "the first SIGTERM, too" TERM 1 143 "$begin $on end"
signalled "and one that is busy in C" TERM 1 143 "local t = ml.ones(1000, 1000) $begin $on t:matmul(t) end"
signalled "and one in a search of Lua's" INT 1 130 "local s = ('a'):rep(1e5) $begin s:find '^.-.-b'"
signalled "while signals are held, the first one is counted" INT 1 0 \
  "core.hold_signals(true) $begin $on if core.interrupts() > 0 then break end end
   local count, number = core.interrupts(true) assert(count == 1 and number == 2)"
signalled "and the second one ends the program" TERM 2 143 "core.hold_signals(true) $begin $on end"
signalled "signals that are no longer held end it again" INT 1 130 \
  "core.hold_signals(true) core.hold_signals(false) $begin $on end"

# Saving without an end, so that a signal is likely to meet a temporary.
saving='local t = ml.zeros(3000000) core.write_file("saved", "old") '
for times in 1 2; do
  hold=$([ "$times" = 2 ] && echo 'core.hold_signals(true)')
  for round in 1 2 3; do
    signalled "a signal while a file is written ($times, $round)" TERM "$times" 143 \
      "$saving $hold $begin $on assert(core.safetensors_write('saved', { { 't', t } })) end"
    if find . -name '*.tmp' | grep -q .; then not_ok "no temporary is left ($times, $round)" "$(ls)"
    else ok "no temporary is left ($times, $round)"; fi
    if [ -s saved ]; then ok "a whole file is ($times, $round)"; else not_ok "a whole file is ($times, $round)"; fi
  done
done

# The same where a thread of its own writes: a second signal does not wait for it.
for round in 1 2 3; do
  signalled "a signal while a file is written in the background ($round)" TERM 2 143 "core.hold_signals(true) $saving $begin $on
    local save = assert(core.save_begin('saved', { { 't', t } }, { ['mnistlua.crc32'] = '00000000' }))
    t:fill_(1) assert(save:wait()) end"
  if find . -name '*.tmp' | grep -q .; then not_ok "no temporary is left by it ($round)" "$(ls)"
  else ok "no temporary is left by it ($round)"; fi
done

echo 'print(require("mnistlua.core").write_file("large", ("x"):rep(100000)))' >large.lua
check "a file size limit is an error like others" 0 out='large: cannot be written: File too large' -- \
  bash -c 'ulimit -f 8; "$0" large.lua' "$program"
if find . -name 'large.*.tmp' | grep -q .; then not_ok "and leaves nothing behind" "$(ls)"
else ok "and leaves nothing behind"; fi

ln -s /dev/stdout link
check "saving to a link to standard output" 0 out='link: cannot be replaced: expected a file, got a FIFO' -- \
  bash -c '"$0" -e "print(require([[mnistlua.core]]).write_file([[link]], [[x]]))" | cat' "$program"
if [ -h link ]; then ok "the link is still there"; else not_ok "the link is still there" "$(ls -l)"; fi
finish
