# mnistlua show: pictures of data sets; curves, filters and confusion of runs; mistakes.
. "$(dirname "$0")/tap.sh"
show=(env LC_ALL=C.UTF-8 "$program" show)
esc=$'\e'
dot='[^ -~]' dots='[^ -~]{3}'    # braille: grep has no ranges of it

# ---- data ----
check "a data set" 0 out='^digits train: 10,000 samples of 28x28, 10 classes$' out='^[0-9] #1 +[0-9] #2 ' lines=0 -- \
  "${show[@]}" digits
check "in braille where there are no colours" 0 out="$dots" -- "${show[@]}" digits
if grep -q "$esc" out; then not_ok "and no escape code"; else ok "and no escape code"; fi
check "in ASCII where the locale is not UTF-8" 0 out='[#%@]{2}' -- env LC_ALL=C "$program" show digits
if LC_ALL=C grep -q '[^ -~]' out; then not_ok "which is all of it"; else ok "which is all of it"; fi
check "in half blocks and 256 colours" 0 out="$esc\[38;5;255;48;5;[0-9]+m▀" -- "${show[@]}" digits --color always
check "NO_COLOR is heard" 0 out="$dots" -- env NO_COLOR=1 "${show[@]}" digits
check "--mode" 0 out='[#%@]{2}' -- "${show[@]}" digits --mode ascii
check "one sample" 0 out='^digits train 5: label [0-9]$' -- "${show[@]}" digits --index 5
[ "$(wc -l <out)" -le 15 ] && ok "as high as it is wide" || not_ok "as high as it is wide" "$(wc -l <out) lines"
check "of a class" 0 out='^#[0-9]+ +#[0-9]+ +#[0-9]+$' out=', [0-9]+ of label 7$' -- \
  "${show[@]}" digits --label 7 --grid 2x3
[ "$(grep -c '^#' out)" = 2 ] && ok "as many rows as asked for" || not_ok "as many rows as asked for" "$(cat out)"
check "from a sample on" 0 out='^[0-9] #100 +[0-9] #101$' -- "${show[@]}" digits --index 100 --grid 1x2
check "another part" 0 out='^digits test: 10,000 samples' -- "${show[@]}" digits --split test --grid 1x1
check "held-out pictures" 0 out='^digits val: 10,000 samples' -- "${show[@]}" digits --split val --grid 1x1
for width in 10 40 200; do
  "${show[@]}" digits --width $width --grid 2x8 >out
  widest=$(grep -v '^digits' out | wc -L)
  [ "$widest" -le "$width" ] && ok "it fits $width columns" || not_ok "it fits $width columns" "$widest"
done

cat >pictures.csv <<'CSV'
label,a,b,c
0,1,2,3
1,3,2,1
CSV
check "rows of numbers" 2 err='samples of 3 are no pictures' lines=1 -- "${show[@]}" pictures.csv
check "no such sample" 2 err='digits has 60000 samples in train, got 60001' lines=1 -- "${show[@]}" digits --index 60001
check "no such class" 2 err="--label: expected 0 to 9, got '10'" lines=1 -- "${show[@]}" digits --label 10
check "no grid" 2 err="expected ROWSxCOLUMNS such as 4x8, got '4by8'" lines=1 -- "${show[@]}" digits --grid 4by8
check "an empty grid" 2 err="expected ROWSxCOLUMNS" lines=1 -- "${show[@]}" digits --grid 0x8
check "no part" 2 err="--split: expected train, val, test, got 'tset'; did you mean 'test'" lines=1 -- \
  "${show[@]}" digits --split tset
check "a mode that is not there" 2 err="--mode: expected .*got 'halv'; did you mean 'half'" lines=1 -- \
  "${show[@]}" digits --mode halv
check "nothing to show" 2 err='expected a data set \(digits, mnist' lines=1 -- "${show[@]}"
check "a data set that is not there" 1 err='KMNIST is not in none/kmnist' lines=1 -- "${show[@]}" kmnist --data-dir none
check "a name misspelt" 2 err="'mnits' is neither a data set nor a run; did you mean 'mnist'" lines=1 -- "${show[@]}" mnits

# ---- terminals: one that has sixel graphics by its own account, others by their names ----
terminal() {
  local answer=$1
  shift
  env -u TMUX -u STY -u TERM_PROGRAM -u COLORTERM -u NO_COLOR LC_ALL=C.UTF-8 "$@" python3 \
    "$root/tests/cli/terminal.py" "$answer" "$program" show digits --index 1
}
without() {
  if grep -q "$2" out; then not_ok "$1" "$(head -c 300 out | cat -v)"; else ok "$1"; fi
}
if command -v python3 >/dev/null; then
  check "half blocks on a terminal" 0 out='▀' -- terminal $'\e[?62;22c' TERM=xterm-256color
  without "and no graphics" "$esc[P_]"
  check "sixel where it has it" 0 out="$esc"'P0;1;0q"1;1;280;280#0;2;' -- terminal $'\e[?62;4;22c' TERM=xterm-256color
  check "24 bits" 0 out="$esc\[38;2;[0-9]+;" -- terminal $'\e[?1c' TERM=xterm-256color COLORTERM=truecolor
  check "kitty's own" 0 out="${esc}_Ga=T,f=32,s=280,v=280,c=28,r=14,q=2,m=1;" -- terminal "" TERM=xterm-kitty
  without "which is not asked" "$esc\[c"
  check "not inside of tmux" 0 out='▀' -- terminal $'\e[?62;4c' TERM=screen-256color TMUX=x
  without "which is not asked" "$esc\[c"
  check "nor without colours" 0 out="$dots" -- terminal $'\e[?62;4c' TERM=xterm-256color NO_COLOR=1
  without "where there is no escape code" "$esc"
  check "nor on a poor terminal" 0 out="$dots" -- terminal $'\e[?62;4c' TERM=linux
