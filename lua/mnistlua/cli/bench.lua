-- mnistlua bench: how fast this machine trains and infers, beside NumPy, PyTorch and scikit-learn. This file reads the
-- options and gives the order; what is measured and shown is in ../bench.
local arguments = require "mnistlua.cli.arguments"
local core = require "mnistlua.core"
local cases = require "mnistlua.bench.cases"
local compare = require "mnistlua.bench.compare"
local context = require "mnistlua.context"
local failure = require "mnistlua.failure"
local files = require "mnistlua.data.files"
local json = require "mnistlua.json"
local machine = require "mnistlua.bench.machine"
local measure = require "mnistlua.bench.measure"
local nn = require "mnistlua.nn"
local options = require "mnistlua.options"
local peers = require "mnistlua.bench.peers"
local result = require "mnistlua.bench.result"
local rounds = require "mnistlua.bench.rounds"
local table_of = require "mnistlua.bench.table"

local m = {}

m.about = "measure the speed of training and inference, beside NumPy, PyTorch and scikit-learn"

-- ---- options ----

local function seconds(text)
  local n = tonumber(text)
  if n and n >= 0.001 and n <= 60 then return n end
  return nil, ("--seconds: expected a number from 0.001 to 60, got '%s'"):format(core.escape(text))
end

-- "a,b" as the list of names in it, each of which must be one of `known`.
local function names(option, known)
  return function(text)
    local list = {}
    for name in (text .. ","):gmatch "([^,]*)," do
      if options.accept({ choices = known }, name) == nil then
        return nil, ("%s: expected names of %s, got '%s'%s"):format(option, table.concat(known, ","), core.escape(text),
          options.hint(name, known))
      end
      list[#list + 1] = name
    end
    return list
  end
end

local function peer_names(text)
  if text == "none" then return {} end
  return names("--peers", peers.names)(text)
end

function m.options(parser)
  local function option(...) return arguments.option(parser, ...) end
  parser:flag("--quick", "fewer cases, rounds and seconds: about 15 seconds")
  option("--only", "what to measure, of " .. table.concat(cases.groups, ","))
    :argname("GROUP,..."):convert(names("--only", cases.groups))
  option("--peers", "the libraries to compare with, of " .. table.concat(peers.names, ",") .. "; or none")
    :argname("NAME,..."):convert(peer_names)
  option("--rounds", "rounds over all cases (default 5, quick 3)"):convert(arguments.whole("--rounds", 1, 1000))
  option("--seconds", "seconds of each measurement (default 0.2, quick 0.05)"):convert(seconds)
  arguments.add(parser, "threads", "data_dir", "json")
  option("--save", "keep the result in a file"):argname "FILE"
  option("--compare", "compare with a result that was kept"):argname "FILE"
end

-- ---- before the measuring ----

local function fail(fmt, ...) error(failure.new("runtime", fmt:format(...)), 0) end

-- The kept result, and a place for the new one: told now if they are not there, not after minutes.
local function check_files(args)
  if args.save then
    local folder = args.save:match "^(.*/)[^/]*$" or "."
    local ok, problem = core.is_dir(folder), "there is no such folder"
    if ok then ok, problem = core.check_writable(folder) end
    if not ok then fail("--save: %s: %s", args.save, problem) end
  end
  if not args.compare then return nil end
  local kept, problem = result.read(args.compare)
  if not kept then fail("--compare: %s", problem) end
  return kept
end

local function mnist_files()
  local folder = files.find_folder "mnist"
  if not folder then return nil end
  local paths = {}
  for _, part in ipairs { "train", "t10k" } do
    local images, labels = files.pair("mnist", folder, part)
    table.move({ images, labels }, 1, 2, #paths + 1, paths)
  end
  return paths
end

local function set_of(list)
  if not list then return nil end
  local set = {}
  for _, name in ipairs(list) do set[name] = true end
  return set
end

-- The workloads that can be measured here, and in `notes` why others cannot.
local function plan(args, threads, notes)
  local groups = set_of(args.only)
  local mnist, conv, bf16 = mnist_files(), rawget(nn, "Conv2d") ~= nil, core.amx() and "fast" or "emulated"
  local function wanted(group) return not groups or groups[group] end
  if not mnist and wanted "loading" then notes[#notes + 1] = "MNIST is not there, so loading was not measured" end
  if not conv and wanted "conv" then notes[#notes + 1] = "there is no nn.Conv2d, so no convolution was measured" end
  if bf16 == "emulated" then
    notes[#notes + 1] = "there is no AMX: bf16 is emulated, to the bit but slowly, and has no peak of its own"
  end
  return cases.list { threads = threads, groups = groups, quick = args.quick, mnist = mnist, bf16 = bf16, conv = conv }
end

-- ---- the measuring ----

-- On a terminal one line that says what is being measured; piped, one line a round.
local function progress(total)
  local terminal, last = core.isatty(2), 0
  local function show(text)
    if terminal then io.stderr:write("\r", text:sub(1, core.terminal_width() - 1), "\27[K") end
  end
  local function say(round, workload, what)
    show(("round %d/%d  %s, %s: %s"):format(round, total, workload.group, workload.label, what))
    if not terminal and round > last then io.stderr:write(("round %d/%d\n"):format(round, total)) end
    last = round
  end
  return say, show
end

-- Measures; signals are held meanwhile. Returns the result and, if one came, the signal's number.
local function run(args, notes)
  local facts, threads = machine.describe(), core.threads()
  local workloads = plan(args, threads, notes)
  local given = { rounds = args.rounds or args.quick and 3 or 5, seconds = args.seconds or args.quick and 0.05 or 0.2 }
  if #workloads == 0 then fail("nothing is left to measure: %s", table.concat(notes, "; ")) end
  local say, show = progress(given.rounds)
  core.interrupts(true)
  core.hold_signals(true)
  show "starting the libraries to compare with ..."
  local libraries = peers.start(args.peers or peers.names, { threads = threads, quick = args.quick, notes = notes })
  local _ <close> = setmetatable({}, { __close = function()
    show ""
    libraries:close()
    measure.release()
    core.threads(threads)
    core.hold_signals(false)
  end })
  local completed, signal = rounds.run(workloads, libraries, given, say)
  if signal then
    notes[#notes + 1] = ("it was interrupted in round %d of %d"):format(completed + 1, given.rounds)
  end
  return result.build(workloads, {
    machine = facts, threads = threads, rounds = signal and completed or given.rounds, seconds = given.seconds,
    notes = notes, peers = libraries.list,
  }), signal
end

--- Measures and prints. Exit code 0, or 128 + the signal that ended it early.
function m.run(args)
  local kept, notes = check_files(args), {}
  context.quiet = true                 -- what is emulated is told below the table
  local now, signal = run(args, notes)
  if args.json then
    print(json.encode(now))
  else
    print(table.concat(table_of.lines(now), "\n"))
    if kept then print("\n" .. table.concat(compare.lines(now, kept, args.compare), "\n")) end
  end
  if args.save then
    local ok, problem = core.write_file(args.save, json.encode(now) .. "\n")
    if not ok then fail("--save: %s", problem) end
  end
  return signal and 128 + signal or 0
end

return m
