-- Which other pictures are near one: by their pixels, and by what a model's last hidden layer makes of them; among the
-- training pictures, and among the mistakes. Called by `mnistlua explain`.
local core = require "mnistlua.core"
local trace = require "mnistlua.explain.trace"

local m = {}

local batch = 500

-- ---- passes over a data set ----

local function shaped(x, shape)
  return x:reshape(x:size(1), table.unpack(shape))
end

-- Calls visit(first, x, y) for every batch, without recording; what is computed in it is let go.
local function each_batch(dataset, shape, visit)
  local recording, first = core.recording(false), 1
  local loader = dataset:loader { batch = batch }
  loader:start(1, 1)
  for x, y in loader.next, loader do
    core.scope(visit, first, shaped(x, shape), y)
    first = first + y:size(1)
  end
  core.recording(recording)
end

-- Distances of the rows of a batch from q [1, d], as a list.
local function distances(x, q)
  local difference = x:reshape(x:size(1), -1) - q
  return (difference * difference):sum(2):sqrt():totable()
end

-- ---- the nearest few ----

-- A list of at most `count` entries in the order of their distances, of which `add` keeps the nearest.
local Nearest = {}
Nearest.__index = Nearest

function Nearest:add(entry)
  local at = #self + 1
  while at > 1 and entry.distance < self[at - 1].distance do at = at - 1 end
  if at <= self.count then
    table.insert(self, at, entry)
    self[self.count + 1] = nil
  end
end

local function nearest(count) return setmetatable({ count = count }, Nearest) end

local function plain(list)
  list.count = nil
  return setmetatable(list, nil)
end

-- ---- what is asked ----

local function row(x) return x:reshape(1, -1):clone() end

--- The pictures of `dataset` nearest to x (a batch of one, as the model takes it): { pixels, features }, lists of
--- { index, label, distance } of `count` entries. Pixels count as 0 to 1. skip: the picture's own number, or nil.
function m.nearest(steps, dataset, shape, x, count, skip)
  local hidden = trace.last_trained(steps)
  local pixels, features, std = nearest(count), nearest(count), dataset.normalise[2]
  local recording = core.recording(false)
  local qx, qf = row(x), hidden and row(trace.features(steps, hidden - 1, x))
  core.recording(recording)
  each_batch(dataset, shape, function(first, batch_x, y)
    local by_pixels, labels = distances(batch_x, qx), y:totable()
    local by_features = qf and distances(trace.features(steps, hidden - 1, batch_x), qf)
    for i, label in ipairs(labels) do
      local index = first + i - 1
      if index ~= skip then
        pixels:add { index = index, label = label, distance = by_pixels[i] * std }
        if by_features then features:add { index = index, label = label, distance = by_features[i] } end
      end
    end
  end)
  return { pixels = plain(pixels), features = plain(features) }
end

--- The mistakes on `dataset` that are most like x to the model: a list of { index, label, predicted, distance } of at
--- most `count`, by the distance of the last hidden layer's values; and how many mistakes there are.
function m.mistakes(steps, dataset, shape, x, count, skip)
  local hidden = trace.last_trained(steps) or #steps + 1
  local list, total = nearest(count), 0
  local recording = core.recording(false)
  local q = row(trace.features(steps, hidden - 1, x))
  core.recording(recording)
  each_batch(dataset, shape, function(first, batch_x, y)
    local h = trace.features(steps, hidden - 1, batch_x)
    local away, labels, output = distances(h, q), y:totable(), h
    for i = hidden, #steps do output = steps[i].module(output) end
    for i, predicted in ipairs(output:argmax(2):totable()) do
      if predicted ~= labels[i] then
        total = total + 1
        local entry = { index = first + i - 1, label = labels[i], predicted = predicted, distance = away[i] }
        if entry.index ~= skip then list:add(entry) end
      end
    end
  end)
  return plain(list), total
end

--- The number of the picture of `dataset` on which the loss of its label, by softmax, is greatest.
function m.worst(model, dataset, shape)
  local worst, at = -math.huge, 1
  each_batch(dataset, shape, function(first, x, y)
    local lost = model(x):log_softmax(-1):totable()
    for i, label in ipairs(y:totable()) do
      local loss = -lost[i][label + 1]
      if loss > worst then worst, at = loss, first + i - 1 end
    end
  end)
  return at
end

return m
