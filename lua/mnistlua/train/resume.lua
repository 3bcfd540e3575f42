-- Where a run goes on from: finds the run and its checkpoint, and says whether the experiment at hand is still the
-- one that it was. Called by `mnistlua --resume` and `mnistlua fork`; the state itself is restore.lua's.
local core = require "mnistlua.core"
local facts = require "mnistlua.train.checkpoint_facts"
local failure = require "mnistlua.failure"
local file = require "mnistlua.train.checkpoint_file"
local folder = require "mnistlua.store.folder"
local options = require "mnistlua.options"
local store = require "mnistlua.store"

local m = {}

local function fail(fmt, ...) error(failure.new("runtime", fmt:format(...)), 0) end

local function usage(fmt, ...) options.usage(fmt:format(...)) end

local function warn(message) io.stderr:write("mnistlua: warning: " .. message .. "\n") end

-- ---- the run ----

local function is_run(dir)
  local out, name = dir:match "^(.*)/([^/]+)$"
  return folder.is_run(out or ".", name or dir)
end

--- The folder of the run that `text` stands for. A path is enough without the database.
function m.find_run(out, text)
  local path = text:gsub("(.)/+$", "%1")
  if text:find("/", 1, true) and is_run(path) then return path end
  if not core.is_dir(out) then
    options.usage(("there is no run '%s': there is no folder '%s'"):format(core.escape(text), core.escape(out)))
  end
  local record, problem = store.with(out, {}, function(db) return store.find(db, text) end)
  return record and record.dir or options.usage(problem)
end

-- The run folder that a checkpoint lies in, or nil for one that was taken elsewhere.
local function run_of_file(path)
  local dir = path:match "^(.*)/checkpoints/[^/]+$" or path:match "^checkpoints/[^/]+$" and "."
  return dir and is_run(dir) and dir or nil
end

local function record_of(dir)
  local out, name = dir:match "^(.*)/([^/]+)$"
  return folder.read(out or ".", name or dir)
end

local function is_file(path) return core.exists(path) and not core.is_dir(path) end

-- ---- its checkpoint ----

local function from_file(path)
  local read, problem = file.read(path)
  if not read then fail("%s", problem) end
  return { dir = run_of_file(path), checkpoint = read, step = file.step_of(path:match "[^/]+$") }
end

local function newest_of(dir)
  local read, problem = file.newest(file.folder(dir), warn)
  if not read then fail("%s cannot be resumed: %s", core.escape(dir), problem) end
  return { dir = dir, checkpoint = read, step = file.step_of(read.path:match "[^/]+$") }
end

local function steps_text(steps)
  local texts = {}
  for i, step in ipairs(steps) do texts[i] = tostring(step) end
  return #texts > 0 and table.concat(texts, ", ") or "none"
end

local function of_step(dir, step)
  local checkpoints = file.folder(dir)
  local path = checkpoints .. "/" .. file.name(step)
  if core.exists(path) then
    local found = from_file(path)
    found.dir = dir
    return found
  end
  local there = steps_text(file.steps(checkpoints))
  fail("%s has no checkpoint of step %d; those that it has: %s", core.escape(dir), step, there)
end

-- The step of the best checkpoint, as the newest one remembers it.
local function best_of(dir)
  local newest = newest_of(dir)
  local state = core.json_decode(newest.checkpoint.state)
  local step = type(state) == "table" and type(state.best) == "table" and math.tointeger(state.best.step)
  if not step then
    fail("%s has no best checkpoint; the experiment's checkpoint = { best = \"val.acc\" } keeps one", core.escape(dir))
  end
  return of_step(dir, step)
end

-- ---- what the command line asks for ----

--- What --resume names: a run (its newest checkpoint that can be read) or a checkpoint's file. Returns { dir (the run's
--- folder, or nil), checkpoint, step }.
function m.open(out, text)
  if is_file(text) then return from_file(text) end
  return newest_of(m.find_run(out, text))
end

--- What fork names: RUN, RUN@STEP, RUN@best or a file. The same.
function m.open_at(out, text)
  if is_file(text) then return from_file(text) end
  local run, at = text:match "^(.+)@([^@/]+)$"
  if not run then return newest_of(m.find_run(out, text)) end
  local dir, step = m.find_run(out, run), math.tointeger(tonumber(at))
  if at == "best" then return best_of(dir) end
  if at == "last" then return newest_of(dir) end
  if not step or step < 0 then usage("'%s': expected RUN@STEP or RUN@best", core.escape(text)) end
  return of_step(dir, step)
end

--- Raises if the run has nothing left to do.
function m.check_unfinished(source)
  if not source.dir or record_of(source.dir).status ~= "done" then return end
  local state = core.json_decode(source.checkpoint.state)
  if type(state) ~= "table" or not state.stopping or state.at ~= "epoch" then return end
  usage("%s is done, at step %d; to go on with other settings: mnistlua fork %s key=value", core.escape(source.dir),
    source.step or 0, core.escape(source.dir))
end

--- Warns where the machine or the program is another one.
function m.warn_if_foreign(source, now)
  local foreign = facts.foreign(source.checkpoint.facts, now)
  if foreign then warn(foreign) end
end

--- Compares a run with what the checkpoint is of; now: its facts. Raises if it is another one now, unless `force`
--- says to go on regardless. Returns whether something differs.
function m.compare(source, now, force)
  local before = source.checkpoint.facts
  local differences = facts.differences(before, now)
  m.warn_if_foreign(source, now)
  if #differences == 0 then return false end
  local text = core.escape(table.concat(differences, "; "))
  if not force then
    usage("the run cannot be resumed as it is now: %s; --force goes on all the same and marks the run, mnistlua fork "
      .. "makes a new one", text)
  end
  warn("goes on although something changed: " .. text)
  return true
end

--- Where the config of a source's run was when it began, or nil.
function m.config_path(source) return source.dir and record_of(source.dir).config or nil end

return m
