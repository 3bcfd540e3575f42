# The page of mnistlua serve in a browser: tests/web/serve.test.js, beside a run that trains.
. "$(dirname "$0")/tap.sh"

for tool in node chromium; do
  if ! command -v $tool >/dev/null; then
    skip "the page of mnistlua serve" "$tool is not installed"
    finish
    exit
  fi
done

tiny 'e.model = nn.Sequential { nn.Flatten(), nn.Linear(64), nn.ReLU(), nn.Linear(10) }
      e.optimizer, e.data = optim.Adam { lr = 0.003 }, ml.data.digits { n = 10000, test = 500 } e.name = "done"' >done.lua
"$program" done.lua --quiet >/dev/null
tiny "e.name = '<img src=x onerror=alert(1)>' -- </script><script>alert(2)</script>" >html.lua
"$program" html.lua --quiet >/dev/null
tiny 'local core = require "mnistlua.core"
      e.on = { batch_end = function() core.wait_processes({}, 0.05) end }
      e.name, e.epochs, e.checkpoint = "slow", 400, { every = 4 }' >slow.lua
"$program" slow.lua --quiet --threads 1 >/dev/null 2>&1 &
training=$!

env --default-signal=INT "$program" serve --port 0 >out 2>err &
server=$!
trap 'kill -9 $training $server 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 200); do [ -s out ] && break; sleep 0.05; done
url=$(sed -E 's|/$||' out)
timeout 120 node "$root/tests/web/serve.test.js" "$url" "$server"
