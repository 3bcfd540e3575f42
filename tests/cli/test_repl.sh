# The prompt: typed through a pipe and at a terminal, after a run, and inside one that is paused.
. "$(dirname "$0")/tap.sh"
export HOME=$work XDG_STATE_HOME=$work/state

# typed TEXT COMMAND...: the command with the text as its input, no terminal.
typed() { local text=$1; shift; printf '%s\n' "$text" | "$@"; }

check "values, locals and statements of several lines" 0 out='^3$' out='^twotwo$' out='^line 2$' out='^nn.Linear\(3, 2\)$' lines=0 -- \
  typed $'1 + 2\nlocal t = "two"\nt .. t\nfor i = 1, 2 do\nprint("line " .. i)\nend\nnn.Linear(3, 2)' "$program" repl
check "an error, its place, and on it goes" 1 err='^error: prompt:1: oh$' out='^42$' lines=1 -- \
  typed $'error("oh")\n6 * 7' "$program" repl
check "through which functions it came" 1 err="^  prompt:1: in .*'f'" lines=3 -- \
  typed $'function f(x) return #x + 1 end\nfunction g() local y = f(nil) return y end\nlocal z = g()' "$program" repl
check "a misspelt variable" 1 err="a nil value \(global 'shwo'\); did you mean 'show'" -- typed 'shwo(1)' "$program" repl
check "an error that is no text" 1 err='^error: an error value of type table$' -- typed 'error({})' "$program" repl
check "a misspelt name" 1 err="did you mean 'Linear'" -- typed 'nn.Linaer(3)' "$program" repl
check "help" 0 out='^nn.Linear$' out='^A fully connected layer' -- typed 'help(nn.Linear)' "$program" repl
check "help on an operation" 0 out='^t:matmul\(u' out='c\[m, n\] = a\[m, k\] b\[k, n\]' -- typed 'help "matmul"' "$program" repl
check "a picture is drawn" 0 out='^tensor 28x28 u8$' out='^label [0-9]$' -- typed 'ml.data.digits { n = 3 }[1]' "$program" repl
check "quit()" 0 -- typed $'quit()\nerror("not reached")' "$program" repl
check "what is not whole at the end" 1 err='not whole' -- typed 'for i = 1, 2 do' "$program" repl
check "escape codes are shown" 0 out='\\x1b\[31m' -- typed '"\27[31m"' "$program" repl
check "without a terminal and without a word: as ever" 2 err='no config given' lines=1 -- "$program"

tiny >tiny.lua
check "after a run, with -i" 0 out='^weights' out='^tiny 16$' -- \
  typed 'print(run.experiment.name, run.step)' sh -c '"$0" tiny.lua -i --quiet | tr "\t" " "' "$program"
check "the run's folder is free by then" 0 out='^holder nil$' -- \
  typed 'os.execute("'"$program"' -e \"print(string.format([[holder %s]], require([[mnistlua.core]]).lock_holder([[" .. run.dir .. "/lock]])))\"")' \
  "$program" tiny.lua -i --quiet
check "a run: its metrics, and another evaluation" 0 out='^run of tiny: step 16 of 16, epoch 2 of 2$' out='^true$' -- \
  typed $'run\nrun:evaluate(data.test).acc == run.metrics["test.acc"]' "$program" repl last
check "of a run" 0 out='^tensor 1x10 f32$' out='^digits: 256 train, 64 test$' -- \
  typed $'model(ml.zeros(1, 28, 28))\ndata' "$program" repl last
check "of no run" 2 err="there is no run 'nobody'" -- typed 1 "$program" repl nobody

if ! command -v script >/dev/null; then
  skip "at a terminal" "script is not there"
  finish
  exit
fi

