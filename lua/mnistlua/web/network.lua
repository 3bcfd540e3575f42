-- A model as the text that network.js computes with: its layers, batch norms folded into them, weights as 16-bit
-- numbers with a scale for each output. Called by the report and `export --html`.
local core = require "mnistlua.core"
local json = require "mnistlua.json"
local layers = require "mnistlua.export.layers"

local m = {}

-- A tensor of weights, whose rows belong to outputs.
local function packed(tensor)
  local values, scales = core.int16_rows(tensor)
  if not values then return nil, scales end
  return { shape = tensor.shape, values = json.plain(values), scales = json.plain(scales) }
end

-- Whatever JSON cannot say of a record, as text that it can.
local function record(layer)
  local r = {}
  for key, value in pairs(layer) do
    if key == "weight" then
      local weight, problem = packed(value)
      if not weight then return nil, ("the weights of layer '%s': %s"):format(layer.name, problem) end
      r.weight = weight
    else
      r[key] = type(value) == "userdata" and json.plain(core.base64(value)) or value
    end
  end
  return r
end

local function count(shape)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  return n
end

-- The value whose JSON network.decode takes, for pictures normalised as `normalise` = { mean, std } says.
local function spec_of(model, shape, normalise)
  local list, problem = layers.of(model, shape)
  if not list then return nil, problem end
  if #list == 0 then return nil, "the model has no layer" end
  local spec = { input = shape, mean = normalise[1], std = normalise[2], layers = {} }
  for i, layer in ipairs(layers.folded(list)) do
    spec.layers[i], problem = record(layer)
    if not spec.layers[i] then return nil, problem end
  end
  return spec
end

-- Whether a drawn digit can be given to a model that takes samples of this shape.
local function takes_pictures(shape)
  local n = #shape
  return count(shape) == 784 and (n == 1 or shape[n - 1] == 28 and shape[n] == 28)
end

local function names_of(classes, class_names)
  local names = {}
  for label = 0, classes - 1 do
    names[label + 1] = class_names and class_names[label + 1] or ("%d"):format(label)
  end
  return names
end

--- The value whose JSON network.decode takes, for a classifier of `data` (a bundle), with the names of the classes and
--- how the data's pictures were straightened ("centre", "deskew" or nothing): a drawing has to be, too. Or nil and why
--- a page cannot compute it, or nothing can be drawn for it.
function m.of_data(model, data)
  local shape = data:sample_shape()
  if not takes_pictures(shape) then
    return nil, ("the network takes samples of %s, not pictures of 28x28"):format(table.concat(shape, "x"))
  end
  local spec, problem = spec_of(model, shape, data.train.normalise)
  if not spec then return nil, problem end
  local out = spec.layers[#spec.layers].output
  if #out ~= 1 or out[1] < 2 then return nil, "the network is no classifier" end
  spec.straightened = data.train.straightened
  spec.names = names_of(out[1], data.class_names)
  return spec
end

return m
