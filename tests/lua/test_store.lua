-- The store of runs: folders as records, the index of them, finding a run, filters, metrics, and databases that are
-- newer, damaged, busy or gone.
local lu = require "luaunit"
local aid = require "core_aid"
local core = require "mnistlua.core"
local database = require "mnistlua.store.database"
local edit = require "mnistlua.store.edit"
local folder = require "mnistlua.store.folder"
local json = require "mnistlua.json"
local metrics = require "mnistlua.store.metrics"
local query = require "mnistlua.store.query"
local store = require "mnistlua.store"

TestStore = {}

local out, warnings

local function remove_tree(path)
  if os.remove(path) or not core.is_dir(path) then return end
  for _, name in ipairs(core.list_dir(path)) do remove_tree(path .. "/" .. name) end
  os.remove(path)
end

function TestStore:setUp()
  out = os.tmpname()
  os.remove(out)
  assert(core.make_dirs(out))
  warnings = {}
end

function TestStore:tearDown() remove_tree(out) end

local function put(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

-- Makes the folder of a run: day and name in its name, run and result as JSON unless they are nil.
local function make_run(day, name, run, result)
  local dir = ("%s/202611%02d-120000-%s"):format(out, day, name)
  assert(core.make_dirs(dir))
  if run then
    run.name, run.started = run.name or name, 1790000000 + 86400 * day
    put(dir .. "/run.json", json.encode(run))
  end
  if result then put(dir .. "/result.json", json.encode(result)) end
  return dir
end

local function with(f, options)
  options = options or {}
  options.warn = function(text) warnings[#warnings + 1] = text end
  return store.with(out, options, f)
end

local function folders(rows)
  local names = {}
  for i, row in ipairs(rows) do names[i] = row.folder:match "^202611%d%d%-120000%-(.*)$" end
  return table.concat(names, " ")
end

local function three_runs()
  make_run(1, "mlp", { params = { lr = "0.1", kind = "relu" }, changed = {}, seed = 1, tags = { "base" } },
    { status = "done", ["test.acc"] = 0.98, ["test.loss"] = 0.07, epochs = 10, steps = 4690, seconds = 24 })
  make_run(2, "mlp", { params = { lr = "0.05", kind = "tanh" }, changed = { "lr", "kind" }, seed = 2 },
    { status = "done", ["test.acc"] = 0.97, ["test.loss"] = 0.1, epochs = 10, steps = 4690, seconds = 95 })
  make_run(3, "cnn", { params = { lr = "0.1", hidden = "{512,128}" }, changed = {}, note = "the first with padding" },
    { status = "interrupted", ["test.acc"] = 0.991, epochs = 1, steps = 469, seconds = 60 })
end

-- ---- folders and the index ----

function TestStore:testRecordsOfFolders()
  three_runs()
  local record = folder.read(out, "20261102-120000-mlp")
  lu.assertEquals(record.params, { lr = 0.05, kind = "tanh" })
  lu.assertEquals({ record.status, record.seed, record.epoch, record.step, record.seconds }, { "done", 2, 10, 4690,
    95 })
  lu.assertEquals(record.results, { ["test.acc"] = 0.97, ["test.loss"] = 0.1 })
  lu.assertEquals(record.changed, { "lr", "kind" })
end

-- A version that wrote no run.json; files that are no JSON, or JSON of another kind.
function TestStore:testFoldersOfOtherKinds()
  make_run(4, "old", nil, { status = "done", params = { lr = 0.2, hidden = { 5, 3 } }, seed = 3, isa = "avx2" })
  put(make_run(5, "cut") .. "/run.json", '{"name": "cut", "par')
  put(make_run(6, "odd") .. "/run.json", '{"params": 7, "tags": {"a": 1}, "seed": "x", "options": [], "note": []}')
  make_run(7, "bare")
  assert(core.make_dirs(out .. "/something else"))
  put(out .. "/20261108-120000-file", "")
  lu.assertEquals(folder.read(out, "20261104-120000-old").params, { lr = 0.2, hidden = "{5,3}" })
  with(function(db)
    lu.assertEquals(folders(db:rows "SELECT folder FROM runs ORDER BY folder"), "old cut odd bare")
    lu.assertEquals(store.find(db, "bare").status, "killed")
    lu.assertEquals(store.find(db, "bare").started, os.time { year = 2026, month = 11, day = 7, hour = 12 })
  end)
end

function TestStore:testTheIndexFollowsTheFolders()
  three_runs()
  with(function(db) lu.assertEquals(#db:rows "SELECT * FROM runs", 3) end)
  os.rename(out .. "/20261101-120000-mlp", out .. "/away")
  make_run(9, "new", {}, { status = "done" })
  with(function(db)
    lu.assertEquals(folders(query.records(db, { filters = {}, limit = 0 })), "new cnn mlp")
    lu.assertEquals(db:row("SELECT status FROM runs WHERE folder LIKE '20261101%'").status, "gone")
  end)
  os.rename(out .. "/away", out .. "/20261101-120000-mlp")
  with(function(db) lu.assertEquals(store.find(db, "1").status, "done") end)
end

function TestStore:testARunIsRunningWhileItsLockIsHeld()
  local dir = make_run(1, "mlp", {})
  local lock <close> = assert(core.lock(dir .. "/lock"))
  with(function(db) lu.assertEquals(store.find(db, "last").status, "running") end)
  lu.assertErrorMsgContains("trains in it", function()
    with(function(db) assert(edit.remove(db, store.find(db, "last"))) end)
  end)
  lock:release()
  with(function(db)
    db:run "UPDATE runs SET epoch = 2, step = 40, results = '{\"train.loss\":0.5}'"
  end)
  with(function(db)
    local record = store.find(db, "last")
    lu.assertEquals({ record.status, record.epoch, record.step, record.results["train.loss"] }, { "killed", 2, 40,
      0.5 })
  end)
end

-- ---- finding ----

function TestStore:testFind()
  three_runs()
  make_run(5, "a[b]", {}, {})
  with(function(db)
    for text, name in pairs {
      ["20261102-120000-mlp"] = "20261102-120000-mlp", ["2"] = "20261102-120000-mlp",
      ["20261102"] = "20261102-120000-mlp",
      cnn = "20261103-120000-cnn", last = "20261105-120000-a[b]", ["[b]"] = "20261105-120000-a[b]",
      [out .. "/20261101-120000-mlp"] = "20261101-120000-mlp", [out
        .. "/20261101-120000-mlp///"] = "20261101-120000-mlp",
    } do
      local record, problem = store.find(db, text)
      lu.assertEquals(record and record.folder, name, problem or text)
      lu.assertEquals(record.dir, out .. "/" .. name)
    end
    for text, message in pairs {
      mlp = "'mlp' stands for 2 runs: 20261102-120000-mlp, 20261101-120000-mlp;", cmn = "did you mean 'cnn'?",
      lst = "did you mean 'last'?", ["20261103-120000-cn"] = false,
        ["20261103-120000-cmn"] = "did you mean '20261103-120000-cnn'",
      ["99"] = "there is no run '99'", [""] = "there is no run ''", ["*"] = "there is no run '*'",
      ["a\27"] = "'a\\x1b'",
      [out] = "there is no run", ["/nowhere/x"] = "there is no run '/nowhere/x'",
    } do
      local record, problem = store.find(db, text)
      lu.assertEquals(record == nil, message ~= false, text)
      if message then lu.assertStrContains(problem, message) end
    end
  end)
end

-- A folder below another OUT is read as it lies there.
function TestStore:testFindByPathElsewhere()
  three_runs()
  assert(core.make_dirs(out .. "/other"))
  local here = out
  out = out .. "/other"
  with(function(db)
    local record = store.find(db, here .. "/20261103-120000-cnn")
    lu.assertEquals({ record.name, record.id }, { "cnn" })
    lu.assertStrContains(select(2, store.find(db, "last")), "has no runs")
  end)
  out = here
end

-- ---- filters and order ----

local function select_runs(words, given)
  given = given or {}
  given.filters, given.limit = {}, given.limit or 0
  for word in words:gmatch "%S+" do table.insert(given.filters, query.parse(word)) end
  return with(function(db) return query.records(db, given) end)
end

function TestStore:testFilters()
  three_runs()
  for words, names in pairs {
    [""] = "cnn mlp mlp", ["lr=0.1"] = "cnn mlp", ["lr=.10"] = "cnn mlp", ["lr>0.05"] = "cnn mlp", ["lr<=0.05"] = "mlp",
    ["kind=tanh"] = "mlp", ["kind!=tanh"] = "mlp", ["hidden={512,128}"] = "cnn", ["name=c*"] = "cnn",
    ["name!=c*"] = "mlp mlp",
    ["test.acc>=0.98"] = "cnn mlp", ["test.acc>=98%"] = "cnn mlp", ["test.loss<0.08"] = "mlp", ["tag=base"] = "mlp",
    ["tag!=base"] = "cnn mlp", ["status=done seed=2"] = "mlp", ["status=killed"] = "", ["seconds>1m"] = "mlp",
    ["epochs=10"] = "mlp mlp", ["number=3"] = "cnn", ["note=*padding"] = "cnn", ["lr~=0.1"] = "mlp",
    ["lr==0.1"] = "cnn mlp",
    ["age>0s"] = "cnn mlp mlp",
  } do
    if words ~= "age>0s" or os.time() > 1791000000 then lu.assertEquals(folders(select_runs(words)), names, words) end
  end
end

function TestStore:testOrder()
  three_runs()
  lu.assertEquals(folders(select_runs("", { sort = "test.acc" })), "cnn mlp mlp")
  lu.assertEquals(folders(select_runs("", { sort = "seconds" })), "mlp cnn mlp")
  lu.assertEquals(folders(select_runs("", { sort = "test.loss", reverse = true })), "mlp mlp cnn")   -- without it: last
  lu.assertEquals(folders(select_runs("", { reverse = true })), "mlp mlp cnn")
  local records, total = select_runs("", { sort = "lr", limit = 2 })
  lu.assertEquals({ #records, total, records[1].params.lr }, { 2, 3, 0.05 })
end

function TestStore:testMistakesInFilters()
  three_runs()
  for words, message in pairs {
    ["lrr=3"] = "did you mean 'lr'?", ["test.ac>=1"] = "did you mean 'test.acc'?",
    ["statsu=done"] = "did you mean 'status'?",
    ["lr"] = "expected a filter such as", ["=3"] = "expected a filter", ["lr="] = "expected a value after lr",
    ["lr>fast"] = "text can be compared with = and != only", ["test.acc>much"] = "expected a number",
    ["age<soon"] = "expected a time", ["tag>x"] = "a tag is there or not", ["lr=!3"] = "expected a filter",
    ['"x"=3'] = "expected a filter",
    ["lr><3"] = "expected a filter",
  } do
    lu.assertErrorMsgContains(message, select_runs, words)
  end
  lu.assertErrorMsgContains("did you mean 'lr'?", select_runs, "", { sort = "lrr" })
  lu.assertErrorMsgContains("expected a key", select_runs, "", { sort = "lr; DROP TABLE runs" })
end

-- ---- tags, notes, deleting ----

function TestStore:testEdit()
  three_runs()
  with(function(db)
    local record = store.find(db, "cnn")
    assert(edit.tag(db, record, { "good", "base" }))
    assert(edit.tag(db, record, { "good", "x" }))
    assert(edit.tag(db, record, { "base" }, true))
    assert(edit.note(db, record, "a 'note' with\nlines"))
  end)
  os.remove(out .. "/runs.db")                                  -- the folder has it all
  with(function(db)
    local record = store.find(db, "cnn")
    lu.assertEquals(record.tags, { "good", "x" })
    lu.assertEquals(record.note, "a 'note' with\nlines")
    lu.assertEquals(record.params.hidden, "{512,128}")
    lu.assertEquals(record.results["test.acc"], 0.991)
  end)
end

function TestStore:testRemove()
  three_runs()
  local dir = out .. "/20261103-120000-cnn"
  assert(core.make_dirs(dir .. "/checkpoints/deep"))
  put(dir .. "/checkpoints/deep/x", "")
  os.execute(("ln -s %s %s/link"):format(out .. "/20261101-120000-mlp", dir))
  with(function(db)
    metrics.put(db, { 3, 1, 1, 2.5, 0.1, 0.1 }, 6, {}, 0, {}, 0)
    assert(edit.remove(db, store.find(db, "cnn")))
    lu.assertEquals(db:row("SELECT count(*) AS n FROM steps").n, 0)
  end)
  lu.assertFalse(core.exists(dir))
  lu.assertTrue(core.exists(out .. "/20261101-120000-mlp/run.json"))      -- the link was not followed
  make_run(8, "next", {}, {})
  with(function(db) lu.assertEquals(store.find(db, "last").id, 4) end)    -- numbers are not used again
end

-- ---- metrics ----

function TestStore:testMetrics()
  three_runs()
  with(function(db)
    metrics.put(db, { 1, 2, 1, 2.25, false, 0.1, 1, 1, 1, 0 / 0, 0.5, 0.1, 2, 1, 1, 7, 0, 0 }, 18,
      { 1, "user.x", 2, 1.5 }, 4, { 1, "test.acc", 1, 2, 0.75, 1, "test.acc", 2, 4, 0.875 }, 10)
    lu.assertEquals({ metrics.over_steps(db, 1, "train.loss") }, { { 2 }, { 2.25 } })
    lu.assertEquals({ metrics.over_steps(db, 1, "train.acc") }, { { 1 }, { 0.5 } })
    lu.assertEquals({ metrics.over_steps(db, 1, "user.x") }, { { 2 }, { 1.5 } })
    lu.assertEquals({ metrics.over_epochs(db, 1, "test.acc") }, { { 1, 2 }, { 0.75, 0.875 }, { 2, 4 } })
    lu.assertEquals(metrics.epochs(db, 1)[2], { epoch = 2, step = 4, ["test.acc"] = 0.875 })
    lu.assertEquals(metrics.names(db, 1), { "test.acc", "user.x" })
    metrics.rewind(db, 1, 2)
    lu.assertEquals(#metrics.epochs(db, 1), 1)
    metrics.rewind(db, 1, 0)
    lu.assertEquals(#metrics.over_steps(db, 1, "train.acc"), 0)
    lu.assertEquals(#metrics.over_steps(db, 2, "train.loss"), 1)
  end)
end

-- ---- databases that are not as they should be ----

function TestStore:testANewerDatabaseIsRefused()
  with(function(db) db:exec "PRAGMA user_version = 7" end)
  lu.assertErrorMsgContains("its tables have version 7, this program knows them up to 1", with, function() end)
  lu.assertTrue(core.exists(out .. "/runs.db"))
  local db, message, kind = store.open(out, {})
  lu.assertEquals({ db, kind }, { nil, "newer" })
  lu.assertStrContains(message, "runs.db was written by a newer mnistlua")
end

function TestStore:testADamagedDatabaseIsMadeAgain()
  three_runs()
  with(function() end)
  for i, text in ipairs { "this is no database", "", ("x"):rep(5000) } do
    put(out .. "/runs.db", text)
    with(function(db) lu.assertEquals(#db:rows "SELECT * FROM runs", 3) end)
    local aside = ("%s/runs.db.damaged-%d"):format(out, i - (i > 2 and 1 or 0))
    if text ~= "" then
      lu.assertStrContains(warnings[#warnings], aside)
      lu.assertEquals(core.read_file(aside), text)
    end
  end
  lu.assertEquals(#warnings, 2)
end

-- Its first page is whole, so that it opens; what is wrong shows when it is used.
function TestStore:testDamageFurtherIn()
  three_runs()
  with(function(db) db:exec "PRAGMA journal_mode = DELETE" end)
  local text = core.read_file(out .. "/runs.db")
  put(out .. "/runs.db", text:sub(1, 4096) .. ("\255"):rep(#text - 4096))
  with(function(db) lu.assertEquals(#db:rows "SELECT * FROM runs", 3) end)
  lu.assertStrContains(warnings[1], "malformed")
end

function TestStore:testABusyDatabase()
  local first, second = assert(store.open(out, {})), assert(store.open(out, { busy = 0 }))
  first:exec "BEGIN IMMEDIATE"
  local ok, fault = pcall(second.run, second, "INSERT INTO runs (folder, status) VALUES ('x', 'done')")
  lu.assertFalse(ok)
  lu.assertEquals(database.fault_kind(fault), "busy")
  first:exec "COMMIT"
  lu.assertEquals(second:run "INSERT INTO runs (folder, status) VALUES ('x', 'done')", 1)
  first:close()
  second:close()
end

function TestStore:testTransactions()
  with(function(db)
    lu.assertErrorMsgContains("on purpose", db.transaction, db, function()
      db:run "INSERT INTO runs (folder, status) VALUES ('x', 'done')"
      db:transaction(function() db:run "INSERT INTO runs (folder, status) VALUES ('y', 'done')" end)
      error "on purpose"
    end)
    lu.assertEquals(db:row("SELECT count(*) AS n FROM runs").n, 0)
    lu.assertEquals({ db:transaction(function() return 1, nil, 3 end) }, { 1, nil, 3 })
  end)
end

-- ---- the binding ----

function TestStore:testMisuseOfDatabases()
  local db = assert(core.db(out .. "/x.db", "create", 0))
  local q = assert(db:query "SELECT ? AS a, ? AS b")
  lu.assertEquals(q:rows(1), { { a = 1 } })
  lu.assertEquals(q:rows(true, false), { { a = 1 } })
  lu.assertEquals(q:rows("x\0y", 2.5), { { a = "x\0y", b = 2.5 } })
  aid.assert_raises("the query has 2 parameters, got 3 values", function() q:rows(1, 2, 3) end)
  aid.assert_raises("the query has 2 parameters, got 3 values", function() q:run_list({ 1, 2, 3 }, 3) end)
  aid.assert_raises("expected a number, text or nil", function() q:rows {} end)
  aid.assert_raises("syntax error", function() db:exec "SELEC" end)
  aid.assert_raises("expected \"create\", \"write\", \"read\" or \"immutable\"", function() core.db("x", "w", 0) end)
  for _, f in ipairs { db.exec, db.query, db.close, q.run, q.rows, q.run_list } do
    aid.torment(f)
    aid.torment(f, q)
  end
  for _, f in ipairs { q.run, q.rows, q.run_list } do aid.torment(f, q) end
  for _, f in ipairs { core.db, core.lock_holder, getmetatable(core.lock(out
    .. "/l")).__index.release } do aid.torment(f) end
  db:close()
  db:close()
  aid.assert_raises("has been closed", function() q:rows() end)
  aid.assert_raises("has been closed", function() db:exec "SELECT 1" end)
  local value, message, kind = core.db(out .. "/nowhere/x.db", "create", 0)
  lu.assertEquals({ value, kind }, { nil, "other" })
  lu.assertStrContains(message, "nowhere/x.db: unable to open database file")
end
