# mnistlua serve, asked by curl: runs, curves that grow, digits, and who and what is not let in: other hosts and origins,
# paths that lead out, bodies that are too large, clients that are slow or gone; ports in use; Ctrl-C.
. "$(dirname "$0")/tap.sh"

octets='Content-Type: application/octet-stream'

# start NAME ARGUMENT...: a server in the background, whose output is NAME.out; sets pid, port and url. What a shell runs in
# the background ignores SIGINT, and so would the program: env takes that back.
start() {
  local name=$1 i
  shift
  env --default-signal=INT "$program" serve "$@" >"$name.out" 2>"$name.err" &
  pid=$!
  for i in $(seq 200); do [ -s "$name.out" ] && break; sleep 0.05; done
  port=$(sed -nE 's|^http://127\.0\.0\.1:([0-9]+)/.*|\1|p' "$name.out")
  url=http://127.0.0.1:$port
}

# stop NAME SIGNAL CODE: ends it and checks its exit code.
stop() {
  local name=$1 got began=$SECONDS
  kill -s "$2" "$pid"
  wait "$pid"
  got=$?
  if [ "$got" = "$3" ] && [ $((SECONDS - began)) -le 3 ]; then ok "$name"
  else not_ok "$name" "exit code $got after $((SECONDS - began)) s" "$(cat ./*.err)"; fi
}

# asked NAME STATUS PATTERN PATH [CURL ARGUMENT...]: the status and an extended regular expression on the body; headers are
# kept in $work/headers.
asked() {
  local name=$1 status=$2 pattern=$3 path=$4 got
  shift 4
  got=$(curl -s --max-time 20 --path-as-is -o body -D headers -w '%{http_code}' "$@" "$url$path")
  if [ "$got" = "$status" ] && { [ -z "$pattern" ] || grep -qE -- "$pattern" body; }; then ok "$name"
  else not_ok "$name" "status $got, expected $status; the body lacks '$pattern'" "$path $*" "$(head -c 600 body)"; fi
}

if ! command -v curl >/dev/null; then
  skip "mnistlua serve" "curl is not installed"
  finish
  exit
fi

tiny 'e.optimizer.lr = p.lr' 'local p = ml.params { lr = { 0.1, "the rate" } }' >tiny.lua
"$program" tiny.lua --quiet >/dev/null
sed -i 's/"tiny"/"other"/' tiny.lua
"$program" tiny.lua lr=0.05 --quiet >/dev/null
first=$(ls runs | grep -e '-tiny$')
second=$(ls runs | grep -e '-other$')

# ---- usage ----
check "a run that is not there" 2 err="there is no run 'nope' in runs" lines=1 -- "$program" serve nope --port 0
check "a port that is none" 2 err='--port: expected a whole number from 0 to 65535' lines=1 -- "$program" serve --port 65536
check "help" 0 out='--port' out='draw pad' -- "$program" serve --help

# ---- the page ----
start server last --port 0
if [ "$(cat server.out)" = "$url/#/run/$second" ]; then ok "the address of the run is printed"
else not_ok "the address of the run is printed" "$(cat server.out server.err)"; fi
asked "the page" 200 '<main id="view">' /
cp headers page
for header in "Content-Type: text/html; charset=utf-8" "Content-Security-Policy: default-src 'none'; script-src 'self'" \
    "X-Content-Type-Options: nosniff" "X-Frame-Options: DENY" "Cross-Origin-Resource-Policy: same-origin" \
    "Cache-Control: no-store"; do
  if grep -qF "$header" page; then ok "$header"; else not_ok "$header" "$(cat page)"; fi
done
missing=
for file in $(curl -s "$url/" | grep -oE '(href|src)="[a-z_]+\.(css|js)"' | cut -d'"' -f2); do
  curl -sf -o body "$url/$file" && [ -s body ] || missing="$missing $file"
done
if [ -z "$missing" ]; then ok "its files"; else not_ok "its files" "$missing"; fi
asked "HEAD" 200 '' / -I

