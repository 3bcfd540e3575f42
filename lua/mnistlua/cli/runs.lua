-- mnistlua runs: the list of all runs, with filters, as a table, JSON or CSV; and the actions on single runs, which are
-- in files of their own.
local arguments = require "mnistlua.cli.arguments"
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local progress = require "mnistlua.train.progress"
local query = require "mnistlua.store.query"
local run_text = require "mnistlua.cli.run_text"
local runs_export = require "mnistlua.cli.runs_export"
local store = require "mnistlua.store"
local text_table = require "mnistlua.cli.text_table"

local m = { about = "list runs; show, tag, note or rm one", usage = "[FILTER ...] [options]" }

local actions = {
  show = "mnistlua.cli.runs_show", tag = "mnistlua.cli.runs_edit", note = "mnistlua.cli.runs_edit",
  rm = "mnistlua.cli.runs_edit",
}

local epilog = [[
  mnistlua runs                          the last 20 runs
  mnistlua runs 'test.acc>=0.98' lr=0.1  those that meet every filter: parameters, metrics, name, status, tag, age, ...
  mnistlua runs show [RUN]               everything about a run
  mnistlua runs tag RUN TAG ...          put tags on it (--remove: take them off)
  mnistlua runs note RUN TEXT            write a note about it
  mnistlua runs rm RUN ...               delete it: its folder and its metrics

RUN is last, the number in the list, a folder's name or a part of it that no other has, or a path.]]

function m.options(parser)
  parser:argument("words",
    "filters such as lr=0.1, 'test.acc>=0.98', name=mlp*, tag=x, status=done, 'age<1d'; or an action"):args "*"
  arguments.option(parser, "--sort",
    "order by a parameter or metric (accuracies: the best first; default: the newest first)"):argname "KEY"
  parser:flag("--reverse", "the other way round")
  arguments.option(parser, "--limit", "at most N runs (default 20; all with --json and --csv); 0 for all")
    :argname("N"):convert(arguments.whole("--limit", 0, 1000000000))
  parser:flag("--json", "as JSON: a list of objects")
  parser:flag("--csv", "as comma-separated values")
  parser:flag("--force", "rm: do not ask")
  parser:flag("--remove", "tag: take the tags off")
  arguments.add(parser, "out")
  parser:epilog(epilog)
end

-- ---- the table ----

-- The metrics that the runs have, of those that people look for first; and what was asked for.
local function metric_columns(records, asked)
  local has, list, listed = {}, {}, {}
  for _, r in ipairs(records) do
    for name in pairs(r.results) do has[name] = true end
  end
  local function add(name)
    if has[name] and not listed[name] then list[#list + 1], listed[name] = name, true end
  end
  add "val.acc"
  add "test.acc"
  if #list == 0 then add "val.loss"; add "test.loss" end
  if #list == 0 then add "train.loss" end
  for _, name in ipairs(asked) do add(name) end
  return list
end

local function has_time_in_name(room) return room >= 110 end

local function row_of(r, metrics, room, now)
  local row = { ("%d"):format(r.id), core.escape(has_time_in_name(room) and r.folder or r.name),
    r.started and run_text.age(now - r.started) or "-", r.status, run_text.epochs(r) }
  row.colors = { [1] = "bold", [4] = run_text.status_colors[r.status] }
  for _, name in ipairs(metrics) do row[#row + 1] = run_text.metric(name, r.results[name]) end
  local words = run_text.changed(r)
  for _, tag in ipairs(r.tags) do words[#words + 1] = "#" .. tag end
  row[#row + 1] = core.escape(table.concat(words, " "))
  return row
end

local function show_table(records, asked)
  local room, now, rows = text_table.room(), os.time(), {}
  local metrics = metric_columns(records, asked)
  local columns = { { title = "#", right = true }, { title = "run" }, { title = "age", right = true },
    { title = "status" }, { title = "epochs", right = true } }
  for _, name in ipairs(metrics) do columns[#columns + 1] = { title = name, right = true } end
  columns[#columns + 1] = { title = "parameters" }
  for i, r in ipairs(records) do rows[i] = row_of(r, metrics, room, now) end
  for _, line in ipairs(text_table.lines(columns, rows, room)) do print(line) end
end

-- ---- the list ----

local function read_filters(words)
  local filters = {}
  for i, word in ipairs(words) do
    if word:find "^[%w_]+$" and not word:find "^%d" then
      options.usage(("'%s' is neither a filter nor an action of runs%s"):format(word,
        options.hint(word, options.sorted_keys(actions))))
    end
    filters[i] = query.parse(word)
  end
  return filters
end

local function list(args)
  local given = { filters = read_filters(args.words), sort = args.sort, reverse = args.reverse }
  given.limit = args.limit or (args.json or args.csv) and 0 or 20
  if not core.is_dir(args.out) then options.usage(("--out: there is no folder '%s'"):format(core.escape(args.out))) end
  store.with(args.out, {}, function(db)
    if args.json then return runs_export.json(db, given) end
    if args.csv then return runs_export.csv(db, given) end
    local records, total = query.records(db, given)
    local asked = {}
    for _, filter in ipairs(given.filters) do asked[#asked + 1] = query.is_metric(filter.key) and filter.key or nil end
    asked[#asked + 1] = given.sort and query.is_metric(given.sort) and given.sort or nil
    if total == 0 then
      io.stderr:write(#given.filters > 0 and "no run meets these filters\n" or "no runs yet\n")
      return
    end
    show_table(records, asked)
    if #records < total then
      io.stderr:write(("%s of %s runs; --limit 0 shows all\n"):format(progress.thousands(#records),
        progress.thousands(total)))
    end
  end)
  return outcome.exit.done
end

-- ---- the command ----

-- Which options go with an action; the list has those that are not here.
local belongs = { force = "rm", remove = "tag" }
local lists_only = { "sort", "reverse", "limit", "csv" }

local function check_options(args, action)
  for name, owner in pairs(belongs) do
    if args[name] and action ~= owner then options.usage(("--%s goes with runs %s"):format(name, owner)) end
  end
  if not action then return end
  for _, name in ipairs(lists_only) do
    if args[name] then options.usage(("--%s does not go with runs %s"):format(name, action)) end
  end
  if args.json and action ~= "show" then options.usage(("--json does not go with runs %s"):format(action)) end
end

function m.run(args)
  local action = actions[args.words[1]] and args.words[1]
  check_options(args, action)
  if args.json and args.csv then options.usage "--json or --csv, not both" end
  if not action then return list(args) end
  return require(actions[action])[action](args, table.move(args.words, 2, #args.words, 1, {}))
end

return m
