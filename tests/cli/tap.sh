# Helpers for the command-line tests: each check prints one TAP line. Source it, call `check`, end with `finish`.
program=$(realpath "${MNISTLUA_PROGRAM:-./mnistlua}")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export SHELL=$BASH # what script(1) runs its command with: dash would die of a Ctrl-C before it told the exit code
count=0

ok() { count=$((count + 1)); echo "ok $count - $1"; }
not_ok() { count=$((count + 1)); echo "not ok $count - $1"; shift; printf '# %s\n' "$@"; }
skip() { count=$((count + 1)); echo "ok $count - $1 # SKIP $2"; }
finish() { echo "1..$count"; }

# check NAME CODE [out=PATTERN] [err=PATTERN] [noerr=PATTERN] [lines=N] -- COMMAND...: runs the command and checks its exit
# code, extended regular expressions on stdout and stderr, and the number of lines on stderr. Both are kept in $work/out and
# $work/err for further checks.
check() {
  local name=$1 code=$2 got problem=
  local -a wants=()
  shift 2
  while [ "$1" != -- ]; do wants+=("$1"); shift; done
  shift
  "$@" >"$work/out" 2>"$work/err" </dev/null
  got=$?
  [ "$got" = "$code" ] || problem="exit code $got, expected $code"
  for want in "${wants[@]}"; do
    case $want in
      out=*) grep -qE -- "${want#out=}" "$work/out" || problem="$problem; stdout lacks '${want#out=}'" ;;
      err=*) grep -qE -- "${want#err=}" "$work/err" || problem="$problem; stderr lacks '${want#err=}'" ;;
      noerr=*) grep -qE -- "${want#noerr=}" "$work/err" && problem="$problem; stderr has '${want#noerr=}'" ;;
      lines=*) [ "$(wc -l <"$work/err")" = "${want#lines=}" ] || problem="$problem; stderr has $(wc -l <"$work/err") lines" ;;
    esac
  done
  if [ -z "$problem" ]; then ok "$name"; else
    not_ok "$name" "$problem" "command: $*" "stdout: $(head -c 600 "$work/out")" "stderr: $(head -c 1200 "$work/err")"
  fi
}

# A config of a few steps on synthetic digits; $1 replaces keys of the experiment, $2 goes before it.
tiny() {
  cat <<LUA
local ml = require "mnistlua"
local nn, optim, sched = ml.nn, ml.optim, ml.sched
${2:-}
local e = {
  name = "tiny", data = ml.data.digits { n = 256, test = 64 },
  model = nn.Sequential { nn.Flatten(), nn.Linear(16), nn.ReLU(), nn.Linear(10) },
  loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1 }, epochs = 2, batch = 32,
}
${1:-}
return ml.experiment(e)
LUA
}
