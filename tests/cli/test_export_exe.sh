# mnistlua export --exe: a program that runs alone, wherever it is, and answers as mnistlua predict does.
tests=$(cd "$(dirname "$0")/.." && pwd)
. "$(dirname "$0")/tap.sh"

tiny 'e.name = "alone"; e.data = ml.data.digits { n = 1500, test = 64 }; e.epochs = 3
  e.model = nn.Sequential { require "flat" (), nn.Linear(24), nn.LayerNorm(24), nn.ReLU(), nn.Linear(10) }' >alone.lua
echo 'local ml = require "mnistlua"; return ml.nn.Flatten' >flat.lua
"$program" alone.lua --quiet >/dev/null || exit 1
mkdir empty && "$program" "$tests/cli/export_pictures.lua" to=empty n=20 || exit 1

check "an executable file" 0 out='^digit +a program that runs alone' lines=0 -- "$program" export last --exe digit
cp digit empty/
away() { (cd empty && env -u MNISTLUA_LUA -u MNISTLUA_DATA "$@"); }
mv flat.lua kept.lua
check "it runs without lua/ and config" 0 out='^1.png: [0-9]' lines=0 -- away ./digit 1.png
mv kept.lua flat.lua
check "from standard input" 0 out='^-: [0-9]' lines=0 -- away sh -c './digit - <1.png'

plain() { sed 's/"model":"[^"]*"//; s|empty/||g'; }
"$program" predict alone --json $(seq -f empty/%g.png 20) | plain >a
away ./digit --json $(seq -f %g.png 20) | plain >b
title="the same answers as predict, to the last digit"
if [ -s a ] && cmp -s a b; then ok "$title"; else not_ok "$title" "$(head -c 300 a b)"; fi

check "no folder of Lua files is looked for" 0 out='^1.png: ' -- away env MNISTLUA_LUA=/nowhere ./digit 1.png
check "through a link" 0 out='^1.png: ' -- sh -c 'ln -s ../digit empty/link && cd empty && ./link 1.png'
check "without pictures" 2 err='expected PNG files: digit FILE.png' lines=1 -- away ./digit
check "no PNG" 1 err='digit: ' lines=1 -- away ./digit digit
check "other words are no commands" 1 err='train: cannot be opened' -- away ./digit train
check "its help" 0 out='^Usage: digit ' out='pictures, as PNG files' lines=0 -- away ./digit --help
check "its version" 0 out='^mnistlua [0-9]' -- away ./digit --version
check "an unknown option" 2 err="unknown option '--onnx'" lines=1 -- away ./digit --onnx x

# Behind the program's own bytes: a byte changed, the end cut off.
size=$(stat -c %s digit) own=$(stat -c %s "$program")
cp digit empty/broken && printf '\377' | dd of=empty/broken bs=1 seek=$((own + 5000)) conv=notrunc 2>/dev/null
check "a damaged one says so" 1 err='is damaged: ' lines=1 -- away ./broken 1.png
head -c $((size - 7)) digit >empty/cut && chmod +x empty/cut
check "one that was cut off has no library" 1 err='cannot find the folder mnistlua' lines=1 -- away ./cut 1.png

check "a checkpoint" 0 -- sh -c '"$0" export runs/*/checkpoints/step-*.safetensors --exe digit' "$program"
cp digit empty/
check "runs alone too" 0 out='^1.png: ' -- away ./digit 1.png
check "nothing but that is left behind" 0 out='^0$' -- sh -c 'find . -name "*.tmp" | wc -l'

check "the program itself is not replaced" 2 err="--exe .*: this is this program itself" lines=1 -- \
  "$program" export last --exe "$program"
tiny 'e.model = nn.Sequential { nn.Flatten(), nn.Linear(#e.data.train // 16), nn.Linear(10) }' >samples.lua
"$program" samples.lua --quiet >/dev/null || exit 1
check "a config that needs its samples" 2 err='--exe: the model cannot be made without its data: ' lines=1 -- \
  "$program" export last --exe x
tiny 'e.data = ml.data.tensors { x = ml.randn(64, 3), y = ml.zeros(64):to "i32", classes = 10 }' >floats.lua
"$program" floats.lua --quiet >/dev/null || exit 1
check "a model of no pictures" 2 err='--exe: .* bytes' lines=1 -- "$program" export last --exe x
[ ! -e x ] && ok "no file then" || not_ok "no file then"
finish
