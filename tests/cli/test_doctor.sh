# mnistlua doctor: what it prints, as text and as JSON; finding a command.
. "$(dirname "$0")/tap.sh"
real=${MNISTLUA_DATA:-}
unset MNISTLUA_DATA

check "doctor" 0 out='^program +mnistlua [0-9]' out='^processor +' out='^instructions +[a-z0-9]+ in use' out='^AMX +' \
  out='^threads +[0-9]+, on ' out='^ +f32 \(.*\), 1 thread +[0-9.]+ +[0-9.]+ +[GT]FLOP/s' out='^ +memory, read.*GB/s' \
  out='--precision auto chooses' lines=0 -- "$program" doctor
if awk 'length > 79 { found = 1 } END { exit found }' out; then ok "it fits 80 columns"
else not_ok "it fits 80 columns" "$(awk 'length > 79' out)"; fi
check "missing data are a hint with the command" 0 out='^MNIST +in nowhere/mnist: missing' out='^hint: +MNIST is not in nowhere' \
  -- "$program" doctor --data-dir nowhere
mkdir -p some/mnist && echo x >some/mnist/train-labels-idx1-ubyte
check "damaged data are a hint, too" 0 out='train-labels-idx1-ubyte: damaged, 2 bytes' out='Mend it' -- "$program" doctor --data-dir some
check "a smaller instruction set is told" 0 out='^instructions +portable in use' -- env MNISTLUA_ISA=portable "$program" doctor
check "--threads" 0 out='^threads +1, on' -- "$program" doctor --threads 1
check "--json is one object" 0 out='^\{.*"amx":(true|false).*"peaks":\[\{.*\}$' lines=0 -- "$program" doctor --json
cp out result.json
if command -v python3 >/dev/null; then check "--json parses" 0 out='"precision_auto"' -- python3 -m json.tool result.json
else skip "--json parses" "python3 is not installed"; fi
check "a folder with control bytes is escaped" 0 out='\\x1b\[31m/mnist: missing' -- "$program" doctor --data-dir $'\e[31m'
check "no colours in a pipe" 0 -- bash -c '! "$0" doctor --data-dir nowhere | grep -q $'"'"'\e'"'" "$program"
if [ -n "$real" ] && [ -d "$real/mnist" ]; then
  check "MNIST as published" 0 out='^MNIST +in .*: complete, content as published' -- "$program" doctor --data-dir "$real"
else
  skip "MNIST as published" "MNIST is not there"
fi

check "doctor --help" 0 out='^Usage: mnistlua doctor' out='--data-dir' -- "$program" doctor --help
check "--help lists the commands" 0 out='^  mnistlua doctor \[options\] +look at this machine' -- "$program" --help
check "an option of another command" 2 err="unknown option '--seed'" lines=1 -- "$program" doctor --seed 1
check "a word too much" 2 err='too many arguments' lines=1 -- "$program" doctor now
check "the command comes first" 2 err='the command comes first: mnistlua doctor' lines=1 -- "$program" --json doctor
check "a misspelt command" 2 err="did you mean 'mnistlua doctor'" lines=1 -- "$program" docter
check "--version of a command" 0 out='^mnistlua [0-9]' -- "$program" doctor --version
finish