# keys PATTERN TEXT ...: writes each text once what the terminal has shown since the one before matches its pattern.
keys() {
  local from=0 tries
  while [ $# -gt 1 ]; do
    for ((tries = 0; tries < 100; tries++)); do
      tail -c +$((from + 1)) "$work/screen" 2>/dev/null | grep -qE -- "$1" && break
      sleep 0.1
    done
    sleep 0.1
    from=$(wc -c <"$work/screen")
    printf '%b' "$2"
    shift 2
  done
}
# terminal COMMAND: runs it at a terminal, which shows what it wrote in $work/screen.
terminal() { timeout 100 script -qfec "stty cols 100 rows 30; $1" "$work/screen" >/dev/null 2>&1; }
# session COMMAND PATTERN TEXT ...: the two together.
session() { : >"$work/screen"; keys "${@:2}" | terminal "$1"; }

session "'$program'" '> $' 'ml.da\t' 'ta' '.dig\t' 'its' '{ n = 4 }\r' 'train' 'print "busy" while true do end\r' '^busy' '\003' \
  'interrupted' 'half a li' 'half' '\003' '> ' '"aft" .. "er"\r' '^after' '\004'
check "alone at a terminal: completion, Ctrl-C, Ctrl-D" 0 out='help\(\) tells' out='digits: 4 train' out='interrupted' \
  out='^after' -- cat screen
grep -q 'digits' state/mnistlua/history && ok "history is kept" || not_ok "history is kept" "$(ls -R state)"
session "'$program'" '> $' '\033[A' 'er"' '\r' '^after' '\004'
check "and comes back" 0 out='^after' -- cat screen

session "sh -c '(sleep 0.7; kill -TERM \$\$) & exec $program'; echo code \$?; stty -a; echo shown" '^shown' ''
check "SIGTERM ends it and leaves the terminal as it was" 0 out='code 143' out=' icanon' out=' echo ' -- cat screen

tiny 'e.epochs = 20000; e.schedule = sched.OneCycleLR { max_lr = 0.1 }' >long.lua
session "'$program' long.lua --out paused" 'epoch' '\003' 'uit\?' 'p\r' 'step [0-9]+> ' 'run.step > 0\r' 'true' \
  'run.optimizer.lr = 0.0123\r' 'noted' '"lr " .. run.optimizer.lr\r' 'lr 0.0123' \
  'began = run.step for i = 1, 2 do step(3) print("done", run.step - began) end\r' 'done.6' 'run.step - began\r' '^6' \
  'while true do step(1) end\r' 'end' '\003' 'uit\?' 'p\r' 'interrupted' 'model:eval() x = ml.randn(2)\r' 'step' \
  'continue()\r' 'epoch' '\003' 'uit\?' 'q\r' 'resume' ''
check "a paused run" 0 out='\(c\)ontinue, \(s\)ave and continue, \(p\)rompt, \(q\)uit\?' out='^true' out='lr stays 0.0123' \
  out='this changes the run' out='^lr 0.0123' out='done.3' out='^done.6' out='error: .*interrupted' out='^resume' -- cat screen
check "what was changed is told" 0 out='^changed +by hand at step [0-9]+: run.optimizer.lr = 0.0123$' -- \
  "$program" runs show last --out paused
[ "$("$program" runs show last --out paused | grep -c '^changed')" = 1 ] && ok "and nothing else" ||
  not_ok "and nothing else" "$("$program" runs show last --out paused | grep '^changed')"
checkpoint=$(ls paused/*/checkpoints/*.safetensors | tail -1)
strings -n 4 "$checkpoint" 2>/dev/null | grep -q 'held_lr' || grep -qa 'held_lr' "$checkpoint" && ok "a resumed run keeps the rate" ||
  not_ok "a resumed run keeps the rate" "$checkpoint"
check "so does --resume" 0 err='the run was changed by hand, first at step [0-9]+' -- \
  "$program" --resume last --out paused --quiet --max-time 0.1s
check "replay says so" 3 err='the run was changed by hand at step [0-9]+: run.optimizer.lr = 0.0123' -- \
  "$program" replay last --out paused --quiet
session "'$program' long.lua --out fields" 'epoch' '\003' 'uit\?' 'p\r' 'step [0-9]+> ' 'run.experiment.eval_every = 7\r' 'noted' \
  'model[2].bias[1] = 5\r' 'noted' 'for i = 1, 1e5 do run:evaluate(data.test) end\r' 'end' '\003' 'interrupted' 'run:evaluate(data.test).count\r' '^64' 'model(ml.zeros(1, 28, 28)):dim()\r' '^2' 'step(2) print("stepped")\r' '.*stepped.*> ' 'quit()\r' 'resume' ''
check "fields and weights that were changed" 0 out='^changed .*: run.experiment.eval_every = 7$' \
  out='^changed .*: model\[2\].bias\[1\] = 5$' -- "$program" runs show last --out fields
[ "$("$program" runs show last --out fields | grep -c '^changed')" = 2 ] && ok "and nothing that only looked" ||
  not_ok "and nothing that only looked" "$("$program" runs show last --out fields | grep '^changed')"
session "sh -c '(sleep 2; kill -TERM \$\$) & exec $program long.lua --out stopped'; echo code \$?" 'epoch' '\003' 'uit\?' 'p\r' \
  '^code' ''
check "SIGTERM in the prompt of a run saves it and ends it" 0 out='code 143' out='^resume' -- cat screen
session "sh -c '(sleep 2; kill -TERM \$\$) & exec $program long.lua --out stopped'; echo code \$?" 'epoch' '\003' '^code' ''
check "and at the question" 0 out='code 143' out='^resume' -- cat screen
session "'$program' long.lua --out twice; echo code \$?" 'epoch' '\003' 'uit\?' 'c\r' 'epoch' '\003' 'uit\?' 's\r' 'epoch' \
  '\003' 'uit\?' '\003' 'code' ''
check "continue, save, and twice Ctrl-C" 0 out='code 130' -- cat screen
[ -n "$(ls twice/*/checkpoints/*.safetensors 2>/dev/null)" ] && ok "saved on request" || not_ok "saved on request" "$(ls twice/*/*)"
finish
