-- The curves that mnistlua compare draws: a metric of several runs over their steps or epochs, in one plot. It prints
-- nothing.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local metrics = require "mnistlua.store.metrics"
local options = require "mnistlua.options"
local plot = require "mnistlua.plot"
local run_text = require "mnistlua.cli.run_text"

local m = {}

local colors = { "green", "yellow", "magenta", "cyan", "red", "blue" }

--- The colour of the i-th run.
function m.color(i) return colors[(i - 1) % #colors + 1] end

--- At most so many points, each the mean of its neighbours: what a plot of this width can show.
function m.thinned(xs, ys, most)
  if #xs <= most then return xs, ys end
  local thin_xs, thin_ys = {}, {}
  for i = 1, most do
    local first, last = (i - 1) * #xs // most + 1, i * #xs // most
    local x, y = 0, 0
    for j = first, last do x, y = x + xs[j], y + ys[j] end
    thin_xs[i], thin_ys[i] = x / (last - first + 1), y / (last - first + 1)
  end
  return thin_xs, thin_ys
end

-- A metric of every run that has it, over steps if one of them has recorded it there; then what x is, and the letters
-- of the runs without.
local function collect(db, records, metric, width)
  local list, x, missing = {}, nil, {}
  local sources = { { "steps", metrics.over_steps }, { "epochs", metrics.over_epochs } }
  for _, source in ipairs(sources) do
    list, missing = {}, {}
    for _, r in ipairs(records) do
      local xs, ys = {}, {}
      if r.id then xs, ys = source[2](db, r.id, metric) end
      if #xs > 1 then
        xs, ys = m.thinned(xs, ys, width)
        local paint = color.on_stdout and function(text) return color.paint_stdout(r.color, text) end or nil
        list[#list + 1] = { xs = xs, ys = ys, mark = r.letter, paint = paint }
      else
        missing[#missing + 1] = r.letter
      end
    end
    x = source[1]
    if #list > 0 then break end
  end
  return list, x, missing
end

--- Whether a metric's axis is logarithmic: a loss falls by powers of ten, unless a value is not above 0.
function m.wants_log(metric, list)
  if not metric:find "loss$" and metric ~= "lr" and metric ~= "grad_norm" then return false end
  for _, s in ipairs(list) do
    for _, y in ipairs(s.ys) do
      if y <= 0 then return false end
    end
  end
  return true
end

-- The plot of a metric as lines, nil if no run has it.
local function plot_of(db, records, metric)
  local width = math.max(20, math.min(core.isatty(1) and core.terminal_width() or 80, 100) - 12)
  local list, x, missing = collect(db, records, metric, width)
  if #list == 0 then return nil end
  local log_y = m.wants_log(metric, list)
  local lines = plot.curves(list, {
    width = width, height = 12, utf8 = plot.utf8(), log_y = log_y, whole = true,
    caption = function(y) return metric:find "acc$" and run_text.metric(metric, y) or ("%.3g"):format(y) end,
  })
  table.insert(lines, 1, ("%s over %s%s%s"):format(metric, x, log_y and ", logarithmic" or "",
    #missing > 0 and ("; none of %s"):format(table.concat(missing, ", ")) or ""))
  return lines
end

-- The names that curves could have, for a "did you mean".
local function known(db, records)
  local names, seen = { "train.loss", "train.acc", "lr" }, { ["train.loss"] = true, ["train.acc"] = true, lr = true }
  for _, r in ipairs(records) do
    for _, name in ipairs(r.id and metrics.names(db, r.id) or {}) do
      if not seen[name] then names[#names + 1], seen[name] = name, true end
    end
  end
  return names
end

--- The plots, each a list of lines: of the metrics that are asked for, or else of the training loss and the accuracy
--- that the epochs have.
function m.plots(db, records, asked)
  local plots = {}
  for i, metric in ipairs(asked) do
    plots[i] = plot_of(db, records, metric)
    if not plots[i] then
      options.usage(("--metric: none of these runs has recorded a curve of '%s'%s"):format(core.escape(metric),
        options.hint(metric, known(db, records))))
    end
  end
  if #asked > 0 then return plots end
  plots[1] = plot_of(db, records, "train.loss")
  plots[#plots + 1] = plot_of(db, records, "val.acc") or plot_of(db, records, "test.acc")
  if #plots == 0 then plots[1] = { "no curves: the database has no metrics of these runs' steps and epochs" } end
  return plots
end

return m
