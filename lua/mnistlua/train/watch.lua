-- What a person at a prompt changes in a paused run. It compares the run before and after each statement: its state, as
-- a checkpoint would have it, and the fields of the objects that it is made of. Called by pause.lua; it changes nothing
-- for good.
local compare = require "mnistlua.train.compare"
local core = require "mnistlua.core"
local state = require "mnistlua.train.state"

local m = {}

-- ---- what looking around may touch ----

-- Whoever looks at a model puts it into evaluation and draws random numbers, and a Ctrl-C ends an evaluation in its
-- middle: the mode of every module, the place of the random streams, whether gradients are recorded.
local function surroundings(run)
  local modes = {}
  for i, module in ipairs(run.model:modules()) do modes[i] = { module, module.training } end
  return { modes = modes, random = core.random_state(), recording = core.recording() }
end

local function put(found)
  for _, mode in ipairs(found.modes) do rawset(mode[1], "training", mode[2]) end
  core.random_state(found.random)
  core.recording(found.recording)
end

-- ---- fields ----

-- Fields of a run that its course does not depend on: clocks, displays, files, caches, and what is noted here.
local passed_over = {}
for _, name in ipairs {
  "progress_display", "recorder", "checkpoints", "pause", "on_epoch", "started", "deadline", "step_started",
  "eval_loaders", "averaging", "answers", "schedule_info", "changes", "held_lr", "board", "metrics", "tested",
} do passed_over[name] = true end

-- All fields of the tables below `t`, by table: what they hold, by identity.
local function gather(t, into)
  if into[t] then return into end
  local copy = {}
  into[t] = copy
  for key, value in next, t do
    copy[key] = value
    if type(value) == "table" then gather(value, into) end
  end
  return into
end

local function fields_of(run)
  local own, into = {}, {}
  for key, value in next, run do
    if not passed_over[key] then
      own[key] = value
      if type(value) == "table" and value ~= run then gather(value, into) end
    end
  end
  into[run] = own
  for key in next, passed_over do
    local excluded = rawget(run, key)
    if type(excluded) == "table" then into[excluded] = nil end
  end
  return into
end

local function same_fields(a, b)
  for key, value in next, a do
    if not rawequal(b[key], value) then return false end
  end
  for key in next, b do
    if a[key] == nil then return false end
  end
  return true
end

-- Tables that are new are seen in the field that holds them.
local function fields_differ(before, now)
  for t, fields in next, before do
    if now[t] and not same_fields(fields, now[t]) then return true end
  end
  return false
end

-- ---- all of it ----

-- Nothing where the state cannot be taken: then any statement counts as a change. What pause.lua notes in the run is no
-- part of it.
local function snapshot(run, found)
  local here, changes, held = surroundings(run), run.changes, run.held_lr
  run.changes, run.held_lr = false, false
  put(found)
  core.recording(false)
  local taken = state.take(run, "step", function(tensors, text)
    local copies = {}
    for i, entry in ipairs(tensors) do copies[i] = { entry[1], entry[2]:detach():clone() } end
    return { tensors = copies, text = text, fields = fields_of(run) }
  end)
  put(here)
  run.changes, run.held_lr = changes, held
  return taken
end

local function differ(before, now)
  if not before or not now then return true end
  return now.text ~= before.text or fields_differ(before.fields, now.fields)
    or compare.first_difference(before.tensors, now.tensors) ~= nil
end

local Watch = {}
Watch.__index = Watch

--- Begins to watch a run that stands still.
function m.new(run)
  local self = setmetatable({ run = run }, Watch)
  self:begin()
  return self
end

--- The run stands still again.
function Watch:begin()
  self.found = surroundings(self.run)
  self.last = snapshot(self.run, self.found)
end

--- Whether the run was changed since `begin` or the last call.
function Watch:changed()
  local now = snapshot(self.run, self.found)
  local changed = differ(self.last, now)
  self.last = now
  return changed
end

--- Puts back what looking around may have touched: the run is about to go on.
function Watch:finish()
  put(self.found)
end

return m
