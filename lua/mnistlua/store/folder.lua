-- A run folder as a record (README.md), from what lies in it: run.json, result.json and the lock. Folders of versions
-- that wrote no run.json have at least a name with a time. Nothing here writes, and nothing looks into a database.
local core = require "mnistlua.core"
local params = require "mnistlua.params"

local m = {}

local longest = 1 << 24    -- bytes of a JSON file that are read

local function read_json(path)
  local text = core.exists(path) and core.read_file(path, longest)
  local value = text and core.json_decode(text)
  return type(value) == "table" and value or nil
end

--- A parameter as rows and filters have it: a number where its text is one, else the text.
function m.value(text)
  local number = tonumber(text)
  return number and number == number and math.abs(number) < math.huge and number or text
end

-- The time in a folder's name, and the run's name in it.
local function parse_name(folder)
  local year, month, day, hour, min, sec, name = folder:match "^(%d%d%d%d)(%d%d)(%d%d)%-(%d%d)(%d%d)(%d%d)%-(.+)$"
  if not year then return nil, folder end
  return os.time { year = year, month = month, day = day, hour = hour, min = min, sec = sec }, name
end

--- Whether an entry of OUT is a run. The folder of a sweep is none: it holds runs.
function m.is_run(out, folder)
  local dir = out .. "/" .. folder
  if not core.is_dir(dir) then return false end
  return core.exists(dir .. "/run.json") or parse_name(folder) ~= nil and not core.exists(dir .. "/sweep.json")
end

--- Whether an entry of result.json is a metric.
function m.is_metric(name, value)
  return type(value) == "number"
    and (name:find(".", 1, true) ~= nil or name == "lr" or name == "grad_norm" or name == "images_per_s")
end

local function metrics_of(result)
  local metrics = {}
  for name, value in pairs(result) do
    if m.is_metric(name, value) then metrics[name] = value end
  end
  return metrics
end

local function params_of(run, result)
  local values = {}
  for name, value in pairs(type(run.params) == "table" and run.params or {}) do values[name] = m.value(value) end
  if run.params then return values end
  for name, value in pairs(type(result.params) == "table" and result.params or {}) do
    values[name] = type(value) == "number" and value or params.text(value)
  end
  return values
end

local function text_or_nil(value) return type(value) == "string" and value or nil end
local function number_or_nil(value) return type(value) == "number" and value or nil end
local function list_or_empty(value) return type(value) == "table" and value or {} end

local function names_in(list)
  local names = {}
  for _, name in ipairs(list_or_empty(list)) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  return names
end

--- The process that trains in a folder, or nil.
function m.holder(dir) return core.lock_holder(dir .. "/lock") end

--- "running" while the lock is held; else what result.json says, "killed" where it is missing.
local function status_of(dir, result)
  if m.holder(dir) then return "running" end
  return result and (text_or_nil(result.status) or "done") or "killed"
end

--- The record of OUT/folder. Damaged JSON counts as missing: what is known from elsewhere is kept. `result` stands for
--- a result.json that is yet to be written.
function m.read(out, folder, result)
  local dir = out .. "/" .. folder
  local run = read_json(dir .. "/run.json") or {}
  result = result or read_json(dir .. "/result.json")
  local started, name = parse_name(folder)
  local status = status_of(dir, result)
  local r = {
    folder = folder, dir = dir, status = status, started = number_or_nil(run.started) or started,
    name = text_or_nil(run.name) or name, note = text_or_nil(run.note), tags = names_in(run.tags),
    changed = names_in(run.changed), results = metrics_of(result or {}), params = params_of(run, result or {}),
  }
  result = result or {}
  for _, key in ipairs { "config", "precision", "data", "data_hash", "version", "isa" } do
    r[key] = text_or_nil(run[key]) or text_or_nil(result[key])
  end
  local planned, parent = list_or_empty(run.options), list_or_empty(run.parent)
  r.seed, r.threads = number_or_nil(run.seed or result.seed), number_or_nil(run.threads or result.threads)
  r.epochs, r.steps = number_or_nil(planned.epochs), number_or_nil(planned.steps)
  r.epoch, r.step = number_or_nil(result.epochs), number_or_nil(result.steps)
  r.seconds = number_or_nil(result.seconds)
  r.parent, r.parent_step = text_or_nil(parent.run), number_or_nil(parent.step)
  return r
end

--- run.json as it is, or nil.
function m.facts(dir) return read_json(dir .. "/run.json") end

--- Why the run ended before its planned end ("time limit reached", "interrupted", ...), or nil.
function m.why_stopped(dir) return text_or_nil((read_json(dir .. "/result.json") or {}).stopped) end

return m