# ---- runs ----
asked "the list, the newest first" 200 "\"folder\":\"$second\".*\"folder\":\"$first\".*\"total\":2" /api/runs
asked "filters" 200 "\"runs\":\[\{[^{]*\"folder\":\"$first\".*\"total\":1\}" '/api/runs?filter=lr%3E0.07+status=done'
asked "a filter that is none" 400 'expected a filter' '/api/runs?filter=lr'
asked "an order" 200 "\"folder\":\"$second\".*\"folder\":\"$first\"" '/api/runs?sort=lr'
asked "an order that is none" 400 "metric .nothing." '/api/runs?sort=nothing'
asked "a run" 200 '"changed":\["lr=0.05"\],"command":"mnistlua tiny.lua lr=0.05".*"text":"local ml = require' "/api/runs/$second"
asked "a run that is not there" 404 "there is no run 'nope'" /api/runs/nope
rm -f "runs/$first/report.html"
asked "no report" 404 'this run has no report' "/api/runs/$first/report"
echo '<p>a report' >"runs/$second/report.html"
asked "a report" 200 '^<p>a report$' "/api/runs/$second/report"
if grep -q "^Content-Security-Policy: sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'" headers; then
  ok "which can ask the server nothing"
else not_ok "which can ask the server nothing" "$(cat headers)"; fi
asked "curves" 200 '"last":16,.*"train.loss":\{"steps":\[1,2,3,.*"steps_per_epoch":8,"width":1\}' "/api/runs/$second/curves"
asked "what is new of them" 200 '"from":14,.*"train.loss":\{"steps":\[15,16\]' "/api/runs/$second/curves?width=1&from=14"
asked "all, where the width is another" 200 '"from":0,' "/api/runs/$second/curves?width=4&from=3"
asked "what differs" 200 '"texts":\["0.1","0.05"\],"title":"lr"' "/api/compare?run=$first&run=$second"
asked "nothing to compare" 400 'expected run=NAME' /api/compare

# ---- digits ----
head -c 784 /dev/zero >blank
asked "a digit" 200 '^\{"probabilities":\[([0-9.e-]+,){9}[0-9.e-]+\],"weights":"the weights of the run"\}$' \
  "/api/runs/$second/classify" -H "$octets" --data-binary @blank
