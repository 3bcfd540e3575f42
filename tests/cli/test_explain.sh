# mnistlua explain: one picture forward and back, its neighbours, as text and JSON; what cannot be explained.
. "$(dirname "$0")/tap.sh"

tiny >tiny.lua
"$program" tiny.lua --seed 3 --quiet >/dev/null 2>&1 || exit 1
run=$(ls -d runs/2*)
explain=("$program" explain)

check "the worst mistake" 0 out='^model +runs/.*/model.safetensors \(tiny\)$' out='^sample +[0-9]+ of test: digits$' \
  out='^taken for +[0-9], probability 0\.[0-9]{4}$' out='^forward$' out='^\[1\] nn.Linear\(784, 16\)  784 -> 16$' \
  out='^    z = W x \+ b$' out='^loss: nn.CrossEntropyLoss\(\) = [0-9.]+$' out='^class +z +p = softmax\(z\) +dL/dz$' \
  out='^    dW = dz x\^T, db = dz, dx = W\^T dz$' out='^nearest training pictures, by pixels$' \
  out='^mistakes most like it, of [0-9]+$' lines=0 -- "${explain[@]}" last
grep -q $'\e' out && not_ok "no colours in a file" "$(grep -m 1 $'\e' out)" || ok "no colours in a file"
check "colours where they are wanted" 0 out=$'\e\\[1m' -- "${explain[@]}" last --color always
check "a sample of a part, without neighbours" 0 out='^sample +17 of train: digits$' -- \
  "${explain[@]}" last --sample 17 --part train --neighbours 0
grep -q 'nearest' out && not_ok "no neighbours are shown" "$(grep nearest out)" || ok "no neighbours are shown"
check "as JSON" 0 lines=0 -- sh -c '"$0" explain last --sample 5 --neighbours 3 --json >explain.json' "$program"
cat >read.lua <<'LUA'
local core = require "mnistlua.core"
local r = assert(core.json_decode(assert(core.read_file "explain.json")))
local d = require("mnistlua").data.digits { n = 256, test = 64 }
assert(r.sample == 5 and r.part == "test" and r.label == d.test[5].label and r.name == "tiny")
local sum, best = 0, 1
for i, p in ipairs(r.probabilities) do sum, best = sum + p, p > r.probabilities[best] and i or best end
assert(math.abs(sum - 1) < 1e-5 and #r.probabilities == 10 and best == r.predicted + 1)
assert(math.abs(r.loss + math.log(r.probabilities[r.label + 1])) < 1e-4)
for i, g in ipairs(r.output_grad) do                     -- softmax and cross-entropy: dL/dz = p - y
  assert(math.abs(g - (r.probabilities[i] - (i == r.label + 1 and 1 or 0))) < 1e-5)
end
assert(#r.steps == 4 and r.steps[2].layer == "nn.Linear(784, 16)" and #r.steps[2].parameters == 2)
assert(#r.nearest.pixels == 3 and #r.nearest.features == 3 and #r.mistakes <= 3 and #r.saliency == 784)
assert(r.nearest.pixels[1].distance <= r.nearest.pixels[2].distance)
LUA
check "its numbers agree with each other" 0 -- "$program" read.lua
cp "$run/model.safetensors" alone.safetensors
check "a file of weights" 0 out='^sample +5 of test' -- "${explain[@]}" alone.safetensors --sample 5 --neighbours 0

tiny 'e.model = nn.Sequential { nn.Conv2d(4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(10) }
e.name = "conv"; e.epochs = 1' >conv.lua
"$program" conv.lua --quiet >/dev/null 2>&1
check "a convolutional network" 0 out='^    z\[o,r,c\] = sum over i,u,v' out='^    y = the largest of each window of 2x2$' -- \
  "${explain[@]}" last --sample 1 --neighbours 1
seq 30 | awk '{ print $1 % 3 "," $1 "," 9 * $1 % 7 "," 2 * $1 }' >rows.csv
cat >rows.lua <<'LUA'
local ml = require "mnistlua"
local nn = ml.nn
return ml.experiment {
  name = "rows", data = ml.data.csv { path = "rows.csv", label = 1 }, loss = nn.CrossEntropyLoss(),
  model = nn.Sequential { nn.Linear(4), nn.ReLU(), nn.Linear(3) }, optimizer = ml.optim.SGD { lr = 0.01 }, epochs = 1,
}
LUA
"$program" rows.lua --quiet >/dev/null 2>&1
check "samples that are no pictures" 0 out='^sample +[0-9]+ of train' out='^[0-9]+: [0-2]  [0-9.]+$' -- "${explain[@]}" last

check "a number too large" 2 err='--sample: the test part has samples 1 to 64, got 65$' lines=1 -- \
  "${explain[@]}" "$run" --sample 65
check "no number" 2 err="--sample: expected a whole number from 1 to [0-9]+, got 'x'" lines=1 -- "${explain[@]}" "$run" --sample x
check "a part that is not there" 2 err='--part: the data has no val part' lines=1 -- "${explain[@]}" "$run" --part val
check "no such run" 2 err="there is no run 'nobody' in runs" lines=1 -- "${explain[@]}" nobody
check "nothing given" 2 err='explain: expected RUN or MODEL' lines=1 -- "${explain[@]}"
finish
