-- Which runs, in which order: filters such as lr=0.1 or test.acc>=0.98 and sort keys as SQL over the table runs. Called
-- by `mnistlua runs`. A key is a column, a metric or a parameter of the config; mistakes are raised with a "did you
-- mean".
local core = require "mnistlua.core"
local index = require "mnistlua.store.index"
local metrics = require "mnistlua.train.metrics"
local options = require "mnistlua.options"

local m = {}

-- ---- keys ----

-- Keys that are columns: what they are in SQL, and what they are compared with.
local columns = {
  number = { "id", "number" }, name = { "name", "text" }, folder = { "folder", "text" }, status = { "status", "text" },
  seed = { "seed", "number" }, precision = { "precision", "text" }, isa = { "isa", "text" },
  threads = { "threads", "number" }, data = { "data", "text" }, data_hash = { "data_hash", "text" },
  config = { "config", "text" }, version = { "version", "text" }, seconds = { "seconds", "time" },
  epochs = { "epoch", "number" }, steps = { "step", "number" }, note = { "note", "text" },
  parent = { "parent", "text" },
  age = { "CAST(strftime('%s', 'now') AS INTEGER) - started", "time" }, tag = { "", "tag" },
}

--- Whether a key is a metric; lr is a parameter.
function m.is_metric(key)
  if key:find(".", 1, true) then return true end
  for _, name in ipairs(metrics.names) do
    if name == key and name ~= "lr" then return true end
  end
  return false
end

-- The expression of a key and the kind of its values; parameters may be numbers or text.
local function expression(key)
  local column = columns[key]
  if column then return column[1], column[2] end
  local path = ("'$.\"%s\"'"):format(key)            -- a key has no quotes in it
  if m.is_metric(key) then return ("json_extract(results, %s)"):format(path), "number" end
  return ("json_extract(params, %s)"):format(path), "any"
end

-- ---- filters ----

local operators = {
  ["="] = "=", ["=="] = "=", ["!="] = "<>", ["~="] = "<>", [">="] = ">=", ["<="] = "<=", [">"] = ">", ["<"] = "<",
}

local function fail(fmt, ...) options.usage(fmt:format(...)) end

--- Reads a filter: { key, op (of SQL), text }.
function m.parse(word)
  local key, op, text = word:match "^%s*([%a_][%w_.]*)%s*([=!~<>]=?)%s*(.-)%s*$"
  if not key or not operators[op] or text:find "^[=!~<>]" then
    fail("'%s': expected a filter such as lr=0.1, 'test.acc>=0.98', name=mlp512, tag=x or status=done",
      core.escape(word))
  elseif text == "" then
    fail("'%s': expected a value after %s%s", core.escape(word), key, op)
  end
  return { word = word, key = key, op = operators[op], text = text }
end

local units = { s = 1, m = 60, min = 60, h = 3600, d = 86400, w = 604800, [""] = 1 }

local function number_of(filter)
  local value = tonumber(filter.text)
  if not value then fail("'%s': expected a number after %s", core.escape(filter.word), filter.key) end
  return value
end

-- A time such as 90s, 10m, 2h, 3d; an accuracy may be a percentage.
local function value_of(filter, kind)
  if kind == "time" then
    local amount, unit = filter.text:match "^(%d+%.?%d*)%s*(%a*)$"
    if not amount or not units[unit] then
      fail("'%s': expected a time such as 90s, 10m, 2h or 3d after %s", core.escape(filter.word), filter.key)
    end
    return tonumber(amount) * units[unit]
  elseif kind == "number" then
    local share = filter.text:match "^(.-)%%$"
    if share and tonumber(share) then return tonumber(share) / 100 end
    return number_of(filter)
  elseif kind == "any" then
    return tonumber(filter.text) or filter.text
  end
  return filter.text
end

local function tag_condition(filter)
  if filter.op ~= "=" and filter.op ~= "<>" then
    fail("'%s': a tag is there or not: tag=x, tag!=x", core.escape(filter.word))
  end
  local found = "EXISTS (SELECT 1 FROM json_each(tags) WHERE value GLOB ?)"
  return (filter.op == "<>" and "NOT " or "") .. found, filter.text
