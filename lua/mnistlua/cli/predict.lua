-- mnistlua predict RUN|MODEL FILE.png ...: which digits are on a person's own pictures, with probabilities and the
-- 28x28 pixels that the network saw. A picture that cannot be read is told, and the others follow. It writes no file.
local arguments = require "mnistlua.cli.arguments"
local classify = require "mnistlua.inspect.classify"
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local json = require "mnistlua.json"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local precision = require "mnistlua.precision"
local predict_text = require "mnistlua.cli.predict_text"
local sources = require "mnistlua.cli.source"

local m = { about = "which digit is on a picture of your own", usage = "RUN|MODEL FILE.png ..." }

local largest = 1 << 26    -- bytes of a picture on standard input

--- What a program that carries its model takes, too: pictures, and how they are classified and shown.
function m.picture_options(parser)
  parser:argument("file", "pictures, as PNG files; - is standard input"):args "*"
  arguments.option(parser, "--top", "show this many classes (default 3; with --json all)"):argname "N"
    :convert(arguments.whole("--top", 1, 65536))
  arguments.add(parser, "threads", "precision", "json")
end

function m.options(parser)
  parser:argument("model", "a run (last, its number, its folder's name) or a .safetensors file of mnistlua"):args "?"
  m.picture_options(parser)
  arguments.add(parser, "data_dir", "out")
end

local function check(args)
  if args.model and #args.file > 0 then
    local inputs = 0
    for _, path in ipairs(args.file) do inputs = inputs + (path == "-" and 1 or 0) end
    if inputs > 1 then options.usage "predict: standard input (-) is given twice" end
    return
  end
  local alone = args.model and args.model:find "%.png$"
  options.usage("predict: expected RUN or MODEL.safetensors and PNG files" .. (alone
    and ("; the newest run's model: mnistlua predict last %s"):format(core.escape(args.model))
    or "; mnistlua runs lists the runs"))
end

-- ---- model ----

local function open(args)
  local source = sources.open(args.out, args.model)
  local experiment, model, described = sources.classifier(source, args)
  local classifier, problem = classify.new(model, described)
  if not classifier then
    error(failure.new("usage", ("predict: %s: %s"):format(core.escape(source.path), problem)), 0)
  end
  precision.begin(precision.of(experiment))
  return classifier, source, experiment
end

-- ---- pictures ----

-- The first bytes decide, so that what is no PNG is told before much of it is read.
local function read_input()
  local head = io.stdin:read(8) or ""
  local rest = head == "\x89PNG\r\n\x1a\n" and io.stdin:read(largest + 1) or ""
  if #rest > largest then return nil, ("-: more than %d bytes"):format(largest) end
  local grey, problem = core.decode_png(head .. rest)
  return grey, problem and "-: " .. problem
end

local function read(path)
  if path == "-" then return read_input() end
  return core.read_png(path)
end

local function classify_file(classifier, path)
  local grey, problem = read(path)
  if not grey then return nil, problem end
  local result
  result, problem = classifier:classify(grey)
  if not result then return nil, ("%s: %s"):format(path, problem) end
  return result
end

-- ---- what is shown ----

local function as_json(path, result, problem, top)
  if not result then return { file = path, error = problem } end
  local classes = {}
  for i, class in ipairs(result.ranking) do
    if i > (top or #result.ranking) then break end
    classes[i] = { class = class, name = result.names and result.names[class + 1], p = result.probabilities[class + 1] }
  end
  return {
    file = path, class = classes[1].class, name = classes[1].name, p = classes[1].p, top = classes,
    probabilities = result.probabilities, pixels = result.picture:totable(),
  }
end

local function show(path, result, problem, args)
  if not result then
    io.stdout:flush()
    outcome.report(failure.new("runtime", problem), "runtime")
    return
  end
  for _, line in ipairs(predict_text.lines(path, result, args.top or 3)) do print(line) end
end

-- ---- the command ----

function m.run(args)
  check(args)
  local classifier, source, experiment = open(args)
  local pictures, failed = {}, false
  for i, path in ipairs(args.file) do
    local result, problem = classify_file(classifier, path)
    failed = failed or not result
    if args.json then
      pictures[i] = as_json(path, result, problem, args.top)
    else
      if i > 1 then print "" end
      show(path, result, problem, args)
    end
  end
  if args.json then print(json.encode { model = source.path, name = experiment.name, pictures = pictures }) end
  return failed and outcome.exit.runtime or outcome.exit.done
end

return m
