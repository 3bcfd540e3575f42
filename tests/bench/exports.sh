#!/usr/bin/env bash
# Every export of a run beside the run itself, on all its test pictures of MNIST: same class for each, probabilities
# within 1e-4. Trains configs/mlp512.lua and configs/cnn.lua for an epoch each, or takes the runs that are named:
# tests/bench/exports.sh [RUN ...]. ONNX needs node and `make web-tools`; --exe is compared with `mnistlua predict`.
set -eu
tests=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "${MNISTLUA_PROGRAM:-./mnistlua}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
runs=()
for run in "$@"; do runs+=("$(realpath "$run")"); done
cd "$work"
if [ ${#runs[@]} -eq 0 ]; then
  for name in mlp512 cnn; do
    "$program" "$tests/../configs/$name.lua" epochs=1 --quiet --out "$work/$name" >/dev/null
    runs+=("$(echo "$work/$name"/2*)")
  done
fi
mkdir pictures
"$program" "$tests/cli/export_pictures.lua" data=mnist n=10000 to=pictures

compare() { printf '%-12s ' "$1"; "$program" "$tests/cli/export_compare.lua" got="$2" want=images.expected; }

for run in "${runs[@]}"; do
  echo "$run"
  rm -f images.expected
  "$program" export "$run" --safetensors w.safetensors --c digit.c --onnx digit.onnx --html digit.html --exe digit
  "$program" "$tests/cli/export_images.lua" run="$run"

  cc -O2 -DSELFTEST digit.c -o self -lm && ./self
  cc -O3 -DCLASSIFY=digit_classify -DPIXELS=784 -DCLASSES=10 digit.c "$tests/cli/export_driver.c" -o classify -lm
  ./classify <images.pixels >got
  compare C got
  if node "$tests/web/onnx.js" 2>/dev/null; then
    node "$tests/web/onnx.js" digit.onnx images.pixels 28x28 got
    compare ONNX got
  else
    echo "ONNX         not compared: no node, or no onnxruntime-web (make web-tools)"
  fi
  if node "$tests/web/page_network.js" digit.html images.pixels got 2>/dev/null; then compare HTML got; fi
  "$program" "$tests/cli/export_images.lua" run=w.safetensors
  mv images.expected got
  "$program" "$tests/cli/export_images.lua" run="$run"
  compare safetensors got
  (cd pictures && ../digit --json $(seq -f %g.png 10000)) | sed 's/"model":"[^"]*"//' >a
  (cd pictures && "$program" predict "$run" --json $(seq -f %g.png 10000)) | sed 's/"model":"[^"]*"//' >b
  cmp a b
  printf '%-12s %s pictures as mnistlua predict\n' exe "$(grep -o '"file"' a | wc -l)"
done
