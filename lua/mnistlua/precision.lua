-- The precision of matrix products: what a user may ask for, what is used, and saying so where it is emulated. It is
-- one setting of the whole program, so that training and evaluation never differ in it; the core has it.
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local options = require "mnistlua.options"

local m = {}

--- f32; bf16 and bf16x3, which are fast where there is AMX; auto, which is bf16 there and f32 elsewhere.
m.names = { "f32", "bf16", "bf16x3", "auto" }

--- The rule of an option that takes one of them.
m.rule = { choices = m.names }

--- The precision that a name stands for on this machine.
function m.resolve(name)
  if name ~= "auto" then return name end
  return core.amx() and "bf16" or "f32"
end

local announced = false

-- One line on stderr, once: emulated products give the bits of AMX, but none of its speed.
local function announce(name)
  local usable, status = core.amx()
  if name == "f32" or usable or announced then return end
  announced = true
  if context.quiet then return end
  io.stderr:write(("note: AMX: %s; %s products are computed by an exact emulation (the same bits, slower)\n")
    :format(core.escape(status), name))
end

local used = {}    -- the precisions used since m.begin, in order

local function set(name)
  announce(name)
  for _, each in ipairs(used) do
    if each == name then return core.precision(name) end
  end
  used[#used + 1] = name
  return core.precision(name)
end

--- Chooses the precision of all matrix products from now on and returns the one before. Without a name it changes
--- nothing and returns the present one.
function m.use(name)
  if name == nil then return core.precision() end
  return set(m.resolve(options.check("ml.precision", "name", name, m.rule)))
end

--- The precision of an experiment: the command line's, or its own, or the one in use.
function m.of(experiment)
  return m.resolve(context.precision or experiment.precision or core.precision())
end

--- Begins a run in a precision and returns the one before.
function m.begin(name)
  used = {}
  return set(name)
end

--- What a checkpoint keeps: the precision now, and those used since the run began.
function m.state() return { now = core.precision(), used = table.move(used, 1, #used, 1, {}) } end

--- Puts it back, in a run that has begun.
function m.restore(state)
  used = table.move(state.used, 1, #state.used, 1, {})
  set(state.now)
end

--- What has been used since the run began: "bf16"; "bf16+f32" if a script changed it on the way.
function m.used() return table.concat(used, "+") end

return m
