-- mnistlua runs show RUN: everything that is known of a run, for people or as JSON.
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local folder = require "mnistlua.store.folder"
local json = require "mnistlua.json"
local metrics = require "mnistlua.store.metrics"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local params = require "mnistlua.params"
local progress = require "mnistlua.train.progress"
local color = require "mnistlua.color"
local run_text = require "mnistlua.cli.run_text"
local store = require "mnistlua.store"
local text_table = require "mnistlua.cli.text_table"

local m = {}

local most_epochs = 12    -- rows of the table

local function line(label, fmt, ...)
  print(("%-14s %s"):format(label, core.escape(fmt:format(...))))
end

-- The metrics of the table of epochs, of those that the epochs have; on a terminal as many as fit.
local function columns_of(epochs, room)
  local names, used = {}, 5
  for _, name in ipairs(run_text.metrics) do
    local has = false
    for _, epoch in ipairs(epochs) do has = has or epoch[name] ~= nil end
    used = used + (has and math.max(#name, 8) + 2 or 0)
    if has and used <= room then names[#names + 1] = name end
  end
  return names
end

local function show_epochs(epochs)
  if #epochs == 0 then return end
  local room = text_table.room()
  local names, columns, rows = columns_of(epochs, room), { { title = "epoch", right = true } }, {}
  for _, name in ipairs(names) do columns[#columns + 1] = { title = name, right = true } end
  local first = math.max(1, #epochs - most_epochs + 1)
  for i = first, #epochs do
    local row = { ("%d"):format(epochs[i].epoch) }
    for _, name in ipairs(names) do row[#row + 1] = run_text.metric(name, epochs[i][name]) end
    rows[#rows + 1] = row
  end
  print ""
  for _, text in ipairs(text_table.lines(columns, rows, room)) do print(text) end
  if first > 1 then print(("the last %d of %d epochs"):format(most_epochs, #epochs)) end
end

local function show_params(r)
  local changed, is_changed, rest = run_text.changed(r), {}, {}
  for _, name in ipairs(r.changed) do is_changed[name] = true end
  for _, name in ipairs(options.sorted_keys(r.params)) do
    if not is_changed[name] then rest[#rest + 1] = name .. "=" .. params.text(r.params[name]) end
  end
  if #changed > 0 then line("parameters", "%s", table.concat(changed, " ")) end
  if #rest > 0 then line("defaults", "%s", table.concat(rest, " ")) end
end

local function show_results(r)
  for _, part in ipairs { "train", "val", "test" } do
    local acc, loss = r.results[part .. ".acc"], r.results[part .. ".loss"]
    if loss then line(part .. " accuracy", "%s   loss %s", progress.percent(acc), progress.loss(loss)) end
  end
  for _, name in ipairs(options.sorted_keys(r.results)) do
    if name:find "^user%." then line(name, "%.6g", r.results[name]) end
  end
end

-- How it ended, when, how long it took.
local function status_line(r)
  local when = r.started and (", %s ago"):format(run_text.age(os.time() - r.started)) or ""
  local took = r.seconds and (", %s"):format(progress.duration(r.seconds)) or ""
  local holder = r.status == "running" and folder.holder(r.dir) or 0
  local status = color.paint_stdout(run_text.status_colors[r.status], core.escape(r.status))
  local who = holder > 0 and (" (process %d)"):format(holder) or ""
  local why = folder.why_stopped(r.dir)
  why = why and why ~= r.status and (" (%s)"):format(core.escape(why)) or ""
  print(("%-14s %s%s%s%s%s"):format("status", status, why, when, took, who))
end

local function show(r, facts, epochs)
  line("run", "%s%s", r.folder, r.id and ("   (number %d)"):format(r.id) or "")
  status_line(r)
  local command = run_text.command(r, facts)
  if command then line("command", "%s", command) end
  show_params(r)
  if r.parent then line("goes on from", "%s, step %d", r.parent, r.parent_step or 0) end
  if facts and facts.forced then line("forced", "it went on although its config or data had changed") end
  for _, text in ipairs(run_text.changes(facts and facts.changes)) do line("changed", "by hand at %s", text) end
  if r.data then line("data", "%s   hash %s", r.data, r.data_hash or "unknown") end
  if r.precision then
    line("computed", "seed %d, %s, %s, %d threads, mnistlua %s", r.seed or 0, r.precision, r.isa or "?", r.threads or 0,
      r.version or "?")
  end
  if #r.tags > 0 then line("tags", "%s", table.concat(r.tags, " ")) end
  if (r.note or "") ~= "" then line("note", "%s", r.note) end
  if r.epoch then line("trained", "%s epochs, %s steps", run_text.epochs(r), progress.thousands(r.step or 0)) end
  show_results(r)
  line("folder", "%s", r.dir)
  show_epochs(epochs)
end

-- The command's word for a run; the last one without.
local function find(db, words)
  if #words > 1 then options.usage "runs show shows one run; mnistlua compare shows several" end
  local record, problem = store.find(db, words[1] or "last")
  if not record then error(failure.new("usage", problem), 0) end
  return record
end

function m.show(args, words)
  store.with(args.out, {}, function(db)
    local r = find(db, words)
    local facts, epochs = folder.facts(r.dir), r.id and metrics.epochs(db, r.id) or {}
    if args.json then
      r.facts, r.epochs_done, r.number, r.id = facts, epochs, r.id, nil
      print(json.encode(r))
    else
      show(r, facts, epochs)
    end
  end)
  return outcome.exit.done
end

return m
