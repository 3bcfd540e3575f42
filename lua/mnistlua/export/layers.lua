-- A model as a plain list of layers: what the writers of other formats (ONNX, C, a web page) need of it, and nothing of
-- its classes. Called by the exports and the report. It reads parameters, computes nothing on data and changes nothing.
--
-- A record has kind, name (of the module, as in the state dict: "3", "body.0") and the shapes of one sample, input and
-- output. Weights are tensors, f32:
--   linear       weight [out, in], bias [out] or nil
--   conv2d       weight [out, in / groups, kh, kw], bias or nil, stride { h, w }, padding { top, left, bottom, right },
--                groups
--   scale        scale [c], shift [c]: x * scale + shift for each channel (a batch norm in evaluation)
--   max_pool2d, avg_pool2d    size, stride { h, w }, padding; avg_pool2d also count_include_pad
--   global_avg_pool           the mean of each channel
--   prelu        slope [1] or [c]
--   leaky_relu { slope }, elu { alpha }, relu, gelu (exact), silu, sigmoid, tanh, softmax, log_softmax (of the last
--   dimension), flatten, reshape
-- Images that enter a convolution or pooling are always channels x height x width.
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"

local m = {}

local function size(shape)
  local n = 1
  for _, each in ipairs(shape) do n = n * each end
  return n
end

