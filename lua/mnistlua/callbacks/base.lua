-- What the callbacks of this folder have in common: options that are read once, and `memory`, a table of plain data
-- that is all their state. Checkpoints keep the memory; settings, open files and paths are none of it, so a run that
-- goes on under changed settings follows those.
local core = require "mnistlua.core"
local options = require "mnistlua.options"

local m = {}

--- A class whose instances are made by base.new; what is its name in messages.
function m.class(what)
  local class = { what = what, __name = "Callback" }
  class.__index = class

  --- Every run begins with no memory; one that goes on is given its own by load_state.
  function class:start(run)
    if run.step == 0 then self.memory = {} end
    if self.begin then self:begin(run) end
  end

  function class:state() return self.memory end

  function class:load_state(memory) self.memory = memory end

  function class:fail(fmt, ...) options.fail(self.what .. ": " .. fmt:format(...), self.where) end

  return class
end

--- An instance with the options that are read by spec.
function m.new(class, given, spec)
  return setmetatable({ options = options.read(class.what, given, spec), memory = {}, where = core.where() }, class)
end

return m
