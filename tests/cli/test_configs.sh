# The configs that come with the program: each runs; by hand, own loop and trainer give the same weights.
. "$(dirname "$0")/tap.sh"
configs=$root/configs

check "smoke.lua meets its expectation" 0 out='^test accuracy' -- "$program" "$configs/smoke.lua"
for config in "$configs"/*.lua; do
  check "${config##*/} --help lists its parameters" 0 out='^  [a-z]+=' -- "$program" "$config" --help
done

check "fast98.lua meets its expectation on digits, too" 0 out='^test accuracy' err='60000 train, 10000 test' -- \
  "$program" "$configs/fast98.lua" epochs=1 --data digits
check "fast98.lua with too few units misses it" 3 err='missed: test.acc>=0.98' -- \
  "$program" "$configs/fast98.lua" epochs=1 'hidden={2}' --data digits --quiet

# The same network, data, seed and learning rate three ways: 50 full batches, then 50 and a partial one.
cat >trainer.lua <<'LUA'
local ml = require "mnistlua"
local nn = ml.nn
local p = ml.params { n = { 6400, "training images" } }
local model = nn.Sequential {
  nn.Flatten(), nn.Linear(512), nn.ReLU(), nn.Linear(128), nn.ReLU(), nn.Linear(64), nn.ReLU(), nn.Linear(10),
}
return ml.experiment {
  name = "trainer", data = ml.data.mnist { n = p.n }, model = model, loss = nn.CrossEntropyLoss(),
  optimizer = ml.optim.SGD { lr = 0.1 }, epochs = 2, batch = 128,
  schedule = function(step, progress, info) return 0.1 * 0.95 ^ info.epoch end,
}
LUA
weights() { echo "$work"/$1/*/model.safetensors; }
run() { "$program" "$@" --data digits; }
for n in 6400 6500; do
  check "the trainer, $n images" 0 -- run trainer.lua n=$n --quiet --out a$n
  check "own_loop.lua, $n images" 0 -- run "$configs/own_loop.lua" epochs=2 n=$n --quiet --out b$n
  check "by_hand.lua agrees with autograd as it runs" 0 err='gradients agree with autograd' -- \
    run "$configs/by_hand.lua" epochs=2 n=$n check=1 --out c$n
done

cat >compare.lua <<'LUA'
local core = require "mnistlua.core"
local worst = 0
local a, b = core.safetensors_read(arg_a), core.safetensors_read(arg_b)
assert(#a == #b and #a == 8)
for i = 1, #a do
  assert(a[i][1] == b[i][1])
  worst = math.max(worst, (a[i][2] - b[i][2]):abs():max():item())
end
print(("%.3g"):format(worst))
LUA
difference() { "$program" -e "arg_a, arg_b = '$(weights "$1")', '$(weights "$2")' dofile 'compare.lua'"; }
check "trainer and own loop: the same bits" 0 out='^0$' -- difference a6400 b6400
check "trainer and own loop: the same bits, also after a partial batch" 0 out='^0$' -- difference a6500 b6500
check "trainer and by hand: the same bits while 1/n is exact" 0 out='^0$' -- difference a6400 c6400
check "trainer and by hand: within 1e-5 after a partial batch" 0 out='^(0|[0-9.]+e-0[6-9]|[0-9.]+e-[1-9][0-9])$' -- \
  difference a6500 c6500

# A CSV as the notebook read it, made of synthetic digits.
cat >csv.lua <<'LUA'
local ml = require "mnistlua"
local out = assert(io.open("digits.csv", "w"))
local data = ml.data.digits { n = 600, seed = 3 }
for i = 1, #data do
  local row = data[i].image:to("f32"):reshape(-1):totable()
  for j, v in ipairs(row) do row[j] = ("%d"):format(v) end
  out:write(data[i].label, ",", table.concat(row, ","), "\n")
end
out:close()
LUA
check "a script that writes a CSV" 0 -- "$program" csv.lua
check "notebook.lua from CSV" 0 err='digits.csv: 600 rows of 785 columns, no header' out='^val accuracy' -- \
  "$program" "$configs/notebook.lua" csv=digits.csv dev=100 steps=20 every=10
check "notebook.lua on digits" 0 out='9000 train, 1000 val' -- "$program" "$configs/notebook.lua" --data digits steps=2 every=1
if [ -n "${MNISTLUA_DATA:-}" ]; then
  check "notebook.lua from t10k learns" 0 out='9000 train, 1000 val' -- \
    "$program" "$configs/notebook.lua" steps=20 every=10 --assert 'train.acc>=0.6'
else
  skip "notebook.lua from t10k learns" "MNISTLUA_DATA is not set"
fi
finish
