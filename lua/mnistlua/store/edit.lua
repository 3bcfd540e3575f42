-- Changes of runs that are there: tags, the note, deleting. Tags and the note are written into run.json, since the
-- folder is what the database is made from, and into the database, whose right to write keeps two processes from doing
-- it at once.
local core = require "mnistlua.core"
local folder = require "mnistlua.store.folder"
local index = require "mnistlua.store.index"
local json = require "mnistlua.json"

local m = {}

-- Writes run.json with a change. Folders of old versions have none; they get one with what is known.
local function rewrite(record, change)
  local facts = folder.facts(record.dir) or {
    format = 1, name = record.name, started = record.started, config = record.config, seed = record.seed,
    data = record.data, data_hash = record.data_hash, precision = record.precision, isa = record.isa,
    threads = record.threads,
  }
  change(facts)
  return core.write_file(record.dir .. "/run.json", json.encode(facts) .. "\n")
end

local function update(db, record, change)
  local ok, problem = db:transaction(function()
    local written, why = rewrite(record, change)
    if written and record.id then index.put(db, index.keep_progress(db, folder.read(db.out, record.folder))) end
    return written, why
  end)
  return ok, problem
end

--- Puts tags on a run, or takes them off. Returns true, or nil and a message.
function m.tag(db, record, tags, remove)
  return update(db, record, function(facts)
    local kept, seen = {}, {}
    for _, tag in ipairs(remove and tags or {}) do seen[tag] = true end
    for _, list in ipairs { type(facts.tags) == "table" and facts.tags or {}, remove and {} or tags } do
      for _, tag in ipairs(list) do
        if not seen[tag] then kept[#kept + 1], seen[tag] = tag, true end
      end
    end
    facts.tags = kept
  end)
end

--- Writes a run's note; "" takes it away. Returns true, or nil and a message.
function m.note(db, record, text)
  return update(db, record, function(facts) facts.note = text end)
end

-- Removes a file, a link, or a folder with all that is in it; links are not followed. Returns true, or nil and a
-- message.
local function remove_tree(path)
  local ok, problem = os.remove(path)
  if ok or not core.is_dir(path) then return ok, problem end
  for _, name in ipairs(core.list_dir(path) or {}) do
    ok, problem = remove_tree(path .. "/" .. name)
    if not ok then return nil, problem end
  end
  return os.remove(path)
end

--- Deletes a run: its folder and its rows. Returns true, or nil and a message, as when a process trains in it.
function m.remove(db, record)
  if core.is_dir(record.dir) then
    local lock <close>, problem, holder = core.lock(record.dir .. "/lock")
    if not lock then
      return nil, holder and ("%s: process %d trains in it"):format(record.dir, holder) or problem
    end
    local ok
    ok, problem = remove_tree(record.dir)
    if not ok then return nil, problem end
  end
  if record.id then index.forget(db, record.id) end
  return true
end

return m
