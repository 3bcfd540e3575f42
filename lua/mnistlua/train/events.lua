-- The trainer's events: a closed list, so that a misspelt one fails before the first step.
--
-- A callback is a function `f(run)` for one event (`on = { epoch_end = f }`), a function `f(run, event)` that hears
-- all of them, or a table with a method per event and whatever state it likes (`callbacks = { {best = 0, epoch_end =
-- function(self, run) ... end} }`). Checkpoints keep a table's fields of plain data, or what its method state()
-- returns; load_state(data) then takes that back (callback_state.lua). A
-- class's (ml.callbacks) may have a method check_experiment(options) besides.
local options = require "mnistlua.options"

local m = {}

m.names = {
  "start", "epoch_start", "batch_start", "after_forward", "after_backward", "before_step", "batch_end", "epoch_end",
  "eval_end", "checkpoint", "interrupt", "diverged", "finish",
}

local function check_name(what, name)
  options.check_key(what, name, m.names, "event")
end

-- Methods of a callback table that are no events.
local state_methods = { state = true, load_state = true }

local function check_state(callback, position)
  for name, other in pairs { state = "load_state", load_state = "state" } do
    if type(callback[name]) == "function" and type(callback[other]) ~= "function" then
      options.fail(("callback %d has the method %s and no %s; they go together"):format(position, name, other))
    end
  end
end

local function add(listeners, event, listener)
  listeners[event][#listeners[event] + 1] = listener
end

local function add_table(listeners, callback, position)
  check_state(callback, position)
  local heard = false
  local keys = {}
  for key in pairs(callback) do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local method = callback[key]
    if type(method) == "function" and not state_methods[key] then
      check_name("callback " .. position, key)
      add(listeners, key, function(run, ...) return method(callback, run, ...) end)
      heard = true
    end
  end
  for _, event in ipairs(m.names) do           -- methods that come from a class
    if rawget(callback, event) == nil and type(callback[event]) == "function" then
      add(listeners, event, function(run, ...) return callback[event](callback, run, ...) end)
      heard = true
    end
  end
  if not heard and type(callback.check_experiment) ~= "function" then
    options.fail(("callback %d has no method named after an event (%s)"):format(position, table.concat(m.names, " ")))
  end
end

local function add_callback(listeners, callback, position)
  if type(callback) == "function" then
    for _, event in ipairs(m.names) do
      add(listeners, event, function(run, ...) return callback(run, event, ...) end)
    end
  elseif type(callback) == "table" then
    add_table(listeners, callback, position)
  else
    options.fail(("callback %d: expected a function or a table, got %s"):format(position, type(callback)))
  end
end

--- Listeners by event, from an experiment's `on` and `callbacks`; checks every name.
function m.listeners(on, callbacks)
  local listeners = {}
  for _, event in ipairs(m.names) do listeners[event] = {} end
  for event, f in pairs(on or {}) do check_name("on", event); if type(f) ~= "function" then
    options.fail(("on.%s: expected a function, got %s"):format(event, type(f))) end
  end
  for _, event in ipairs(m.names) do
    if on and on[event] then add(listeners, event, on[event]) end
  end
  for i, callback in ipairs(callbacks or {}) do add_callback(listeners, callback, i) end
  return listeners
end

--- Lets callbacks tell what does not fit the experiment's options, before there is a run.
function m.check_experiment(o)
  for _, callback in ipairs(o.callbacks or {}) do
    if type(callback) == "table" and type(callback.check_experiment) == "function" then callback:check_experiment(o) end
  end
end

--- Calls an event's listeners in order. The last value that is not nil is returned: `diverged` listens for "skip".
function m.emit(listeners, event, run, ...)
  local answer
  for _, listener in ipairs(listeners[event]) do
    local value = listener(run, ...)
    if value ~= nil then answer = value end
  end
  return answer
end

return m
