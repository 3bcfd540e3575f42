-- The store: OUT/runs.db and the run folders beside it (README.md). It opens the database whatever state that is in: it
-- makes a new one, falls back to reading where nothing can be written, moves a damaged one aside and makes it again
-- from the folders. Called by the commands that show runs, and by what a training records.
local core = require "mnistlua.core"
local database = require "mnistlua.store.database"
local failure = require "mnistlua.failure"
local find = require "mnistlua.store.find"
local index = require "mnistlua.store.index"
local schema = require "mnistlua.store.schema"

local m = { find = find.run }

local default_busy = 5000   -- milliseconds

local function warn(text) io.stderr:write("mnistlua: warning: " .. core.escape(text) .. "\n") end

-- ---- opening ----

local function prepare(db, mode)
  local ok, problem = schema.prepare(db)
  if not ok then error(database.fault("newer", problem), 0) end
  if mode ~= "create" then return end
  pcall(db.exec, db, "PRAGMA journal_mode = WAL")     -- stays off where the file system cannot share memory
  db:exec "PRAGMA synchronous = NORMAL"
end

-- Opens and looks into the file; raises a fault. A newer one's kind is "newer".
local function open(out, mode, busy)
  local db = database.open(out .. "/runs.db", mode, busy)
  db.out = out
  local ok, problem = pcall(prepare, db, mode)
  if ok then return db end
  db:close()
  error(problem, 0)
end

-- Whether the database is as damaged as this process found it, and not already made again by another one.
local function still_damaged(out, busy)
  local ok, verdict = pcall(function()
    local db = open(out, "create", busy)
    local found = db:row("PRAGMA quick_check(1)").quick_check
    db:close()
    return found
  end)
  if ok then return verdict ~= "ok" end
  return database.fault_kind(verdict) == "damaged"
end

local function free_name(path)
  local n = 1
  while core.exists(path .. n) do n = n + 1 end
  return path .. n
end

local function move_aside(out)
  local aside = free_name(out .. "/runs.db.damaged-")
  local ok, problem = os.rename(out .. "/runs.db", aside)
  if not ok then return nil, problem end
  for _, suffix in ipairs { "-wal", "-shm" } do os.rename(out .. "/runs.db" .. suffix, aside .. suffix) end
  return aside
end

-- Puts a damaged database aside; the next one to open finds none and makes it. Returns nil and why if it cannot.
local function repair(out, busy, what, say)
  local lock <close>, problem = core.lock(out .. "/runs.db-repair")
  if not lock then return nil, problem end
  if not still_damaged(out, busy) then return true end
  local aside
  aside, problem = move_aside(out)
  if not aside then return nil, problem end
  say(("%s; it was kept as %s, and the list of runs is made anew from their folders, without earlier curves"):format(
    what, aside))
  return true
end

local function try(out, mode, busy)
  local ok, db = pcall(open, out, mode, busy)
  if ok then return db end
  if not database.fault_kind(db) then error(db, 0) end
  return nil, db
end

--- Opens the database of OUT, which must be there. options: busy (milliseconds to wait for other processes), write (it
--- is to be written: reading alone will not do), warn (what is called with a warning; stderr otherwise). Returns it, or
--- nil, a message and the kind of fault.
function m.open(out, options)
  local busy, say = options.busy or default_busy, options.warn or warn
  local db, fault = try(out, "create", busy)
  if not db and fault.kind == "damaged" then
    local ok, problem = repair(out, busy, fault.message, say)
    if not ok then return nil, ("%s; it cannot be repaired: %s"):format(fault.message, problem), "damaged" end
    db, fault = try(out, "create", busy)
  end
  if not db and not options.write and fault.kind ~= "newer" and core.exists(out .. "/runs.db") then
    db = try(out, "read", busy) or try(out, "immutable", busy)
  end
  if db then return db end
  local writable, why = core.check_writable(out)          -- says more than SQLite, which could not open some file
  if not writable and fault.kind ~= "newer" then return nil, why, "read-only" end
  return nil, fault.message, fault.kind
end

-- ---- using ----

-- Where nothing can be written the index is used as it is.
local function sync(db)
  local ok, problem = pcall(index.sync, db)
  local kind = database.fault_kind(problem)
  if not ok and kind ~= "read-only" and kind ~= "busy" and kind ~= "full" then error(problem, 0) end
end

local function attempt(out, options, f)
  local db, message, kind = m.open(out, options)
  if not db then error(database.fault(kind, message), 0) end
  local _ <close> = setmetatable({}, { __close = function() db:close() end })
  sync(db)
  return f(db)
end

--- Opens OUT's database, brings its index up to date and returns what f(db) returns. Raises failures with what is
--- wrong. A database that turns out to be damaged meanwhile is repaired, and f called once more.
function m.with(out, options, f)
  local results = table.pack(pcall(attempt, out, options, f))
  if database.fault_kind(results[2]) == "damaged" and not results[1] then
    local ok, problem = repair(out, default_busy, results[2].message, options.warn or warn)
    if not ok then error(failure.new("runtime", problem), 0) end
    results = table.pack(pcall(attempt, out, options, f))
  end
  if results[1] then return table.unpack(results, 2, results.n) end
  if database.fault_kind(results[2]) then error(failure.new("runtime", results[2].message), 0) end
  error(results[2], 0)
end

return m
