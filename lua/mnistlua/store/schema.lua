-- The tables of runs.db and their version, which is the file's user_version. Called by init.lua only. A change of the
-- tables is a new version and a step in `upgrades` that leads to it.
local m = {}

m.version = 1

-- upgrades[n] leads from version n to n + 1. Metrics are kept by run, so that one run's curve is one walk through a
-- tree; what every step has are columns, other metrics are rows of their own.
local upgrades = {
  [0] = [[
    CREATE TABLE runs (
      id INTEGER PRIMARY KEY AUTOINCREMENT,   -- the number that lists show
      folder TEXT NOT NULL UNIQUE,            -- its name in OUT
      name TEXT, status TEXT NOT NULL, started INTEGER, seconds REAL,
      epoch INTEGER, step INTEGER,            -- done
      epochs INTEGER, steps INTEGER,          -- planned
      seed INTEGER, precision TEXT, config TEXT, data TEXT, data_hash TEXT, version TEXT, isa TEXT, threads INTEGER,
      params TEXT NOT NULL DEFAULT '{}',      -- JSON: name -> number or text
      changed TEXT NOT NULL DEFAULT '[]',     -- JSON: the names of those that are not the defaults
      results TEXT NOT NULL DEFAULT '{}',     -- JSON: metric -> number
      tags TEXT NOT NULL DEFAULT '[]', note TEXT, parent TEXT, parent_step INTEGER
    );
    CREATE INDEX runs_by_time ON runs (started, id);
    CREATE INDEX runs_by_status ON runs (status);
    CREATE TABLE steps (
      run INTEGER NOT NULL, step INTEGER NOT NULL, epoch INTEGER, loss REAL, acc REAL, lr REAL,
      PRIMARY KEY (run, step)
    ) WITHOUT ROWID;
    CREATE TABLE step_values (
      run INTEGER NOT NULL, metric TEXT NOT NULL, step INTEGER NOT NULL, value REAL,
      PRIMARY KEY (run, metric, step)
    ) WITHOUT ROWID;
    CREATE TABLE epochs (
      run INTEGER NOT NULL, metric TEXT NOT NULL, epoch INTEGER NOT NULL, step INTEGER, value REAL,
      PRIMARY KEY (run, metric, epoch)
    ) WITHOUT ROWID;
  ]],
}

--- Brings the tables to this version. Returns true, or nil and a message if a newer program made them.
function m.prepare(db)
  local found = db:row("PRAGMA user_version").user_version
  if found > m.version then
    return nil, ("%s was written by a newer mnistlua: its tables have version %d, this program knows them up to %d")
      :format(db.path, found, m.version)
  elseif found == m.version then
    return true
  end
  db:transaction(function()
    for version = db:row("PRAGMA user_version").user_version, m.version - 1 do    -- another process may have done it
      db:exec(upgrades[version])
    end
    db:exec("PRAGMA user_version = " .. m.version)
  end)
  return true
end

return m
