-- The curves of a run as the page draws them: steps in buckets of equal width, each the mean of its steps, so that a
-- run of a million steps is as many points as one of a thousand; epochs as they are. A page that follows a run asks for
-- what is new: the buckets from a number on, as long as their width has not changed.
local m = {}

local most = 400     -- buckets

--- The width of the buckets of a run of so many steps: a power of two.
function m.width(steps)
  local width = 1
  while steps > width * most do width = width * 2 end
  return width
end

local of_steps = "SELECT avg(step) AS x, avg(loss) AS loss, avg(acc) AS acc, avg(lr) AS lr FROM steps "
  .. "WHERE run = ? AND step > ? GROUP BY (step - 1) / ? ORDER BY 1"
local of_values = "SELECT avg(step) AS x, avg(value) AS y FROM step_values "
  .. "WHERE run = ? AND metric = ? AND step > ? GROUP BY (step - 1) / ? ORDER BY 1"
local next_metric = "SELECT min(metric) AS name FROM step_values WHERE run = ? AND metric > ?"
local of_epochs = "SELECT epoch, step, metric, value FROM epochs WHERE run = ? ORDER BY metric, epoch"

-- As many digits as a screen can show.
local function short(x) return tonumber(("%.6g"):format(x)) end

local function add(curves, name, x, y)
  if not y then return end
  curves[name] = curves[name] or { steps = {}, values = {} }
  table.insert(curves[name].steps, math.floor(x * 10 + 0.5) / 10)
  table.insert(curves[name].values, short(y))
end

local function step_curves(db, id, after, width)
  local curves = {}
  for _, row in ipairs(db:rows(of_steps, id, after, width)) do
    add(curves, "train.loss", row.x, row.loss)
    add(curves, "train.acc", row.x, row.acc)
    add(curves, "lr", row.x, row.lr)
  end
  local name = db:row(next_metric, id, "").name
  while name do
    for _, row in ipairs(db:rows(of_values, id, name, after, width)) do add(curves, name, row.x, row.y) end
    name = db:row(next_metric, id, name).name
  end
  return curves
end

-- The curves and how many steps an epoch has, if one is over.
local function epoch_curves(db, id)
  local curves, per_epoch = {}, nil
  for _, row in ipairs(db:rows(of_epochs, id)) do
    add(curves, row.metric, row.step or 0, row.value)
    per_epoch = per_epoch or row.step and row.epoch > 0 and row.step / row.epoch
  end
  return curves, per_epoch
end

--- The curves of the run with this number, for a page that has those of `width` before bucket `from` (both may be nil):
--- { width, from (the first bucket of this answer), last (step), steps_per_epoch, steps, epochs (both by metric,
--- { steps, values }) }.
function m.of(db, id, width, from)
  local last = db:row("SELECT max(step) AS last FROM steps WHERE run = ?", id).last or 0
  local wide = m.width(last)
  local start = width == wide and from and from * wide < last and from or 0
  local epochs, per_epoch = epoch_curves(db, id)
  return {
    width = wide, from = start, last = last, steps_per_epoch = per_epoch,
    steps = step_curves(db, id, start * wide, wide), epochs = epochs,
  }
end

return m
