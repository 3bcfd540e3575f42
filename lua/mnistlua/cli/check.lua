-- mnistlua check CONFIG: looks at an experiment for about a second before it is trained, and says line by line what is
-- right and what is not. Exit code 2 if something is wrong. It writes no file.
local arguments = require "mnistlua.cli.arguments"
local checks = require "mnistlua.inspect.checks"
local color = require "mnistlua.color"
local config = require "mnistlua.cli.config"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local json = require "mnistlua.json"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local params = require "mnistlua.params"

local m = { about = "shapes, data, gradients, one batch by heart, time and memory of an experiment",
  usage = "CONFIG.lua [key=value ...]" }

local function seconds(text)
  local n = tonumber(text)
  if n and n > 0 and n <= 3600 then return n end
  return nil, ("--seconds: expected a number above 0, up to 3600, got '%s'"):format(core.escape(text))
end

function m.options(parser)
  parser:argument("config", "the experiment to check"):args "?"
  parser:argument("parameters", "key=value: sets a parameter that the config declares with ml.params"):args "*"
  arguments.option(parser, "--seconds", "time for the checks that train, roughly (default 1)"):convert(seconds)
  arguments.add(parser, "seed", "threads", "precision", "data_dir", "data", "json")
end

--- Whether --help is about the config's parameters.
function m.own_help(args) return args.config ~= nil end

local colors = { ok = "green", warning = "yellow", wrong = "red", skipped = "dim" }

local function show(row)
  local verdict = color.paint_stdout(colors[row.verdict], ("%-8s"):format(row.verdict))
  print(("%s %-11s %s"):format(verdict, row.name, core.escape(row.text)))
  io.stdout:flush()
end

local function parameters_text()
  local words = {}
  for _, name in ipairs(context.params and context.params.names or {}) do
    words[#words + 1] = name .. "=" .. params.text(context.params.values[name])
  end
  return #words > 0 and ", " .. table.concat(words, " ") or ""
end

local function has_wrong(rows)
  for _, row in ipairs(rows) do
    if row.verdict == "wrong" then return true end
  end
  return false
end

--- What the config itself gets wrong, such as unknown keys, ends the command with a message.
function m.run(args)
  if not args.config then options.usage "no config given: mnistlua check CONFIG.lua" end
  config.override(args.parameters)
  local experiment, code = config.run(args.config, args.help)
  if code then return code end
  if not experiment then options.usage(args.config .. ": check needs a config that returns an experiment") end
  local head = { name = "config", verdict = "ok", text = args.config .. parameters_text() }
  local each = args.json and function() end or show
  each(head)
  local rows, figures = checks.run(experiment, { seed = context.seed, seconds = args.seconds or 1 }, each)
  table.insert(rows, 1, head)
  local wrong = has_wrong(rows)
  if args.json then
    figures = figures or {}
    print(json.encode { checks = rows, ok = not wrong, config = args.config, name = experiment.name,
      step_ms = figures.step_ms, eta_seconds = figures.eta_seconds })
  end
  return wrong and outcome.exit.usage or outcome.exit.done
end

return m
