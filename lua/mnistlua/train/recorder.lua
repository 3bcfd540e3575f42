-- Records a run in OUT/runs.db: its row in the list, and the metrics of every step and epoch. Rows are kept in Lua and
-- written together, at most once a second, so that a step pays for next to nothing. A training never fails because of
-- the database: what goes wrong is said once, and the run goes on unrecorded.
local core = require "mnistlua.core"
local database = require "mnistlua.store.database"
local folder = require "mnistlua.store.folder"
local index = require "mnistlua.store.index"
local json = require "mnistlua.json"
local metrics = require "mnistlua.store.metrics"
local store = require "mnistlua.store"

local m = {}

local Recorder = {}
Recorder.__index = Recorder

local flush_every = 1       -- seconds
local short_wait = 200      -- milliseconds that a step waits for other processes to write
local long_wait = 5000      -- and the end of a run
local most = 2000000        -- values that are kept while the database is busy

local function warn_on_stderr(text) io.stderr:write(text .. "\n") end

-- Gives the database up.
local function give_up(self, message)
  self.say(("mnistlua: warning: this run is not recorded: %s"):format(core.escape(message)))
  self.db = false
end

-- Calls f(db, ...); true if all went well. What other processes keep busy is tried again at the next flush; anything
-- else, a table that is not what it should be too, is the end of recording.
local function attempt(self, f, ...)
  if not self.db then return false end
  local ok, problem = pcall(self.db.transaction, self.db, f, self.db, ...)
  if ok then return true end
  if database.fault_kind(problem) ~= "busy" then give_up(self, tostring(problem)) end
  return false
end

local function set_wait(self, milliseconds)
  if self.db then pcall(self.db.rows, self.db, "PRAGMA busy_timeout = " .. milliseconds) end
end

local function enter(self)
  local ok, db, problem = pcall(store.open, self.out, { busy = long_wait, write = true, warn = function(text)
    self.say("mnistlua: warning: " .. core.escape(text))
  end })
  if not ok or not db then return give_up(self, tostring(ok and problem or db)) end
  self.db = db
  local record = folder.read(self.out, self.folder)
  local entered = attempt(self, function() self.id = index.put(db, record) end)
  if self.db and not entered then give_up(self, "other processes keep it busy") end
  set_wait(self, short_wait)
end

--- A recorder for the run in OUT/folder, which lies there with its run.json. It is of use even where the database is
--- not.
function m.new(out, name)
  local self = setmetatable({
    out = out, folder = name, id = false, db = false, run = false, say = warn_on_stderr, flushed = core.clock(),
    steps = {}, step_count = 0, values = {}, value_count = 0, epochs = {}, epoch_count = 0, own = {},
  }, Recorder)
  enter(self)
  return self
end

--- Begins to listen to a run, whose display shows warnings from now on.
function Recorder:attach(run)
  self.run, run.recorder, self.own = run, self, {}
  for _, name in ipairs(run.experiment.metrics or {}) do
    if name == "grad_norm" or name:find "^user%." then self.own[#self.own + 1] = name end
  end
  self.say = function(text) run.progress_display:message(text) end
end

-- ---- what is recorded ----

-- Takes the value that a metric got in this step, false for none.
local function take(last, name)
  local value = last[name]
  if not value then return false end
  last[name] = false
  return value
end

--- After every step. The lists are flat: one table for all rows.
function Recorder:step(run)
  if not self.db then return end
  local last, steps, at = run.board.means.last, self.steps, self.step_count
  steps[at + 1], steps[at + 2], steps[at + 3] = self.id, run.step, run.epoch
  steps[at + 4], steps[at + 5] = take(last, "train.loss"), take(last, "train.acc")
  steps[at + 6] = run.board.values["lr"] or false
  self.step_count = at + 6
  for _, name in ipairs(self.own) do
    local value = take(last, name)
    if value then
      local list, n = self.values, self.value_count
      list[n + 1], list[n + 2], list[n + 3], list[n + 4] = self.id, name, run.step, value
      self.value_count = n + 4
    end
  end
  if run.step_started - self.flushed >= flush_every then self:flush() end
end

local function add_epoch(self, run)
  for name, value in pairs(run.metrics) do
    if type(value) == "number" then
      local list, n = self.epochs, self.epoch_count
      list[n + 1], list[n + 2], list[n + 3], list[n + 4], list[n + 5] = self.id, name, run.epoch, run.step, value
      self.epoch_count = n + 5
    end
  end
end

--- After every epoch.
function Recorder:epoch(run)
  if not self.db then return end
  add_epoch(self, run)
  self:flush()
end

--- What is known of the run under way, as a result would say it.
function Recorder:so_far()
  local run, result = self.run, {}
  if not run then return result end
  for name, value in pairs(run.metrics) do result[name] = value end
  result.name, result.seed, result.data, result.precision = run.experiment.name, run.seed, tostring(run.data),
    run.precision
  result.epochs, result.steps, result.seconds = run.epoch, run.step, run:seconds()
  return result
end

-- ---- writing ----

local function clear(self)
  self.step_count, self.value_count, self.epoch_count = 0, 0, 0
end

local put_progress = "UPDATE runs SET epoch = ?, step = ?, seconds = ?, results = ? WHERE id = ?"

local function write(db, self)
  metrics.put(db, self.steps, self.step_count, self.values, self.value_count, self.epochs, self.epoch_count)
  local run = self.run
  if not run then return end
  local results = {}
  for name, value in pairs(run.metrics) do results[name] = value end
  db:run(put_progress, run.epoch, run.step, run:seconds(), json.encode(results), self.id)
end

--- Writes what has been kept. Called before a checkpoint is, so that no step of it lacks its metrics.
function Recorder:flush()
  if not self.db then return end
  self.flushed = core.clock()
  if attempt(self, write, self) then
    clear(self)
  elseif self.db and self.step_count + self.value_count > most then
    clear(self)
    self.say "mnistlua: warning: other processes keep runs.db busy: the metrics of some steps were not recorded"
  end
end

--- Forgets what came after a step, of a run that goes on from there.
function Recorder:rewind(step)
  attempt(self, metrics.rewind, self.id, step)
end

--- Writes how the run ended.
function Recorder:finish(result)
  if not self.db then return end
  set_wait(self, long_wait)
  if self.run and self.run.epoch > 0 then add_epoch(self, self.run) end
  self:flush()
  local status, values = result.status, {}
  for name, value in pairs(result) do
    if folder.is_metric(name, value) then values[name] = value end
  end
  attempt(self, function(db)
    db:run("UPDATE runs SET status = ? WHERE id = ?", status, self.id)
    db:run(put_progress, result.epochs or 0, result.steps or 0, result.seconds or 0, json.encode(values), self.id)
  end)
end

--- Gives the database up, at the run's end.
function Recorder:close()
  if self.db then self.db:close() end
  self.db = false
  if self.run then self.run.recorder = false end
end

return m
