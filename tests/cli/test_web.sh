# What pages do in a browser: networks of small trainings computed in the page, digits drawn on the pad, curves, foreign
# text, requests. Needs node; headless Chromium for all but the networks' numbers.
. "$(dirname "$0")/tap.sh"

command -v node >/dev/null || { skip "pages" "node is not installed"; finish; exit 0; }
export MNISTLUA_DATA=${MNISTLUA_DATA:-$root/data} MNIST=no
[ -d "$MNISTLUA_DATA/mnist" ] && MNIST=yes

# Trainings that leave, beside their report, 200 test pictures and what the C network makes of them (expected.json).
cat >web_aid.lua <<'LUA'
local core = require "mnistlua.core"
local json = require "mnistlua.json"
local m = {}

function m.data(n)
  local ml = require "mnistlua"
  return os.getenv "MNIST" == "yes" and ml.data.mnist { n = n } or ml.data.digits { n = n, test = 1000 }
end

function m.finish(run)
  local test, pixels, shares = run.data.test:subset(1, 200), {}, {}
  run.model:eval()
  local recording = core.recording(false)
  for x in test:batches { batch = 100 } do
    for _, row in ipairs(run.model(x):softmax(2):totable()) do shares[#shares + 1] = row end
  end
  core.recording(recording)
  for i = 1, #test do pixels[i] = core.base64(test[i].image) end
  local straight = {}
  for i = 1, 20 do
    straight[i] = { core.base64(test[i].image), core.base64(test:centre()[i].image), core.base64(test:deskew()[i].image) }
  end
  core.write_file(run.dir .. "/expected.json", json.encode {
    pixels = pixels, probabilities = shares, straightened = straight,
  })
end

return m
LUA
cat >mlp.lua <<'LUA'
local ml, aid = require "mnistlua", dofile "web_aid.lua"
local nn = ml.nn
return ml.experiment {
  name = "mlp", data = aid.data(20000), loss = nn.CrossEntropyLoss(), optimizer = ml.optim.Adam { lr = 0.003 },
  model = nn.Sequential { nn.Flatten(), nn.Linear(96), nn.ReLU(), nn.Linear(32), nn.ReLU(), nn.Linear(10) },
  schedule = ml.sched.OneCycleLR { max_lr = 0.003 }, epochs = 3, batch = 100, on = { finish = aid.finish },
}
LUA
cat >cnn.lua <<'LUA'
local ml, aid = require "mnistlua", dofile "web_aid.lua"
local nn = ml.nn
local hostile = "</script><script>document.title = 'owned'</script><img src=x onerror=alert(1)>\"'&\27[31m"
local p = ml.params { text = { hostile, hostile } }
return ml.experiment {
  name = hostile, data = aid.data(2000), loss = nn.CrossEntropyLoss { label_smoothing = 0.1 },
  optimizer = ml.optim.AdamW { lr = 0.01 }, epochs = 2, batch = 50, on = { finish = aid.finish },
  model = nn.Sequential {
    nn.Conv2d(6, 5, { padding = "same" }), nn.BatchNorm2d(), nn.GELU(), nn.MaxPool2d(2),
    nn.Conv2d(8, 3, { stride = 2, groups = 2 }), nn.SiLU(), nn.AvgPool2d(2, { padding = 1 }), nn.PReLU(),
    nn.Dropout(0.1), nn.Flatten(), nn.Linear(24), nn.Tanh(), nn.BatchNorm1d(), nn.ELU(), nn.Linear(10),
  },
}
LUA
for name in mlp cnn; do
  check "a training of $name.lua" 0 -- "$program" $name.lua --out $name --threads 2
done
mlp=$(ls -d "$work"/mlp/*/) cnn=$(ls -d "$work"/cnn/*/)
node "$root/tests/web/network.test.js" "$mlp" "$cnn"
node "$root/tests/web/report.test.js" "$mlp/report.html" "$cnn/report.html"
