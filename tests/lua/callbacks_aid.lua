-- For the tests of ml.callbacks: short trainings on synthetic digits, and a run whose epochs and metrics are made up,
-- for what a callback does with values that no training gives on demand.
local ml = require "mnistlua"
local metrics = require "mnistlua.train.metrics"
local progress = require "mnistlua.train.progress"
local trainer = require "mnistlua.trainer"
local nn, optim = ml.nn, ml.optim

local m = {}

m.data = ml.data.digits { n = 120, test = 20, val = 40, seed = 5 }

--- An experiment; `changes` replace its keys.
function m.experiment(changes)
  ml.manual_seed(0)
  local e = {
    data = m.data, loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1 }, batch = 32, epochs = 4,
    model = nn.Sequential { nn.Flatten(), nn.Linear(8), nn.BatchNorm1d(), nn.ReLU(), nn.Linear(10) },
  }
  for key, value in pairs(changes or {}) do e[key] = value end
  return ml.experiment(e)
end

--- Trains it; given: store. Returns the result, the run, and what could not be saved.
function m.train(changes, given)
  local run = trainer.prepare(m.experiment(changes), { seed = 0 })
  local result, unsaved = trainer.train(run, {
    progress = progress.new { quiet = true }, store = given and given.store, deadline = given and given.deadline,
  })
  return result, run, unsaved
end

--- A store that does nothing but keep weights in a folder.
function m.store(dir)
  return {
    dir = dir, weights = dir .. "/model.safetensors", saves = 0,
    save_weights = function(self, model, metadata)
      local ok, problem = model:save(self.weights, metadata)
      if not ok then return nil, problem end
      self.saves, self.saved, self.metadata = self.saves + 1, true, metadata
      return self.weights
    end,
  }
end

--- A run that is made up: `said` has the lines that it was told to print.
function m.made_up(given)
  local board = metrics.board(given and given.metrics)
  local run = {
    step = 0, epoch = 0, interrupted = false, stopping = false, dir = given and given.dir or false, deadline = false,
    board = board, metrics = board:view(), data = { train = {}, val = {} }, said = {},
    experiment = { metrics = given and given.metrics },
  }
  function run.print(self, text) self.said[#self.said + 1] = text end
  function run.stop(self, reason) self.stopping = reason end
  return run
end

return m
