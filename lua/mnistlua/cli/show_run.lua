-- What `mnistlua show RUN` prints: the curves of a run, loss, accuracy and learning rate, and how it stands; with
-- --follow again and again while it trains.
local color = require "mnistlua.color"
local compare_curves = require "mnistlua.cli.compare_curves"
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local folder = require "mnistlua.store.folder"
local metrics = require "mnistlua.store.metrics"
local options = require "mnistlua.options"
local plot = require "mnistlua.plot"
local progress = require "mnistlua.train.progress"
local run_text = require "mnistlua.cli.run_text"
local store = require "mnistlua.store"
local text_table = require "mnistlua.cli.text_table"

local m = {}

local every = 1        -- seconds between two looks

-- ---- series ----

-- What is drawn together: metrics in the order of parts, whose colours and letters stay the same.
local parts = { { "train", "cyan", "." }, { "val", "yellow", "v" }, { "test", "magenta", "t" } }

local function painter(name)
  return color.on_stdout and function(text) return color.paint_stdout(name, text) end or nil
end

-- A metric over its steps; where it has none of those over the steps at which epochs ended. Nil without values.
local function series(db, id, metric, name, look, mark, most)
  local xs, ys = metrics.over_steps(db, id, metric)
  if #xs == 0 then
    local _, values, steps = metrics.over_epochs(db, id, metric)
    xs, ys = steps, values
  end
  if #xs == 0 then return nil end
  xs, ys = compare_curves.thinned(xs, ys, most)
  return { xs = xs, ys = ys, name = name, color = look, mark = mark, paint = painter(look) }
end

