-- One pass over a dataset in evaluation, as a run measures its val and test parts. Called by Run only. It draws no
-- random number and leaves the model's training mode as it was.
local averaging = require "mnistlua.train.averaging"
local core = require "mnistlua.core"
local metrics = require "mnistlua.train.metrics"

local m = {}

--- Loss, accuracy and number of errors of a run's model, with the weights to evaluate in place, over a dataset. o:
--- model, views or nil; answers: a list to which run.keep_answers adds the outputs and labels of each batch, or nil.
function m.over(run, d, o, answers)
  local model, background = o.model, -d.normalise[1] / d.normalise[2]
  local function predict(x) return o.views and o.views(model, x, background) or model(x) end
  local loader = run.eval_loaders[d] or d:loader { batch = run.experiment.eval_batch }
  run.eval_loaders[d] = loader
  local _ <close> = averaging.enter(run)
  local training, recording = model.training, core.recording(false)
  model:eval()
  local sums = metrics.means()
  loader:start(1, 1)
  for x, y in loader.next, loader do
    core.scope(function()
      local output = predict(x)
      sums:add("loss", run.loss(output, y):item(), #y)
      if run:is_classification(output, y) then sums:add("acc", core.count_correct(output, y) / #y, #y) end
      if answers then run.keep_answers(answers, output, y) end
    end)
  end
  core.recording(recording)
  if training then model:train() end
  local loss, acc = sums:get "loss", sums:get "acc"
  if loss ~= loss then acc = nil end
  return { loss = loss, acc = acc, errors = acc and math.floor((1 - acc) * #d + 0.5), count = #d }
end

return m
