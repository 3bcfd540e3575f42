-- Metrics of steps and epochs in runs.db: written by ../train/recorder.lua, read by the commands that draw or compare.
local m = {}

-- What every step has is a column of the table steps.
local step_columns = { ["train.loss"] = "loss", ["train.acc"] = "acc", ["lr"] = "lr" }

-- ---- in ----

local put_steps = "INSERT OR REPLACE INTO steps (run, step, epoch, loss, acc, lr) VALUES (?, ?, ?, ?, ?, ?)"
local put_values = "INSERT OR REPLACE INTO step_values (run, metric, step, value) VALUES (?, ?, ?, ?)"
local put_epochs = "INSERT OR REPLACE INTO epochs (run, metric, epoch, step, value) VALUES (?, ?, ?, ?, ?)"

--- Writes flat lists of rows, with the values in the order of the columns above and false for none.
function m.put(db, steps, step_count, values, value_count, epochs, epoch_count)
  if step_count > 0 then db:run_list(put_steps, steps, step_count) end
  if value_count > 0 then db:run_list(put_values, values, value_count) end
  if epoch_count > 0 then db:run_list(put_epochs, epochs, epoch_count) end
end

--- Forgets what a run recorded after a step.
function m.rewind(db, id, step)
  for _, name in ipairs { "steps", "step_values", "epochs" } do
    db:run(("DELETE FROM %s WHERE run = ? AND step > ?"):format(name), id, step)
  end
end

-- ---- out ----

--- A metric of a run over its steps: lists of steps and values, empty where nothing was recorded.
function m.over_steps(db, id, metric)
  local column = step_columns[metric]
  local rows
  if column then
    rows = db:rows(("SELECT step, %s AS value FROM steps WHERE run = ? AND %s IS NOT NULL ORDER BY step"):format(
      column, column), id)
  else
    rows = db:rows("SELECT step, value FROM step_values WHERE run = ? AND metric = ? AND value IS NOT NULL "
      .. "ORDER BY step", id, metric)
  end
  local steps, values = {}, {}
  for i, row in ipairs(rows) do steps[i], values[i] = row.step, row.value end
  return steps, values
end

--- The same with at most `points` points: the mean of each of as many equal stretches of the run, at its middle.
function m.averaged(db, id, metric, points)
  local column = step_columns[metric]
  local from = column and ("steps WHERE run = ?1 AND ?2 = ?2 AND %s IS NOT NULL"):format(column)
    or "step_values WHERE run = ?1 AND metric = ?2 AND value IS NOT NULL"
  local last = db:row("SELECT max(step) AS step FROM " .. from, id, metric).step
  if not last then return {}, {} end
  local rows = db:rows(("SELECT CAST(avg(step) AS INTEGER) AS step, avg(%s) AS value FROM %s "
    .. "GROUP BY (step - 1) / ?3 ORDER BY 1"):format(
    column or "value", from), id, metric, math.max(1, math.ceil(last / points)))
  local steps, values = {}, {}
  for i, row in ipairs(rows) do steps[i], values[i] = row.step, row.value end
  return steps, values
end

--- A metric of a run at the ends of its epochs: lists of epochs, values and steps.
function m.over_epochs(db, id, metric)
  local rows = db:rows("SELECT epoch, step, value FROM epochs WHERE run = ? AND metric = ? AND value IS NOT NULL "
    .. "ORDER BY epoch", id, metric)
  local epochs, values, steps = {}, {}, {}
  for i, row in ipairs(rows) do epochs[i], values[i], steps[i] = row.epoch, row.value, row.step end
  return epochs, values, steps
end

--- The epochs of a run as a list of { epoch =, step =, metrics by name }.
function m.epochs(db, id)
  local list, by_number = {}, {}
  local rows = db:rows("SELECT epoch, step, metric, value FROM epochs WHERE run = ? ORDER BY epoch, metric", id)
  for _, row in ipairs(rows) do
    local entry = by_number[row.epoch]
    if not entry then
      entry = { epoch = row.epoch, step = row.step }
      by_number[row.epoch], list[#list + 1] = entry, entry
    end
    entry[row.metric] = row.value
  end
  return list
end

--- The names of the metrics that a run has, sorted: of its steps and of its epochs.
function m.names(db, id)
  local names = {}
  for _, row in ipairs(db:rows("SELECT DISTINCT metric FROM epochs WHERE run = ? UNION "
      .. "SELECT DISTINCT metric FROM step_values WHERE run = ? ORDER BY 1", id, id)) do
    names[#names + 1] = row.metric
  end
  return names
end

return m
