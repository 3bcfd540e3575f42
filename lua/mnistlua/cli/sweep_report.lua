-- What a sweep says at its beginning and at its end: for people a table of its trials, the best one and the command
-- that repeats it; for programs one JSON object.
local core = require "mnistlua.core"
local json = require "mnistlua.json"
local progress = require "mnistlua.train.progress"
local run_text = require "mnistlua.cli.run_text"
local status_colors = require("mnistlua.cli.sweep_display").status_colors
local text_table = require "mnistlua.cli.text_table"

local m = {}

local most_rows = 20

local function plural(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

--- Says on stderr what is about to be done.
function m.opening(runner, folder, args)
  local left = #runner.pending
  local done = #runner.points - left
  local wanted = folder.plan.trials
  runner.display:message(("sweep of %s: %s%s, %d at a time with %s each"):format(core.escape(folder.plan.config),
    plural(left, "trial"), done > 0 and (" of %d left"):format(#runner.points) or "", math.min(runner.jobs,
    math.max(left, 1)), plural(runner.threads, "thread")))
  if wanted and #runner.points < wanted then
    runner.display:message(("the space has no more than %d different trials, not %d"):format(#runner.points, wanted))
  end
  local used, processors = runner.jobs * runner.threads, core.processors()
  if args.threads and used > processors then
    runner.display:message(("mnistlua: warning: %d trials with %s each are more than %s"):format(runner.jobs,
      plural(runner.threads, "thread"), plural(processors, "processor")))
  end
end

-- ---- for people ----

local function quoted(words)
  local list = {}
  for i, word in ipairs(words) do
    local name, value = word:match "^([%a_][%w_]*)=(.*)$"
    list[i] = name and name .. "=" .. run_text.quote(value) or run_text.quote(word)
  end
  return core.escape(table.concat(list, " "))
end

local function show_table(runner, by)
  local columns = {
    { title = "trial", right = true }, { title = "status" }, { title = by and by.name or "-", right = true },
    { title = "epochs", right = true }, { title = "time", right = true }, { title = "parameters" },
  }
  local ranked, rows = runner:ranked(), {}
  if #ranked == 0 then return end
  for i = 1, math.min(#ranked, most_rows) do
    local r = ranked[i]
    rows[i] = {
      ("%d"):format(r.trial), r.status, by and run_text.metric(by.name, r.metrics[by.name]) or "-",
      ("%d"):format(r.epochs), progress.duration(r.seconds), runner.label(r.trial),
      colors = { [2] = status_colors[r.status] },
    }
  end
  for _, text in ipairs(text_table.lines(columns, rows, text_table.room())) do print(text) end
  if #ranked > most_rows then print(("the best %d of %d"):format(most_rows, #ranked)) end
end

local function show_best(runner, folder, by)
  local best = runner:best()
  if not best then
    print "no trial has trained to its end"
    return
  end
  local value = by and best.metrics[by.name]
  print(("%-14s trial %d%s"):format("best", best.trial, value and (", %s %s"):format(by.name,
    run_text.metric(by.name, value)) or ""))
  if best.run then print(("%-14s %s"):format("run", core.escape(folder.dir .. "/" .. best.run))) end
  print(("%-14s %s"):format("repeat", quoted(runner.repeating(best.trial))))
end

-- Chosen by the test set, a result no longer says what unseen images would give.
local function warn_of_test(runner, by)
  if runner.metric or not by or not by.name:find "^test%." then return end
  runner.display:message(("mnistlua: warning: no validation part, so the trials were compared by %s; hold one out to "
    .. "keep the test set for the end"):format(by.name))
end

-- ---- for programs ----

local function as_json(runner, folder, by, ended)
  local best, trials = runner:best(), {}
  for number = 1, #runner.points do trials[#trials + 1] = runner.records[number] end
  return json.encode {
    sweep = folder.dir, status = ended, metric = by and by.name, better = by and (by.sign > 0 and "max" or "min"),
    trials = trials, counts = runner:counts(), best = best and best.trial, params = best and best.params,
    command = best and quoted(runner.repeating(best.trial)),
  }
end

--- Prints the result on stdout; on stderr how to go on with what is left.
function m.show(runner, folder, args, ended)
  local by, counts = runner:chosen(), runner:counts()
  if args.json then
    print(as_json(runner, folder, by, ended))
  else
    show_table(runner, by)
    show_best(runner, folder, by)
  end
  if args.quiet then return end
  warn_of_test(runner, by)
  if counts.left > 0 then
    runner.display:message(("%s left; go on with: mnistlua sweep --resume %s%s"):format(plural(counts.left, "trial"),
      run_text.quote(folder.dir:match "[^/]+$"), args.out ~= "runs" and " --out " .. run_text.quote(args.out) or ""))
  end
end

return m
