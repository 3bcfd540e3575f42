# Data files: missing, damaged and mismatched ones are one line and exit code 1.
. "$(dirname "$0")/tap.sh"
real=${MNISTLUA_DATA:-}
unset MNISTLUA_DATA

idx() { printf '%b' "$1"; }
config() { tiny "e.data = $1" >data.lua; }

check "no MNIST: what to do" 1 err='MNIST is not in .*make data.*--data-dir.*--data digits' lines=1 -- \
  "$program" "$root/configs/mlp512.lua" --data-dir nowhere
ln -s "$root" mnistlua
check "the same from a folder named like the program's" 1 err='mnistlua/configs/mlp512.lua:[0-9]+: MNIST is not in' lines=1 -- \
  "$program" mnistlua/configs/mlp512.lua --data-dir nowhere
check "--data digits in place of MNIST, and says so" 0 err='SYNTHETIC' out='^data +synthetic digits' -- \
  "$program" "$root/configs/mlp512.lua" --data digits --data-dir nowhere epochs=1 hidden='{16}'

idx '\x00\x00\x08\x03\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x02abcdefgh' >images
idx '\x00\x00\x08\x01\x00\x00\x00\x02\x00\x01' >labels
idx '\x00\x00\x08\x01\x00\x00\x00\x03\x00\x01\x02' >three
idx '\x00\x00\x08\x03\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x02abcdefg' >short
idx '\x00\x00\x08\x03\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x02abcdefghi' >long
idx '\x00\x00\x0d\x03\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x02abcdefgh' >floats
idx '\x00\x00\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff' >huge
gzip -c images >images.gz; head -c 20 images.gz >cut.gz; cp images.gz plain-name
mkdir folder; mkfifo fifo; : >nothing

bad() {   # NAME PATTERN IMAGES LABELS
  config "ml.data.idx { images = '$3', labels = '$4' }"
  check "$1" 1 err="^mnistlua: error: data.lua:[0-9]+: .*$2" lines=1 -- timeout 5 "$program" data.lua
}
bad "a missing file" "absent: .*No such file" absent labels
bad "an empty file" "nothing" nothing labels
bad "a file that is too short" "short: .*8.*7" short labels
bad "a file that is too long" "long: .*8" long labels
bad "another element type" "floats: .*0x0[dD]|f32" floats labels
bad "sizes that overflow" "huge: " huge labels
bad "a truncated gzip file" "cut.gz: " cut.gz labels
bad "two bad files: the first one is told" "cut.gz: " cut.gz absent
bad "more labels than images" "2 images.*3 labels" images three
bad "a folder" "folder: .*folder" folder labels
bad "a FIFO" "fifo: .*FIFO" fifo labels
bad "an endless device" "/dev/zero: " /dev/zero labels
bad "images given as labels" "images" images images

config "ml.data.idx { images = 'plain-name', labels = 'labels', normalise = 'unit' } e.model = nn.Sequential { nn.Flatten(), nn.Linear(2) }"
check "gzip without .gz is recognised" 0 -- "$program" data.lua --quiet

csv() { printf "$1" >data.csv; config "ml.data.csv { path = 'data.csv' } e.model = nn.Sequential { nn.Flatten(), nn.Linear(10) }"; }
csv '1,0,0,3,4\n2,0,9,255,1\n'
check "CSV without a header" 0 err='data.csv: 2 rows of 5 columns, no header' -- "$program" data.lua
csv 'label,a,b,c,d\n1,0,0,3,4\n2,0,9,255,1'
check "CSV with a header, no final newline" 0 err='2 rows of 5 columns, the first line is a header' -- "$program" data.lua
csv '1,0,0,3,4\n2,0,9,255\n'
check "ragged CSV" 1 err='data.csv: .*line 2 has 4 columns, expected 5' lines=1 -- "$program" data.lua
csv '1,0,0,3,4\n2,0,x,255,1\n'
check "CSV with a word" 1 err='data.csv: .*line 2' lines=1 -- "$program" data.lua
csv '1,0,0,3,4\n2,0,nan,255,1\n'
check "CSV with nan" 1 err='data.csv: .*line 2' lines=1 -- "$program" data.lua

tiny 'local ok, why = e.model:load("absent.safetensors") print(ok, why) os.exit(0)' >load.lua
check "loading a missing file returns nil and why" 0 out='^nil.absent.safetensors: .*No such file' -- "$program" load.lua

if [ -n "$real" ]; then
  check "real MNIST: 97% in one epoch" 0 out='^data +mnist: 60000 train, 10000 test' -- \
    "$program" "$root/configs/mlp512.lua" --data-dir "$real" epochs=1 --assert 'test.acc>=0.97'
  mkdir mnist; for f in "$real"/mnist/*; do ln -s "$(realpath "$f")" mnist/; done
  rm mnist/train-images-idx3-ubyte.gz
  head -c 1000000 "$real/mnist/train-images-idx3-ubyte.gz" >mnist/train-images-idx3-ubyte.gz
  check "truncated MNIST" 1 err='train-images-idx3-ubyte.gz: ' lines=1 -- "$program" "$root/configs/mlp512.lua" --data-dir .
else
  skip "real MNIST: 97% in one epoch" "MNISTLUA_DATA is not set"
  skip "truncated MNIST" "MNISTLUA_DATA is not set"
fi
finish
