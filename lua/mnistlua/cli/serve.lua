-- mnistlua serve [RUN]: a page on 127.0.0.1 that follows runs as they train, lists and compares them, and has a draw
-- pad for their models. It writes nothing and runs until it is interrupted.
local arguments = require "mnistlua.cli.arguments"
local core = require "mnistlua.core"
local outcome = require "mnistlua.cli.outcome"
local resume = require "mnistlua.train.resume"
local serve = require "mnistlua.serve"

local m = { about = "a page that follows runs live, compares them, has a draw pad", usage = "[RUN] [--port N]" }

local default_port = 2828     -- 28 x 28

function m.options(parser)
  parser:argument("run", "the run to show first: last, its number, its folder's name, a path"):args "?"
  arguments.option(parser, "--port", ("the port of 127.0.0.1 to listen on (default %d); 0: any that is free"):format(
    default_port)):convert(arguments.whole("--port", 0, 65535))
  arguments.add(parser, "data_dir", "out")
end

local function encoded(text)
  return (text:gsub("[^%w_.~-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- Where the runs are, and the place in the page where it begins.
local function place_of(args)
  if not args.run then return args.out, "" end
  local dir = resume.find_run(args.out, args.run)
  local out, name = dir:match "^(.*)/([^/]+)$"
  return out or ".", "#/run/" .. encoded(name or dir)
end

function m.run(args)
  local out, place = place_of(args)
  core.hold_signals(true)
  core.threads(1)                     -- a picture at a time needs no more, and a training beside it does
  local server = serve.start(out, args.port or default_port)
  print(("http://127.0.0.1:%d/%s"):format(server.port, place))
  io.stdout:flush()
  io.stderr:write(("the runs of %s; Ctrl-C ends the server\n"):format(core.escape(out)))
  serve.run(server)
  return outcome.exit.done
end

return m
