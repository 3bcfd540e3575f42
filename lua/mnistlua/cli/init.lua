-- The command line: finds the command, reads its arguments, runs it. Results go to stdout, everything else to stderr;
-- the exit code says how it ended. What a command does is in its own file; README.md says how one is made.
local argparse = require "argparse"
local arguments = require "mnistlua.cli.arguments"
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"

local m = {}

-- Every command and its module; `mnistlua CONFIG.lua` is `mnistlua train CONFIG.lua`.
local commands = {
  bench = "mnistlua.cli.bench",
  check = "mnistlua.cli.check",
  compare = "mnistlua.cli.compare",
  doctor = "mnistlua.cli.doctor",
  eval = "mnistlua.cli.eval",
  explain = "mnistlua.cli.explain",
  export = "mnistlua.cli.export",
  fork = "mnistlua.cli.fork",
  lrfind = "mnistlua.cli.lrfind",
  predict = "mnistlua.cli.predict",
  repl = "mnistlua.cli.repl",
  replay = "mnistlua.cli.replay",
  report = "mnistlua.cli.report",
  runs = "mnistlua.cli.runs",
  serve = "mnistlua.cli.serve",
  show = "mnistlua.cli.show",
  sweep = "mnistlua.cli.sweep",
  train = "mnistlua.cli.train",
}

-- ---- help ----

local about = [[
mnistlua trains neural networks that a Lua script describes.

  mnistlua CONFIG.lua [key=value ...] [options]   train (the same as: mnistlua train CONFIG.lua)
  mnistlua CONFIG.lua --help                      list the config's own parameters]]

-- What --help begins with: for training, which needs no command, that of the whole program.
local function description(name)
  if name ~= "train" then return require(commands[name]).about end
  local lines = { about }
  for _, other in ipairs(options.sorted_keys(commands)) do
    if other ~= "train" then
      lines[#lines + 1] = ("  %-47s %s"):format(("mnistlua %s %s"):format(other,
        require(commands[other]).usage or "[options]"), require(commands[other]).about)
    end
  end
  return table.concat(lines, "\n")
end

local function parser_of(name)
  local title = name == "train" and "mnistlua" or "mnistlua " .. name
  local parser = argparse(title, description(name)):add_help(false)
  require(commands[name]).options(parser)
  arguments.common(parser, name == "train" and "show this help, or a config's parameters" or "show this help")
  return parser
end

-- ---- which command ----

-- A word that is neither a command nor a config: is it one of the commands, misplaced or misspelt?
local function check_config(path)
  if not path or core.exists(path) then return end
  if commands[path] then options.usage(("the command comes first: mnistlua %s ..."):format(path)) end
  local hint = options.nearest(path, options.sorted_keys(commands))
  if hint and not path:find "[./]" then
    options.usage(("'%s' is neither a command nor a file; did you mean 'mnistlua %s'?"):format(core.escape(path), hint))
  end
end

-- The command, the words that are its arguments.
local function split(words)
  local name = words[1]
  if not commands[name] then return "train", words end
  return name, table.move(words, 2, #words, 1, {})
end

-- Reads the words. Returns an exit code if that is all (help, version), otherwise nil, the command and its arguments.
local function read(words)
  local name, rest = split(words)
  local command, parser = require(commands[name]), parser_of(name)
  local args = arguments.parse(parser, rest)
  if args.help and not (command.own_help and command.own_help(args)) then
    print(parser:get_help())
    return outcome.exit.done
  elseif args.version then
    print("mnistlua " .. core.version)
    return outcome.exit.done
  end
  if name == "train" then check_config(args.config) end
  return nil, command, args
end

--- Runs the command line and returns the exit code. A program that carries a model has a command line of its own.
function m.main(words)
  if core.carried then return require("mnistlua.cli.carried").main(words) end
  local code, command, args = outcome.guarded("usage", false, read, words)
  if code then return code end
  return outcome.guarded("usage", args.traceback, function()
    color.choose(args.color)
    arguments.apply(args)
    return command.run(args)
  end)
end

return m
