-- A run's metrics as curves for curves.js: what runs.db recorded, few enough points to draw. Called by init.lua.
local metrics = require "mnistlua.store.metrics"

local m = {}

local most_points = 400    -- of a curve over steps: the mean of each stretch of the run

-- Four digits are more than a curve shows, and shorter than seventeen.
local function short(values)
  local list = {}
  for i, value in ipairs(values) do list[i] = tonumber(("%.4g"):format(value)) end
  return list
end

local function add(list, name, tone, steps, values)
  if #values > 0 then list[#list + 1] = { name = name, tone = tone, steps = steps, values = short(values) } end
end

local function over_epochs(db, id, metric)
  local _, values, steps = metrics.over_epochs(db, id, metric)
  return steps, values
end

-- A chart of train, val and test: the part that is measured last has the accent.
local function parts(db, id, metric)
  local list, val, test = {}, {}, {}
  add(list, "train", "faint", metrics.averaged(db, id, "train." .. metric, most_points))
  if #list == 0 then add(list, "train", "faint", over_epochs(db, id, "train." .. metric)) end
  add(val, "val", "main", over_epochs(db, id, "val." .. metric))
  add(test, "test", val[1] and "dashed" or "main", over_epochs(db, id, "test." .. metric))
  table.move(val, 1, #val, #list + 1, list)
  return table.move(test, 1, #test, #list + 1, list)
end

local function chart(list, title, format, scale, series)
  if #series > 0 then list[#list + 1] = { title = title, format = format, scale = scale, series = series } end
end

-- Of the script's own metrics: over steps where they were recorded so, else over epochs.
local function own(db, id, name)
  local series = {}
  add(series, name, "main", metrics.averaged(db, id, name, most_points))
  if #series == 0 then add(series, name, "main", over_epochs(db, id, name)) end
  return series
end

--- The charts of run `id`: loss, accuracy, learning rate, then what else it recorded. A list of what curves.create
--- takes.
function m.charts(db, id)
  local list = {}
  chart(list, "Loss", "number", "log", parts(db, id, "loss"))
  chart(list, "Accuracy", "percent", "linear", parts(db, id, "acc"))
  local rates = {}
  add(rates, "lr", "main", metrics.averaged(db, id, "lr", most_points))
  chart(list, "Learning rate", "number", "linear", rates)
  for _, name in ipairs(metrics.names(db, id)) do
    if name == "grad_norm" or name:find "^user%." then
      chart(list, name == "grad_norm" and "Norm of the gradient" or name, "number", "linear", own(db, id, name))
    end
  end
  return list
end

return m
