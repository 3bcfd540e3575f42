-- The command line of a program that `mnistlua export --exe` made: `mnistlua predict` with the model that it carries.
-- Called by init.lua in such a program, where there is nothing else to run.
local argparse = require "argparse"
local arguments = require "mnistlua.cli.arguments"
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local predict = require "mnistlua.cli.predict"

local m = {}

-- Reads the words. Returns an exit code if that is all (help, version), otherwise nil and the arguments.
local function read(words)
  local title = core.escape(words[0] and words[0]:match "([^/]+)$" or "mnistlua")
  local parser = argparse(title, core.carried "about"):add_help(false)
  predict.picture_options(parser)
  arguments.common(parser, "show this help")
  local args = arguments.parse(parser, words)
  if args.help then
    print(parser:get_help())
    return outcome.exit.done
  elseif args.version then
    print("mnistlua " .. core.version)
    return outcome.exit.done
  elseif #args.file == 0 then
    options.usage(("expected PNG files: %s FILE.png ... (- is standard input)"):format(title))
  end
  args.model = words[0] or title
  return nil, args
end

--- Runs the command line and returns the exit code.
function m.main(words)
  local code, args = outcome.guarded("usage", false, read, words)
  if code then return code end
  return outcome.guarded("usage", args.traceback, function()
    color.choose(args.color)
    arguments.apply(args)
    return predict.run(args)
  end)
end

return m
