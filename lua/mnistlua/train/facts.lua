-- What run.json says: everything that it takes to repeat a run, and where and when it was made. Written once, at the
-- start; only tags and the note change later. store/folder.lua reads it.
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local params = require "mnistlua.params"

local m = {}

m.format = 1

-- The config's parameters as key=value takes them, and the names of those that are not the defaults.
local function declared()
  local texts, changed = {}, {}
  for _, name in ipairs(context.params and context.params.names or {}) do
    texts[name] = params.text(context.params.values[name])
    if texts[name] ~= params.text(context.params.specs[name][1]) then changed[#changed + 1] = name end
  end
  return texts, changed
end

--- The facts of a prepared run. `parent` is { run = folder, step = } where it goes on from the state of another run.
function m.of(run, parent)
  local texts, changed = declared()
  return {
    format = m.format, name = run.experiment.name, config = context.config, params = texts, changed = changed,
    seed = run.seed, precision = run.precision,
    options = {                                  -- of the command line and the experiment, where they change the result
      epochs = run.epochs, steps = run.total_steps, batch = run.experiment.batch, data = context.data,
      precision = context.precision,
    },
    data = tostring(run.data), data_hash = run.data:hash(), version = core.version, isa = core.isa(),
    threads = core.threads(), started = os.time(), parent = parent, tags = {}, note = "",
  }
end

return m
