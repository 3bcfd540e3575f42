# mnistlua export: files that other programs read, and that give mnistlua's own answers on every test picture.
tests=$(cd "$(dirname "$0")/.." && pwd)
. "$(dirname "$0")/tap.sh"

# ---- models: on MNIST where it is there, its 10,000 test pictures; otherwise on synthetic digits ----

if [ -d "${MNISTLUA_DATA:-$root/data}/mnist" ]; then
  data='e.data = ml.data.mnist {}:subset(1, 2000)'
else
  data='e.data = ml.data.digits { n = 2000, test = 1000 }'
fi
tiny "$data; e.epochs = 1
  e.model = nn.Sequential { nn.Flatten(), nn.Linear(24), nn.BatchNorm1d(), nn.ReLU(), nn.Linear(10) }" >mlp.lua
tiny "$data; e.name = 'cnn'; e.epochs = 1
  e.model = nn.Sequential { nn.Conv2d(4, 5, { stride = 2, padding = 2 }), nn.BatchNorm2d(), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(8, 3, { padding = 'same' }), nn.GELU(), nn.AvgPool2d(7), nn.Flatten(), nn.Linear(10) }" >cnn.lua
for name in mlp cnn; do
  mkdir $name && (cd $name && "$program" ../$name.lua --quiet >/dev/null) || exit 1
done

# ---- every format, on every picture ----

strict="-std=c99 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -O2"
for name in mlp cnn; do
  cd "$work/$name" || exit 1
  check "$name: all formats" 0 out='^digit.c +C99' out='^digit.onnx +ONNX' out='^w.safetensors' out='^digit.html +a page' \
    lines=0 -- "$program" export last --onnx digit.onnx --c digit.c --html digit.html --safetensors w.safetensors
  [ $name = mlp ] || ln -s ../mlp/images.pixels images.pixels   # their data is the same
  "$program" "$tests/cli/export_images.lua" || exit 1
  check "$name: C passes its own test" 0 out='^digit: 10 of 10 pictures' lines=0 -- \
    sh -c "cc $strict -DSELFTEST digit.c -o self -lm && ./self"
  cc -O2 -DCLASSIFY=digit_classify -DPIXELS=784 -DCLASSES=10 digit.c "$tests/cli/export_driver.c" -o classify -lm
  ./classify <images.pixels >c.got
  check "$name: C gives the same answers" 0 out=' pictures, 0 with another class' -- \
    "$program" "$tests/cli/export_compare.lua" got=c.got want=images.expected
  "$program" eval last --json | grep -oE '"(acc|loss)":[0-9.e-]+' >a
  "$program" eval w.safetensors --json | grep -oE '"(acc|loss)":[0-9.e-]+' >b
  title="$name: the weights alone do too"
  if [ -s a ] && cmp -s a b; then ok "$title"; else not_ok "$title" "$(cat a b)"; fi
  cd "$work" || exit 1
done
sed -i 's/^  0x1/  -0x1/' mlp/digit.c
check "the C test finds changed weights" 1 out='^digit: [0-9] of 10 pictures' -- \
  sh -c "cc -O2 -DSELFTEST mlp/digit.c -o self -lm && ./self"

"$program" "$tests/cli/export_cases.lua" >cases || exit 1
check "every kind of layer is C99" 0 lines=0 -- sh -c "cc $strict -c case[1-5].c"
while read -r name shape pixels classes; do
  cc -O2 -DCLASSIFY="${name}_classify" -DPIXELS="$pixels" -DCLASSES="$classes" "$tests/cli/export_driver.c" \
    "$name.o" -o classify -lm && ./classify <"$name.pixels" >got
  check "every kind of layer as C: $name ($shape)" 0 -- \
    "$program" "$tests/cli/export_compare.lua" got=got want="$name.expected" classes="$classes" within=1e-5
done <cases

# ---- the page: its script in node, 1,000 pictures (in a browser it is the report's: test_web.sh). Its weights are
# rounded to 16 bits, so classes that are as good as equal may change places ----