asked "pixels that are too few" 400 'expected 784 bytes, the pixels of 28x28, got 3' "/api/runs/$second/classify" -H "$octets" -d abc
asked "a run that is not there has no model" 404 'there is no run' /api/runs/nope/classify -H "$octets" --data-binary @blank
asked "a digit is sent" 405 'expected POST' "/api/runs/$second/classify"
cat >bar.lua <<'LUA'
local rows = {}
for y = 1, 60 do
  for x = 1, 40 do rows[#rows + 1] = string.char(x > 17 and x < 24 and y > 9 and y < 51 and 20 or 220) end
end
io.stdout:write(table.concat(rows))
LUA
"$program" bar.lua >bar
asked "a picture of a bar, prepared" 200 '^\{"pixels":\[(0,){100,}.*255.*\]\}$' '/api/prepare?width=40&height=60' -H "$octets" --data-binary @bar
asked "of another size than it says" 400 'expected 2460 bytes, a picture of 41x60, got 2400' '/api/prepare?width=41&height=60' \
  -H "$octets" --data-binary @bar
asked "of no size" 400 'expected width and height from 1 to 1024' '/api/prepare?width=0&height=60' -H "$octets" -d ''
asked "of a size that is no number" 400 'width: expected a number' '/api/prepare?width=-1&height=60' -H "$octets" -d ''
asked "blank" 422 '' '/api/prepare?width=28&height=28' -H "$octets" --data-binary @blank

# ---- who is let in ----
while IFS='|' read -r name status arguments; do
  eval "asked \"\$name\" $status '' /api/runs $arguments"
  if grep -qi '^access-control' headers; then not_ok "$name, without a word to other origins" "$(cat headers)"; fi
done <<CASES
its other name|200|-H "Host: localhost:\$port"
a name in capitals|200|-H "Host: LocalHost:\$port"
another host|403|-H "Host: evil.example:\$port"
another host on its own port|403|-H 'Host: evil.example'
a name without the port|403|-H 'Host: localhost'
another port|403|-H 'Host: 127.0.0.1:1'
a name that begins like its own|403|-H "Host: 127.0.0.1:\$port.evil.example"
no host|403|-H 'Host;'
its own origin|200|-H "Origin: \$url"
another origin|403|-H 'Origin: http://evil.example'
its other name as an origin|403|-H "Origin: http://localhost:\$port"
no origin at all, in a frame or a file|403|-H 'Origin: null'
an origin that begins like its own|403|-H "Origin: \$url.evil.example"
another site, as browsers tell|403|-H 'Sec-Fetch-Site: cross-site' -H 'Sec-Fetch-Mode: no-cors'
another port, as browsers tell|403|-H 'Sec-Fetch-Site: same-site'
its own page, as browsers tell|200|-H 'Sec-Fetch-Site: same-origin'
an address that was typed|200|-H 'Sec-Fetch-Site: none'
a link to what is not the page|403|-H 'Sec-Fetch-Site: cross-site' -H 'Sec-Fetch-Mode: navigate' -H 'Sec-Fetch-Dest: document'
a question whether others may ask|405|-X OPTIONS -H 'Access-Control-Request-Method: POST'
PUT|405|-X PUT -d ''
DELETE|405|-X DELETE
a form|415|-d x
text|415|-H 'Content-Type: text/plain' -d x
CASES
exec 5<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /api/runs HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nHost: evil.example\r\nConnection: close\r\n\r\n' "$port" >&5
if head -n 1 <&5 | grep -q ' 403 '; then ok "two hosts"; else not_ok "two hosts"; fi
exec 5>&-
asked "a link to the page" 200 '' / -H 'Sec-Fetch-Site: cross-site' -H 'Sec-Fetch-Mode: navigate' -H 'Sec-Fetch-Dest: document'
asked "but not in a frame" 403 '' / -H 'Sec-Fetch-Site: cross-site' -H 'Sec-Fetch-Mode: navigate' -H 'Sec-Fetch-Dest: iframe'

# ---- paths ----
echo secret >secret
echo secret >runs/secret
for path in /../secret /runs/secret /secret /%2e%2e/secret /..%2fsecret /api/runs/.. /api/runs/../../secret /api/runs/%2e%2e \
    /api/runs/..%2f..%2fsecret /api/runs/secret "/api/runs/$second/../../secret" "/api/runs/$second%2f..%2fsecret" \
    /api/runs/%00 /api/runs/runs.db "/api/runs/$second/model.safetensors" "/api/runs/$second/config.lua" /api/runs/%zz \
    //secret '/serve.html%00.js' /serve.html/.. '/api/runs?filter=%00' '/api\runs' "/api/runs/$PWD/runs/$second" \
    "/$(head -c 5000 /dev/zero | tr '\0' a)"; do
  got=$(curl -s --max-time 20 --path-as-is -o body -w '%{http_code}' "$url$path")
  if [ "$got" -ge 400 ] && [ "$got" -lt 500 ] && ! grep -q '^secret' body; then ok "nothing at ${path:0:60}"
  else not_ok "nothing at $path" "$got" "$(head -c 300 body)"; fi
done

# ---- bodies ----
head -c 2000000 /dev/zero >large
asked "a body that is too large" 413 'too large' "/api/runs/$second/classify" -H "$octets" --data-binary @large
asked "one without its size" 411 'needs a Content-Length' "/api/runs/$second/classify" -H "$octets" -H 'Transfer-Encoding: chunked' \
  --data-binary @blank
asked "headers that are too large" 431 '' / -H "X-Large: $(head -c 100000 /dev/zero | tr '\0' a)"

# ---- clients that are slow, many, or gone ----
exec 5<>"/dev/tcp/127.0.0.1/$port" 6<>"/dev/tcp/127.0.0.1/$port"
printf 'GET / HT' >&5
printf 'POST /api/runs/%s/classify HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Length: 784\r\n\r\nabc' "$second" "$port" >&6
asked "slow clients keep nobody waiting" 200 '"total":2' /api/runs
for i in $(seq 30); do
  (exec 7<>"/dev/tcp/127.0.0.1/$port" && printf 'GET /api/runs HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n' "$port" >&7) &
done
wait $(jobs -p | grep -vx "$pid")
asked "nor those that do not wait for their answer" 200 '"total":2' /api/runs
printf '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03garbage\r\n\r\n' >&5
exec 5>&-
asked "nor what is no HTTP" 200 '"total":2' /api/runs

# ---- models that cannot be used ----
cp -r "runs/$second" runs/20260101-000000-cut
head -c 1000 "runs/$second/model.safetensors" >runs/20260101-000000-cut/model.safetensors
asked "weights that are cut off" 409 'its model cannot be used: .*model.safetensors' /api/runs/20260101-000000-cut/classify -H "$octets" \
  --data-binary @blank
rm runs/20260101-000000-cut/model.safetensors
rm -rf runs/20260101-000000-cut/checkpoints
asked "no weights" 409 'has no weights' /api/runs/20260101-000000-cut/classify -H "$octets" --data-binary @blank
tiny 'e.data = ml.data.tensors { x = ml.randn(64, 4), y = ml.zeros({ 64 }, "i32") } e.name = "four\27[31m<b>&amp;"' >four.lua
"$program" four.lua --quiet >/dev/null
fourth=$(ls -td runs/*/ | grep -v cut | head -n 1 | xargs basename | sed 's/%/%25/g; s/&/%26/g; s/;/%3B/g')
asked "samples that are no pictures" 409 'cannot be asked: ' "/api/runs/$fourth/classify" -H "$octets" --data-binary @blank

# ---- a run that trains ----
tiny 'local core = require "mnistlua.core"
      e.on = { batch_end = function() core.wait_processes({}, 0.02) end }
      e.name, e.epochs, e.checkpoint = "slow", 40, { every = 4 }' >slow.lua
"$program" slow.lua --quiet --threads 1 >/dev/null 2>&1 &
training=$!
last_step() { curl -s "$url/api/runs/$live/curves" | sed -nE 's/.*"last":([0-9]+).*/\1/p'; }
for i in $(seq 100); do
  live=$(curl -s "$url/api/runs?filter=status=running" | sed -nE 's/.*"folder":"([^"]*-slow)".*/\1/p')
  [ -n "$live" ] && [ "$(last_step)" -gt 0 ] 2>/dev/null && break
  sleep 0.1
done
before=$(last_step) after=0
for i in $(seq 50); do
  after=$(last_step)
  [ "${after:-0}" -gt "${before:-0}" ] && break
  sleep 0.1
done
if [ "${before:-0}" -gt 0 ] && [ "$after" -gt "$before" ]; then ok "curves grow while it trains"
else not_ok "curves grow while it trains" "run '$live', steps $before and $after"; fi
asked "a run that trains answers by its checkpoint" 200 'its checkpoint of step [0-9]+' "/api/runs/$live/classify" -H "$octets" \
  --data-binary @blank
kill "$training"
wait "$training" 2>/dev/null
asked "and its end is seen" 200 '"status":"interrupted"' "/api/runs/$live"
if [ "$(wc -l <server.err)" = 1 ]; then ok "nothing of all this is worth a line"; else not_ok "nothing of all this is worth a line" "$(cat server.err)"; fi

# ---- ports, and the end ----
check "a port in use" 1 err="port $port of 127.0.0.1 is in use; [0-9]+ is free: --port [0-9]+; --port 0 takes any" lines=1 -- \
  "$program" serve --port "$port"
stop "Ctrl-C ends it, also while clients are connected" INT 0
exec 6>&-
taken=$port
start again --port "$taken"
if [ "$port" = "$taken" ]; then ok "the port is free at once"; else not_ok "the port is free at once" "$(cat again.err)"; fi
stop "SIGTERM ends it, too" TERM 0
start nowhere --out "$work/none" --port 0
asked "a folder that is not there yet has no runs" 200 '"runs":\[\],"total":0' /api/runs
asked "and no run" 404 'there is no run' /api/runs/x
stop "that server ends as well" INT 0
finish
