#!/usr/bin/env bash
# Does bf16 cost accuracy? Trains a config in f32 and in bf16 with the same seeds, in turn, and compares the test
# accuracy of the final weights, seed by seed. No other suite calls it; it takes minutes.
#
#   tests/bench/precision_study.sh [CONFIG.lua [key=value ...]]     (configs/mlp512.lua epochs=3)
#
# Environment: SEEDS (10: seeds 1 to 10), THREADS (all), MNISTLUA_PROGRAM (./mnistlua). Where there is no AMX, bf16 is
# emulated to the same bits, so the accuracies are those of a machine that has it; the seconds are not.
#
# The seeds' differences d have mean m and standard error s / sqrt(n), s^2 = sum (d - m)^2 / (n - 1). Exit code 0: m is
# within two standard errors of 0; 1: it is beyond; 2: a run failed.
set -u
program=${MNISTLUA_PROGRAM:-./mnistlua}
seeds=${SEEDS:-10}
[ $# -gt 0 ] || set -- configs/mlp512.lua epochs=3
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

fail() { echo "precision_study: $*" >&2; exit 2; }
case $seeds in '' | *[!0-9]* | 0 | 1) fail "SEEDS: expected a whole number of at least 2, got '$seeds'" ;; esac

# number KEY: the number that the last result has under a key, or nothing.
number() { sed -n 's/.*"'"$1"'":\([-+0-9.eE]*\)[,}].*/\1/p' "$work/json"; }

# accuracy PRECISION SEED CONFIG...: sets `acc`. A run that misses its config's expectation (exit code 3) counts too.
accuracy() {
  local precision=$1 seed=$2 code
  shift 2
  "$program" "$@" --precision "$precision" --seed "$seed" ${THREADS:+--threads "$THREADS"} --json --quiet \
    --out "$work/runs" >"$work/json" 2>"$work/err" </dev/null
  code=$?
  acc=$(number test.acc)
  if { [ $code != 0 ] && [ $code != 3 ]; } || [ -z "$acc" ]; then
    fail "$* --precision $precision --seed $seed: exit code $code, $(tail -n 1 "$work/err")"
  fi
  rm -rf "$work/runs"
}

echo "test accuracy in %: $*"
printf '%6s %10s %10s %12s\n' seed f32 bf16 'bf16 - f32'
for ((seed = 1; seed <= seeds; seed++)); do
  accuracy f32 "$seed" "$@"
  f32=$acc
  accuracy bf16 "$seed" "$@"
  echo "$seed $f32 $acc" >>"$work/pairs"
  awk '{ printf "%6d %10.2f %10.2f %+12.2f\n", $1, 100 * $2, 100 * $3, 100 * ($3 - $2) }' <<<"$seed $f32 $acc"
done

awk '
function deviation(sum, squares) { v = (squares - sum * sum / NR) / (NR - 1); return v > 0 ? sqrt(v) : 0 }
{
  a = 100 * $2; b = 100 * $3; d = b - a
  sa += a; sb += b; sd += d; qa += a * a; qb += b * b; qd += d * d
}
END {
  m = sd / NR; error = deviation(sd, qd) / sqrt(NR)
  printf "%6s %10.3f %10.3f %+12.3f\n", "mean", sa / NR, sb / NR, m
  printf "%6s %10.3f %10.3f %12.3f\n", "sd", deviation(sa, qa), deviation(sb, qb), deviation(sd, qd)
  far = (m < 0 ? -m : m) > 2 * error + 1e-9
  printf "difference %+.3f points, standard error %.3f: %s two standard errors\n", m, error, far ? "BEYOND" : "within"
  exit far
}' "$work/pairs"
