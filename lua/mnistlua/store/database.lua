-- A SQLite file as the store uses it: statements that are prepared once, transactions, and faults as error values with
-- a kind, so that callers can tell a database that is busy from one that is damaged. It knows no table.
local core = require "mnistlua.core"

local m = {}

local Database = {}
Database.__index = Database

-- ---- faults ----

local Fault = { __name = "DatabaseFault" }
Fault.__tostring = function(self) return self.message end

--- What the methods below raise when SQLite refuses: { kind = "busy" | "damaged" | "read-only" | "full" | "other",
--- message }.
function m.fault(kind, message) return setmetatable({ kind = kind, message = message }, Fault) end

--- The kind of an error value if it is such a fault, or nil.
function m.fault_kind(value) return rawequal(debug.getmetatable(value), Fault) and value.kind or nil end

local function check(result, message, kind)
  if result == nil then error(m.fault(kind, message), 0) end
  return result
end

-- ---- statements ----

--- Opens a file: mode is "create", "write", "read" or "immutable" (src/io/db.h), busy the milliseconds that a statement
--- waits for other processes. Raises a fault.
function m.open(path, mode, busy)
  local handle = check(core.db(path, mode, busy))
  return setmetatable({ path = path, handle = handle, queries = {}, inside = false }, Database)
end

local function query(self, sql)
  local q = self.queries[sql]
  if not q then
    q = check(self.handle:query(sql))
    self.queries[sql] = q
  end
  return q
end

--- The rows of a SELECT, as tables by column; ? in it stand for the values.
function Database:rows(sql, ...) return check(query(self, sql):rows(...)) end

--- The first row, or nil.
function Database:row(sql, ...) return self:rows(sql, ...)[1] end

--- Runs a statement that gives no rows; returns how many it changed.
function Database:run(sql, ...) return check(query(self, sql):run(...)) end

--- Runs it for the values 1 to count of a list, as many at a time as it takes; false stands for NULL.
function Database:run_list(sql, list, count) check(query(self, sql):run_list(list, count)) end

--- Runs statements without values, separated by semicolons.
function Database:exec(sql) check(self.handle:exec(sql)) end

--- Calls f(...) in a transaction that takes the right to write at once: all of it happens, or nothing. One inside
--- another is part of it.
function Database:transaction(f, ...)
  if self.inside then return f(...) end
  self:exec "BEGIN IMMEDIATE"
  self.inside = true
  local results = table.pack(pcall(f, ...))
  self.inside = false
  if not results[1] then
    pcall(self.exec, self, "ROLLBACK")
    error(results[2], 0)
  end
  self:exec "COMMIT"
  return table.unpack(results, 2, results.n)
end

--- Gives the file up.
function Database:close()
  for _, q in pairs(self.queries) do q:close() end
  self.queries = {}
  self.handle:close()
end

return m
