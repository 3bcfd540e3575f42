-- One running trial: a process of this very program that trains a config, what it reports meanwhile and how it ended.
-- It decides nothing; the runner starts, asks and stops it.
local core = require "mnistlua.core"
local folder = require "mnistlua.store.folder"

local m = {}

local Trial = {}
Trial.__index = Trial

local most_output = 1 << 20   -- bytes of standard output that are kept: the result is at its end
local most_line = 1 << 16
local most_reads = 64         -- of up to 64 KB at a time

--- Starts trial number `number`: words are the arguments of the program; before: the record of when it was stopped, if
--- it goes on. Returns nil and a message if the system refuses.
function m.start(number, words, before)
  local command = table.move(words, 1, #words, 2, { "mnistlua" })
  local process, problem = core.spawn("/proc/self/exe", command)
  if not process then return nil, problem end
  local reports = before and before.reports or {}
  return setmetatable({
    number = number, process = process, started = core.clock(), before = before and before.seconds or 0, out = "",
    err = "", error = nil, reports = reports, now = nil, pruned = false,
    considered = #reports > 0 and reports[#reports].epoch or 0,
  }, Trial)
end

-- ---- what it writes ----

-- The metrics of a report or a result.
local function metrics_in(values)
  local metrics = {}
  for name, value in pairs(values) do
    if folder.is_metric(name, value) then metrics[name] = value end
  end
  return metrics
end

-- A line of JSON is progress; of other lines the last error is kept. Returns true for an epoch's report.
local function take_line(self, line)
  local event = line:sub(1, 1) == "{" and core.json_decode(line)
  if type(event) ~= "table" or not event.event then
    self.error = line:match "^mnistlua: error: (.*)$" or self.error
    return false
  end
  self.now = event
  if event.event ~= "epoch" or math.type(event.epoch) ~= "integer" or self.pruned then return false end
  local last = self.reports[#self.reports]
  if last and last.epoch >= event.epoch then self.reports[#self.reports] = nil end   -- of its part before a stop
  self.reports[#self.reports + 1] = { epoch = event.epoch, metrics = metrics_in(event) }
  return true
end

-- More than a pipe holds, but not for ever: a trial that never stops writing does not keep the others waiting.
local function read_all(process, stream)
  local parts = {}
  for i = 1, most_reads do
    local text = process:read(stream)
    if not text or text == "" then break end
    parts[i] = text
  end
  return table.concat(parts)
end

--- Reads what there is. Returns whether epochs were reported.
function Trial:read()
  local reported = false
  self.out = (self.out .. read_all(self.process, "out")):sub(-most_output)
  self.err = self.err .. read_all(self.process, "err")
  local after = self.err:match "^.*\n()" or 1                -- whole lines, then the beginning of one
  for line in self.err:sub(1, after - 1):gmatch "([^\n]*)\n" do reported = take_line(self, line) or reported end
  self.err = self.err:sub(math.max(after, #self.err - most_line))
  return reported
end

--- Seconds that it has run.
function Trial:seconds() return self.before + core.clock() - self.started end

--- Asks it to finish its step, save and end.
function Trial:stop() self.process:stop() end

-- ---- how it ended ----

-- The object that --json prints: the last line of standard output that is one.
local function result_of(self)
  local result
  for line in self.out:gmatch "[^\n]+" do
    local value = line:sub(1, 1) == "{" and core.json_decode(line)
    if type(value) == "table" and value.status then result = value end
  end
  return result
end

local missed, diverged = 3, 4     -- exit codes: an `expect` of the config, a loss that is no number

local stopped = { [130] = true, [143] = true }    -- it saved its state and ended, as it was asked to

local function status_of(self, code, result)
  if result and (code == 0 or code == missed) then return "done" end
  if self.pruned then return "pruned" end
  return code == diverged and "diverged" or stopped[code] and "stopped" or "failed"
end

local function error_of(self, code)
  if self.error then return self.error end
  if code > 128 then return ("ended by signal %d"):format(code - 128) end
  return ("ended with exit code %d without a result"):format(code)
end

--- nil while it runs; then, once, the record of the trial (without its point): status ("done", "pruned", "diverged",
--- "failed", or "stopped" by a signal), metrics, reports, seconds, run (the name of its folder), error.
function Trial:finished()
  local code = self.process:ended()
  if not code then return nil end
  self:read()
  self.process:close()
  local result = result_of(self)
  local status = status_of(self, code, result)
  local last = self.reports[#self.reports]
  local path = self.now and self.now.run or result and result.weights and result.weights:match "^(.*)/"
  return {
    trial = self.number, status = status, seconds = self:seconds(), reports = self.reports, code = code,
    metrics = status == "done" and metrics_in(result) or last and last.metrics or {},
    epochs = status == "done" and result.epochs or last and last.epoch or 0, run = path and path:match "[^/]+$",
    error = (status == "failed" or status == "diverged" or status == "stopped") and error_of(self, code) or nil,
  }
end

--- Kills it.
function Trial:kill() self.process:close() end

return m
