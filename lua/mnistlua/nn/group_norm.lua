-- nn.LayerNorm and nn.GroupNorm: every sample is normalised by itself, in training and in evaluation alike. Sizes that
-- are left out are inferred as nn.Linear's inputs are.
local core = require "mnistlua.core"
local flow = require "mnistlua.nn.flow"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"
local Parameter = require("mnistlua.nn.parameter").mark

local eps_rule = { type = "number", default = 1e-5, above = 0 }
local affine_rule = { type = "boolean", default = true }

local function create_parameters(self, sizes, affine)
  if affine then
    self.weight = Parameter(core.ones(sizes))
    self.bias = Parameter(core.zeros(sizes))
  end
  self.built = true
end

-- "8, 32, { eps = 0.001 }"
local function settings_text(parts, self, affine_name)
  local extra = {}
  if self.eps ~= eps_rule.default then extra[#extra + 1] = "eps = " .. self.eps end
  if not self[affine_name] then extra[#extra + 1] = affine_name .. " = false" end
  if #extra > 0 then parts[#parts + 1] = "{ " .. table.concat(extra, ", ") .. " }" end
  return table.concat(parts, ", ")
end

-- ---- LayerNorm ----

--- Normalises over the last dimensions: nn.LayerNorm(64), nn.LayerNorm(28, 28) or nn.LayerNorm { 28, 28, eps = 1e-6 }
--- for their sizes, nn.LayerNorm() for the last one, inferred. weight and bias have these sizes. Options: eps (1e-5),
--- elementwise_affine (true), normalized_shape (the sizes). Ba, Kiros and Hinton 2016, "Layer normalization".
local LayerNorm = Module:extend "nn.LayerNorm"
LayerNorm.takes_tensor, LayerNorm.transparent = true, true

local layer_spec = { eps = eps_rule, elementwise_affine = affine_rule, normalized_shape = { type = "table|integer" } }

function LayerNorm:init(...)
  local given, sizes = options.gather(...), {}
  for i, size in ipairs(given) do sizes[i], given[i] = size, nil end
  local o = options.read(self.typename, given, layer_spec)
  if o.normalized_shape then
    if #sizes > 0 then options.fail "nn.LayerNorm: normalized_shape is given twice, by position and by name" end
    sizes = type(o.normalized_shape) == "table" and o.normalized_shape or { o.normalized_shape }
  end
  for i, size in ipairs(sizes) do
    sizes[i] = options.check(self.typename, "size " .. i, size, { type = "integer", min = 1 })
  end
  if #sizes > 5 then options.fail(("nn.LayerNorm: at most 5 sizes, got %d"):format(#sizes)) end
  self.eps, self.elementwise_affine, self.built = o.eps, o.elementwise_affine, false
  if #sizes > 0 then self:create(sizes) end
end

--- Gives the layer its parameters, for inputs that end in these sizes.
function LayerNorm:create(sizes)
  self.normalized_shape = sizes
  create_parameters(self, sizes, self.elementwise_affine)
end

function LayerNorm:infer_from_weight(weight) self:create(weight.shape) end

--- Weight 1, bias 0.
function LayerNorm:reset_parameters()
  if self.weight then
    self.weight:fill_(1)
    self.bias:zero_()
  end
end

function LayerNorm:settings()
  return settings_text({ self.normalized_shape and table.concat(self.normalized_shape, ", ") }, self,
    "elementwise_affine")
end

local function check_layer(self, input)
  local shape = flow.shape_of(input)
  if not self.built and #shape > 0 then self:create { shape[#shape] } end
  local sizes = self.normalized_shape or {}
  local fits = #sizes > 0 and #sizes <= #shape
  for i = 1, #sizes do fits = fits and shape[#shape - #sizes + i] == sizes[i] end
  if not fits then
    flow.mismatch(self, input, "samples that end in " .. flow.shape_text(sizes), flow.shape_text(shape),
      "write nn.LayerNorm() to normalise over the last dimension")
  end
end

function LayerNorm:infer(shape)
  check_layer(self, shape)
  return shape
end

function LayerNorm:forward(x)
  check_layer(self, x)
  return core.layer_norm(x, #self.normalized_shape, self.weight, self.bias, self.eps)
end

-- ---- GroupNorm ----

--- Normalises over groups of channels of x [b, c, ...]: nn.GroupNorm(groups) infers the channels, nn.GroupNorm(groups,
--- channels) has them. weight and bias are [c]. Options: eps (1e-5), affine (true). Wu and He 2018, "Group
--- normalization".
local GroupNorm = Module:extend "nn.GroupNorm"
GroupNorm.takes_tensor, GroupNorm.transparent = true, true

local group_spec = {
  "num_groups", "num_channels",
  num_groups = { type = "integer", min = 1, required = true }, num_channels = { type = "integer", min = 1 },
  eps = eps_rule, affine = affine_rule,
}

function GroupNorm:init(...)
  local o = options.read(self.typename, options.gather(...), group_spec)
  self.num_groups, self.eps, self.affine, self.built = o.num_groups, o.eps, o.affine, false
  if not o.num_channels then return end
  if o.num_channels % o.num_groups ~= 0 then
    options.fail(("nn.GroupNorm: %d groups do not divide %d channels"):format(o.num_groups, o.num_channels))
  end
  self:create(o.num_channels)
end

--- Gives the layer its parameters, for this many channels.
function GroupNorm:create(channels)
  self.num_channels = channels
  create_parameters(self, { channels }, self.affine)
end

function GroupNorm:infer_from_weight(weight)
  if weight:dim() == 1 and weight:size(1) % self.num_groups == 0 then self:create(weight:size(1)) end
end

GroupNorm.reset_parameters = LayerNorm.reset_parameters

function GroupNorm:settings()
  return settings_text({ tostring(self.num_groups), self.num_channels and tostring(self.num_channels) }, self, "affine")
end

local function check_groups(self, input)
  local channels = flow.shape_of(input)[1]
  if self.num_channels == channels and channels then return end
  if self.built then
    flow.mismatch(self, input, self.num_channels .. " channels", tostring(channels or "none"),
      ("write nn.GroupNorm(%d) to infer them"):format(self.num_groups))
  end
  if not channels or channels % self.num_groups ~= 0 then
    flow.mismatch(self, input, ("channels that %d groups divide"):format(self.num_groups), tostring(channels or "none"))
  end
  self:create(channels)
end

function GroupNorm:infer(shape)
  check_groups(self, shape)
  return shape
end

function GroupNorm:forward(x)
  check_groups(self, x)
  return core.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
end

return { LayerNorm = LayerNorm, GroupNorm = GroupNorm }