if node -e 0 2>/dev/null; then
  words=()
  for name in mlp cnn; do
    head -c 784000 $name/images.pixels >$name/some.pixels
    head -c 40000 $name/images.expected >$name/some.expected
    words+=($name/digit.html $name/some.pixels $name/page.got)
  done
  check "node runs the networks of the pages" 0 lines=0 -- node "$tests/web/page_network.js" "${words[@]}"
  for name in mlp cnn; do
    check "$name: the page gives the same answers" 0 out=' pictures, 0 with another class' -- \
      "$program" "$tests/cli/export_compare.lua" got=$name/page.got want=$name/some.expected ties=1e-5
  done
else
  skip "the pages give the same answers" "no node"
fi

# ---- ONNX: the checker that PyTorch carries, and onnxruntime (make web-tools) ----

/usr/bin/python3 -c '
import sys
try: from torch._C import _check_onnx_proto
except ImportError: sys.exit(77)
for path in sys.argv[1:]: _check_onnx_proto(open(path, "rb").read())' mlp/digit.onnx cnn/digit.onnx case*.onnx >out 2>&1
case $? in
  0) ok "ONNX's own checker is content" ;;
  77 | 127) skip "ONNX's own checker is content" "no PyTorch for /usr/bin/python3" ;;
  *) not_ok "ONNX's own checker is content" "$(tail -n 3 out)" ;;
esac
export WEB_TOOLS=${WEB_TOOLS:-$root/build/web}
if node "$tests/web/onnx.js" >/dev/null 2>&1; then
  words=()
  for name in mlp cnn; do words+=($name/digit.onnx $name/images.pixels 28x28 $name/onnx.got); done
  while read -r name shape _; do words+=("$name.onnx" "$name.pixels" "$shape" "$name.got"); done <cases
  check "onnxruntime reads them" 0 lines=0 -- node "$tests/web/onnx.js" "${words[@]}"
  for name in mlp cnn; do
    check "$name: ONNX gives the same answers" 0 out=' pictures, 0 with another class' -- \
      "$program" "$tests/cli/export_compare.lua" got=$name/onnx.got want=$name/images.expected
  done
  while read -r name shape _ classes; do
    check "every kind of layer as ONNX: $name ($shape)" 0 -- \
      "$program" "$tests/cli/export_compare.lua" got="$name.got" want="$name.expected" classes="$classes" within=1e-5
  done <cases
else
  skip "onnxruntime gives the same answers" "no node, or no onnxruntime-web: make web-tools"
fi

# ---- other sources, and what is refused ----

cd mlp || exit 1
check "a checkpoint" 0 out='^k.safetensors +[0-9]+ tensors' -- \
  sh -c '"$0" export runs/*/checkpoints/step-*.safetensors --safetensors k.safetensors' "$program"
check "whose weights can be used" 0 out='^accuracy' -- "$program" eval k.safetensors
check "a file's name that is none in C" 0 out='C99: model_classify' -- "$program" export last --c 7.c
check "quiet" 0 lines=0 -- sh -c '[ -z "$("$0" export last --onnx q.onnx --quiet)" ]' "$program"
check "no model" 2 err='export: expected RUN or MODEL' lines=1 -- "$program" export
check "no format" 2 err='export: expected a format and a file: --safetensors, ' lines=1 -- "$program" export last
check "one file twice" 2 err='--onnx and --c both name x' lines=1 -- "$program" export last --onnx x --c x
check "the model itself" 2 err='--safetensors .*: this is the model itself' lines=1 -- \
  sh -c '"$0" export last --safetensors runs/*/model.safetensors' "$program"
check "a folder that is not there" 1 err='nowhere/x.onnx' lines=1 -- "$program" export last --onnx nowhere/x.onnx
cd "$work" || exit 1
tiny 'e.model = nn.Sequential { nn.Flatten(), nn.Linear(8), nn.LayerNorm(8), nn.Linear(10) }' >norm.lua
mkdir norm && cd norm && "$program" ../norm.lua --quiet >/dev/null
for format in onnx c html; do
  check "no chain of known layers: $format" 2 lines=1 err="--$format: nn.LayerNorm \(layer '2'\) cannot be exported" \
    -- "$program" export last --safetensors w --$format f
done
[ ! -e w ] && [ ! -e f ] && ok "nothing is written then" || not_ok "nothing is written then" "$(ls)"
check "its weights can be exported" 0 -- "$program" export last --safetensors w
finish
