-- ml.predictor: a trained model as a function of pixels. What evaluation does in steps (bytes to 0..1, normalisation,
-- batch norm) is multiplied into the weights once, so that black pixels are zeros, which cost nothing, and a picture
-- goes through as few layers as there can be. Used by everything that classifies single pictures.
local core = require "mnistlua.core"
local flow = require "mnistlua.nn.flow"
local layers = require "mnistlua.export.layers"
local options = require "mnistlua.options"

local Predictor = {}
Predictor.__index = Predictor
Predictor.__name = "Predictor"

-- ---- the normalisation as part of the first layer ----

-- W ((x - mean) / std) + b = (W / std) x + (b - mean / std sum(W)). A convolution whose padding stands for black after
-- the normalisation cannot do this, unless it only scales.
local function absorb_normalisation(list, mean, std)
  for i, layer in ipairs(list) do
    local padded = layer.padding and math.max(table.unpack(layer.padding)) > 0 and mean ~= 0
    if layer.weight and not padded then
      local sums = layer.weight:reshape(layer.weight:size(1), -1):sum(2) * (mean / std)
      local folded = {}
      for key, value in pairs(layer) do folded[key] = value end
      folded.weight = (layer.weight / std):clone()
      folded.bias = (layer.bias and layer.bias - sums or -sums):clone()
      list[i] = folded
      return true
    elseif layer.kind ~= "flatten" and layer.kind ~= "reshape" then
      return false
    end
  end
end

-- ---- layers as functions ----

local function conv_options(layer)
  local p = layer.padding
  local even = p[1] == p[3] and p[2] == p[4]
  return { stride = layer.stride, groups = layer.groups, padding = even and { p[1], p[2] } or "same" }
end

local function pool_options(layer)
  return { stride = layer.stride, padding = { layer.padding[1], layer.padding[2] },
    count_include_pad = layer.count_include_pad }
end

local function reshaped(layer)
  local shape = layer.output
  return function(x) return x:reshape(x:size(1), table.unpack(shape)) end
end

-- A function of x for a record; `relu`: a ReLU follows and is to be part of it.
local makers = { flatten = reshaped, reshape = reshaped }

function makers.linear(layer, relu)
  local f, w, b = relu and core.linear_relu or core.linear, layer.weight, layer.bias
  return function(x) return f(x, w, b) end
end

function makers.conv2d(layer, relu)
  local f, w, b, o = relu and core.conv2d_relu or core.conv2d, layer.weight, layer.bias, conv_options(layer)
  return function(x) return f(x, w, b, o) end
end

function makers.scale(layer)
  local shape = { 1, layer.input[1] }
  for i = 2, #layer.input do shape[i + 1] = 1 end
  local scale, shift = layer.scale:reshape(table.unpack(shape)), layer.shift:reshape(table.unpack(shape))
  return function(x) return x * scale + shift end
end

function makers.max_pool2d(layer)
  local o = pool_options(layer)
  o.count_include_pad = nil
  return function(x) return core.max_pool2d(x, layer.size, o) end
end

function makers.avg_pool2d(layer)
  local o = pool_options(layer)
  return function(x) return core.avg_pool2d(x, layer.size, o) end
end

function makers.global_avg_pool() return function(x) return core.adaptive_avg_pool2d(x, { 1, 1 }) end end

function makers.prelu(layer) return function(x) return core.prelu(x, layer.slope) end end

function makers.leaky_relu(layer) return function(x) return x:leaky_relu(layer.slope) end end

function makers.elu(layer) return function(x) return x:elu(layer.alpha) end end

function makers.softmax() return function(x) return x:softmax(-1) end end

function makers.log_softmax() return function(x) return x:log_softmax(-1) end end

local function maker_of(layer)
  return makers[layer.kind] or function() return function(x) return x[layer.kind](x) end end
end

-- The records from the first-th on.
local function functions_of(list, first)
  local functions, i = {}, first
  while list[i] do
    local layer, following = list[i], list[i + 1]
    local relu = layer.weight and following and following.kind == "relu"
    functions[#functions + 1] = maker_of(layer)(layer, relu)
    i = i + (relu and 2 or 1)
  end
  return functions
end

-- ---- making one ----

local white = 255    -- the functions below take pixels as bytes are, 0 to 255

-- The functions one after the other, the last of which gives probabilities, and the shape of a sample that they begin
-- with, if it is not the model's: a first layer that only changes the shape is left to the caller, who gives pixels a
-- shape anyway. nil where the normalisation cannot be absorbed.
local function chain(list, normalise)
  if not absorb_normalisation(list, normalise[1] * white, normalise[2] * white) then return nil end
  local taken = makers[list[1].kind] == reshaped and list[1].output
  local functions, last = functions_of(list, taken and 2 or 1), list[#list].kind
  if last == "log_softmax" then functions[#functions + 1] = function(x) return x:exp() end
  elseif last ~= "softmax" then functions[#functions + 1] = function(x) return x:softmax(-1) end end
  return function(x)
    for _, f in ipairs(functions) do x = f(x) end
    return x
  end, taken or nil
end

-- What evaluation does, for other models.
local function as_evaluated(model, normalise)
  local scale, shift = 1 / (white * normalise[2]), -normalise[1] / normalise[2]
  return function(x) return model(x * scale + shift):softmax(-1) end
end

local spec = {
  shape = { type = "table", required = true },
  normalise = { type = "table" },
}

--- A predictor of `model`, a classifier: ml.predictor(model, { shape = { 28, 28 }, normalise = { mean, std } }). shape
--- is a sample's, which the model is built for; normalise is what its training data had (data.normalise), for pixels as
--- x / 255. Make it after training: later changes of the model do not reach it, unless the model is no plain chain of
--- layers (then the predictor calls it). The model is put into evaluation.
function Predictor.new(model, given)
  if options.kind(model) ~= "module" then
    options.fail(options.class_hint(model) or "ml.predictor: expected a model, got " .. options.show(model))
  end
  local o = options.read("ml.predictor", given or {}, spec)
  local normalise = o.normalise or { 0, 1 }
  model:build(o.shape):eval()
  local list = layers.of(model, o.shape)
  local recording = core.recording(false)
  local compute, taken
  if list then compute, taken = chain(layers.folded(layers.copied(list)), normalise) end
  core.recording(recording)
  return setmetatable({ compute = compute or as_evaluated(model, normalise), taken = taken,
    shape = table.move(o.shape, 1, #o.shape, 1, {}) }, Predictor)
end

-- ---- using it ----

-- How many pictures these are, and whether they have a dimension that counts them.
local function count_of(self, pixels)
  local count, several = core.samples(pixels, self.shape)
  if count then return count, several end
  options.fail(("ml.predictor: expected pixels of %s, or several of them, got %s"):format(
    table.concat(self.shape, "x"),
    options.kind(pixels) == "tensor" and flow.shape_text(pixels.shape) or options.show(pixels)))
end

local function compute(self, pixels, count, several)
  local x = pixels.dtype == "u8" and pixels:to "f32" or pixels * white
  if self.taken or not several then x = x:reshape(count, table.unpack(self.taken or self.shape)) end
  return self.compute(x)
end

--- The probabilities [n, classes], f32, of pictures [n, ...] or of one: u8, 0 to 255, or f32, 0 to 1. What it returns
--- can be read like any value that an operation computed.
function Predictor:probabilities(pixels)
  local count, several = count_of(self, pixels)
  local recording = core.recording(false)
  local ok, result = xpcall(compute, options.located, self, pixels, count, several)
  core.recording(recording)
  if not ok then error(result, 0) end
  return result
end

return Predictor
