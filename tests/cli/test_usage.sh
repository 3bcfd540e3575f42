# The command line itself: options, streams, exit codes.
. "$(dirname "$0")/tap.sh"
tiny >tiny.lua

check "no config is a usage error" 2 err='^mnistlua: error: no config given' lines=1 -- "$program"
check "--help goes to stdout" 0 out='key=value' out='--seed' -- "$program" --help
check "--version" 0 out='^mnistlua [0-9]+\.[0-9]+' -- "$program" --version
check "unknown option" 2 err='unknown option .--sead' lines=1 -- "$program" tiny.lua --sead 3
check "option without its value" 2 err='seed' lines=1 -- "$program" tiny.lua --seed
for bad in 0 -1 1e9 abc 3.5 ''; do
  check "--threads '$bad'" 2 err='--threads: expected a whole number from 1 to 256' lines=1 -- "$program" tiny.lua "--threads=$bad"
done
for bad in -1 4294967296 x; do
  check "--seed '$bad'" 2 err='--seed: expected a whole number' lines=1 -- "$program" tiny.lua "--seed=$bad"
done
check "--max-time nonsense" 2 err='--max-time: expected a time' lines=1 -- "$program" tiny.lua --max-time soon
check "--assert nonsense" 2 err='--assert: .*expected a condition' lines=1 -- "$program" tiny.lua --assert 'test.acc'
check "--assert of a misspelt metric" 2 err="did you mean 'test.acc'" lines=1 -- "$program" tiny.lua --assert 'test.ac>=0.5'
check "--data of an unknown kind" 2 err='digits' lines=1 -- "$program" tiny.lua --data numbers
check "a config that is not there" 2 err='nowhere.lua.*No such file' lines=1 -- "$program" nowhere.lua
check "a folder as config" 2 err='expected a file, got a folder' lines=1 -- "$program" .
check "a name with control bytes is escaped" 2 err='\\x1b\[31m\\x0ab.lua' lines=1 -- "$program" $'a\e[31m\nb.lua'
check "a word that is no key=value" 2 err="expected key=value, got 'lr'" lines=1 -- "$program" tiny.lua lr
check "an override twice" 2 err='lr is given twice' lines=1 -- "$program" tiny.lua lr=1 lr=2
check "an override of a config without parameters" 2 err="has no parameter 'lr'.*declares none" lines=1 -- "$program" tiny.lua lr=1
check "-e runs a statement" 0 out='^3.0' -- "$program" -e 'print(ml.tensor{1,2}:sum():item())'
check "-e with a mistake" 2 err='^mnistlua: error: -e:1: ' lines=1 -- "$program" -e 'x ='
check "MNISTLUA_ISA of an unknown set" 2 err='MNISTLUA_ISA' lines=1 -- env MNISTLUA_ISA=sse9 "$program" --version

check "train is the same as no command" 0 out='^test accuracy' -- "$program" train tiny.lua
check "progress for programs" 0 err='^\{"epoch":1,"epochs":2,"event":"step","run":"runs/' \
  err='^\{"epoch":2,"epochs":2,"event":"epoch",.*"test.acc":' noerr='images/s' -- "$program" tiny.lua --progress json --quiet
