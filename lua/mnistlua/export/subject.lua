-- A trained model as the writers of this folder take it: plain layers, what its data was, and pictures with the
-- probabilities that mnistlua gives them. Called by `mnistlua export`; it writes nothing.
local core = require "mnistlua.core"
local json = require "mnistlua.json"
local layers = require "mnistlua.export.layers"
local numbers = require "mnistlua.export.numbers"
local predictor = require "mnistlua.predictor"

local m = {}

local vectors = 10   -- pictures of a self-test

-- ---- pictures ----

-- Drawn digits, one of each label, for samples of as many pixels; otherwise a pattern.
local function drawn(shape)
  local digits, chosen = core.make_digits(100, 1), {}
  for i = 1, 100 do
    local image, label = digits:get(i)
    chosen[label + 1] = chosen[label + 1] or image
  end
  local values = {}
  for label = 1, vectors do table.move(numbers.list(chosen[label]), 1, 784, #values + 1, values) end
  return core.tensor(values, "u8"):reshape(vectors, table.unpack(shape))
end

local function pattern(shape)
  local values = {}
  for i = 0, vectors * numbers.count(shape) - 1 do values[i + 1] = i * i // 7 * 37 % 256 end
  return core.tensor(values, "u8"):reshape(vectors, table.unpack(shape))
end

local function make_vectors(model, shape, normalise)
  local pixels = numbers.count(shape) == 784 and drawn(shape) or pattern(shape)
  local before = core.precision "f32"
  local probabilities = predictor.new(model, { shape = shape, normalise = normalise }):probabilities(pixels):clone()
  core.precision(before)
  return { pixels = pixels, probabilities = probabilities }
end

-- ---- layers ----

local roles = { "weight", "bias", "scale", "shift", "slope" }

local function check_finite(list)
  for _, layer in ipairs(list) do
    for _, role in ipairs(roles) do
      if type(layer[role]) == "userdata" and not layer[role]:isfinite() then
        return nil, ("layer '%s': its %s holds NaN or infinity"):format(core.escape(layer.name), role)
      end
    end
  end
  return list
end

--- The layers of a model, batch norms folded, or nil and why there are none.
function m.layers(model, shape)
  local list, problem = layers.of(model, shape)
  if not list then return nil, problem end
  if #list == 0 then return nil, "the model has no layers that compute anything" end
  return check_finite(layers.folded(list))
end

-- ---- the whole ----

-- What an ONNX file's metadata says of the model.
local function properties(name, class_names)
  local list = {
    { "experiment", name }, { "pixels", "0 to 1: a pixel's byte / 255, row by row" },
  }
  if class_names then list[3] = { "class_names", json.encode(class_names) } end
  return list
end

-- Text that is UTF-8, whatever a config calls its experiment.
local function utf8_text(text) return utf8.len(text) and text or (text:gsub("[\x80-\xff]", "?")) end

--- What c.lua and onnx.lua are given. given: name, shape (of a sample), normalise { mean, std }, class_names or nil.
--- Returns nil and a message for a model that is no chain of layers.
function m.of(model, given)
  model:build(given.shape):eval()
  local list, problem = m.layers(model, given.shape)
  if not list then return nil, problem end
  local name = utf8_text(given.name)
  return {
    name = name, shape = given.shape, normalise = given.normalise, layers = list, class_names = given.class_names,
    parameters = model:num_parameters(), vectors = make_vectors(model, given.shape, given.normalise),
    properties = properties(name, given.class_names),
  }
end

return m