local function together(db, id, what, most)
  local list = {}
  for _, part in ipairs(parts) do
    list[#list + 1] = series(db, id, part[1] .. "." .. what, part[1], part[2], part[3], most)
  end
  return list
end

-- ---- a plot ----

local function legend(list)
  if #list < 2 then return "" end
  local names = {}
  for i, s in ipairs(list) do
    names[i] = color.on_stdout and color.paint_stdout(s.color, s.name) or ("%s %s"):format(s.mark, s.name)
  end
  return ": " .. table.concat(names, "  ")
end

-- Accuracies soon lie close together below 100%: where the axis begins, so that the steep rise of the first steps,
-- which stays on its edge, leaves room for the rest.
local function floor_of(list)
  local all = {}
  for _, s in ipairs(list) do table.move(s.ys, 1, #s.ys, #all + 1, all) end
  table.sort(all)
  local low, high = all[#all // 6 + 1], all[#all]
  return low - (high - low) / 2
end

local function raised(list)
  local bottom = floor_of(list)
  for _, s in ipairs(list) do
    local ys = {}
    for i, y in ipairs(s.ys) do ys[i] = math.max(y, bottom) end
    s.ys = ys
  end
end

-- Letters tell several curves apart where there are no colours; one alone is drawn with dots.
local function plot_of(list, title, metric, width, height)
  if #list == 0 then return {} end
  if metric:find "acc$" then raised(list) end
  local log_y = metric ~= "lr" and compare_curves.wants_log(metric, list)
  local lines = plot.curves(list, {
    width = width, height = height, utf8 = plot.utf8(), log_y = log_y, whole = true,
    caption = function(y) return metric:find "acc$" and run_text.metric(metric, y) or ("%.3g"):format(y) end,
  })
  table.insert(lines, 1, ("%s over steps%s%s"):format(title, log_y and ", logarithmic" or "", legend(list)))
  return lines
end

local function asked_plots(db, r, asked, width, height)
  local plots = {}
  for i, metric in ipairs(asked) do
    local s = series(db, r.id, metric, metric, "cyan", "*", 2 * width)
    if not s then
      local known = metrics.names(db, r.id)
      table.move({ "train.loss", "train.acc", "lr" }, 1, 3, #known + 1, known)
      options.usage(("--metric: this run has recorded no curve of '%s'%s"):format(core.escape(metric),
        options.hint(metric, known)))
    end
    plots[i] = plot_of({ s }, core.escape(metric), metric, width, height)
  end
  return plots
end

local function usual_plots(db, r, width, height)
  local most = 2 * width
  local lr = series(db, r.id, "lr", "lr", "green", "*", most)
  return {
    plot_of(together(db, r.id, "loss", most), "loss", "train.loss", width, height),
    plot_of(together(db, r.id, "acc", most), "accuracy", "train.acc", width, height),
    plot_of(lr and { lr } or {}, "learning rate", "lr", width, math.max(3, height // 2)),
  }
end

-- ---- a run ----

-- How it stands, and the newest metrics, cut to a width.
local function status_lines(db, r, width)
  local epochs = r.id and metrics.epochs(db, r.id) or {}
  local newest, list = epochs[#epochs] or {}, {}
  local name = text_table.cut(core.escape(r.folder), width - #r.status - 2)
  local lines = { ("%s: %s"):format(color.paint_stdout("bold", name),
    color.paint_stdout(run_text.status_colors[r.status], core.escape(r.status))) }
  if newest.epoch then
    list[1] = ("epoch %d%s, step %s"):format(newest.epoch, r.epochs and "/" .. r.epochs or "",
      progress.thousands(newest.step))
  end
  for _, metric in ipairs { "train.loss", "val.acc", "test.acc" } do
    if newest[metric] then list[#list + 1] = metric .. " " .. run_text.metric(metric, newest[metric]) end
  end
  if #list > 0 then lines[2] = text_table.cut(table.concat(list, ", "), width) end
  return lines
end

-- How wide and high a plot is, and how many there are. While a run is followed all of them stay on the screen.
local function size(args, fit)
  local columns, rows = core.terminal_size()
  if not core.isatty(1) then columns, rows = nil, nil end
  local room = args.width or columns or 80
  local width = math.max(8, math.min(room, 100) - 12)
  if not (fit and rows) then return room, width, 10, math.huge end
  local count = rows >= 36 and 3 or rows >= 20 and 2 or 1
  local height = (rows - 3 - 4 * count) // (count == 3 and 2.5 or count)
  return room, width, math.floor(math.max(2, math.min(height, 14))), count
end

-- All that is shown of a run, as lines.
local function view(db, r, args, fit)
  local room, width, height, count = size(args, fit)
  local asked, lines = args.metric or {}, status_lines(db, r, room)
  local plots = not r.id and {} or #asked > 0 and asked_plots(db, r, asked, width, height)
    or usual_plots(db, r, width, height)
  local drawn = 0
  for _, p in ipairs(plots) do
    if #p > 0 and drawn < count then
      lines[#lines + 1], drawn = "", drawn + 1
      table.move(p, 1, #p, #lines + 1, lines)
    end
  end
  if drawn == 0 then lines[#lines + 1] = "no curves: the database has no metrics of this run's steps and epochs" end
  return lines
end

-- ---- following ----

-- Draws lines over those drawn before.
local function redraw(lines, before)
  local text = table.concat(lines, "\27[K\n") .. "\27[K\n"
  io.write(before > 0 and ("\27[%dA\r"):format(before) or "", text, "\27[J")
  io.stdout:flush()
  return #lines
end

-- The epochs that have ended since, a line each: what is told where there is no terminal.
local function tell_epochs(db, r, told)
  local epochs = metrics.epochs(db, r.id)
  for i = told + 1, #epochs do
    local list = {}
    for _, name in ipairs(run_text.metrics) do
      if epochs[i][name] then list[#list + 1] = name .. " " .. run_text.metric(name, epochs[i][name]) end
    end
    print(("epoch %d  %s"):format(epochs[i].epoch, table.concat(list, "  ")))
  end
  io.stdout:flush()
  return #epochs
end

-- The record as the folder is now. The database's row may be older.
local function refreshed(r)
  local out, name = r.dir:match "^(.*)/([^/]+)$"
  local now = folder.read(out, name)
  now.id = r.id
  return now
end

local function follow(db, r, args)
  local on_terminal, drawn = core.isatty(1), 0
  local last
  repeat
    r = refreshed(r)
    last = r.status ~= "running"        -- what it wrote at its end is shown, too
    if on_terminal then
      drawn = redraw(view(db, r, args, true), drawn)
    elseif r.id then
      drawn = tell_epochs(db, r, drawn)
    end
    if not last then core.wait_processes({}, every) end
  until last
  if not on_terminal then print(table.concat(view(db, r, args, false), "\n")) end
end

-- ---- which run ----

-- A path may lead to a run of another folder of runs.
local function out_of(args)
  local path = args.what:gsub("(.)/+$", "%1")
  local out, name = path:match "^(.*)/([^/]+)$"
  if out and core.is_dir(path) and folder.is_run(out, name) then return out, name end
  return args.out, args.what
end

--- Shows the run that args.what names. check_name(text) may say better why there is none.
function m.show(args, check_name)
  if args.what:find "%.safetensors$" then
    options.usage "show: a file of weights has no curves; --filters and --confusion show what is in it"
  end
  local out, name = out_of(args)
  if not core.is_dir(out) then
    check_name(name)
    options.usage(("'%s' is neither a data set nor a run: there is no folder '%s'"):format(core.escape(name),
      core.escape(out)))
  end
  store.with(out, {}, function(db)
    local record, problem = store.find(db, name)
    if not record then
      check_name(name)
      error(failure.new("usage", problem), 0)
    end
    if args.follow then follow(db, record, args) else print(table.concat(view(db, record, args, false), "\n")) end
  end)
end

return m
