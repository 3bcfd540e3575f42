-- nn.PReLU: a leaky ReLU that learns its slope.
local core = require "mnistlua.core"
local flow = require "mnistlua.nn.flow"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"
local Parameter = require("mnistlua.nn.parameter").mark

--- x where x > 0, else weight x. One weight for all (num_parameters = 1), or one for each of so many channels of
--- x [b, c, ...]; they begin at init (0.25). He et al. 2015, "Delving deep into rectifiers".
local PReLU = Module:extend "nn.PReLU"
PReLU.takes_tensor, PReLU.transparent = true, true

local spec = {
  "num_parameters",
  num_parameters = { type = "integer", default = 1, min = 1 }, init = { type = "number", default = 0.25 },
}

function PReLU:init(...)
  local o = options.read(self.typename, options.gather(...), spec)
  self.slopes, self.start = o.num_parameters, o.init
  self.weight = Parameter(core.full({ o.num_parameters }, o.init))
end

--- Makes the slopes what they began at.
function PReLU:reset_parameters() self.weight:fill_(self.start) end

local function check(self, input, channels)
  if self.slopes == 1 or self.slopes == channels then return end
  flow.mismatch(self, input, self.slopes .. " channels", tostring(channels or "none"),
    "write nn.PReLU() for one slope")
end

function PReLU:infer(shape)
  check(self, shape, shape[1])
  return shape
end

function PReLU:forward(x)
  check(self, x, x:dim() > 1 and x:size(2) or nil)
  return core.prelu(x, self.weight)
end

function PReLU:settings()
  local parts = { self.slopes > 1 and tostring(self.slopes) or nil }
  if self.start ~= spec.init.default then parts[#parts + 1] = ("{ init = %s }"):format(self.start) end
  return table.concat(parts, ", ")
end

return PReLU
