-- Measures a model on a data set: loss, and of a classifier the confusion matrix and what follows from it. Called by
-- `mnistlua eval`. It draws no random number and prints nothing.
local core = require "mnistlua.core"
local metrics = require "mnistlua.train.metrics"

local m = {}

-- A square of zeros.
local function zeros(n)
  local rows = {}
  for i = 1, n do
    rows[i] = {}
    for j = 1, n do rows[i][j] = 0 end
  end
  return rows
end

local function is_classification(output, y)
  return type(output) == "userdata" and y.dtype ~= "f32" and output:dim() == 2
end

-- Counts a batch: confusion[truth + 1][prediction + 1].
local function count(confusion, output, y)
  local predicted, truth = output:argmax(2):totable(), y:totable()
  for i, label in ipairs(truth) do
    local row = confusion[label + 1]
    row[predicted[i] + 1] = row[predicted[i] + 1] + 1
  end
end

local function share(part, all)
  if all > 0 then return part / all end
end

--- One entry a class: label, count, right, precision (nil where nothing was taken for it), recall (nil where it does
--- not occur), f1.
function m.per_class(confusion)
  local list = {}
  for c, row in ipairs(confusion) do
    local occurs, taken = 0, 0
    for k = 1, #confusion do occurs, taken = occurs + row[k], taken + confusion[k][c] end
    list[c] = {
      label = c - 1, count = occurs, predicted = taken, right = row[c],
      precision = share(row[c], taken), recall = share(row[c], occurs), f1 = share(2 * row[c], taken + occurs),
    }
  end
  return list
end

-- A batch as samples of `shape`.
local function shaped(x, shape)
  if x:dim() == #shape + 1 then return x end
  return x:reshape(table.move(shape, 1, #shape, 2, { #x }))
end

--- Evaluates model and loss over a dataset in batches, as samples of `shape`. Returns { count, loss } and of a
--- classifier besides acc, errors, confusion (rows are labels, columns predictions) and classes.
function m.evaluate(model, loss, dataset, shape, batch)
  local loader, sums, confusion = dataset:loader { batch = batch }, metrics.means(), nil
  local recording = core.recording(false)
  model:eval()
  loader:start(1, 1)
  for x, y in loader.next, loader do
    core.scope(function()
      local output = model(shaped(x, shape))
      sums:add("loss", loss(output, y):item(), #y)
      if is_classification(output, y) then
        confusion = confusion or zeros(output.shape[2])
        sums:add("acc", core.count_correct(output, y) / #y, #y)
        count(confusion, output, y)
      end
    end)
  end
  core.recording(recording)
  local acc = sums:get "acc"
  return {
    count = #dataset, loss = sums:get "loss", acc = acc, errors = acc and math.floor((1 - acc) * #dataset + 0.5),
    confusion = confusion, classes = confusion and m.per_class(confusion),
  }
end

--- The most frequent mistakes, at most n, as { truth, prediction, count } with labels from 0.
function m.mistakes(confusion, n)
  local list = {}
  for i, row in ipairs(confusion) do
    for j, times in ipairs(row) do
      if i ~= j and times > 0 then list[#list + 1] = { i - 1, j - 1, times } end
    end
  end
  table.sort(list, function(a, b)
    if a[3] ~= b[3] then return a[3] > b[3] end
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a[2] < b[2]
  end)
  return table.move(list, 1, math.min(n, #list), 1, {})
end

return m
