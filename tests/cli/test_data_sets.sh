# The data sets beside MNIST, from the command line: what is not there, misspelt names, folders of pictures.
. "$(dirname "$0")/tap.sh"
unset MNISTLUA_DATA

for name in fashion_mnist kmnist emnist_digits; do
  tiny "e.data = ml.data.$name {}" >named.lua
  check "no $name: the command that fetches it" 1 lines=1 \
    err="is not in nowhere/$name: fetch it with '.*data/fetch $name --to nowhere'" -- "$program" named.lua --data-dir nowhere
done
tiny 'e.data = ml.data.fashionmnist {}' >named.lua
check "a misspelt data set" 2 err="named.lua:[0-9]+: ml.data has no 'fashionmnist'; did you mean 'fashion_mnist'\?" lines=1 -- \
  "$program" named.lua
check "a misspelt --data" 2 err="--data: expected digits, mnist, .*got 'kmnst'; did you mean 'kmnist'" lines=1 -- \
  "$program" "$root/configs/mlp512.lua" --data kmnst
check "--data of a set that is not there" 1 err="KMNIST is not in nowhere/kmnist: fetch it with" lines=1 -- \
  "$program" "$root/configs/mlp512.lua" --data kmnist --data-dir nowhere
check "a misspelt set as a config's parameter" 2 err="parameter data: expected one of .*got 'kmnst'; did you mean 'kmnist'" \
  lines=1 -- "$program" "$root/configs/fashion_cnn.lua" data=kmnst
check "doctor lists them" 0 out='^Fashion-MNIST +not there; .*data/fetch' out='^KMNIST +not there' out='^EMNIST-digits +not there' -- \
  "$program" doctor --data-dir nowhere

cat >make.lua <<LUA
package.path = "$root/tests/lua/?.lua;" .. package.path
local aid = require "files_aid"
for class = 0, 1 do
  for i = 1, 20 do
    local pixels = (class == 0 and "\\200\\20" or "\\20\\200"):rep(8)
    aid.write(("pics/%s/%d.png"):format(class == 0 and "left" or "right", i), aid.png(4, 4, pixels))
  end
end
LUA
check "pictures are made" 0 -- "$program" make.lua
data='ml.data.images { "pics", test = 0.25, size = 8 } e.model = nn.Sequential { nn.Flatten(), nn.Linear(2) }'
tiny "e.data = $data" >pics.lua
check "a folder of pictures is learnt" 0 out='^data +pics: 30 train, 10 test' -- \
  "$program" pics.lua --quiet --assert 'test.acc>=0.99'
bad() {   # NAME PATTERN
  check "$1" 1 err="^mnistlua: error: pics.lua:[0-9]+: .*$2" lines=1 -- timeout 5 "$program" pics.lua
}
head -c 40 pics/left/3.png >pics/left/21.png
bad "a truncated picture" 'pics/left/21.png: damaged PNG data before byte 40: the data end there'
printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x06\0\0\0\0\0\0\0' >pics/left/21.png
bad "a header with a wrong checksum" 'pics/left/21.png: damaged PNG header: expected the checksum [0-9a-f]{8} at byte 29'
rm pics/left/21.png; mkfifo pics/left/fifo.png
bad "a FIFO among the pictures" 'pics/left/fifo.png: expected a file, got a FIFO'
rm pics/left/fifo.png; ln -s /dev/zero pics/left/zero.png
bad "an endless device" 'pics/left/zero.png: expected a file, got a device'
rm pics/left/zero.png; printf '\e[31m' >$'pics/left/\e[31m.png'
bad "a name with control bytes is escaped" 'pics/left/.x1b.31m.png: expected a PNG file'
rm $'pics/left/\e[31m.png'; rm -r pics/right
bad "one class" "pics: expected 2 sub-folders or more, one for each class, found 1 entry \('left'\)"
rm -r pics/left
bad "an empty folder" 'pics: is empty, expected a sub-folder of PNG files'
rmdir pics
bad "no folder" 'pics: cannot be opened: No such file'
finish