else
  skip "terminals" "python3 is missing"
fi
check "graphics are not for files" 0 out="$dots" -- "${show[@]}" digits --mode sixel
without "where there is no escape code" "$esc"
check "unless they are wanted there" 0 out="${esc}P0;1;0q" -- "${show[@]}" digits --mode sixel --color always

# ---- runs ----
tiny 'e.optimizer.lr = 0.05' >tiny.lua
"$program" tiny.lua --quiet >/dev/null
check "a run's curves" 0 out='^2[0-9]+-[0-9]+-tiny: done$' out='^epoch 2/2, step 16, train.loss' \
  out='^loss over steps, logarithmic: \. train  t test$' out='^accuracy over steps' out='^learning rate over steps$' \
  lines=0 -- "${show[@]}" last
check "in colours" 0 out="$esc\[36m$dot" out="loss.*$esc\[36mtrain" -- "${show[@]}" last --color always
check "in ASCII" 0 out='^ +[0-9.]+ \|\.' -- env LC_ALL=C "$program" show last
if LC_ALL=C grep -q '[^ -~]' out; then not_ok "which is all of it"; else ok "which is all of it"; fi
check "one metric" 0 out='^test.loss over steps' -- "${show[@]}" last --metric test.loss
grep -q '^accuracy' out && not_ok "alone" || ok "alone"
run=$(basename "$(dirname runs/*/run.json)")
check "by its path" 0 out='tiny: done' -- env -C / LC_ALL=C.UTF-8 "$program" show "$work/runs/$run"
check "followed when it is over" 0 out='^epoch 1  train.loss' out='^epoch 2  train.loss' out='^loss over steps' -- \
  "${show[@]}" last --follow
check "filters" 0 out='^1\.weight, 16x784: -[0-9.]+ to [0-9.]+$' out="$dots" lines=0 -- "${show[@]}" last --filters
check "of a file" 0 out='^1\.weight' out='^and 12 more$' -- "${show[@]}" "runs/$run/model.safetensors" --filters --grid 2x2
check "confusion" 0 out='^tiny on digits test: 64 samples, accuracy' out='^ +0 +1 +2 +3 ' out='^9( +[0-9.]+){10}$' \
  out='taken for' -- "${show[@]}" last --confusion
check "confusion in colours" 0 out="$esc\[48;5;[0-9]+;38;5;255m +[0-9]+$esc\[0m" -- \
  "${show[@]}" last --confusion --color always

# A run that another process trains is followed to its end.
tiny 'e.epochs = 3 e.on = { epoch_end = function() os.execute "sleep 0.3" end }' >slow.lua
"$program" slow.lua --quiet >/dev/null &
until compgen -G "runs/*/run.json" | grep -vqF "/$run/"; do sleep 0.05; done
check "followed while it trains" 0 out='^epoch 3  train.loss' out='tiny.*: done$' out='^epoch 3/3, ' -- "${show[@]}" last --follow
wait

check "a curve that it does not have" 2 err="no curve of 'tran.loss'; did you mean 'train.loss'" lines=1 -- \
  "${show[@]}" last --metric tran.loss
check "no such run" 2 err="there is no run 'nosuch' in runs" lines=1 -- "${show[@]}" nosuch
check "no folder of runs" 2 err="neither a data set nor a run: there is no folder 'none'" lines=1 -- \
  "${show[@]}" last --out none
check "curves of a file" 2 err='a file of weights has no curves' lines=1 -- "${show[@]}" "runs/$run/model.safetensors"
check "options of the other kind" 2 err="--label is for data sets, and 'last' is none" lines=1 -- \
  "${show[@]}" last --label 3
check "and the reverse" 2 err="--filters is for runs, and 'digits' is none" lines=1 -- "${show[@]}" digits --filters
check "too narrow for the matrix" 2 err='10 classes is wider than 20 columns' lines=1 -- \
  "${show[@]}" last --confusion --width 20

# ---- scripts ----
check "ml.show" 0 out='^label [0-9]$' out="$dots" -- env LC_ALL=C.UTF-8 "$program" -e \
  'show(ml.data.digits { n = 5 }[3])'
check "of anything else" 0 out='^nil$' -- "$program" -e 'ml.show(nil)'
finish
