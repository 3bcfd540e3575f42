-- nn.Linear: y = x W^T + b on rows of features. Its input size may be left out; it is then inferred by model:build,
-- which the trainer runs before the first step, or from the first input.
local core = require "mnistlua.core"
local activations = require "mnistlua.nn.activations"
local options = require "mnistlua.options"
local Module = require "mnistlua.nn.module"
local Parameter = require("mnistlua.nn.parameter").mark
local flow = require "mnistlua.nn.flow"
local initializers = require "mnistlua.nn.initializers"

--- A fully connected layer: nn.Linear(out) infers its input size, nn.Linear(in, out) has it. x [b, ..., in] gives
--- [b, ..., out]; weight is [out, in], bias [out]. Options, in a last table or in the only one: bias (true), init
--- ("pytorch"; see nn.init).
local Linear = Module:extend "nn.Linear"
Linear.takes_tensor = true

local spec = {
  "in_features", "out_features",
  in_features = { type = "integer", min = 1 },
  out_features = { type = "integer", min = 1, required = true },
  bias = { type = "boolean", default = true },
  init = initializers.rule,
}

function Linear:init(...)
  local given = options.gather(...)
  if given[2] == nil and given.out_features == nil then given[1], given[2] = nil, given[1] end
  local o = options.read(self.typename, given, spec)
  self.out_features, self.has_bias, self.init_name = o.out_features, o.bias, o.init
  self.initializer = initializers.find(self.typename, o.init)
  self.built = false
  if o.in_features then self:create(o.in_features) end
end

--- Gives the layer its parameters, for inputs of this size.
function Linear:create(in_features)
  self.in_features = in_features
  self.weight = Parameter(core.zeros(self.out_features, in_features))
  if self.has_bias then self.bias = Parameter(core.zeros(self.out_features)) end
  self.built = true
  self:reset_parameters()
end

--- Takes the input size from a weight [out, in] that is about to be loaded, if it can be this layer's.
function Linear:infer_from_weight(weight)
  if weight:dim() == 2 and weight:size(1) == self.out_features then self:create(weight:size(2)) end
end

--- Draws the parameters anew.
function Linear:reset_parameters()
  initializers.fill(self.initializer, self.weight, self.bias, self.in_features, self.out_features)
end

function Linear:settings()
  local parts = { tostring(self.out_features) }
  if self.in_features then table.insert(parts, 1, tostring(self.in_features)) end
  local extra = {}
  if not self.has_bias then extra[#extra + 1] = "bias = false" end
  if self.init_name ~= "pytorch" then
    extra[#extra + 1] = "init = " .. (type(self.init_name) == "string" and '"' .. self.init_name .. '"' or "function")
  end
  if #extra > 0 then parts[#parts + 1] = "{ " .. table.concat(extra, ", ") .. " }" end
  return table.concat(parts, ", ")
end

local function refuse_images(self, input)
  flow.mismatch(self, input, "rows of features", flow.shape_text(flow.shape_of(input)),
    ("put nn.Flatten() before it, or write nn.Linear(in, %d) to apply it to the last dimension"):format(
      self.out_features))
end

local function refuse_size(self, input, dims, size)
  local hint = dims > 1 and "put nn.Flatten() before it"
               or ("write nn.Linear(%d) to infer it"):format(self.out_features)
  flow.mismatch(self, input, self.in_features .. " inputs", tostring(size), hint)
end

-- input is a tensor or a shape; dims counts its dimensions without the batch, size is the last of them.
local function check(self, input, dims, size)
  if self.in_features == size then return end
  if self.built then refuse_size(self, input, dims, size) end
  if dims ~= 1 then refuse_images(self, input) end
  self:create(size)
end

function Linear:infer(shape)
  check(self, shape, #shape, shape[#shape] or 1)
  local out = table.move(shape, 1, #shape, 1, {})
  out[math.max(#out, 1)] = self.out_features
  return out
end

function Linear:forward(x)
  if x:size(-1) ~= self.in_features then check(self, x, x:dim() - 1, x:size(-1)) end
  return core.linear(x, self.weight, self.bias)
end

--- What nn.Sequential calls in place of this layer and the one after it, or nil where they cannot be computed at once:
--- a function(self, x) with the same result. Whoever has replaced either forward gets them one by one.
function Linear:fused_with(following)
  if self.forward ~= Linear.forward or following.forward ~= activations.ReLU.forward then return nil end
  return Linear.forward_relu
end

function Linear:forward_relu(x)
  if x:size(-1) ~= self.in_features then check(self, x, x:dim() - 1, x:size(-1)) end
  return core.linear_relu(x, self.weight, self.bias)
end

return Linear
