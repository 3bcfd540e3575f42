-- Arguments that several commands share: how each is declared, read and put into effect, so that --threads means the
-- same everywhere and a wrong value gets the same message.
local checkpoint = require "mnistlua.train.checkpoint"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local duration = require "mnistlua.duration"
local files = require "mnistlua.data.files"
local metrics = require "mnistlua.train.metrics"
local options = require "mnistlua.options"
local precision = require "mnistlua.precision"

local m = {}

-- ---- texts to values: converters for argparse, which return nil and a message for a wrong one ----

--- A whole number from low to high.
function m.whole(name, low, high)
  return function(text)
    local n = math.tointeger(tonumber(text))
    if n and n >= low and n <= high then return n end
    return nil, ("%s: expected a whole number from %d to %d, got '%s'"):format(name, low, high, core.escape(text))
  end
end

--- When checkpoints are saved.
local function every(text)
  local parsed = checkpoint.read_every(text)
  if parsed then return parsed end
  return nil, ("--checkpoint-every: expected a number of steps, a time such as 10m, epoch or never, got '%s'"):format(
    core.escape(text))
end

--- A time such as 90s, 10m or 2h, in seconds.
function m.duration(name)
  return function(text)
    local seconds = duration.read(text)
    if seconds then return seconds end
    return nil, ("%s: expected a time such as 90s, 10m or 2h, got '%s'"):format(name, core.escape(text))
  end
end

local function condition(text)
  local problem
  local ok, parsed = pcall(metrics.parse_condition, text, function(msg) problem = msg; error() end)
  if ok then return parsed end
  return nil, "--assert: " .. core.escape(tostring(problem))
end

local function precision_name(text)
  for _, name in ipairs(precision.names) do
    if name == text then return name end
  end
  return nil, ("--precision: expected %s, got '%s'%s"):format(table.concat(precision.names, ", "), core.escape(text),
    options.hint(text, precision.names))
end

local function data_name(text)
  local names = { "digits" }
  for _, set in ipairs(files.sets) do names[#names + 1] = set.name end
  for _, name in ipairs(names) do
    if name == text then return name end
  end
  return nil, ("--data: expected %s, got '%s'%s"):format(table.concat(names, ", "), core.escape(text),
    files.near(text, names))
end

-- ---- the shared options ----

--- An option that may be given once.
function m.option(parser, ...) return parser:option(...):overwrite(false) end

local parts = { "train", "val", "test" }

--- --part: which part of a run's data.
function m.part(parser)
  m.option(parser, "--part", "of the run's data: test (default, or val where there is none), val, train")
    :argname("PART"):convert(function(text)
      for _, part in ipairs(parts) do
        if part == text then return part end
      end
      return nil, ("--part: expected train, val or test, got '%s'%s"):format(core.escape(text),
        options.hint(text, parts))
    end)
end

local shared = {
  seed = function(p)
    m.option(p, "--seed", "seed of every random stream (default 0)"):convert(m.whole("--seed", 0, 0xffffffff))
  end,
  threads = function(p)
    m.option(p, "--threads", "threads to compute with (default: all processors)")
      :convert(m.whole("--threads", 1, 256))
  end,
  precision = function(p)
    m.option(p, "--precision", "of matrix products: f32 (default), bf16, bf16x3; auto: bf16 on AMX, else f32")
      :argname("NAME"):convert(precision_name)
  end,
  data_dir = function(p) m.option(p, "--data-dir", "the data folder (default: $MNISTLUA_DATA, or data/)") end,
  data = function(p)
    m.option(p, "--data", "in place of MNIST: digits (synthetic, built in), fashion_mnist, kmnist, emnist_digits")
      :argname("NAME"):convert(data_name)
  end,
  out = function(p) m.option(p, "--out", "where run folders are made"):default "runs" end,
  max_time = function(p)
    m.option(p, "--max-time", "stop after this time, e.g. 90s, 10m, 2h"):convert(m.duration "--max-time")
  end,
  checkpoint_every = function(p)
    m.option(p, "--checkpoint-every", "save the run's state every N steps, every 10m, every epoch, or never")
      :argname("WHEN"):convert(every)
  end,
  force = function(p) p:flag("--force", "go on although the config or the data has changed; marks the run") end,
  resume = function(p)
    m.option(p, "--resume", "go on with a run from its newest checkpoint: last, a run's folder or a checkpoint's file")
      :argname("RUN"):args "?"
  end,
  assert = function(p)
    p:option("--assert", "a condition on the result, e.g. 'test.acc>=0.97'; missing it is exit code 3")
      :count("*"):convert(condition)
  end,
  json = function(p) p:flag("--json", "print the result as one JSON object") end,
  no_report = function(p) p:flag("--no-report", "write no report.html into the run's folder") end,
  quiet = function(p) p:flag("--quiet", "print the result and errors only") end,
}

--- Declares shared options by name ("seed", "threads", ...), in this order.
function m.add(parser, ...)
  for _, name in ipairs { ... } do shared[name](parser) end
end

--- Declares what every command has; about_help is what --help shows.
function m.common(parser, about_help)
  m.option(parser, "--color", "colours: auto, always or never"):choices { "auto", "always", "never" }:default "auto"
  parser:flag("--traceback", "show where in the Lua code an error arose")
  parser:flag("--help -h", about_help)
  parser:flag("--version", "show the version")
end

-- ---- reading ----

-- "--threads -1" as "--threads=-1", so that a negative number is told as a wrong value and not as an unknown option.
local function join_negative_values(words)
  local joined = {}
  for _, text in ipairs(words) do
    if text:find "^%-%d" and (joined[#joined] or ""):find "^%-%-[%l-]+$" then
      joined[#joined] = joined[#joined] .. "=" .. text
    else
      joined[#joined + 1] = text
    end
  end
  return joined
end

--- The arguments as a table, by the parser; a mistake is raised as one line.
function m.parse(parser, words)
  local ok, args = parser:pparse(join_negative_values(words))
  if not ok then options.usage(core.escape((tostring(args):gsub("\nDid", "; did"):gsub("%s*\n%s*", " ")))) end
  return args
end

--- Puts the shared options into effect; those that a command does not have are nil, and change nothing.
function m.apply(args)
  context.seed, context.data, context.data_dir = args.seed or 0, args.data, args.data_dir
  context.precision, context.quiet = args.precision, args.quiet
  if args.threads then
    local got = core.threads(args.threads)
    if got < args.threads then
      io.stderr:write(("mnistlua: warning: asked for %d threads, the system gave %d\n"):format(args.threads, got))
    end
  end
  m.apply_seed_and_precision()
end

--- Puts the context's into effect.
function m.apply_seed_and_precision()
  if context.precision then precision.use(context.precision) end
  require("mnistlua").manual_seed(context.seed)
end

return m