local function copy(list) return table.move(list, 1, #list, 1, {}) end

-- ---- the list ----

-- What the exporters below add to: the records, the shape that came out of the last, the module's name.
local List = {}
List.__index = List

function List:add(kind, output, record)
  record.kind, record.name, record.input, record.output = kind, self.name, self.shape, copy(output)
  self.shape = record.output
  self[#self + 1] = record
end

function List:reshape(shape)
  if table.concat(shape, "x") ~= table.concat(self.shape, "x") then
    self:add(#shape == 1 and "flatten" or "reshape", shape, {})
  end
end

-- h x w counts as one channel.
function List:as_image()
  if #self.shape == 2 then self:reshape { 1, self.shape[1], self.shape[2] } end
end

-- ---- a function for each class: its records, or why there are none ----

local exporters = {}

local function nothing() end

for _, name in ipairs { "Identity", "Dropout", "Dropout2d", "GaussianNoise" } do exporters[nn[name]] = nothing end

for name, kind in pairs { ReLU = "relu", GELU = "gelu", SiLU = "silu", Sigmoid = "sigmoid", Tanh = "tanh" } do
  exporters[nn[name]] = function(list) list:add(kind, list.shape, {}) end
end

for name, kind in pairs { Softmax = "softmax", LogSoftmax = "log_softmax" } do
  exporters[nn[name]] = function(list, layer)
    if layer.dim ~= -1 and layer.dim ~= #list.shape + 1 then return "its dim is not the last one" end
    list:add(kind, list.shape, {})
  end
end

exporters[nn.LeakyReLU] = function(list, layer) list:add("leaky_relu", list.shape, { slope = layer.negative_slope }) end

exporters[nn.ELU] = function(list, layer) list:add("elu", list.shape, { alpha = layer.alpha }) end

exporters[nn.PReLU] = function(list, layer) list:add("prelu", list.shape, { slope = layer.weight:detach() }) end

exporters[nn.Flatten] = function(list) list:reshape { size(list.shape) } end

exporters[nn.Reshape] = function(list, layer) list:reshape(layer:infer(list.shape)) end

exporters[nn.Linear] = function(list, layer)
  if #list.shape ~= 1 then return "its input is not a row of features" end
  local bias = layer.bias and layer.bias:detach()
  list:add("linear", { layer.out_features }, { weight = layer.weight:detach(), bias = bias })
end

-- "same" puts the smaller half of an odd padding on top and on the left, as PyTorch does.
local function paddings(layer)
  local p = layer.padding
  if p ~= "same" then return { p[1], p[2], p[1], p[2] } end
  local h, w = layer.kernel_size[1] - 1, layer.kernel_size[2] - 1
  return { h // 2, w // 2, h - h // 2, w - w // 2 }
end

exporters[nn.Conv2d] = function(list, layer)
  list:as_image()
  list:add("conv2d", layer:infer(list.shape), {
    weight = layer.weight:detach(), bias = layer.bias and layer.bias:detach(),
    stride = copy(layer.stride), padding = paddings(layer), groups = layer.groups,
  })
end

-- Pooling layers return h x w for h x w.
local function pooled(list, layer, kind, record)
  local shape = layer:infer(list.shape)
  local plain = #shape == 2
  list:as_image()
  list:add(kind, plain and { 1, shape[1], shape[2] } or shape, record)
  if plain then list:reshape(shape) end
end

for name, kind in pairs { MaxPool2d = "max_pool2d", AvgPool2d = "avg_pool2d" } do
  exporters[nn[name]] = function(list, layer)
    pooled(list, layer, kind, {
      size = copy(layer.kernel_size), stride = copy(layer.stride), padding = paddings(layer),
      count_include_pad = layer.options.count_include_pad,
    })
  end
end

exporters[nn.AdaptiveAvgPool2d] = function(list, layer)
  local shape, out = list.shape, layer.output_size
  local h, w = shape[#shape - 1], shape[#shape]
  if out[1] == 1 and out[2] == 1 then return pooled(list, layer, "global_avg_pool", {}) end
  if h % out[1] ~= 0 or w % out[2] ~= 0 then return "its bins are not all of one size" end
  local bin = { h // out[1], w // out[2] }
  pooled(list, layer, "avg_pool2d", {
    size = bin, stride = copy(bin), padding = { 0, 0, 0, 0 }, count_include_pad = true,
  })
end

local function batch_norm(list, layer)
  if not layer.track_running_stats then return "it has no running statistics" end
  local scale = (layer.running_var + layer.eps):sqrt():pow(-1)
  if layer.affine then scale = scale * layer.weight end
  local shift = -(layer.running_mean * scale)
  if layer.affine then shift = shift + layer.bias end
  list:add("scale", list.shape, { scale = scale:clone(), shift = shift:clone() })
end
exporters[nn.BatchNorm1d], exporters[nn.BatchNorm2d] = batch_norm, batch_norm

-- ---- walking the model ----

local function unknown(name, module, why)
  return ("%s (layer '%s') cannot be exported%s; expected a chain of %s"):format(module.typename, name,
    why and ": " .. why or "", "Linear, Conv2d, pooling, batch norm, activations, Flatten and Reshape")
end

-- A class of a script's own, or one whose forward was replaced, is not known by what it extends.
local function visit(list, name, module)
  local class = getmetatable(module).class
  if module.forward == nn.Sequential.forward then
    local children, names = module:children()
    for i, child in ipairs(children) do
      local why = visit(list, name == "" and names[i] or name .. "." .. names[i], child)
      if why then return why end
    end
    return nil
  end
  local exporter = exporters[class]
  if not exporter or module.forward ~= class.forward then return unknown(name, module) end
  list.name = name
  local why = exporter(list, module)
  return why and unknown(name, module, why)
end

--- The records of `model` for samples of this shape, or nil and the reason why there are none. The weights are the
--- model's own storage: training on changes them.
function m.of(model, shape)
  local list = setmetatable({ shape = copy(shape), name = "" }, List)
  local recording = core.recording(false)
  local why = visit(list, "", model)
  core.recording(recording)
  if why then return nil, why end
  setmetatable(list, nil)
  list.shape, list.name = nil, nil
  return list
end

local weights = { "weight", "bias", "scale", "shift", "slope" }

--- The same list with weights of its own.
function m.copied(list)
  local out = {}
  for i, layer in ipairs(list) do
    out[i] = {}
    for key, value in pairs(layer) do out[i][key] = value end
    for _, key in ipairs(weights) do
      if type(layer[key]) == "userdata" then out[i][key] = layer[key]:clone() end
    end
  end
  return out
end

-- ---- fewer layers ----

-- The layer before a scale, its weights multiplied: W x + b becomes (s W) x + (s b + t).
local function absorb(before, scale)
  local shape = { -1 }
  for i = 2, #before.weight.shape do shape[i] = 1 end
  local folded = {}
  for key, value in pairs(before) do folded[key] = value end
  folded.weight = (before.weight * scale.scale:reshape(table.unpack(shape))):clone()
  folded.bias = (before.bias and before.bias * scale.scale + scale.shift or scale.shift):clone()
  return folded
end

--- A new list in which every scale that follows a linear or conv2d of its shape is part of it. The results differ in
--- the last bits.
function m.folded(list)
  local out = {}
  local recording = core.recording(false)
  for _, layer in ipairs(list) do
    local before = out[#out]
    if layer.kind == "scale" and before and before.weight then
      out[#out] = absorb(before, layer)
    else
      out[#out + 1] = layer
    end
  end
  core.recording(recording)
  return out
end

return m
