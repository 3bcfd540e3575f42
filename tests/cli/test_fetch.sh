#!/bin/bash
# data/fetch against mirrors on this machine: a fetch, a second call, resuming, damage, broken and dead mirrors.
# The mirrors serve small files with sums of their own; where $MNISTLUA_DATA/mnist is there, MNIST itself is fetched
# once. Prints TAP. The other data sets are stood in for by zeros in their format.
set -u
unset http_proxy https_proxy all_proxy ALL_PROXY

if [ -n "${MNISTLUA_DATA:-}" ]; then MNISTLUA_DATA=$(realpath "$MNISTLUA_DATA"); fi

# shellcheck source=tests/cli/tap.sh
. "$(dirname "$0")/tap.sh"
for wants in python3 'curl wget'; do
  # shellcheck disable=SC2086  # one of several tools
  if ! command -v $wants >/dev/null; then
    skip 'data/fetch' "needs ${wants/ / or }"
    finish
    exit 0
  fi
done

names=(train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte)
first=${names[0]}.gz

# Mirrors: /good serves, /cut sends half of a file, /bad damages it, /plain knows no ranges. Each request is logged.
mkdir -p "$work/files"
sums=$work/SHA256SUMS
for name in "${names[@]}"; do
  awk -v name="$name" 'BEGIN { for (i = 0; i < 3000; i++) print name, i * 2654435761 % 4294967296 }' >"$work/$name"
  printf '%s  %s\n' "$(sha256sum <"$work/$name" | cut -d ' ' -f 1)" "$name" >>"$sums"
  gzip -n <"$work/$name" >"$work/files/$name.gz"
done

cat >"$work/mirror.py" <<'PY'
import http.server, os, re, sys

