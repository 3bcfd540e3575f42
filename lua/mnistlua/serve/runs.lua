-- Runs for the page: the list, one run, what differs between several. It reads OUT's database and run folders through
-- ../store and writes nothing. A run is named by its folder's name exactly; no path comes from a request.
local answer = require "mnistlua.serve.answer"
local compare = require "mnistlua.cli.compare"
local core = require "mnistlua.core"
local curves = require "mnistlua.serve.curves"
local database = require "mnistlua.store.database"
local folder = require "mnistlua.store.folder"
local index = require "mnistlua.store.index"
local query = require "mnistlua.store.query"
local run_text = require "mnistlua.cli.run_text"
local store = require "mnistlua.store"

local m = {}

local longest_list, longest_config, longest_report = 200, 1 << 20, 1 << 26
local longest_wait = 1000     -- milliseconds for other processes that write: everybody waits meanwhile

-- ---- reading the store ----

-- Calls f(db) with OUT's database; `empty` where there is no such folder yet.
local function with(out, empty, f)
  if not core.is_dir(out) then return empty() end
  return store.with(out, { busy = longest_wait }, f)
end

local function not_there(name) answer.fail(404, ("there is no run '%s'"):format(name)) end

local function find(db, name)
  local row = db:row("SELECT * FROM runs WHERE folder = ? AND status <> 'gone'", name)
  if not row or not folder.is_run(db.out, name) then not_there(name) end
  return index.record(db, row)
end

--- Calls f(record, db) for a run; refuses the request if there is none of this name.
function m.with_run(out, name, f)
  return with(out, function() not_there(name) end, function(db) return f(find(db, name), db) end)
end

-- ---- records as the page has them ----

-- An empty table would be a list in JSON, so what is a table by names is left out where it is empty.
local function unless_empty(t) return next(t) ~= nil and t or nil end

local function summary(r)
  return {
    number = r.id, folder = r.folder, name = r.name, status = r.status, started = r.started, seconds = r.seconds,
    epoch = r.epoch, epochs = r.epochs, step = r.step, steps = r.steps, results = unless_empty(r.results),
    changed = run_text.changed(r), tags = r.tags, note = r.note,
  }
end

local function details(r)
  local s = summary(r)
  for _, name in ipairs { "config", "data", "data_hash", "precision", "seed", "isa", "threads", "version", "parent",
      "parent_step" } do
    s[name] = r[name]
  end
  s.params = unless_empty(r.params)
  s.command = run_text.command(r, folder.facts(r.dir))
  s.text = core.read_file(r.dir .. "/config.lua", longest_config)
  s.report = core.exists(r.dir .. "/report.html")
  return s
end

-- ---- what the page asks for ----

-- Words such as "lr=0.1" as `mnistlua runs` has them; a mistake in them refuses the request.
local function filtered(db, words, sort)
  local ok, records, total = pcall(function()
    local filters = {}
    for i, word in ipairs(words) do filters[i] = query.parse(word) end
    return query.records(db, { filters = filters, sort = sort, limit = longest_list })
  end)
  if ok then return records, total end
  if database.fault_kind(records) then error(records, 0) end
  answer.fail(400, tostring(records))
end

--- The runs that meet the filters, the newest first, or sorted by a key; and how many there are in all.
function m.list(out, words, sort)
  local function none() return { runs = {}, total = 0, now = os.time() } end
  return with(out, none, function(db)
    local records, total = filtered(db, words, sort)
    for i, r in ipairs(records) do records[i] = summary(r) end
    return { runs = records, total = total, now = os.time() }
  end)
end

--- Everything about a run but its curves.
function m.one(out, name) return m.with_run(out, name, details) end

--- The text of its report; refuses the request if it has none.
function m.report(out, name)
  return m.with_run(out, name, function(r)
    local text = core.read_file(r.dir .. "/report.html", longest_report)
    return text or answer.fail(404, "this run has no report; mnistlua report makes one")
  end)
end

--- Its curves (curves.lua), and how far it has come.
function m.curves(out, name, width, from)
  return m.with_run(out, name, function(r, db)
    local list = curves.of(db, r.id, width, from)
    list.run, list.now = summary(r), os.time()
    return list
  end)
end

--- What differs between runs: { lines = { { title, texts (one for each run), best } }, same = { "key=value" } }.
function m.compare(out, names)
  return with(out, function() not_there(names[1]) end, function(db)
    local records = {}
    for i, name in ipairs(names) do records[i] = find(db, name) end
    local lines, same = compare.differences(records)
    for i, line in ipairs(lines) do
      lines[i] = { title = line.title, texts = line.texts, best = line.extra and line.extra.best }
    end
    return { lines = lines, same = same }
  end)
end

return m
