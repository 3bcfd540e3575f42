-- Records of runs as rows of runs.db: reading, writing, and bringing the index up to date with the folders of OUT. A
-- run's folder is the truth; only the metrics of its steps and epochs are in the database alone.
local core = require "mnistlua.core"
local folder = require "mnistlua.store.folder"
local json = require "mnistlua.json"

local m = {}

local plain = {
  "folder", "name", "status", "started", "seconds", "epoch", "step", "epochs", "steps", "seed", "precision", "config",
  "data", "data_hash", "version", "isa", "threads", "note", "parent", "parent_step",
}
local as_json = { "params", "changed", "results", "tags" }

-- ---- rows ----

local columns = {}
table.move(plain, 1, #plain, 1, columns)
table.move(as_json, 1, #as_json, #columns + 1, columns)

local listed = table.concat(columns, ", ")
local insert = ("INSERT INTO runs (%s) VALUES (?%s)"):format(listed, (", ?"):rep(#columns - 1))
local update = ("UPDATE runs SET (%s) = (?%s) WHERE folder = ?1"):format(listed, (", ?"):rep(#columns - 1))

-- An empty table is "[]" to json.encode; SQLite reads both kinds of brackets as nothing.
local function row_of(record)
  local values = {}
  for i, name in ipairs(plain) do values[i] = record[name] or false end
  for i, name in ipairs(as_json) do values[#plain + i] = json.encode(record[name] or {}) end
  return values
end

--- Writes a record: a new row, or in the place of the one that its folder has. Returns its number.
function m.put(db, record)
  return db:transaction(function()
    local values = row_of(record)
    if db:run(update, table.unpack(values)) == 0 then db:run(insert, table.unpack(values)) end
    return db:row("SELECT id FROM runs WHERE folder = ?", record.folder).id
  end)
end

--- A row of the table runs as a record.
function m.record(db, row)
  for _, name in ipairs(as_json) do row[name] = core.json_decode(row[name]) or {} end
  row.dir = db.out .. "/" .. row.folder
  return row
end

--- Removes runs and their metrics from the database, by number.
function m.forget(db, id)
  db:transaction(function()
    for _, name in ipairs { "steps", "step_values", "epochs" } do
      db:run(("DELETE FROM %s WHERE run = ?"):format(name), id)
    end
    db:run("DELETE FROM runs WHERE id = ?", id)
  end)
end

-- ---- up to date ----

-- The folders that the index has, as a set: one text for all, since a table for each of ten thousand rows would take
-- longer than anything else here.
local function known_folders(db)
  local known = {}
  local all = db:row("SELECT group_concat(folder, '/') AS names FROM runs").names
  for name in (all or ""):gmatch "[^/]+" do known[name] = true end
  return known
end

-- What is to be done: folders to read again, and folders that are gone.
local function differences(db, names)
  local known, stale, gone = known_folders(db), {}, {}
  for _, name in ipairs(names) do
    if known[name] then
      known[name] = nil
    elseif folder.is_run(db.out, name) then
      stale[#stale + 1] = name
    end
  end
  for _, row in ipairs(db:rows "SELECT folder, status FROM runs WHERE status IN ('running', 'gone')") do
    local there = not known[row.folder]
    if row.status == "gone" then known[row.folder] = nil end
    if there and (row.status == "gone" or not folder.holder(db.out .. "/" .. row.folder)) then
      stale[#stale + 1] = row.folder
    end
  end
  for name in pairs(known) do gone[#gone + 1] = name end
  return stale, gone
end

--- A run that has written no result: what the database knows of how far it came is kept.
function m.keep_progress(db, record)
  if record.step then return record end
  local row = db:row("SELECT epoch, step, seconds, results FROM runs WHERE folder = ?", record.folder)
  if row then
    record.epoch, record.step, record.seconds = row.epoch, row.step, row.seconds
    record.results = core.json_decode(row.results) or {}
  end
  return record
end

--- Brings the index up to date: folders that it does not have, runs that ended without saying so, folders that are
--- gone. Costs one look at the list of folders where nothing has changed. Returns how many runs were read.
function m.sync(db)
  local names = core.list_dir(db.out)
  if not names then return 0 end
  local stale, gone = differences(db, names)
  if #stale + #gone == 0 then return 0 end
  db:transaction(function()
    for _, name in ipairs(stale) do m.put(db, m.keep_progress(db, folder.read(db.out, name))) end
    for _, name in ipairs(gone) do db:run("UPDATE runs SET status = 'gone' WHERE folder = ?", name) end
  end)
  return #stale
end

return m