class Mirror(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kind, name = self.path.strip("/").split("/")
        folder = os.environ["MNISTLUA_DATA"] + "/mnist" if kind == "real" else sys.argv[1] + "/files"
        path = os.path.join(folder, os.path.basename(name))
        span = self.headers.get("Range")
        with open(os.path.join(sys.argv[1], "log"), "a") as log:
            print(kind, name, span or "all", file=log)
        if kind not in ("good", "cut", "bad", "plain", "real"):
            return self.send_error(404)
        body = open(path, "rb").read()
        if kind == "bad":
            body = body[:60] + bytes([body[60] ^ 255]) + body[61:]
        begin = 0
        if span and kind != "plain":
            begin = int(re.match(r"bytes=(\d+)-", span).group(1))
            if begin >= len(body):
                return self.send_error(416)
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(body) - begin))
        if begin:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (begin, len(body) - 1, len(body)))
        self.end_headers()
        try:
            self.wfile.write(body[begin:len(body) // 2] if kind == "cut" else body[begin:])
        except ConnectionError:
            pass  # a client that wanted a range hangs up on the whole file

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
with open(os.path.join(sys.argv[1], "port.new"), "w") as f:
    f.write(str(server.server_address[1]))
os.rename(f.name, os.path.join(sys.argv[1], "port"))
server.serve_forever()
PY
python3 "$work/mirror.py" "$work" &
server=$!
trap 'kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do [ -e "$work/port" ] && break; sleep 0.1; done
if [ ! -e "$work/port" ]; then
  skip 'data/fetch' 'no mirror could be started'
  finish
  exit 0
fi
base=http://127.0.0.1:$(cat "$work/port")
# A port that was free a moment ago: connections to it are refused.
dead=http://127.0.0.1:$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')

# holds LABEL COMMAND...: the command succeeds; if not, what data/fetch said last is shown.
holds() {
  local label=$1
  shift
  if "$@"; then ok "$label"; else not_ok "$label" "false: $*" "$(cat "$work/out")"; fi
}

# fetch DATA MIRRORS [ARGUMENT...]: runs data/fetch; its exit code is in $code, what it said in $work/out.
fetch() {
  local data=$1 mirrors=$2
  shift 2
  : >"$work/log"
  env MNISTLUA_DATA="$data" MNISTLUA_MIRRORS="$mirrors" MNISTLUA_SUMS="$sums" "$root/data/fetch" "$@" >"$work/out" 2>&1
  code=$?
}

whole() {  # whole DATA: all four are there, byte for byte, and nothing else
  local name
  for name in "${names[@]}"; do cmp -s "$work/files/$name.gz" "$1/mnist/$name.gz" || return 1; done
  [ "$(find "$1/mnist" -type f | wc -l)" -eq 4 ]
}
said() { grep -qF -- "$1" "$work/out"; }
requested() { grep -qE -- "$1" "$work/log"; }
requests_of_first() { grep -c " $first " "$work/log"; }
start() {  # start DATA: an empty data folder
  mkdir -p "$work/$1/mnist"
  echo "$work/$1"
}
size=$(wc -c <"$work/files/$first")

# ---- cases ----
d=$work/plain
fetch "$d" "$base/good/" mnist
holds 'fetches four files' [ "$code" -eq 0 ]
holds 'they are whole, and no .part is left' whole "$d"

fetch "$d" "$base/good/"
holds 'a second call succeeds' [ "$code" -eq 0 ]
holds 'a second call asks for nothing' [ ! -s "$work/log" ]
holds 'a second call says so' said "$first: already there"

d=$(start resume)
head -c $((size / 3)) "$work/files/$first" >"$d/mnist/$first.part"
fetch "$d" "$base/good"
holds 'a partial file is resumed' requested "^good $first bytes=$((size / 3))-"
holds 'a resumed file is whole' whole "$d"

d=$(start noranges)
head -c $((size / 3)) "$work/files/$first" >"$d/mnist/$first.part"
fetch "$d" "$base/plain"
holds 'a mirror without ranges sends it in full' whole "$d"

d=$(start junk)
head -c $((size / 3)) /dev/zero >"$d/mnist/$first.part"
fetch "$d" "$base/good"
holds 'a .part of other bytes is not taken for good' whole "$d"
holds 'and is fetched once more in full' [ "$(requests_of_first)" -eq 2 ]

d=$(start toolong)
head -c $((size + 100)) /dev/zero >"$d/mnist/$first.part"
fetch "$d" "$base/good"
holds 'a .part that is too long is replaced' whole "$d"

d=$(start complete)
cp "$work/files/$first" "$d/mnist/$first.part"
fetch "$d" "$base/good"
holds 'a complete .part is used' whole "$d"
holds 'without asking for it' [ "$(requests_of_first)" -eq 0 ]

d=$work/bad
fetch "$d" "$base/bad $base/good"
holds 'a damaged file is fetched from the next mirror' whole "$d"
holds 'and the damage is told' said 'SHA-256'

d=$work/cut
fetch "$d" "$base/cut $base/good"
holds 'where a mirror stops half way, the next one goes on' whole "$d"
holds 'from there' requested "^good $first bytes=$((size / 2))-"

d=$(start damaged)
head -c 100 "$work/files/$first" >"$d/mnist/$first"
fetch "$d" "$base/missing $base/good"
holds 'a damaged file is replaced, and a mirror without it passed over' whole "$d"
holds 'a damaged file is named' said 'is damaged'

d=$(start garbage)
{ cat "$work/files/$first"; echo garbage; } >"$d/mnist/$first"
fetch "$d" "$base/good"
holds 'a file with something behind its end is replaced' whole "$d"

d=$(start kept)
head -c 100 "$work/files/$first" >"$d/mnist/$first.part"
fetch "$d" "$dead $dead/x"
holds 'dead mirrors: exit code 1' [ "$code" -eq 1 ]
tail -n 1 "$work/out" >"$work/last"
holds 'dead mirrors: the last line says what to do' \
  grep -qF 'no network? train on the synthetic digits: ./mnistlua configs/mlp512.lua --data digits' "$work/last"
holds 'dead mirrors: no file is made' [ -z "$(find "$d" -name '*.gz')" ]
holds 'dead mirrors: what was there is kept' [ "$(wc -c <"$d/mnist/$first.part")" -eq 100 ]

fetch "$work/onlybad" "$base/bad"
holds 'only damaged mirrors: exit code 1' [ "$code" -eq 1 ]
holds 'only damaged mirrors: no file is made' [ -z "$(find "$work/onlybad" -name '*.gz')" ]

d="$work/with a space"
fetch "$work/elsewhere" "$base/good" --to "$d"
holds '--to names the folder' whole "$d"

if [ -e "${MNISTLUA_DATA:-}/mnist/$first" ]; then
  sums=$root/data/SHA256SUMS fetch "$work/real" "$base/real"
  holds 'MNIST has the sums of data/SHA256SUMS' [ "$code" -eq 0 ]
else
  # shellcheck disable=SC2016
  skip 'MNIST has the sums of data/SHA256SUMS' 'no $MNISTLUA_DATA/mnist'
fi

mkdir "$work/own"
cp "$root/data/fetch" "$work/own/fetch"
env -u MNISTLUA_DATA MNISTLUA_MIRRORS="$base/good" MNISTLUA_SUMS="$sums" "$work/own/fetch" >"$work/out" 2>&1
holds 'by default the files go beside the script' whole "$work/own"

fetch "$work/none" "$base/good" --frobnicate
holds 'an unknown option: exit code 2' [ "$code" -eq 2 ]
fetch "$work/none" "$base/good" --to
holds '--to without a folder: exit code 2' [ "$code" -eq 2 ]
: >"$work/file"
fetch "$work/file" "$base/good"
holds 'a folder that cannot be made: exit code 1' [ "$code" -eq 1 ]
holds 'and nothing is asked for' [ ! -s "$work/log" ]

# The other data sets: sums are of the packed files, and where none is known the file has to be whole by itself.
mkdir -p "$work/files/fashion_mnist"
fashion_sums=$(for name in "${names[@]}"; do
  printf '%s  fashion_mnist/%s.gz\n' "$(sha256sum <"$work/files/$name.gz" | cut -d ' ' -f 1)" "$name"
done)
sums_of_mnist=$sums
sums=$work/OTHERSUMS
printf '%s\n' "$fashion_sums" >"$sums"
in_folder() {  # in_folder DATA NAME: as whole, in the folder of another data set
  local name
  for name in "${names[@]}"; do cmp -s "$work/files/$name.gz" "$1/$2/$name.gz" || return 1; done
}
d=$work/fashion
fetch "$d" "$base/bad $base/good" fashion_mnist
holds 'Fashion-MNIST goes into its own folder' in_folder "$d" fashion_mnist
holds 'a damaged file of it is told' said 'SHA-256'
fetch "$d" "$base/good" fashion_mnist
holds 'it is not fetched twice' [ ! -s "$work/log" ]

fetch "$work/kmnist" "$base/good" kmnist
holds 'without a sum, files that are no IDX are refused: exit code 1' [ "$code" -eq 1 ]
holds 'and why' said "expected a whole gzip file with the IDX header of $first"
u32() { printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 >> 24)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)); }
idx() {  # idx FILE COUNT KIND: zeros, packed
  if [ "$3" = images ]; then
    { printf '%b' "\\x00\\x00\\x08\\x03$(u32 "$2")$(u32 28)$(u32 28)"; head -c $((784 * $2)) /dev/zero; }
  else
    { printf '%b' "\\x00\\x00\\x08\\x01$(u32 "$2")"; head -c "$2" /dev/zero; }
  fi | gzip -1n >"$1"
}
mkdir -p "$work/swap" && mv "$work/files"/*.gz "$work/swap/"
idx "$work/files/${names[0]}.gz" 60000 images
idx "$work/files/${names[1]}.gz" 60000 labels
idx "$work/files/${names[2]}.gz" 10000 images
idx "$work/files/${names[3]}.gz" 10000 labels
fetch "$work/kmnist" "$base/good" kmnist
holds 'without a sum, whole files are taken' in_folder "$work/kmnist" kmnist
holds 'and their sums are shown' \
  said "no SHA-256 sum of it is known; this one has $(sha256sum <"$work/files/$first" | cut -d ' ' -f 1)"
rm "$work/files"/*.gz && mv "$work/swap"/* "$work/files/"

# EMNIST: one zip, from which four files are kept.
if command -v unzip >/dev/null || command -v bsdtar >/dev/null; then
  mkdir -p "$work/zip/gzip"
  emnist=(emnist-digits-train-images-idx3-ubyte emnist-digits-train-labels-idx1-ubyte
    emnist-digits-test-images-idx3-ubyte emnist-digits-test-labels-idx1-ubyte)
  idx "$work/zip/gzip/${emnist[0]}.gz" 240000 images
  idx "$work/zip/gzip/${emnist[1]}.gz" 240000 labels
  idx "$work/zip/gzip/${emnist[2]}.gz" 40000 images
  idx "$work/zip/gzip/${emnist[3]}.gz" 40000 labels
  echo other >"$work/zip/gzip/emnist-letters-mapping.txt"
  (cd "$work/zip" && python3 -c 'import shutil; shutil.make_archive("../files/gzip", "zip", ".")')
  printf '%s  emnist_digits/gzip.zip\n' "$(sha256sum <"$work/files/gzip.zip" | cut -d ' ' -f 1)" >"$sums"
  d=$(start emnist)
  fetch "$d" "$base/cut $base/good" emnist_digits
  holds 'EMNIST-digits: exit code 0' [ "$code" -eq 0 ]
  holds 'its zip is resumed' requested '^good gzip.zip bytes='
  holds 'the zip is not kept, nor anything but the four files' [ "$(find "$d/emnist_digits" | wc -l)" -eq 5 ]
  for name in "${emnist[@]}"; do cmp -s "$work/zip/gzip/$name.gz" "$d/emnist_digits/$name.gz" || code=9; done
  holds 'they are those of the zip' [ "$code" -eq 0 ]
  fetch "$d" "$base/good" emnist_digits
  holds 'they are not fetched twice' [ ! -s "$work/log" ]
  head -c 100 "$work/zip/gzip/${emnist[1]}.gz" >"$d/emnist_digits/${emnist[1]}.gz"
  fetch "$d" "$base/good" emnist_digits
  holds 'a damaged one is replaced' cmp -s "$work/zip/gzip/${emnist[1]}.gz" "$d/emnist_digits/${emnist[1]}.gz"
  fetch "$work/emnist2" "$base/bad" emnist_digits
  holds 'a damaged zip is refused' [ "$code" -eq 1 ]
else
  skip 'EMNIST-digits' 'needs unzip or bsdtar'
fi
sums=$sums_of_mnist

for pair in 'fashion fashion_mnist' 'Fashion-MNIST fashion_mnist' 'emnist emnist_digits' 'kmnst kmnist' 'minst mnist'; do
  fetch "$work/none" "$base/good" "${pair% *}"
  holds "'${pair% *}': did you mean '${pair#* }'?" said "got '${pair% *}'; did you mean '${pair#* }'?"
  holds 'exit code 2' [ "$code" -eq 2 ]
done

# The same with wget, where curl is missing.
if command -v wget >/dev/null; then
  mkdir "$work/bin"
  for tool in sh wget gzip sha256sum cut awk mv rm mkdir dirname env; do
    ln -s "$(command -v "$tool")" "$work/bin/$tool"
  done
  PATH_WAS=$PATH
  PATH=$work/bin fetch "$work/wget" "$base/bad $base/good"
  PATH=$PATH_WAS
  holds 'with wget, a damaged file is fetched from the next mirror' whole "$work/wget"
  d=$(start wgetresume)
  head -c $((size / 3)) "$work/files/$first" >"$d/mnist/$first.part"
  head -c 50 /dev/zero >"$d/mnist/${names[1]}.gz.part"
  PATH=$work/bin fetch "$d" "$base/good"
  holds 'with wget, a partial file is resumed, a wrong one replaced' whole "$d"
  d=$(start wgetplain)
  head -c $((size / 3)) "$work/files/$first" >"$d/mnist/$first.part"
  PATH=$work/bin fetch "$d" "$base/plain"
  holds 'with wget, a mirror without ranges sends it in full' whole "$d"
else
  skip 'with wget' 'no wget'
fi

finish
