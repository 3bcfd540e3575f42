-- The folder of a sweep, OUT/<time>-sweep-<name>/: sweep.json (space, seed, options: what gives the same trials
-- again), config.lua as it was, trials.jsonl (a line for each finished trial), the trials' runs, and a lock that is
-- held while the sweep goes on.
local core = require "mnistlua.core"
local json = require "mnistlua.json"
local options = require "mnistlua.options"

local m = {}

local longest = 1 << 26    -- bytes of a file that are read

local Folder = {}
Folder.__index = Folder

local function new_folder(dir, lock, plan)
  return setmetatable({ dir = dir, lock = lock, plan = plan }, Folder)
end

--- Gives the folder free.
function Folder:close() self.lock:release() end
Folder.__close = Folder.close

-- ---- making ----

local function take_lock(dir)
  local lock, problem, holder = core.lock(dir .. "/lock")
  if lock then return lock end
  if not holder then return nil, problem end
  return nil, ("%s: %s runs this sweep"):format(dir, holder > 0 and ("process %d"):format(holder) or "another process")
end

-- A folder that nobody has, and its lock.
local function claim(wanted)
  local dir, n = wanted, 1
  while true do
    local ok, problem = core.make_dirs(dir)
    if not ok then return nil, problem end
    if not core.exists(dir .. "/sweep.json") and not core.exists(dir .. "/run.json") then
      local lock, why, holder = core.lock(dir .. "/lock")
      if lock and not core.exists(dir .. "/sweep.json") then return dir, lock end
      if not lock and not holder then return nil, why end
    end
    n = n + 1
    dir = wanted .. "-" .. n
  end
end

--- Makes the folder of a new sweep: plan is what sweep.json says, text the config's. Returns nil and a message if that
--- cannot be done.
function m.create(out, name, plan, text)
  local ok, problem = core.check_writable(out)
  if not ok then return nil, problem end
  local safe = name:gsub("[^%w_.-]", "_")
  local dir, lock = claim(("%s/%s-sweep-%s"):format(out, os.date("%Y%m%d-%H%M%S", plan.started), safe))
  if not dir then return nil, lock end
  ok, problem = core.write_file(dir .. "/sweep.json", json.encode(plan) .. "\n")
  if ok then ok, problem = core.write_file(dir .. "/config.lua", text) end
  if not ok then return nil, problem end
  return new_folder(dir, lock, plan)
end

-- ---- trials.jsonl ----

--- Adds the record of a finished trial. Returns nil and a message if it could not.
function Folder:append(record)
  local file, problem = io.open(self.dir .. "/trials.jsonl", "ab")
  if not file then return nil, problem end
  local ok, why = file:write(json.encode(record), "\n")
  local closed, late = file:close()
  if ok and closed then return true end
  return nil, ("%s/trials.jsonl: cannot be written: %s"):format(self.dir, why or late)
end

-- The records by trial; the last of a trial counts, for one that failed may have been tried again. A line that a crash
-- has cut is no record.
local function read_records(dir)
  local path, records = dir .. "/trials.jsonl", {}
  if not core.exists(path) then return records end
  local text, problem = core.read_file(path, longest)
  if not text then return nil, problem end
  local whole = text:match "^(.*\n)" or ""
  if whole ~= text then
    local ok, why = core.write_file(path, whole)
    if not ok then return nil, why end
  end
  for line in whole:gmatch "[^\n]+" do
    local record = core.json_decode(line)
    if type(record) == "table" and math.type(record.trial) == "integer" then records[record.trial] = record end
  end
  return records
end

-- ---- going on ----

local version = 1
m.version = version

local function read_plan(dir)
  local text, problem = core.read_file(dir .. "/sweep.json", longest)
  if not text then return nil, problem end
  local plan = core.json_decode(text)
  if type(plan) ~= "table" or math.type(plan.version) ~= "integer" then
    return nil, dir .. "/sweep.json: expected the plan of a sweep, got something else"
  elseif plan.version > version then
    return nil, ("%s/sweep.json: is of version %d; this program knows versions up to %d"):format(dir, plan.version,
      version)
  elseif type(plan.space) ~= "table" or type(plan.config) ~= "string" or math.type(plan.seed) ~= "integer" then
    return nil, dir .. "/sweep.json: lacks the space, the config or the seed"
  end
  return plan
end

--- Takes up the folder of an earlier sweep. Returns the folder and the records of its finished trials; nil and a
--- message if it is damaged, or another process has it.
function m.open(dir)
  local plan, problem = read_plan(dir)
  if not plan then return nil, problem end
  local lock, why = take_lock(dir)
  if not lock then return nil, why end
  local records, damage = read_records(dir)
  if not records then
    lock:release()
    return nil, damage
  end
  return new_folder(dir, lock, plan), records
end

local function is_sweep(dir) return core.exists(dir .. "/sweep.json") end

-- The sweeps in OUT; their names begin with the time, so that the last is the newest.
local function sweeps_in(out)
  local names = {}
  for _, name in ipairs(core.is_dir(out) and core.list_dir(out) or {}) do
    if is_sweep(out .. "/" .. name) then names[#names + 1] = name end
  end
  return names
end

--- The folder that `text` stands for: last, a name in OUT or a part that only one has, or a path; nil and a message.
function m.find(out, text)
  local names, found = sweeps_in(out), {}
  if text == "last" and #names > 0 then return out .. "/" .. names[#names] end
  for _, name in ipairs(names) do
    if name == text then return out .. "/" .. name end
    if text ~= "" and name:find(text, 1, true) then found[#found + 1] = name end
  end
  if text:find("/", 1, true) and is_sweep(text) then return (text:gsub("(.)/+$", "%1")) end
  if #found == 1 then return out .. "/" .. found[1] end
  if #found > 1 then
    return nil, ("'%s' stands for %d sweeps, such as %s; write more of the name"):format(text, #found, found[1])
  end
  if #names == 0 then return nil, ("there is no sweep '%s': %s has no sweeps"):format(text, out) end
  local hint = options.hint(text, names)
  return nil, ("there is no sweep '%s' in %s%s"):format(text, out, hint ~= "" and hint or "; its newest is "
    .. names[#names])
end

return m