end

-- A condition with one ? in it, and the value for that.
local function condition(filter)
  local sql, kind = expression(filter.key)
  if kind == "tag" then return tag_condition(filter) end
  local value, equal = value_of(filter, kind), filter.op == "=" or filter.op == "<>"
  if type(value) == "string" and not equal then
    fail("'%s': text can be compared with = and != only", core.escape(filter.word))
  end
  if type(value) == "string" and value:find "[*?]" then     -- name=mlp*
    return ("%s %s ?"):format(sql, filter.op == "=" and "GLOB" or "NOT GLOB"), value
  end
  return ("%s %s ?"):format(sql, filter.op), value
end

local function where(filters)
  local parts, values, gone = {}, {}, false
  for i, filter in ipairs(filters) do
    parts[i], values[i] = condition(filter)
    gone = gone or filter.key == "status"
  end
  if not gone then parts[#parts + 1] = "status <> 'gone'" end
  return #parts > 0 and " WHERE " .. table.concat(parts, " AND ") or "", values
end

-- ---- keys that no run has ----

local function keys_in(db, column)
  local names = {}
  for _, row in ipairs(db:rows(("SELECT DISTINCT key FROM runs, json_each(%s) ORDER BY key"):format(column))) do
    names[#names + 1] = row.key
  end
  return names
end

-- Raises if a key is no column and neither metric nor parameter of any run.
local function check_key(db, what, key)
  if columns[key] then return end
  local known, results = keys_in(db, "params"), keys_in(db, "results")
  table.move(results, 1, #results, #known + 1, known)
  table.move(metrics.names, 1, #metrics.names, #known + 1, known)
  for _, name in ipairs(known) do
    if name == key then return end
  end
  local fields = options.sorted_keys(columns)
  table.move(fields, 1, #fields, #known + 1, known)
  fail("%s: no run has a parameter or metric '%s'%s", what, key, options.hint(key, known))
end

-- ---- the list ----

-- Raises if no run has the key that a list is to be sorted by.
local function check_sort(db, key)
  if not key:find "^[%a_][%w_.]*$" or key == "tag" then
    fail("--sort: expected a key such as test.acc, lr or age, got '%s'", core.escape(key))
  end
  local sql = expression(key)
  if not db:row(("SELECT 1 FROM runs WHERE %s IS NOT NULL LIMIT 1"):format(sql)) then check_key(db, "--sort", key) end
end

-- Accuracies with the greatest first, all else with the smallest; what is missing last.
local function order(db, key, reverse)
  if not key then return " ORDER BY started " .. (reverse and "ASC, id ASC" or "DESC, id DESC") end
  check_sort(db, key)
  local descending = (key:find "acc$" ~= nil) ~= (reverse or false)
  return (" ORDER BY %s %s NULLS LAST, started DESC, id DESC"):format(expression(key), descending and "DESC" or "ASC")
end

-- The first rows of many are looked up by number, so that sorting moves nothing but numbers.
local function first_rows(db, selected, ids, limit)
  local rows = {}
  for i = 1, math.min(#ids, limit) do
    rows[i] = db:row(("SELECT %s FROM runs WHERE id = ?"):format(selected), ids[i].id)
  end
  return rows
end

--- The rows of the runs that are wanted, and how many there are without the limit. selected: SQL of columns; given:
--- filters (of m.parse), sort (a key), reverse, limit (0: all).
function m.rows(db, selected, given)
  local conditions, values = where(given.filters)
  local tail = conditions .. order(db, given.sort, given.reverse)
  local limited = given.limit > 0
  local found = db:rows(("SELECT %s FROM runs%s"):format(limited and "id" or selected, tail), table.unpack(values))
  if #found == 0 then
    for _, filter in ipairs(given.filters) do check_key(db, "'" .. core.escape(filter.word) .. "'", filter.key) end
  end
  return limited and first_rows(db, selected, found, given.limit) or found, #found
end

--- The same as records.
function m.records(db, given)
  local records, total = m.rows(db, "*", given)
  for _, row in ipairs(records) do index.record(db, row) end
  return records, total
end

return m
