-- What a report says of a classifier's outputs on a data set: the confusion matrix, a table of the classes, the worst
-- mistakes with their pictures. Called by init.lua. It computes no network: outputs come from the run's own last
-- evaluation, or from answers() below.
local core = require "mnistlua.core"
local json = require "mnistlua.json"
local measure = require "mnistlua.inspect.measure"

local m = {}

local most_classes = 256    -- whose outputs are kept
local most_mistakes = 48     -- that are shown

-- ---- outputs ----

--- Adds { output, y }, a batch of an evaluation, to a list; nothing where they are not a classifier's.
function m.keep(list, output, y)
  if type(output) ~= "userdata" or y.dtype == "f32" or output:dim() ~= 2 then return end
  if output.shape[2] > most_classes then return end
  list[#list + 1] = { output:clone(), y:clone() }
end

local function shaped(x, shape)
  if x:dim() == #shape + 1 then return x end
  return x:reshape(table.move(shape, 1, #shape, 2, { #x }))
end

--- The same list for a model, in evaluation, over a data set.
function m.answers(model, dataset, shape, batch)
  local loader, list = dataset:loader { batch = batch }, {}
  local recording = core.recording(false)
  model:eval()
  loader:start(1, 1)
  for x, y in loader.next, loader do
    core.scope(function() m.keep(list, model(shaped(x, shape)), y) end)
  end
  core.recording(recording)
  return list
end

-- ---- counting ----

local function zeros(n)
  local rows = {}
  for i = 1, n do
    rows[i] = {}
    for j = 1, n do rows[i][j] = 0 end
  end
  return rows
end

-- Counts a batch; returns its mistakes, as { index, truth, prediction, row } with the row in the batch.
local function count(confusion, mistakes, first, output, y)
  local predicted, truth = output:argmax(2):totable(), y:totable()
  for i, label in ipairs(truth) do
    local row, guess = confusion[label + 1], predicted[i]
    row[guess + 1] = row[guess + 1] + 1
    if guess ~= label then
      mistakes[#mistakes + 1] = { index = first + i, truth = label, guess = guess, output = output, row = i }
    end
  end
end

-- The probabilities of the mistakes of a batch.
local function weigh(mistakes, from)
  if from > #mistakes then return end
  local shares = core.scope(function() return mistakes[from].output:softmax(2):totable() end)
  for i = from, #mistakes do
    local mistake = mistakes[i]
    mistake.shares, mistake.output = shares[mistake.row], nil
    mistake.share = mistake.shares[mistake.truth + 1]
  end
end

-- Those whose truth was thought least likely come first.
local function worst_first(a, b)
  if a.share ~= b.share then return a.share < b.share end
  return a.index < b.index
end

-- ---- pictures ----

-- How many rows and columns the samples have as pictures, and in how many planes; nil if they are none.
local function picture_size(shape)
  local n = #shape
  if n == 1 and shape[1] == 784 then return 28, 28, 1 end
  if n == 2 then return shape[1], shape[2], 1 end
  if n == 3 and (shape[1] == 1 or shape[1] == 3) then return shape[2], shape[3], shape[1] end
end

-- A sample as bytes of ink, one plane: the mean of the planes, floats stretched from their least to their greatest.
local function bytes_of(image, planes)
  local recording = core.recording(false)
  local grey = core.scope(function()
    local x = planes > 1 and image:to "f32":mean(1) or image
    if x.dtype == "u8" then return x:clone() end
    x = x:to "f32"
    local low, high = x:min():item(), x:max():item()
    return ((x - low) * (high > low and 255 / (high - low) or 0) + 0.5):to "u8":clone()
  end)
  core.recording(recording)
  return grey
end

local function pictures(mistakes, dataset)
  local height, width, planes = picture_size(dataset:sample_shape())
  if not height or height * width > 64 * 64 then return nil end
  for _, mistake in ipairs(mistakes) do
    mistake.pixels = json.plain(core.base64(bytes_of(dataset[mistake.index].image, planes)))
  end
  return { height = height, width = width }
end

-- ---- the whole ----

--- From a list of { output, y } over a data set: count, errors, confusion, classes (inspect/measure.lua), mistakes (the
--- worst, each { index, truth, guess, share, shares, pixels }) and picture (their { height, width }, or nil).
function m.of(answers, dataset)
  local confusion, mistakes, total = zeros(answers[1][1].shape[2]), {}, 0
  for _, answer in ipairs(answers) do
    local from = #mistakes + 1
    count(confusion, mistakes, total, answer[1], answer[2])
    weigh(mistakes, from)
    total = total + #answer[2]
  end
  local errors = #mistakes
  table.sort(mistakes, worst_first)
  mistakes = table.move(mistakes, 1, math.min(errors, most_mistakes), 1, {})
  return {
    count = total, errors = errors, confusion = confusion, classes = measure.per_class(confusion),
    mistakes = mistakes, picture = pictures(mistakes, dataset),
  }
end

return m
