-- nn.Conv2d: convolution (cross-correlation) of images. Its number of input channels may be left out; it is then
-- inferred by model:build, which the trainer runs before the first step, or from the first input.
local core = require "mnistlua.core"
local activations = require "mnistlua.nn.activations"
local flow = require "mnistlua.nn.flow"
local initializers = require "mnistlua.nn.initializers"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"
local Parameter = require("mnistlua.nn.parameter").mark
local window = require "mnistlua.nn.window"

--- A convolution: nn.Conv2d(out, kernel) infers its input channels, nn.Conv2d(in, out, kernel) has them, and stride and
--- padding may follow as in PyTorch. x [b, in, h, w] gives [b, out, oh, ow]; x [b, h, w] counts as one channel. weight
--- is [out, in / groups, kh, kw], bias [out]. Options, in a last table or in the only one: stride (1), padding (0;
--- "same" keeps the size at stride 1, "valid" is 0), groups (1; as many as input channels makes it depthwise), bias
--- (true), init ("pytorch"; see nn.init). Kernel, stride and padding are a number or { h, w }.
local Conv2d = Module:extend "nn.Conv2d"
Conv2d.takes_tensor = true

-- window.lua checks the rules that are empty.
local spec = {
  "in_channels", "out_channels", "kernel_size", "stride", "padding",
  in_channels = { type = "integer", min = 1 },
  out_channels = { type = "integer", min = 1, required = true },
  kernel_size = {},
  stride = { default = 1 },
  padding = { default = 0 },
  groups = { type = "integer", min = 1, default = 1 },
  bias = { type = "boolean", default = true },
  init = initializers.rule,
}

-- Two values are out_channels and kernel_size, three or more begin with in_channels.
local function place(given)
  local inferred = given[3] == nil and given.out_channels == nil and (given[2] == nil or given.kernel_size == nil)
  if inferred then given[1], given[2], given[3] = nil, given[1], given[2] end
  return given
end

local function refuse_groups(self, what, channels)
  options.fail(("%s: groups is %d, which does not divide %d %s channels"):format(self.typename, self.groups, channels,
    what))
end

function Conv2d:init(...)
  local o = options.read(self.typename, place(options.gather(...)), spec)
  self.kernel_size = window.pair(self.typename, "kernel_size", o.kernel_size, 1)
  self.stride = window.pair(self.typename, "stride", o.stride, 1)
  self.padding = window.padding(self.typename, o.padding)
  self.out_channels, self.groups, self.has_bias, self.init_name = o.out_channels, o.groups, o.bias, o.init
  self.initializer = initializers.find(self.typename, o.init)
  self.options = { stride = self.stride, padding = self.padding, groups = self.groups }
  self.built = false
  if self.padding == "same" and (self.stride[1] > 1 or self.stride[2] > 1) then
    options.fail(('%s: padding = "same" needs a stride of 1, got %s'):format(self.typename, window.text(self.stride)))
  end
  if self.out_channels % self.groups ~= 0 then refuse_groups(self, "output", self.out_channels) end
  if o.in_channels then self:create(o.in_channels) end
end

--- Gives the layer its parameters, for inputs of so many channels.
function Conv2d:create(in_channels)
  if in_channels % self.groups ~= 0 then refuse_groups(self, "input", in_channels) end
  self.in_channels = in_channels
  self.weight = Parameter(core.zeros(self.out_channels, in_channels // self.groups, table.unpack(self.kernel_size)))
  if self.has_bias then self.bias = Parameter(core.zeros(self.out_channels)) end
  self.built = true
  self:reset_parameters()
end

--- Takes the input channels from a weight [out, in / groups, kh, kw] that is about to be loaded, if it can be this
--- layer's.
function Conv2d:infer_from_weight(weight)
  local kernel, shape = self.kernel_size, weight.shape
  local fits = #shape == 4 and shape[1] == self.out_channels and shape[3] == kernel[1] and shape[4] == kernel[2]
  if fits then self:create(shape[2] * self.groups) end
end

--- Draws the parameters anew.
function Conv2d:reset_parameters()
  local taps = self.kernel_size[1] * self.kernel_size[2]
  local fan_in, fan_out = self.in_channels // self.groups * taps, self.out_channels * taps
  initializers.fill(self.initializer, self.weight, self.bias, fan_in, fan_out)
end

function Conv2d:settings()
  local parts, extra = { tostring(self.out_channels), window.text(self.kernel_size) }, {}
  if self.in_channels then table.insert(parts, 1, tostring(self.in_channels)) end
  local function add(name, value) extra[#extra + 1] = name .. " = " .. value end
  if window.text(self.stride) ~= "1" then add("stride", window.text(self.stride)) end
  if window.text(self.padding) ~= "0" then add("padding", window.text(self.padding)) end
  if self.groups > 1 then add("groups", self.groups) end
  if not self.has_bias then add("bias", "false") end
  if self.init_name ~= "pytorch" then
    add("init", type(self.init_name) == "string" and '"' .. self.init_name .. '"' or "function")
  end
  if #extra > 0 then parts[#parts + 1] = "{ " .. table.concat(extra, ", ") .. " }" end
  return table.concat(parts, ", ")
end

local function refuse_channels(self, input, channels)
  flow.mismatch(self, input, self.in_channels .. (self.in_channels == 1 and " channel" or " channels"),
    tostring(channels), ("write nn.Conv2d(%d, %s) to infer it"):format(self.out_channels,
      window.text(self.kernel_size)))
end

local function refuse_split(self, input, channels)
  flow.mismatch(self, input, ("a multiple of %d channels, its groups,"):format(self.groups), tostring(channels))
end

-- input is a tensor or a shape, of images of so many channels and of h x w. Returns the output's size.
local function check(self, input, channels, h, w)
  if not channels then window.refuse_rows(self, input) end
  if self.built and self.in_channels ~= channels then refuse_channels(self, input, channels) end
  if channels % self.groups ~= 0 then refuse_split(self, input, channels) end
  local oh, ow = window.output(self, input, h, w)
  if not self.built then self:create(channels) end
  return oh, ow
end

function Conv2d:infer(shape)
  return { self.out_channels, check(self, shape, window.image(shape)) }
end

-- What runs in every step.
local function check_batch(self, x)
  local dims = x:dim()
  check(self, x, dims == 4 and x:size(2) or dims == 3 and 1, x:size(-2), x:size(-1))
end

function Conv2d:forward(x)
  check_batch(self, x)
  return core.conv2d(x, self.weight, self.bias, self.options)
end

--- What nn.Sequential calls in place of this layer and the one after it, or nil where they cannot be computed at once:
--- a function(self, x) with the same result. Whoever has replaced either forward gets them one by one.
function Conv2d:fused_with(following)
  local usual = self.forward == Conv2d.forward and following.forward == activations.ReLU.forward
  return usual and Conv2d.forward_relu or nil
end

function Conv2d:forward_relu(x)
  check_batch(self, x)
  return core.conv2d_relu(x, self.weight, self.bias, self.options)
end

return Conv2d
