-- What the command line said, for the parts of the library that a config calls: parameter overrides, options, and the
-- last fault of the outside world. The command line fills it before the config runs; a script that is run without a
-- command line (a test) finds the defaults below.
local core = require "mnistlua.core"

local m = {
  config = nil,        -- path of the config, as given
  config_text = nil,   -- what was in it when it was read
  overrides = {},      -- key -> text of each key=value
  override_order = {}, -- the keys in the order given
  seed = 0,
  data_dir = nil,      -- --data-dir
  data = nil,          -- --data digits: what stands in for a data set
  precision = nil,     -- --precision, which overrules the config's
  quiet = false,       -- --quiet: the result and errors only
  stood_in = false,    -- whether that happened
  described = nil,     -- what data sets are to be like, where nobody wants their samples: data/described.lua
  pending = nil,       -- where an experiment was described that nobody has trained yet
  listing = false,     -- --help: stop when the config has declared its parameters
  params = nil,        -- what ml.params declared: set by mnistlua.params
  notes = {},          -- things worth telling at the start of a run ("header found in ...")
}

--- Remembers a fault of the outside world and returns it as `nil, message`, so that a config that goes on with the nil
--- ends with the fault's message and not with "attempt to index a nil value".
function m.fault(message)
  m.last_fault = core.where() .. message
  return nil, message
end

--- A line for the user, shown when training starts.
function m.note(text)
  for _, known in ipairs(m.notes) do
    if known == text then return end
  end
  m.notes[#m.notes + 1] = text
end

return m
