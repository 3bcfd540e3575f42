-- mnistlua compare A B ...: the curves of several runs over each other, and a table of what differs between them, in
-- their parameters and in their results.
local arguments = require "mnistlua.cli.arguments"
local color = require "mnistlua.color"
local compare_curves = require "mnistlua.cli.compare_curves"
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local json = require "mnistlua.json"
local metrics = require "mnistlua.store.metrics"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local params = require "mnistlua.params"
local progress = require "mnistlua.train.progress"
local run_text = require "mnistlua.cli.run_text"
local store = require "mnistlua.store"
local text_table = require "mnistlua.cli.text_table"

local m = { about = "compare runs: their curves, and what differs", usage = "RUN ... [options]" }

local most = 26            -- runs, one for each letter

function m.options(parser)
  parser:argument("runs", "last, a number or a part of a name from 'mnistlua runs', or a path; several"):args "*"
  parser:option("--metric", "draw this metric (default: the training loss, and the accuracy of val or test)")
    :argname("NAME"):count "*"
  arguments.add(parser, "out")
  parser:flag("--json", "as JSON: the runs with their epochs, and what differs")
end

-- ---- what differs ----

local function show_param(value) return value == nil and "-" or params.text(value) end
local function plain(value) return value == nil and "-" or tostring(value) end

-- What is compared besides parameters and results: a title and a function from a record to text.
local facts = {
  { "config", function(r) return plain(r.config) end }, { "seed", function(r) return plain(r.seed) end },
  { "data", function(r) return plain(r.data) end }, { "data hash", function(r) return plain(r.data_hash) end },
  { "precision", function(r) return plain(r.precision) end }, { "isa", function(r) return plain(r.isa) end },
  { "version", function(r) return plain(r.version) end }, { "status", function(r) return r.status end },
  { "epochs done", run_text.epochs }, { "steps done", function(r) return plain(r.step) end },
}

local function keys_of(records, part)
  local seen = {}
  for _, r in ipairs(records) do
    for name in pairs(r[part]) do seen[name] = true end
  end
  return seen
end

