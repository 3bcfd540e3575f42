# mnistlua bench in its shortest form, with the results kept and compared; wrong options; Ctrl-C. No time is checked.
. "$(dirname "$0")/tap.sh"

short=("$program" bench --quick --rounds 1 --seconds 0.001)
bench=("${short[@]}" --peers none)

check "a quick bench keeps its result" 0 out='batch 128 +f32 +1 .* k/s' out='^f32 peak: .* on 1' lines=1 -- \
  "${bench[@]}" --only train,inference --save kept.json
widest=$(awk '{ if (length($0) > n) n = length($0) } END { print n }' "$work/out")
if [ "$widest" -le 100 ]; then ok "it fits 100 columns"; else not_ok "it fits 100 columns" "$widest"; fi

cat >read.lua <<'LUA'
local core = require "mnistlua.core"
local r = assert(core.json_decode(assert(core.read_file(arg and arg[1] or "kept.json"))))
assert(r.format == "mnistlua-bench" and r.version == 1 and r.rounds == 1 and #r.peers == 0)
for _, row in ipairs(r.rows) do
  assert(row.rate.median > 0 and #row.rate.values == 1 and row.threads > 0, row.id)
  assert(not row.flops or row.precision ~= "f32" or row.share.median > 0, row.id)
end
print(#r.rows, r.rows[1].id)
LUA
check "what it kept is JSON" 0 out='[0-9]+	train-128-f32-1' -- "$program" read.lua
check "--json prints the same form" 0 out='^\{"format":"mnistlua-bench",' -- "${bench[@]}" --only evaluation --json
cp out kept.json
check "which can be read" 0 out='[0-9]+	evaluation-f32-1' -- "$program" read.lua
check "a comparison with what was kept" 0 out='10,000 images +f32 +1 .*[0-9]x +[0-9.]+x' -- \
  "${bench[@]}" --only evaluation --compare kept.json
check "and what only one of them has" 0 out='only in the kept result: evaluation-f32-1' -- \
  "${bench[@]}" --only inference --compare kept.json

check "an unknown group" 2 err='--only: .*trian.; did you mean .train.' lines=1 -- "${bench[@]}" --only trian
check "an unknown peer" 2 err='--peers: .*nmpy.; did you mean .numpy.' lines=1 -- "${short[@]}" --peers nmpy
check "no seconds" 2 err='--seconds: expected a number from 0.001 to 60' lines=1 -- "$program" bench --seconds 0
check "a kept result that is not there" 1 err='--compare: missing.json' lines=1 -- "${bench[@]}" --compare missing.json
echo '{"format":"other"}' >other.json
check "one that is none" 1 err='other.json: expected a result of mnistlua bench' lines=1 -- \
  "${bench[@]}" --compare other.json
check "nowhere to keep it" 1 err='--save: missing/x.json: there is no such folder' lines=1 -- \
  "${bench[@]}" --save missing/x.json
check "nothing left to measure" 1 err='nothing is left to measure: MNIST is not there' lines=1 -- \
  "${bench[@]}" --only loading --data-dir /missing

mkdir fake
cat >fake/python3 <<'SH'
#!/bin/sh
# Stands in for Python: has NumPy, is ready, and answers two requests before it dies.
[ "$2" = installed ] && echo numpy && exit
echo "ready 1.2.3, reference BLAS"
for answer in 100 "failed no luck"; do read -r request && echo "$answer"; done
SH
chmod +x fake/python3
check "a library that answers, fails and dies" 0 out='NumPy 1.2.3' -- \
  env MNISTLUA_PYTHON="$work/fake/python3" "${short[@]}" --peers numpy,torch --only train,inference
for text in 'Note: PyTorch is not installed' 'NumPy .1 thread(, SKYLAKEX)?. failed at infer: no luck' \
  'NumPy .* failed at infer: it ended' 'NumPy has only the reference BLAS'; do
  if tr '\n' ' ' <out | grep -qE "$text"; then ok "it says '$text'"; else not_ok "it says '$text'" "$(cat out)"; fi
done
check "a Python that is not there" 0 out='NumPy is not installed' -- \
  env MNISTLUA_PYTHON=/missing "${short[@]}" --peers numpy --only inference

# Ctrl-C: what was measured is shown, and the exit code is that of an interrupted run.
env --default-signal=INT "$program" bench --quick --peers none --only train --seconds 0.01 --rounds 200 >out 2>err &
pid=$!
while kill -0 $pid && ! grep -q '^round 3/' err; do sleep 0.05; done
kill -INT $pid
wait $pid
code=$?
if [ $code = 130 ] && grep -q 'batch 128' out && tr '\n' ' ' <out | grep -q 'it was interrupted in round'; then
  ok "Ctrl-C ends it with what it has"
else
  not_ok "Ctrl-C ends it with what it has" "exit code $code" "$(cat out err)"
fi
finish
