-- Runs the trials of a sweep: some processes at a time, until all have ended, time is over, or a signal came. What a
-- trial does never ends the others. It prints nothing: the display is told.
local core = require "mnistlua.core"
local metric = require "mnistlua.sweep.metric"
local prune = require "mnistlua.sweep.prune"
local trials = require "mnistlua.sweep.trial"

local m = {}

local Runner = {}
Runner.__index = Runner

local wait = 0.2             -- seconds between two looks at signals and the clock
local patience = 30          -- seconds that a trial has to end after it was asked to

--- given: points (list of lists of texts), records (of trials by number: those that failed are done again, those that
--- diverged would do so again, those that were stopped go on), command (function(number, run) -> words, run being the
--- name of the folder of a trial that goes on), jobs, rule ("median", "asha" or nil), metric (or nil: what there is),
--- deadline (on core.clock, or nil), save (function(record) -> ok, problem), display.
function m.new(given)
  local self = setmetatable(given, Runner)
  self.running, self.pending, self.begun, self.stopping, self.started = {}, {}, {}, false, core.clock()
  for number = 1, #self.points do
    local record = self.records[number]
    local status = record and record.status
    if not record or status == "failed" or status == "stopped" then
      if status == "stopped" then self.begun[number] = record end
      self.records[number], self.pending[#self.pending + 1] = nil, number
    end
  end
  return self
end

-- ---- what is known ----

--- The metric that trials are compared by, nil as long as none has finished (or reported).
function Runner:chosen()
  if self.metric then return self.metric end
  local results = {}
  for _, record in pairs(self.records) do
    if record.status == "done" then results[#results + 1] = record.metrics end
  end
  if #results > 0 then return metric.choose(results) end
  for _, trial in ipairs(self.running) do
    local last = trial.reports[#trial.reports]
    results[#results + 1] = last and last.metrics
  end
  return metric.choose(results)
end

--- The finished trials, the best first; those without a score come last, by their numbers.
function Runner:ranked()
  local by, list, scores = self:chosen(), {}, {}
  for number = 1, #self.points do
    local record = self.records[number]
    if record then
      list[#list + 1] = record
      scores[record] = record.status == "done" and metric.score(by, record.metrics) or -math.huge
    end
  end
  table.sort(list, function(a, b)
    if scores[a] ~= scores[b] then return scores[a] > scores[b] end
    if (a.status == "done") ~= (b.status == "done") then return a.status == "done" end
    return a.trial < b.trial
  end)
  return list
end

--- The best of the trials that trained to their end, or nil.
function Runner:best()
  local first = self:ranked()[1]
  return first and first.status == "done" and first or nil
end

--- How many trials have which status, and how many are left.
function Runner:counts()
  local counts = { done = 0, pruned = 0, diverged = 0, failed = 0, left = #self.points }
  for number = 1, #self.points do
    local record = self.records[number]
    if record then counts[record.status], counts.left = (counts[record.status] or 0) + 1, counts.left - 1 end
  end
  return counts
end

-- ---- pruning ----

local function history_of(by, reports)
  local history = {}
  for _, report in ipairs(reports or {}) do
    local score = metric.score(by, report.metrics)
    if score then history[#history + 1] = { epoch = report.epoch, score = score } end
  end
  return history
end

local function others_of(self, trial, by)
  local others = {}
  for number = 1, #self.points do
    local record = self.records[number]
    if record and number ~= trial.number then
      others[#others + 1] = { history = history_of(by, record.reports), done = record.status == "done" }
    end
  end
  for _, other in ipairs(self.running) do
    if other ~= trial then others[#others + 1] = { history = history_of(by, other.reports), done = false } end
  end
  return others
end

-- Whether the rule stops a trial after one of the reports that nobody has looked at yet.
local function is_hopeless(self, trial, by)
  local history, others = {}, others_of(self, trial, by)
  for i, entry in ipairs(history_of(by, trial.reports)) do
    history[i] = entry
    if entry.epoch > trial.considered and prune.rules[self.rule](history, others) then return true end
  end
  return false
end

-- After reports: stops the trial if the rule says so. In its last epoch there is nothing left to save.
local function consider(self, trial)
  local now = trial.now
  if not self.rule or trial.pruned or now.epoch >= (now.epochs or math.huge) then return end
  local by = self:chosen()
  if by and is_hopeless(self, trial, by) then
    trial.pruned, trial.asked = true, core.clock()
    trial:stop()
  end
  trial.considered = trial.reports[#trial.reports].epoch
end

-- ---- the course of things ----

local function write_down(self, record)
  local ok, problem = self.save(record)
  if ok or self.warned then return end
  self.warned = true
  self.display:message("mnistlua: warning: " .. core.escape(problem))
end

local function keep(self, record)
  self.records[record.trial] = record
  self.display:finished(self, record)
  write_down(self, record)
end

local function start_next(self)
  local number = table.remove(self.pending, 1)
  local before = self.begun[number]
  local trial, problem = trials.start(number, self.command(number, before and before.run), before)
  if trial then
    self.running[#self.running + 1] = trial
  else
    keep(self, { trial = number, status = "failed", seconds = 0, epochs = 0, metrics = {}, reports = {},
      error = problem })
  end
end

-- What became of a trial is a record. One that ended because the sweep does is to go on another time, or to be done
-- again; one that was stopped by somebody else has failed.
local function look_after(self, i)
  local trial = self.running[i]
  if trial:read() then consider(self, trial) end
  if trial.asked and core.clock() - trial.asked > patience then trial:kill() end
  local record = trial:finished()
  if not record then return end
  table.remove(self.running, i)
  if self.stopping and record.status == "stopped" and record.run then return write_down(self, record) end
  if record.status == "stopped" then record.status = "failed" end
  if self.stopping and record.status == "failed" then return end
  keep(self, record)
end

-- Signals and the time limit: no trial begins any more, and those that run are asked to end.
local function check_stop(self)
  local count, signal = core.interrupts()
  local late = self.deadline and core.clock() >= self.deadline
  if self.stopping or count == 0 and not late then return end
  self.stopping, self.signal, self.pending = count > 0 and "interrupted" or "time", count > 0 and signal, {}
  for _, trial in ipairs(self.running) do
    trial.asked = trial.asked or core.clock()
    trial:stop()
  end
end

local function processes_of(self)
  local list = {}
  for i, trial in ipairs(self.running) do list[i] = trial.process end
  return list
end

--- Runs what is to be done. Returns "done", "interrupted" (then self.signal is its number) or "time".
function Runner:run()
  core.interrupts(true)
  core.hold_signals(true)
  local _ <close> = setmetatable({}, { __close = function()
    for _, trial in ipairs(self.running) do trial:kill() end
    core.hold_signals(false)
  end })
  repeat
    check_stop(self)
    while #self.running < self.jobs and #self.pending > 0 do start_next(self) end
    assert(core.wait_processes(processes_of(self), #self.running > 0 and wait or 0))
    for i = #self.running, 1, -1 do look_after(self, i) end
    self.display:draw(self)
  until #self.running == 0 and #self.pending == 0
  self.display:clear()
  return self.stopping or "done"
end

return m
