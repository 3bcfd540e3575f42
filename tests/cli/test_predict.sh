# mnistlua predict: digits drawn with strokes of the test's own, as files and on standard input, as text and as JSON, by
# runs and by files of weights; no data is read for it; what is no picture, and models that no picture fits.
. "$(dirname "$0")/tap.sh"
export LC_ALL=C.UTF-8

cat >draw.lua <<LUA
package.path = "$root/tests/lua/?.lua;" .. package.path
local strokes = require "strokes_aid"
local function write(name, bytes)
  local f = assert(io.open(name, "wb"))
  f:write(bytes)
  f:close()
end
for digit = 0, 9 do
  local r = strokes.random(20 + digit)
  write(digit .. ".png", strokes.png(strokes.draw(digit, strokes.options(r, digit % 2 == 1), r), digit % 3 == 0))
end
local blank = strokes.png { width = 40, height = 30, bytes = ("\200"):rep(1200) }
write("blank.png", blank)
write("cut.png", blank:sub(1, 600))
write("empty.png", "")
write("text.png", "this is no picture")
write("photo.jpg", "\255\216\255\224 and so on")
write("huge.png", blank:sub(1, 16) .. "\0\1\0\0\0\1\0\0" .. blank:sub(25))
write("e\27[31m\nx.png", blank)
LUA
"$program" draw.lua || exit 1
mkdir folder.png

# Rows of 784 values, so that the training data can be taken away.
cat >csv.lua <<'LUA'
local ml = require "mnistlua"
local f = assert(io.open("rows.csv", "w"))
for sample, label in ml.data.digits { n = 3000 }:batches { batch = 1 } do
  local x = ((sample * 0.2858 + 0.119) * 255):reshape(-1):totable()
  for i, v in ipairs(x) do x[i] = math.max(0, math.min(255, math.floor(v + 0.5))) end
  f:write(label[1], ",", table.concat(x, ","), "\n")
end
f:close()
LUA
"$program" csv.lua || exit 1
tiny 'e.data = ml.data.csv { path = "rows.csv", test = "rows.csv" }; e.epochs = 3
  e.model = nn.Sequential { nn.Flatten(), nn.Linear(64), nn.ReLU(), nn.Linear(10) }' >tiny.lua
"$program" tiny.lua --seed 3 --quiet >trained || exit 1
mv rows.csv gone.csv
run=$(ls -d runs/2*)
cp "$run/model.safetensors" alone.safetensors
predict=("$program" predict)

check "a picture: digit, probabilities, what the network saw" 0 out='^4.png: 4  \([0-9.>]+%\)$' out='^ {9,}[^ 0-9A-Za-z]' \
  out='  4 +>?[0-9.]+%  ████' lines=0 -- "${predict[@]}" last 4.png
check "the data need not be there" 0 lines=0 -- "${predict[@]}" "$run" 4.png
check "a model alone, many files" 0 out='^0.png: ' out='^9.png: ' lines=0 -- "${predict[@]}" alone.safetensors [0-9].png
right=$(grep -cE '^([0-9])\.png: \1 ' out)
[ "$right" -ge 8 ] && ok "nearly all are right" || not_ok "nearly all are right" "$right of 10" "$(grep png out)"
check "ASCII where the locale has no UTF-8" 0 out='  4 +>?[0-9.]+%  ####' -- env LC_ALL=C "${predict[@]}" last 4.png
LC_ALL=C grep -q '[^ -~]' out && not_ok "and nothing else" "$(cat out)" || ok "and nothing else"
check "as many classes as asked for" 0 -- "${predict[@]}" last --top 7 4.png
[ "$(grep -c '%' out)" = 8 ] && ok "and the answer" || not_ok "and the answer" "$(cat out)"
check "standard input" 0 out='^-: 4 ' -- sh -c '"$0" predict last - <4.png' "$program"
check "colours" 0 out=$'\e\[' -- "${predict[@]}" last --color always 4.png
"${predict[@]}" last 4.png >a && "${predict[@]}" last --threads 1 4.png | cmp -s - a && ok "one thread" || not_ok "one thread"