-- The metrics that any run has: the usual ones in their order, then one's own.
local function result_names(records)
  local has, names = keys_of(records, "results"), {}
  for _, name in ipairs(run_text.metrics) do
    if has[name] and name ~= "lr" then names[#names + 1] = name end
  end
  for _, name in ipairs(options.sorted_keys(has)) do
    if name:find "^user%." then names[#names + 1] = name end
  end
  return names
end

-- The best of the runs in a metric: true for each that is; all false where less is not better, nor more.
local function best_of(name, records)
  local sign = name:find "acc$" and 1 or name:find "loss$" and -1
  local best, list = nil, {}
  for _, r in ipairs(records) do
    local value = r.results[name]
    if sign and value and (not best or sign * value > sign * best) then best = value end
  end
  for i, r in ipairs(records) do list[i] = best ~= nil and r.results[name] == best end
  return list
end

-- What two runs' values differ by: accuracies in points of a per cent.
local function difference(name, a, b)
  if not a or not b then return "" end
  if name:find "acc$" then return ("%+.2f"):format(100 * (b - a)) end
  return ("%+.4g"):format(b - a)
end

local function all_equal(texts)
  for i = 2, #texts do
    if texts[i] ~= texts[1] then return false end
  end
  return true
end

--- What differs between runs: lines { title, texts (one for each record), extra (of a result: best, a list of
--- booleans) }; and what is the same for all as "key=value".
function m.differences(records)
  local lines, same = {}, {}
  local function add(title, f, extra)
    local texts = {}
    for i, r in ipairs(records) do texts[i] = core.escape(f(r)) end
    if not all_equal(texts) then
      lines[#lines + 1] = { title = core.escape(title), texts = texts, extra = extra }
    elseif texts[1] ~= "-" and not extra then
      same[#same + 1] = title .. "=" .. texts[1]
    end
  end
  for _, name in ipairs(options.sorted_keys(keys_of(records, "params"))) do
    add(name, function(r) return show_param(r.params[name]) end)
  end
  for _, fact in ipairs(facts) do add(fact[1], fact[2]) end
  for _, name in ipairs(result_names(records)) do
    add(name, function(r) return run_text.metric(name, r.results[name]) end, {
      best = best_of(name, records), difference = difference(name, records[1].results[name],
        records[2] and records[2].results[name]),
    })
  end
  add("time", function(r) return r.seconds and progress.duration(r.seconds) or "-" end, {})
  return lines, same
end

-- ---- what is shown ----

-- The best of a result is green.
local function color_of(line, i)
  return line.extra and line.extra.best and line.extra.best[i] and "green" or nil
end

-- A line for each thing that differs and a column for each run; with two runs, one for the difference of their results.
local function upright(records, lines)
  local columns, rows = { { title = "" } }, {}
  for i, r in ipairs(records) do columns[i + 1] = { title = r.letter, right = true } end
  if #records == 2 then columns[4] = { title = "B - A", right = true } end
  for i, line in ipairs(lines) do
    local row = { line.title, table.unpack(line.texts) }
    if #records == 2 then row[4] = line.extra and line.extra.difference or "" end
    row.colors = {}
    for j in ipairs(records) do row.colors[j + 1] = color_of(line, j) end
    rows[i] = row
  end
  return columns, rows
end

-- The same with a line for each run: for so many that the other way would be too wide.
local function lying(records, lines)
  local columns, rows = { { title = "" } }, {}
  for _, line in ipairs(lines) do columns[#columns + 1] = { title = line.title, right = true } end
  for i, r in ipairs(records) do
    rows[i] = { r.letter, colors = {} }
    for j, line in ipairs(lines) do
      rows[i][j + 1] = line.texts[i]
      rows[i].colors[j + 1] = color_of(line, i)
    end
  end
  return columns, rows
end

local function wraps(columns, rows, room)
  local width = 0
  for i, column in ipairs(columns) do
    local widest = utf8.len(column.title) or #column.title
    for _, row in ipairs(rows) do widest = math.max(widest, utf8.len(row[i] or "") or #row[i]) end
    width = width + widest + 2
  end
  return width - 2 > room
end

local function show_table(records, lines)
  local room = core.isatty(1) and core.terminal_width() or 80
  local columns, rows = upright(records, lines)
  if wraps(columns, rows, room) and #records > 2 then columns, rows = lying(records, lines) end
  for _, text in ipairs(text_table.lines(columns, rows, math.huge)) do print(text) end
end

local function show_legend(records)
  for _, r in ipairs(records) do
    local words = table.concat(run_text.changed(r), " ")
    local text = ("%4s  %s  %s"):format(r.id or "", core.escape(r.folder), core.escape(words)):gsub(" +$", "")
    print(color.paint_stdout(r.color, r.letter) .. "  " .. text)
  end
end

local function wrapped(label, words)
  local line = label
  for _, word in ipairs(words) do
    if #line + 1 + #word > 80 and line ~= label then
      print(line)
      line = (" "):rep(#label)
    end
    line = line .. " " .. word
  end
  if line ~= label then print(line) end
end

-- The first two whose config's text differs, for a look at it.
local function show_configs(records)
  local first = core.read_file(records[1].dir .. "/config.lua", 1 << 24)
  for i = 2, #records do
    local path = records[i].dir .. "/config.lua"
    local text = core.read_file(path, 1 << 24)
    if first and text and text ~= first then
      print(("the configs differ: diff %s %s"):format(run_text.quote(core.escape(records[1].dir .. "/config.lua")),
        run_text.quote(core.escape(path))))
      return
    end
  end
end

local function show(db, records, asked)
  local plots = compare_curves.plots(db, records, asked)
  show_legend(records)
  for _, lines in ipairs(plots) do print("\n" .. table.concat(lines, "\n")) end
  if #records == 1 then return end
  local lines, same = m.differences(records)
  print ""
  show_table(records, lines)
  print ""
  wrapped("the same:", same)
  show_configs(records)
end

local function export(db, records)
  local lines = m.differences(records)
  local differing, list = {}, {}
  for i, line in ipairs(lines) do differing[i] = line.title end
  for i, r in ipairs(records) do
    r.number, r.epochs_done = r.id, r.id and metrics.epochs(db, r.id) or {}
    r.id, r.letter, r.color = nil, nil, nil
    list[i] = r
  end
  print(json.encode { differs = differing, runs = list })
end

-- ---- the command ----

local function find_all(db, words)
  local records, seen = {}, {}
  for i, word in ipairs(words) do
    local record, problem = store.find(db, word)
    if not record then error(failure.new("usage", problem), 0) end
    if seen[record.dir] then
      options.usage(("'%s' and '%s' are the same run"):format(core.escape(seen[record.dir]), core.escape(word)))
    end
    record.letter, record.color, seen[record.dir] = string.char(64 + i), compare_curves.color(i), word
    records[i] = record
  end
  return records
end

function m.run(args)
  if #args.runs == 0 then options.usage "expected mnistlua compare RUN RUN ...; mnistlua runs lists them" end
  if #args.runs > most then
    options.usage(("compare: at most %d runs at once, got %d"):format(most, #args.runs))
  elseif not core.is_dir(args.out) then
    options.usage(("--out: there is no folder '%s'"):format(core.escape(args.out)))
  end
  store.with(args.out, {}, function(db)
    local records = find_all(db, args.runs)
    if args.json then export(db, records) else show(db, records, args.metric or {}) end
  end)
  return outcome.exit.done
end

return m
