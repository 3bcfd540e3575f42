-- nn.Maxout: for each output the greatest of several linear functions of the input.
local core = require "mnistlua.core"
local initializers = require "mnistlua.nn.initializers"
local Linear = require "mnistlua.nn.linear"
local options = require "mnistlua.options"

--- x [b, in] gives y [b, out], y[j] being the greatest of pieces (2) linear functions; it replaces a Linear and its
--- activation. nn.Maxout(out) infers its input size, nn.Maxout(in, out) has it. The weight is [pieces * out, in], piece
--- by piece. Options: pieces, bias (true), init ("pytorch"). Goodfellow et al. 2013, "Maxout networks".
local Maxout = Linear:extend "nn.Maxout"
Maxout.takes_tensor = true

local spec = {
  "in_features", "out_features",
  in_features = { type = "integer", min = 1 },
  out_features = { type = "integer", min = 1, required = true },
  pieces = { type = "integer", min = 2, default = 2 },
  bias = { type = "boolean", default = true },
  init = initializers.rule,
}

function Maxout:init(...)
  local given = options.gather(...)
  if given[2] == nil and given.out_features == nil then given[1], given[2] = nil, given[1] end
  local o = options.read(self.typename, given, spec)
  self.units, self.pieces = o.out_features, o.pieces
  Linear.init(self, {
    in_features = o.in_features, out_features = o.pieces * o.out_features, bias = o.bias, init = o.init,
  })
end

function Maxout:settings()
  local parts = { tostring(self.units), ("{ pieces = %d }"):format(self.pieces) }
  if self.in_features then table.insert(parts, 1, tostring(self.in_features)) end
  return table.concat(parts, ", ")
end

function Maxout:infer(shape)
  local out = Linear.infer(self, shape)
  out[#out] = self.units
  return out
end

function Maxout:forward(x)
  local z, shape = Linear.forward(self, x), x.shape
  shape[#shape] = self.units
  local greatest = z:reshape(-1, self.pieces, self.units):max(2)
  return #shape == 2 and greatest or core.reshape(greatest, shape)
end

return Maxout
