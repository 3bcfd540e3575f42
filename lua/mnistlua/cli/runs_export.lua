-- The list of runs for other programs: JSON and CSV on stdout. JSON is put together by SQLite, so that ten thousand
-- runs take no longer than a look.
local json = require "mnistlua.json"
local options = require "mnistlua.options"
local query = require "mnistlua.store.query"

local m = {}

local fields = {
  { "number", "id" }, { "folder", "folder" }, { "name", "name" }, { "status", "status" }, { "started", "started" },
  { "seconds", "seconds" }, { "epoch", "epoch" }, { "epochs", "epochs" }, { "step", "step" }, { "steps", "steps" },
  { "seed", "seed" }, { "precision", "precision" }, { "config", "config" }, { "data", "data" },
  { "data_hash", "data_hash" }, { "version", "version" }, { "isa", "isa" }, { "threads", "threads" },
  { "note", "note" }, { "parent", "parent" }, { "parent_step", "parent_step" },
}

-- An empty table is written as [], which is none of an object.
local function object(column) return ("json(CASE %s WHEN '[]' THEN '{}' ELSE %s END)"):format(column, column) end

local function json_row()
  local parts = {}
  for i, field in ipairs(fields) do parts[i] = ("'%s', %s"):format(field[1], field[2]) end
  for _, name in ipairs { "params", "results" } do parts[#parts + 1] = ("'%s', %s"):format(name, object(name)) end
  for _, name in ipairs { "changed", "tags" } do parts[#parts + 1] = ("'%s', json(%s)"):format(name, name) end
  return "json_object(" .. table.concat(parts, ", ") .. ")"
end

--- The runs that are wanted as a JSON list, an object a line.
function m.json(db, given)
  local lines = {}
  for i, row in ipairs((query.rows(db, json_row() .. " AS text", given))) do lines[i] = row.text end
  io.stdout:write("[", table.concat(lines, ",\n"), "]\n")
end

-- ---- CSV ----

local function cell(value)
  if value == nil then return "" end
  local text = type(value) == "number" and json.encode(value) or tostring(value)
  return text:find '[",\r\n]' and '"' .. text:gsub('"', '""') .. '"' or text
end

-- The parameters, or the metrics, that any of the records has.
local function keys(records, part)
  local seen = {}
  for _, r in ipairs(records) do
    for name in pairs(r[part]) do seen[name] = true end
  end
  return options.sorted_keys(seen)
end

--- The same as CSV with a header: the fields, then a column for every parameter and every metric.
function m.csv(db, given)
  local records = query.records(db, given)
  local params, results = keys(records, "params"), keys(records, "results")
  local titles = {}
  local function title(name) titles[#titles + 1] = cell(name) end
  for _, field in ipairs(fields) do title(field[1]) end
  for _, name in ipairs(params) do title("params." .. name) end
  for _, name in ipairs(results) do title("results." .. name) end
  title "tags"
  local lines = { table.concat(titles, ",") }
  for _, r in ipairs(records) do
    local cells = {}
    for i, field in ipairs(fields) do cells[i] = cell(r[field[2]]) end
    for _, name in ipairs(params) do cells[#cells + 1] = cell(r.params[name]) end
    for _, name in ipairs(results) do cells[#cells + 1] = cell(r.results[name]) end
    cells[#cells + 1] = cell(table.concat(r.tags, " "))
    lines[#lines + 1] = table.concat(cells, ",")
  end
  io.stdout:write(table.concat(lines, "\n"), "\n")
end

return m