check "as JSON" 1 lines=0 -- sh -c '"$0" predict last 4.png blank.png --json >p.json' "$program"
cat >read.lua <<'LUA'
local core = require "mnistlua.core"
local r = assert(core.json_decode(assert(core.read_file "p.json")))
assert(r.name == "tiny" and r.model:find "model.safetensors$" and #r.pictures == 2)
local p = r.pictures[1]
assert(p.file == "4.png" and p.class == 4 and p.p == p.probabilities[5] and #p.probabilities == 10 and #p.top == 10)
local sum, most = 0, 0
for _, row in ipairs(p.pixels) do
  assert(#row == 28)
  for _, v in ipairs(row) do sum, most = sum + v, math.max(most, v) end
end
assert(#p.pixels == 28 and most == 255 and sum > 255 * 40)
for i = 2, 10 do assert(p.top[i - 1].p >= p.top[i].p) end
assert(r.pictures[2].file == "blank.png" and r.pictures[2].error:find "^blank.png: no ink")
LUA
check "every figure in it" 0 -- "$program" read.lua

check "a blank picture, the others follow" 1 out='^4.png: 4' err='^mnistlua: error: blank.png: no ink: ' lines=1 -- \
  "${predict[@]}" last blank.png 4.png
for each in "empty.png|empty.png: expected a PNG file, but it is empty" "cut.png|cut.png: damaged PNG data" \
  "text.png|text.png: expected a PNG file" "photo.jpg|it looks like a JPEG" "huge.png|huge.png: " \
  "folder.png|folder.png: .*a folder" "nowhere.png|nowhere.png: .*No such file"; do
  check "${each%%|*}" 1 err="^mnistlua: error: .*${each#*|}" lines=1 -- "${predict[@]}" last "${each%%|*}"
done
check "names are escaped" 1 err='e\\x1b\[31m\\x0ax.png: no ink' lines=1 -- "${predict[@]}" last $'e\e[31m\nx.png'
check "what is no picture on standard input" 1 err='-: expected a PNG file' lines=1 -- \
  sh -c 'cat /dev/zero | "$0" predict last -' "$program"
check "standard input twice" 2 err='standard input \(-\) is given twice' lines=1 -- "${predict[@]}" last - -
check "nothing given" 2 err='predict: expected RUN or MODEL' lines=1 -- "${predict[@]}"
check "no model given" 2 err='mnistlua predict last 4.png' lines=1 -- "${predict[@]}" 4.png
check "no such run" 2 err="there is no run 'tinyy'" lines=1 -- "${predict[@]}" tinyy 4.png
check "--top 0" 2 err='--top: expected a whole number from 1' lines=1 -- "${predict[@]}" last --top 0 4.png
[ "$(ls runs | wc -l)" = 2 ] && ok "nothing is written" || not_ok "nothing is written" "$(ls runs)"

mv gone.csv rows.csv
tiny 'local data = ml.data.csv { path = "rows.csv", test = "rows.csv" }
  e.data, e.batch = data, #data.train // 10; assert(e.batch == 300)' >uses.lua
check "a config that uses the data" 0 -- "$program" uses.lua --quiet
check "gets it" 0 out='^4.png: ' lines=0 -- "${predict[@]}" last 4.png
tiny 'local x = ml.rand(64, 3, 8, 8):mul(255):to "i32":to "u8"
  local y = {}; for i = 1, 64 do y[i] = i % 10 end
  e.data = ml.data.tensors { x = x, y = y, test_x = x, test_y = y }' >color.lua
check "a model of other samples" 0 -- "$program" color.lua --quiet --seed 1
check "is told clearly" 2 err='it takes samples of 3x8x8, and a picture is prepared as 28x28 grey pixels' lines=1 -- \
  "${predict[@]}" last 4.png
tiny 'local d = ml.data.digits { n = 256, test = 64 }; d.train.class_names = { "zero\27", "one", "two", "three", "four",
  "five", "six", "seven", "eight", "nine" }; e.data = d' >named.lua
check "a data set with class names" 0 -- "$program" named.lua --quiet
check "shows them" 0 out='^4.png: [a-z]+' out='(zero\\x1b|one|two|three|four|five|six|seven|eight|nine) .*%' -- \
  "${predict[@]}" last --top 10 4.png
finish
