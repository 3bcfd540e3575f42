# mnistlua eval: the same figures as the training's, tables, other data, files alone, and what does not fit.
. "$(dirname "$0")/tap.sh"

tiny 'e.model = nn.Sequential { nn.Flatten(), nn.Linear(p.hidden), nn.ReLU(), nn.Linear(10) }' \
  'local p = ml.params { lr = { 0.1, "the rate" }, hidden = { 16, "units" } }' >tiny.lua
"$program" tiny.lua hidden=20 lr=0.3 --seed 3 --json --quiet >trained.json || exit 1
run=$(ls -d runs/2*)
eval=("$program" eval)

check "a run: loss, classes, confusion" 0 out='^accuracy +[0-9.]+%  \([0-9]+ errors\)' out='^class +count +precision +recall' \
  out='^ +0 +1 +2 +3 +4 +5 +6 +7 +8 +9$' out='taken for [0-9]: [0-9]+$' lines=0 -- "${eval[@]}" last
widest=$(awk '{ if (length($0) > n) n = length($0) } END { print n }' out)
[ "$widest" -le 80 ] && ok "it fits 80 columns" || not_ok "it fits 80 columns" "$widest"
check "colours" 0 out=$'\e\[48;5;[0-9]+;38;5;255m +[0-9]+\e' -- "${eval[@]}" last --color always
check "as JSON" 0 lines=0 -- sh -c '"$0" eval last --json >eval.json' "$program"
cat >read.lua <<'LUA'
local core = require "mnistlua.core"
local function read(path) return assert(core.json_decode(assert(core.read_file(path)))) end
local trained, r = read "trained.json", read "eval.json"
assert(r.loss == trained["test.loss"] and r.acc == trained["test.acc"] and r.errors == trained["test.errors"])
local all, right = 0, 0
for i, row in ipairs(r.confusion) do
  local occurs, taken = 0, 0
  for j, times in ipairs(row) do occurs, taken = occurs + times, taken + r.confusion[j][i] end
  local c = r.classes[i]
  assert(c.label == i - 1 and c.count == occurs and c.right == row[i])
  assert(c.recall == (occurs > 0 and row[i] / occurs or nil) and c.precision == (taken > 0 and row[i] / taken or nil))
  all, right = all + occurs, right + row[i]
end
assert(all == 64 and all - right == r.errors and r.part == "test" and r.name == "tiny")
LUA
check "the very numbers of the training, counts that add up" 0 -- "$program" read.lua
check "the same with one thread" 0 -- sh -c '"$0" eval last --threads 1 --json | cmp - eval.json' "$program"
check "another part" 0 out='train, 256 samples' -- "${eval[@]}" last --part train
check "other data" 0 out='^data +digits, 10,000 samples' out='^accuracy' -- "${eval[@]}" last --data digits

cp "$run/model.safetensors" alone.safetensors
mkdir away && cp alone.safetensors away/
check "a model alone" 0 out='^model +alone.safetensors \(tiny\)' -- "${eval[@]}" alone.safetensors
grep '^accuracy' out >a
"${eval[@]}" last | grep '^accuracy' | cmp -s - a && ok "is the same" || not_ok "is the same" "$(cat a)"
check "from anywhere" 0 out='^accuracy' -- sh -c 'cd away && mkdir x && cd x && "$0" eval ../alone.safetensors' "$program"
check "a checkpoint" 0 out='^accuracy' -- sh -c '"$0" eval '"$run"'/checkpoints/step-*.safetensors' "$program"
[ "$(ls runs | wc -l)" = 2 ] && ok "nothing is written" || not_ok "nothing is written" "$(ls runs)"

awk 'BEGIN { printf "3"; for (i = 0; i < 784; i++) printf ",%d", i % 200; print "" }' >rows.csv
check "a CSV file as pictures" 0 out='^data +rows.csv, 1 samples' -- "${eval[@]}" last --data rows.csv
echo 1,2,3 >short.csv
check "samples of another size" 2 err='--data short.csv: its samples are 2, the model was trained on 28x28' lines=1 -- \
  "${eval[@]}" last --data short.csv
sed 's/^3/12/' rows.csv >many.csv
check "too many classes" 2 err='--data many.csv: it has 13 classes, the model was trained on 10' lines=1 -- \
  "${eval[@]}" last --data many.csv
cat >change.lua <<'LUA'
local core = require "mnistlua.core"
local list, metadata = assert(core.safetensors_read "alone.safetensors")
local function write(name, tensors, key, value)
  local changed = {}
  for k, v in pairs(metadata) do changed[k] = v end
  if key then changed[key] = value end
  assert(core.safetensors_write(name, tensors, changed))
end
write("shape.safetensors", list, "mnistlua.param.hidden", "21")
write("gone.safetensors", { list[1], list[2], list[3] })
write("broken.safetensors", list, "mnistlua.config", "local x = 5\nreturn x +")
assert(core.safetensors_write("bare.safetensors", list, { format = "pt" }))
LUA
"$program" change.lua || exit 1
check "weights of another shape" 1 err="shape.safetensors does not fit the model of its config: .*1.weight.*21" lines=1 -- \
  "${eval[@]}" shape.safetensors
check "a tensor is missing" 1 err="gone.safetensors does not fit the model of its config: missing '3\.(weight|bias)'" lines=1 -- \
  "${eval[@]}" gone.safetensors
check "no metadata" 1 err='bare.safetensors: its metadata has no config' lines=1 -- "${eval[@]}" bare.safetensors
check "a config that does not load" 2 err='broken.safetensors:2: ' lines=1 -- "${eval[@]}" broken.safetensors
head -c 100 alone.safetensors >cut.safetensors
check "a damaged file" 1 err='^mnistlua: error: cut.safetensors' lines=1 -- "${eval[@]}" cut.safetensors
check "no such file" 2 err='nowhere.safetensors: there is no such file' lines=1 -- "${eval[@]}" nowhere.safetensors
check "no such run" 2 err="there is no run 'tinyy' in runs; did you mean 'tiny'" lines=1 -- "${eval[@]}" tinyy
check "no such data" 2 err="'mnits' is neither a data set .*; did you mean 'mnist'" lines=1 -- "${eval[@]}" last --data mnits
check "no such part" 2 err="--part: the data has no val part: digits: 256 train, 64 test" lines=1 -- \
  "${eval[@]}" last --part val
check "data and a part" 2 err='give it or --data, not both' lines=1 -- "${eval[@]}" last --data digits --part val
check "nothing given" 2 err='eval: expected RUN or MODEL' lines=1 -- "${eval[@]}"
rm "$run/model.safetensors"
check "a run without weights names its checkpoint" 1 err='has no weights .*checkpoints/step-0+16.safetensors' lines=1 -- \
  "${eval[@]}" last

tiny 'e.model = nn.Sequential { nn.Linear(28, 4) }; e.loss = function(out) return (out * out):mean() end' >plain.lua
check "what is no classifier" 0 -- "$program" plain.lua --quiet
check "has a loss" 0 out='^loss' -- "${eval[@]}" last
grep -qE 'accuracy|class' out && not_ok "and no accuracy" "$(cat out)" || ok "and no accuracy"
finish