check "in a form that there is" 2 err="'--progress' must be one of" -- "$program" tiny.lua --progress yaml
check "results on stdout, progress on stderr" 0 out='^weights +runs/.*/model.safetensors' err='^epoch 2/2  train.loss' -- "$program" tiny.lua
check "one line per epoch when piped" 0 lines=3 -- "$program" tiny.lua
check "--quiet" 0 out='^test accuracy' lines=0 -- "$program" tiny.lua --quiet
check "--json is one object" 0 out='^\{.*"images_per_s":[0-9].*"seconds":.*"test.acc":[01].*\}$' -- "$program" tiny.lua --json --quiet
if [ "$(wc -l <out)" = 1 ]; then ok "--json is one line"; else not_ok "--json is one line"; fi
cp out result.json
if command -v python3 >/dev/null; then check "--json parses" 0 out='"weights"' -- python3 -m json.tool result.json
else skip "--json parses" "python3 is not installed"; fi
check "--assert that holds" 0 -- "$program" tiny.lua --quiet --assert 'test.loss<1000'
check "--assert that is missed" 3 err='missed: test.acc>=1.01: it is 0' -- "$program" tiny.lua --quiet --assert 'test.acc>=1.01'
check "--assert of what is not measured" 3 err='there is no val.acc' -- "$program" tiny.lua --quiet --assert 'val.acc>=0'
check "--out chooses the folder" 0 out='elsewhere/deep/[0-9]{8}-[0-9]{6}-tiny/model.safetensors' -- "$program" tiny.lua --out elsewhere/deep
if [ -s elsewhere/deep/*/result.json ] && cmp -s tiny.lua elsewhere/deep/*/config.lua; then
  ok "a run folder has config and result"; else not_ok "a run folder has config and result" "$(ls -R elsewhere)"; fi
touch afile
check "a misspelt option has a suggestion" 2 err="unknown option '--thread'; did you mean" lines=1 -- "$program" tiny.lua --thread 2
check "an option twice" 2 err='seed' lines=1 -- "$program" tiny.lua --seed 1 --seed 2
check "a negative value" 2 err='--threads: expected a whole number' lines=1 -- "$program" tiny.lua --threads -1
check "a config where a run is expected" 2 err="tiny.lua is a config; expected a run" lines=1 -- "$program" repl tiny.lua
check "a config and -e" 2 err='not both' lines=1 -- "$program" tiny.lua -e 'print(1)'
check "--color always colours the error" 2 err=$'\e\\[31merror:' -- "$program" tiny.lua --color always lr=1
check "--data digits leaves other data alone" 0 noerr='SYNTHETIC' -- "$program" tiny.lua --data digits
mkdir small && if mount -t tmpfs -o size=40k none small 2>/dev/null; then
  tiny 'e.model = nn.Sequential { nn.Flatten(), nn.Linear(64), nn.Linear(10) }' >big.lua
  check "no space for the weights: the result is shown, then 1" 1 out='^test accuracy' err='No space left' -- \
    "$program" big.lua --quiet --out small
  if find small -name '*.tmp' | grep -q .; then not_ok "no temporary is left on a full disk"; else ok "no temporary is left on a full disk"; fi
  umount small
else
  skip "no space for the weights: the result is shown, then 1" "no tmpfs can be mounted here"
fi
check "an output folder that cannot be made" 1 err='output folder afile/x cannot be used' noerr='epoch' lines=1 -- "$program" tiny.lua --out afile/x
check "--max-time ends a run in good order" 0 out='time limit' -- "$program" tiny.lua --max-time 0.001s --quiet
check "stdout is full" 1 err='cannot write to standard output' -- bash -c '"$0" tiny.lua --quiet >/dev/full' "$program"
check "stdout is closed: nothing to write to" 0 -- bash -c '"$0" tiny.lua --quiet >&-' "$program"
check "stdin and stderr are closed" 0 out='^test accuracy' -- bash -c '"$0" tiny.lua <&- 2>&-' "$program"
check "seeds differ" 0 -- bash -c '"$0" tiny.lua --quiet --json --seed 1 >a; "$0" tiny.lua --quiet --json --seed 2 >b; ! cmp -s a b' "$program"
same='rm -rf r1 r2 r3; for t in 1 2 3; do "$0" tiny.lua --quiet --threads $t --out r$t >/dev/null; done; cmp r1/*/*.safetensors r2/*/*.safetensors && cmp r1/*/*.safetensors r3/*/*.safetensors'
check "1, 2 and 3 threads give the same bytes" 0 -- bash -c "$same" "$program"

tiny 'e.epochs = 100000 e.name = "long"' >long.lua
# Waits until the run is under way, so that the machine's speed does not matter.
interrupt() {
  local pid
  rm -rf runs
  env --default-signal=INT,TERM "$program" long.lua --quiet &
  pid=$!
  until ls -d runs/*-long >/dev/null 2>&1; do sleep 0.05; done
  sleep 0.5
  kill -s "$1" "$pid"
  wait "$pid"
}
check "SIGINT: the step ends, weights are saved, 130" 130 out='^weights' out='interrupted' -- interrupt INT
check "SIGTERM: 143" 143 out='^weights' -- interrupt TERM
if find . -name '*.tmp' | grep -q .; then not_ok "no temporary is left"; else ok "no temporary is left"; fi
finish
