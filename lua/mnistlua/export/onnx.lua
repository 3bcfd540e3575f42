-- A list of layers (layers.lua) as an ONNX model: opset 13, ir_version 7. Called by `mnistlua export --onnx`. The graph
-- takes "pixels", f32 [N, ...] from 0 to 1 (a pixel's byte / 255), normalises them itself, and gives "logits" and
-- "probabilities", f32 [N, classes]. Weights are initializers, named as in the state dict.
local core = require "mnistlua.core"
local numbers = require "mnistlua.export.numbers"
local pb = require "mnistlua.export.protobuf"

local m = {}

-- ---- messages of onnx.proto; the numbers are its fields' ----

local element = { float = 1, int64 = 7 }                 -- TensorProto.DataType
local attribute_type = { float = 1, int = 2, ints = 7 }  -- AttributeProto.AttributeType

local function tensor(name, shape, kind, bytes)
  return pb.ints(1, shape) .. pb.int(2, element[kind]) .. pb.bytes(8, name) .. pb.bytes(9, bytes)
end

-- A value of the graph with N samples.
local function value(name, shape)
  local dims = { pb.bytes(1, pb.bytes(2, "N")) }
  for i, size in ipairs(shape) do dims[i + 1] = pb.bytes(1, pb.int(1, size)) end
  local of_tensor = pb.int(1, element.float) .. pb.bytes(2, table.concat(dims))
  return pb.bytes(1, name) .. pb.bytes(2, pb.bytes(1, of_tensor))
end

local function attribute(name, given)
  local kind = type(given) == "table" and "ints" or math.type(given) == "float" and "float" or "int"
  local content = kind == "ints" and pb.ints(8, given) or kind == "float" and pb.float(2, given) or pb.int(3, given)
  return pb.bytes(1, name) .. content .. pb.int(20, attribute_type[kind])
end

-- ---- a graph being put together ----

-- Fields: nodes, initializers (lists of bytes), used (names of values that are taken), last (the value that the next
-- layer takes).
local Graph = {}
Graph.__index = Graph

-- "3.1.weight"; a model that is a single layer has no name.
local function inside(layer, what) return layer.name == "" and what or layer.name .. "." .. what end

-- The name with a number behind it, if it is taken.
function Graph:unused(name)
  local unused, n = name, 1
  while self.used[unused] do unused, n = name .. "_" .. n, n + 1 end
  self.used[unused] = true
  return unused
end

--- Adds a node of a layer and returns its output's name, which is that of the node too. attributes: a list of
--- { name, value }.
function Graph:node(op, inputs, layer, attributes, output)
  output = self:unused(output or inside(layer, op:lower()))
  local parts = {}
  for _, input in ipairs(inputs) do parts[#parts + 1] = pb.bytes(1, input) end
  parts[#parts + 1] = pb.bytes(2, output) .. pb.bytes(3, output) .. pb.bytes(4, op)
  for _, each in ipairs(attributes or {}) do parts[#parts + 1] = pb.bytes(5, attribute(each[1], each[2])) end
  self.nodes[#self.nodes + 1] = table.concat(parts)
  return output
end

function Graph:initializer(name, shape, kind, bytes)
  name = self:unused(name)
  self.initializers[#self.initializers + 1] = tensor(name, shape, kind, bytes)
  return name
end

-- A tensor of the model, in its own or another shape.
function Graph:weight(name, weight, shape)
  return self:initializer(name, shape or weight.shape, "float", numbers.f32(numbers.list(weight)))
end

function Graph:constant(name, x) return self:initializer(name, {}, "float", numbers.f32 { x }) end

-- The channels' values in a shape that spreads over a channel's rows and columns.
local function spread(layer, n)
  local shape = { n }
  for i = 2, #layer.input do shape[i] = 1 end
  return shape
end

-- ---- a function for each kind of layer: adds its nodes, returns the value that comes out ----

local kinds = {}

local function inputs_of(g, layer, x)
  local inputs = { x, g:weight(inside(layer, "weight"), layer.weight) }
  if layer.bias then inputs[3] = g:weight(inside(layer, "bias"), layer.bias) end
  return inputs
end

function kinds.linear(g, layer, x)
  return g:node("Gemm", inputs_of(g, layer, x), layer, { { "transB", 1 } })
end

function kinds.conv2d(g, layer, x)
  local shape = layer.weight.shape
  return g:node("Conv", inputs_of(g, layer, x), layer, {
    { "group", layer.groups }, { "kernel_shape", { shape[3], shape[4] } }, { "pads", layer.padding },
    { "strides", layer.stride },
  })
end

local function window(layer)
  return { { "kernel_shape", layer.size }, { "pads", layer.padding }, { "strides", layer.stride } }
end

function kinds.max_pool2d(g, layer, x) return g:node("MaxPool", { x }, layer, window(layer)) end

function kinds.avg_pool2d(g, layer, x)
  local attributes = window(layer)
  attributes[#attributes + 1] = { "count_include_pad", layer.count_include_pad and 1 or 0 }
  return g:node("AveragePool", { x }, layer, attributes)
end

function kinds.global_avg_pool(g, layer, x) return g:node("GlobalAveragePool", { x }, layer) end

function kinds.scale(g, layer, x)
  local shape = spread(layer, layer.input[1])
  local scaled = g:node("Mul", { x, g:weight(inside(layer, "scale"), layer.scale, shape) }, layer)
  return g:node("Add", { scaled, g:weight(inside(layer, "shift"), layer.shift, shape) }, layer)
end

function kinds.prelu(g, layer, x)
  local slope = g:weight(inside(layer, "weight"), layer.slope, spread(layer, layer.slope:numel()))
  return g:node("PRelu", { x, slope }, layer)
end

function kinds.leaky_relu(g, layer, x) return g:node("LeakyRelu", { x }, layer, { { "alpha", layer.slope + 0.0 } }) end

function kinds.elu(g, layer, x) return g:node("Elu", { x }, layer, { { "alpha", layer.alpha + 0.0 } }) end

-- x / 2 (1 + erf(x / sqrt(2)))
function kinds.gelu(g, layer, x)
  local root_half = g:constant(inside(layer, "root_half"), math.sqrt(0.5))
  local bent = g:node("Erf", { g:node("Mul", { x, root_half }, layer) }, layer)
  local gate = g:node("Add", { bent, g:constant(inside(layer, "one"), 1) }, layer)
  return g:node("Mul", { g:node("Mul", { x, g:constant(inside(layer, "half"), 0.5) }, layer), gate }, layer)
end

function kinds.silu(g, layer, x) return g:node("Mul", { x, g:node("Sigmoid", { x }, layer) }, layer) end

for kind, op in pairs { relu = "Relu", sigmoid = "Sigmoid", tanh = "Tanh" } do
  kinds[kind] = function(g, layer, x) return g:node(op, { x }, layer) end
end

for kind, op in pairs { softmax = "Softmax", log_softmax = "LogSoftmax" } do
  kinds[kind] = function(g, layer, x) return g:node(op, { x }, layer, { { "axis", -1 } }) end
end

function kinds.flatten(g, layer, x) return g:node("Flatten", { x }, layer, { { "axis", 1 } }) end

-- 0 stands for the size that there is: N.
function kinds.reshape(g, layer, x)
  local shape = table.move(layer.output, 1, #layer.output, 2, { 0 })
  local to = g:initializer(inside(layer, "shape"), { #shape }, "int64", numbers.i64(shape))
  return g:node("Reshape", { x, to }, layer)
end

-- ---- the whole ----

local ends = { softmax = true, log_softmax = true }

-- The output is given as logits and as probabilities, whichever of them the last layer computes. `values` are what the
-- layers compute, from 0.
local function add_outputs(g, list, values)
  local last = list[#list].kind
  local logits, output = values[ends[last] and #list - 1 or #list], {}
  g:node("Identity", { logits }, output, nil, "logits")
  if last == "softmax" then g:node("Identity", { values[#list] }, output, nil, "probabilities")
  else g:node("Softmax", { logits }, output, { { "axis", -1 } }, "probabilities") end
end

local function add_layers(g, subject)
  local input = { name = "pixels" }
  local x = g:node("Sub", { "pixels", g:constant("mean", subject.normalise[1]) }, input)
  local values = { [0] = g:node("Div", { x, g:constant("std", subject.normalise[2]) }, input) }
  for i, layer in ipairs(subject.layers) do
    local add = kinds[layer.kind]
    if not add then return nil, ("%s (layer '%s') cannot be written as ONNX"):format(layer.kind, layer.name) end
    values[i] = add(g, layer, values[i - 1])
  end
  add_outputs(g, subject.layers, values)
  return true
end

local function repeated(field, list)
  local parts = {}
  for i, bytes in ipairs(list) do parts[i] = pb.bytes(field, bytes) end
  return table.concat(parts)
end

local function graph_bytes(g, subject)
  local classes = subject.layers[#subject.layers].output
  return repeated(1, g.nodes) .. pb.bytes(2, subject.name) .. repeated(5, g.initializers)
    .. pb.bytes(11, value("pixels", subject.shape))
    .. pb.bytes(12, value("logits", classes)) .. pb.bytes(12, value("probabilities", classes))
end

local function properties(subject)
  local parts = {}
  for _, pair in ipairs(subject.properties or {}) do
    parts[#parts + 1] = pb.bytes(14, pb.bytes(1, pair[1]) .. pb.bytes(2, pair[2]))
  end
  return table.concat(parts)
end

--- The bytes of the model file, or nil and why there is none. subject: name, shape (of a sample), normalise
--- { mean, std }, layers (plain records), properties (a list of { key, text } for the file's metadata).
function m.bytes(subject)
  local g = setmetatable({ nodes = {}, initializers = {}, used = { pixels = true } }, Graph)
  local ok, problem = add_layers(g, subject)
  if not ok then return nil, problem end
  return pb.int(1, 7) .. pb.bytes(2, "mnistlua") .. pb.bytes(3, core.version) .. pb.bytes(7, graph_bytes(g, subject))
    .. pb.bytes(8, pb.bytes(1, "") .. pb.int(2, 13)) .. properties(subject)
end

return m
