-- mnistlua lrfind CONFIG.lua: sweeps the learning rate and draws what the loss does. It writes no file.
local arguments = require "mnistlua.cli.arguments"
local config = require "mnistlua.cli.config"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local json = require "mnistlua.json"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local plot = require "mnistlua.plot"

local m = { about = "sweep the learning rate, draw the loss, suggest a rate", usage = "CONFIG.lua [options]" }

local function rate(name)
  return function(text)
    local n = tonumber(text)
    if n and n > 0 and n < math.huge then return n end
    return nil, ("%s: expected a learning rate above 0, got '%s'"):format(name, core.escape(text))
  end
end

local function share(text)
  local n = tonumber(text)
  if n and n >= 0 and n < 1 then return n end
  return nil, ("--smooth: expected a number from 0 up to but not 1, got '%s'"):format(core.escape(text))
end

function m.options(parser)
  parser:argument("config", "the experiment to sweep"):args "?"
  parser:argument("parameters", "key=value: sets a parameter that the config declares with ml.params"):args "*"
  arguments.option(parser, "--from", "the first learning rate (default 1e-5)"):argname("LR"):convert(rate "--from")
  arguments.option(parser, "--to", "the last (default 10)"):argname("LR"):convert(rate "--to")
  arguments.option(parser, "--steps", "steps of training (default 120)"):convert(arguments.whole("--steps", 10, 100000))
  arguments.option(parser, "--smooth", "share of the past in the smoothed loss (default 0.9)"):convert(share)
  arguments.add(parser, "seed", "threads", "precision", "data_dir", "data", "json", "quiet")
end

--- Whether --help is about the config's parameters.
function m.own_help(args) return args.config ~= nil end

-- ---- what is shown ----

local function watcher(args, steps)
  local last = core.clock()
  if args.quiet or not core.isatty(2) then return function() end, function() end end
  return function(i)
    if core.clock() - last < 0.1 then return end
    last = core.clock()
    io.stderr:write(("\rlrfind: step %d of %d\27[K"):format(i, steps))
  end, function() io.stderr:write "\r\27[K" end
end

-- Two digits, as one would type it: "0.045", "1.2e-05".
local function short(x) return ("%.2g"):format(x) end

-- The parameter of the config that is the rate, if it declares one.
local function rate_parameter()
  for _, wanted in ipairs { "lr", "max_lr" } do
    for _, name in ipairs(context.params and context.params.names or {}) do
      if name == wanted then return name end
    end
  end
end

-- The smoothed losses; those that would leave no room for the rest of the curve are cut off at the top.
local function curve_of(points)
  local xs, ys, top = {}, {}, 0
  for i = 1, math.max(#points // 10, 1) do top = math.max(top, points[i].smoothed) end
  for i, point in ipairs(points) do xs[i], ys[i] = point.lr, math.min(point.smoothed, 1.25 * top) end
  return xs, ys
end

local function show(args, points, early, found)
  local width = math.max(20, math.min(core.isatty(1) and core.terminal_width() or 80, 100) - 12)
  local xs, ys = curve_of(points)
  print(("smoothed loss over the learning rate, %d steps%s"):format(#points, early and "; then " .. early or ""))
  for _, line in ipairs(plot.curve(xs, ys, { width = width, utf8 = plot.utf8(), mark = found and found.suggestion })) do
    print(line)
  end
  if not found then
    print "no suggestion: the loss never fell; try other rates (--from, --to) or more --steps"
    return
  end
  print(("steepest fall  %s"):format(short(found.steepest)))
  print(("lowest loss    %s"):format(short(found.lowest)))
  print(("suggestion     %s"):format(short(found.suggestion)))
  local name = rate_parameter()
  if name then print(("try            mnistlua %s %s=%s"):format(args.config, name, short(found.suggestion))) end
end

-- ---- the command ----

local function find(experiment, args, o)
  local lrfind = require "mnistlua.train.lrfind"
  local watch, clear = watcher(args, o.steps)
  local points, early = lrfind.run(experiment, o, watch)
  clear()
  if #points < 5 then
    error(failure.new("runtime", ("lrfind: %s after %d steps; begin with a smaller rate (--from)"):format(
      early or "it ended", #points)), 0)
  end
  local found = lrfind.suggest(points)
  if args.json then
    print(json.encode { points = points, suggestion = found and found.suggestion, lowest = found and found.lowest,
      steepest = found and found.steepest, stopped = early, config = args.config, name = experiment.name })
  else
    show(args, points, early, found)
  end
  return outcome.exit.done
end

local function read(args)
  local o = {
    from = args.from or 1e-5, to = args.to or 10, steps = args.steps or 120, smooth = args.smooth or 0.9,
    seed = args.seed or 0,
  }
  if o.from >= o.to then
    options.usage(("--from: expected a rate below that of --to (%g), got %g"):format(o.to, o.from))
  end
  return o
end

--- Mistakes of the command line and the config end it before the first step.
function m.run(args)
  if not args.config then options.usage "no config given: mnistlua lrfind CONFIG.lua" end
  local o = read(args)
  config.override(args.parameters)
  local experiment, code = config.run(args.config, args.help)
  if code then return code end
  if not experiment then options.usage(args.config .. ": lrfind needs a config that returns an experiment") end
  return outcome.guarded("runtime", args.traceback, find, experiment, args, o)
end

return m
