-- A person's picture of a digit, and what a model says it is: prepared as MNIST's pictures are (src/data/prepare.c says
-- how), normalised as the training data was, through the model once. Used by `mnistlua predict` and by the
-- page of `mnistlua serve`. It prints nothing.
local core = require "mnistlua.core"
local flow = require "mnistlua.nn.flow"

local m = {}

local Classifier = {}
Classifier.__index = Classifier

local side = 28

-- Whether samples of this shape are single grey pictures of 28x28, as such or as a row of values.
local function takes_digits(shape)
  local last, before = shape[#shape], shape[#shape - 1]
  if #shape == 1 then return last == side * side end
  return last == side and before == side and (#shape == 2 or shape[1] == 1)
end

--- A classifier by a model with its weights and a description of its data (data/described.lua). nil and why if it is no
--- classifier of grey pictures of 28x28.
function m.new(model, described)
  if not described then return nil, "it was trained on numbers that are no bytes, and a picture is made of bytes" end
  if not takes_digits(described.shape) then
    return nil, ("it takes samples of %s, and a picture is prepared as 28x28 grey pixels"):format(
      flow.shape_text(described.shape))
  end
  local output = model:output_shape(described.shape)
  if #output ~= 1 then
    return nil, ("its output is %s, expected a score for each of %d classes"):format(flow.shape_text(output),
      described.classes)
  end
  model:eval()
  return setmetatable({ model = model, described = described, classes = output[1] }, Classifier)
end

-- A picture as the data set's own were changed: centred or deskewed.
local function straightened(picture, way)
  local one = core.dataset(picture:reshape(1, side, side), core.zeros(1):to "i32", 1)
  return (core.straightened(one, way == "deskew"):get(1))
end

-- The probabilities [classes] of a prepared picture, as a list.
local function probabilities_of(self, picture)
  local d = self.described
  if d.straightened then picture = straightened(picture, d.straightened) end
  if d.paper == "white" then picture = (255 - picture:to "f32"):to "u8" end
  local x = (picture:to "f32" / 255 - d.normalise[1]) / d.normalise[2]
  return self.model(x:reshape(1, table.unpack(d.shape))):softmax(-1):reshape(-1):totable()
end

--- The probabilities of a picture [28, 28] that is prepared, 0 paper to 255 ink, as a list: the first for class 0.
function Classifier:probabilities(picture)
  local recording, p = core.recording(false), nil
  core.scope(function() p = probabilities_of(self, picture) end)
  core.recording(recording)
  return p
end

--- What a picture [height, width] of grey bytes is: { picture = the 28x28 that the model saw, probabilities = a list,
--- the first for class 0, ranking = the classes (from 0) from the most probable on, names = of the classes, or nil }.
--- nil and why if there is no digit in it.
function Classifier:classify(grey)
  local picture, problem = core.prepare_digit(grey)
  if not picture then return nil, problem end
  local p, ranking = self:probabilities(picture), {}
  for i = 1, #p do ranking[i] = i - 1 end
  table.sort(ranking, function(a, b) return p[a + 1] > p[b + 1] or p[a + 1] == p[b + 1] and a < b end)
  return { picture = picture, probabilities = p, ranking = ranking, names = self.described.class_names }
end

return m
