-- ml.callbacks: callbacks that come with mnistlua, for an experiment's `callbacks = { ... }`. Each stands on the
-- events of train/events.lua alone, as one of a script's own does.
local options = require "mnistlua.options"

return options.strict("callbacks", {
  BestWeights = require("mnistlua.callbacks.best_weights").new,
  Checkpoint = require("mnistlua.callbacks.checkpoint").new,
  CSVLogger = require("mnistlua.callbacks.csv_logger").new,
  EarlyStopping = require("mnistlua.callbacks.early_stopping").new,
  EMA = require("mnistlua.callbacks.ema").new,
  StopOnTarget = require("mnistlua.callbacks.stop_on_target").new,
  TensorBoard = require("mnistlua.callbacks.tensorboard").new,
  TimeLimit = require("mnistlua.callbacks.time_limit").new,
})
