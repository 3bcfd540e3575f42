-- Runs and their numbers as text: shared by the commands that show runs.
local core = require "mnistlua.core"
local params = require "mnistlua.params"
local progress = require "mnistlua.train.progress"

local m = {}

m.status_colors = {
  running = "cyan", done = "green", interrupted = "yellow", killed = "yellow", diverged = "red", failed = "red",
  gone = "dim",
}

--- The metrics of a list and of a comparison, in this order.
m.metrics = {
  "train.loss", "train.acc", "val.loss", "val.acc", "test.loss", "test.acc", "grad_norm", "lr", "images_per_s",
}

--- Seconds since something as "42 s", "12 min", "5 h", "3 d".
function m.age(seconds)
  if seconds < 60 then return ("%d s"):format(math.max(0, seconds)) end
  if seconds < 3600 then return ("%d min"):format(seconds // 60) end
  if seconds < 2 * 86400 then return ("%d h"):format(seconds // 3600) end
  return ("%d d"):format(seconds // 86400)
end

--- What was changed by hand in a paused run, a line for each statement.
function m.changes(changes)
  local lines = {}
  for _, change in ipairs(type(changes) == "table" and changes or {}) do
    for _, statement in ipairs(type(change.statements) == "table" and change.statements or {}) do
      lines[#lines + 1] = ("step %s: %s"):format(tostring(change.step),
        core.escape((tostring(statement):gsub("\n", " "))))
    end
  end
  return lines
end

--- A metric's value: accuracies in per cent, losses with four digits.
function m.metric(name, value)
  if value == nil then return "-" end
  if name:find "acc$" then return progress.percent(value) end
  if name:find "loss$" then return progress.loss(value) end
  if name == "images_per_s" or name:find "%.count$" or name:find "%.errors$" then return progress.thousands(value) end
  return ("%.4g"):format(value)
end

--- "7/10" epochs, "10" where it is not known how many were planned.
function m.epochs(record)
  if not record.epoch then return "-" end
  return record.epochs and ("%d/%d"):format(record.epoch, record.epochs) or ("%d"):format(record.epoch)
end

--- A text as a word of a shell's command line.
function m.quote(text)
  if text:find "^[%w_./:=+,@%%-]+$" then return text end
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- The parameters of a record that are not the config's defaults: { "lr=0.05", "hidden={256}" }.
function m.changed(record)
  local words = {}
  table.sort(record.changed)
  for _, name in ipairs(record.changed) do
    if record.params[name] ~= nil then words[#words + 1] = name .. "=" .. params.text(record.params[name]) end
  end
  return words
end

--- The command that repeats a run, or nil if it is not known. facts: its run.json, or nil.
function m.command(record, facts)
  if not record.config then return nil end
  local words = { "mnistlua", m.quote(record.config) }
  for _, word in ipairs(m.changed(record)) do
    local name, value = word:match "^([%w_]+)=(.*)$"
    words[#words + 1] = name .. "=" .. m.quote(value)
  end
  local given = type(facts) == "table" and type(facts.options) == "table" and facts.options or {}
  if record.seed and record.seed ~= 0 then words[#words + 1] = ("--seed %d"):format(record.seed) end
  if given.data then words[#words + 1] = "--data " .. m.quote(tostring(given.data)) end
  if given.precision then words[#words + 1] = "--precision " .. m.quote(tostring(given.precision)) end
  return core.escape(table.concat(words, " "))
end

return m
