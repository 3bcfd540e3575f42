-- The command line: mnistlua CONFIG.lua [key=value ...] [options]. Results go to stdout, everything else to stderr; the
-- exit code says how it ended.
local core = require "mnistlua.core"
local argparse = require "argparse"
local color = require "mnistlua.color"
local context = require "mnistlua.context"
local failure = require "mnistlua.failure"
local metrics = require "mnistlua.train.metrics"
local options = require "mnistlua.options"
local params = require "mnistlua.params"

local m = {}

m.exit = { done = 0, runtime = 1, usage = 2, missed = 3, diverged = 4 }

local about = [[
mnistlua trains neural networks that a Lua script describes.

  mnistlua CONFIG.lua [key=value ...] [options]   train (the same as: mnistlua train CONFIG.lua)
  mnistlua CONFIG.lua --help                      list the config's own parameters]]

-- ---- reading the arguments ----

local function number_option(name, low, high)
  return function(text)
    local n = math.tointeger(tonumber(text))
    if n and n >= low and n <= high then return n end
    return nil, ("%s: expected a whole number from %d to %d, got '%s'"):format(name, low, high, core.escape(text))
  end
end

local units = { s = 1, m = 60, h = 3600, [""] = 1 }

local function duration(text)
  local amount, unit = text:match "^(%d+%.?%d*)([smh]?)$"
  if amount and tonumber(amount) > 0 then return tonumber(amount) * units[unit] end
  return nil, ("--max-time: expected a time such as 90s, 10m or 2h, got '%s'"):format(core.escape(text))
end

local function condition(text)
  local problem
  local ok, parsed = pcall(metrics.parse_condition, text, function(msg) problem = msg; error() end)
  if ok then return parsed end
  return nil, "--assert: " .. core.escape(tostring(problem))
end

local function build_parser()
  local p = argparse("mnistlua", about):add_help(false)
  local function option(...) return p:option(...):overwrite(false) end
  p:argument("config", "the experiment to train"):args "?"
  p:argument("parameters", "key=value: sets a parameter that the config declares with ml.params"):args "*"
  option("--seed", "seed of every random stream (default 0)"):convert(number_option("--seed", 0, 0xffffffff))
  option("--threads", "threads to compute with (default: all processors)"):convert(number_option("--threads", 1, 256))
  option("--data-dir", "the data folder (default: $MNISTLUA_DATA, or data/)")
  option("--data", "digits: train on the built-in synthetic digits in place of MNIST"):choices { "digits" }
  option("--out", "where run folders are made"):default "runs"
  option("--max-time", "stop after this time, e.g. 90s, 10m, 2h"):convert(duration)
  p:option("--assert", "a condition on the result, e.g. 'test.acc>=0.97'; missing it is exit code 3")
    :count("*"):convert(condition)
  p:flag("--json", "print the result as one JSON object")
  p:flag("--quiet", "print the result and errors only")
  p:flag("--no-progress", "one line per epoch, also on a terminal")
  option("--color", "colours: auto, always or never"):choices { "auto", "always", "never" }:default "auto"
  p:flag("--traceback", "show where in the Lua code an error arose")
  option("-e", "run a Lua statement (with ml, nn, optim and sched at hand) instead of a config"):argname "STATEMENT"
  p:flag("--help -h", "show this help, or a config's parameters")
  p:flag("--version", "show the version")
  return p
end

-- Subcommands of a later version: told apart from a config that is not there.
local later = {
  "bench", "check", "compare", "doctor", "eval", "explain", "export", "fork", "lrfind", "predict", "repl", "replay",
  "report", "runs", "serve", "show", "sweep",
}

local function check_command(name)
  for _, command in ipairs(later) do
    if command == name and not core.exists(name) then
      options.usage(("there is no command '%s' in this version; mnistlua CONFIG.lua trains"):format(name))
    end
  end
end

-- "--threads -1" as "--threads=-1", so that a negative number is told as a wrong value and not as an unknown option.
local function join_negative_values(arguments)
  local joined = {}
  for _, text in ipairs(arguments) do
    if text:find "^%-%d" and (joined[#joined] or ""):find "^%-%-[%l-]+$" then
      joined[#joined] = joined[#joined] .. "=" .. text
    else
      joined[#joined + 1] = text
    end
  end
  return joined
end

local function parse_overrides(list)
  for _, text in ipairs(list) do
    local key, value = text:match "^([%a_][%w_]*)=(.*)$"
    if not key then
      options.usage(("expected key=value, got '%s'"):format(core.escape(text)))
    elseif context.overrides[key] then
      options.usage(("parameter %s is given twice"):format(key))
    end
    context.overrides[key] = value
    context.override_order[#context.override_order + 1] = key
  end
end

local function parse(arguments)
  if arguments[1] == "train" then table.remove(arguments, 1) end
  local parser = build_parser()
  local ok, args = parser:pparse(join_negative_values(arguments))
  if not ok then options.usage(core.escape((tostring(args):gsub("\nDid", "; did"):gsub("%s*\n%s*", " ")))) end
  if args.help and not args.config then
    print(parser:get_help())
    return nil
  elseif args.version then
    print("mnistlua " .. core.version)
    return nil
  elseif not args.config and not args.e then
    options.usage "no config given: mnistlua CONFIG.lua (try configs/mlp512.lua; mnistlua --help lists the options)"
  end
  if args.e and args.config then options.usage "give a config or -e STATEMENT, not both" end
  if args.config then check_command(args.config) end
  parse_overrides(args.parameters)
  return args
end

-- ---- running a config ----

-- `return ml.experiment { ... }` is a tail call, after which Lua no longer knows the config's line. With parentheses
-- around the value it is an ordinary call. Line numbers stay; what cannot be loaded like this is loaded as it is.
local function without_tail_call(text)
  local before, value = ("\n" .. text):match "^(.*\n)return%s+(.-)[%s;]*$"
  if not before then return text end
  return before:sub(2) .. "return (" .. value .. "\n)"
end

local function read_config(path)
  local text, problem = core.read_file(path, 1 << 24)
  if not text then options.usage(problem) end
  if text:sub(1, 1) == "\27" then
    options.usage(("%s: this is compiled Lua; expected the script's text"):format(core.escape(path)))
  end
  text = text:gsub("^\xef\xbb\xbf", ""):gsub("^#[^\n]*", "")
  local chunk = load(without_tail_call(text), "@" .. path, "t")
  if not chunk then chunk, problem = load(text, "@" .. path, "t") end
  if not chunk then options.usage(core.escape(problem)) end
  return chunk
end

local function search_beside(path)
  local folder = path:match "^(.*)/" or "."
  package.path = folder .. "/?.lua;" .. package.path
end

local function apply_settings(args)
  context.config, context.seed, context.data = args.config, args.seed or 0, args.data
  context.data_dir, context.listing = args.data_dir, args.help
  color.choose(args.color)
  if args.threads then
    local got = core.threads(args.threads)
    if got < args.threads then
      io.stderr:write(("mnistlua: warning: asked for %d threads, the system gave %d\n"):format(args.threads, got))
    end
  end
  require("mnistlua").manual_seed(context.seed)
end

local function show_parameters(path)
  local lines = params.help()
  print(("parameters of %s (set with key=value):"):format(core.escape(path)))
  print(#lines > 0 and table.concat(lines, "\n") or "  none")
  print "mnistlua --help lists the options."
end

local function new_progress(args)
  local terminal = core.isatty(2) and not args.quiet and not args.no_progress
  return require("mnistlua.train.progress").new { terminal = terminal, quiet = args.quiet }
end

local function train(run, args)
  local trainer = require "mnistlua.trainer"
  local report = require "mnistlua.train.result"
  local experiment = run.experiment
  local store, problem = require("mnistlua.train.store").create(args.out, experiment.name)
  if not store then
    error(failure.new("runtime", ("the output folder %s cannot be used: %s"):format(args.out, problem)), 0)
  end
  local progress = new_progress(args)
  if not args.quiet then report.opening(experiment, progress) end
  local result, unsaved = trainer.train(run, {
    progress = progress, store = store, deadline = args.max_time and core.clock() + args.max_time,
  })
  local saved, why = store:save_result(result)
  report.show(result, run, args.json)
  if unsaved or not saved then error(failure.new("runtime", unsaved or why), 0) end
  local conditions = table.move(args.assert or {}, 1, #(args.assert or {}), #experiment.conditions + 1,
    table.move(experiment.conditions, 1, #experiment.conditions, 1, {}))
  local missed = metrics.missed(conditions, result)
  for _, line in ipairs(missed) do io.stderr:write("mnistlua: missed: " .. line .. "\n") end
  if run.interrupted then return 128 + run.interrupted end
  return #missed > 0 and m.exit.missed or m.exit.done
end

local function run_statement(text)
  local ml = require "mnistlua"
  rawset(_G, "ml", ml)
  for _, name in ipairs { "nn", "optim", "sched" } do rawset(_G, name, ml[name]) end
  local chunk, problem = load(text, "=-e", "t")
  if not chunk then options.usage(core.escape(problem)) end
  chunk()
  return m.exit.done
end

local function run_config(args)
  local chunk = read_config(args.config)
  search_beside(args.config)
  local value = chunk()
  if args.help then return show_parameters(args.config) or m.exit.done end
  if not context.params then params.check_overrides {} end
  local experiment = require "mnistlua.experiment"
  if experiment.is_experiment(value) then
    return train, require("mnistlua.trainer").prepare(value, { seed = context.seed })
  end
  if value == nil and context.pending then
    options.fail("the experiment is described but not returned; write return ml.experiment { ... }", context.pending)
  elseif value ~= nil then
    options.usage(("%s: a config returns ml.experiment{...} or nothing, got %s"):format(args.config, type(value)))
  end
  if #(args.assert or {}) > 0 then
    options.usage(args.config .. ": --assert needs a config that returns an experiment")
  end
  return m.exit.done
end

-- ---- how it ends ----

-- One line for whatever an error value is: strings, tables with a message, nil, and what fails to say what it is.
local function describe(problem)
  if failure.is(problem) then return problem.message end
  if problem == nil then return "an error without a value (error(nil))" end
  local meta = debug.getmetatable(problem)
  local ok, text = pcall(tostring, problem)
  if type(problem) ~= "string" and not (ok and type(meta) == "table" and meta.__tostring) then
    return "an error value of type " .. type(problem)
  end
  return (text:gsub("%s*\n%s*", " "))
end

-- A config that ignores nil, message stumbles over the nil sooner or later; then what it ignored is the message.
local function comes_from_fault(message)
  return context.last_fault and (message:find("nil value", 1, true) or message:find("got nil", 1, true))
end

local function report_failure(problem, default)
  local message, code = describe(problem), default
  if failure.is(problem) then
    code = m.exit[problem.kind] or default
  elseif default == m.exit.usage and comes_from_fault(message) then
    message, code = context.last_fault, m.exit.runtime
  elseif message == context.last_fault then
    code = m.exit.runtime
  end
  io.stderr:write("mnistlua: " .. color.paint("red", "error:") .. " " .. core.escape(message) .. "\n")
  return code
end

-- Calls f(...) and turns an error into its message and exit code.
local function guarded(default, traceback, f, ...)
  local trace
  local results = table.pack(xpcall(f, function(problem)
    if traceback and problem ~= params.listing_done then trace = debug.traceback(nil, 2) end
    return options.located(problem)
  end, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  if results[2] == params.listing_done then return show_parameters(context.config) or m.exit.done end
  local code = report_failure(results[2], default)
  for text in (trace or ""):gmatch "[^\n]+" do io.stderr:write(core.escape((text:gsub("\t", "  "))), "\n") end
  return code
end

--- Runs the command line and returns the exit code.
function m.main(arguments)
  local args
  local code = guarded(m.exit.usage, false, function() args = parse(arguments) end)
  if code then return code end
  if not args then return m.exit.done end
  local run
  code, run = guarded(m.exit.usage, args.traceback, function()
    apply_settings(args)
    if args.e then return run_statement(args.e) end
    return run_config(args)
  end)
  if code ~= train then return code end
  return guarded(m.exit.runtime, args.traceback, train, run, args)
end

return m
