-- mnistlua export RUN|MODEL --onnx F ...: a trained model for other programs. All that is asked for is put together
-- before the first file is written, so that a model which one format cannot hold leaves nothing half done. The writers
-- are in ../export.
local arguments = require "mnistlua.cli.arguments"
local c = require "mnistlua.export.c"
local classify = require "mnistlua.inspect.classify"
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local html = require "mnistlua.export.html"
local onnx = require "mnistlua.export.onnx"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local predict = require "mnistlua.cli.predict"
local program = require "mnistlua.export.program"
local sources = require "mnistlua.cli.source"
local subjects = require "mnistlua.export.subject"
local weights = require "mnistlua.export.weights"

local m = { about = "a trained model for other programs", usage = "RUN|MODEL --onnx FILE ..." }

local function fail(kind, fmt, ...) error(failure.new(kind, fmt:format(...)), 0) end

-- ---- formats: prepare(opened, path) returns a function that writes, and what was written in a few words ----

local function shape_text(shape) return table.concat(shape, "x") end

-- The model as layers, once for all formats; a model that has none ends the program.
local function subject_of(opened, option)
  if not opened.subject then
    local subject, problem = subjects.of(opened.model, opened.given)
    if not subject then fail("usage", "--%s: %s", option, problem) end
    opened.subject = subject
  end
  return opened.subject
end

local function writes(text) return function(path) return core.write_file(path, text) end end

-- The bytes of a safetensors file, once for all formats.
local function weights_of(opened)
  local problem
  if not opened.weights then
    opened.weights, problem = weights.bytes(opened.model, opened.source, opened.experiment.data)
    if not opened.weights then fail("runtime", "%s", problem) end
  end
  return opened.weights
end

local function safetensors(opened)
  return writes(weights_of(opened)), ("%d tensors with PyTorch's names"):format(#opened.model:state_dict())
end

local function onnx_file(opened)
  local subject = subject_of(opened, "onnx")
  local bytes, problem = onnx.bytes(subject)
  if not bytes then fail("usage", "--onnx: %s", problem) end
  return writes(bytes), ("ONNX, opset 13: pixels [N x %s] from 0 to 1 -> logits, probabilities"):format(
    shape_text(subject.shape))
end

local function c_file(opened, path)
  local text, name = c.text(subject_of(opened, "c"), path)
  if not text then fail("usage", "--c: %s", name) end
  return writes(text), ("C99: %s_classify(pixels, probabilities); -DSELFTEST tests it"):format(name)
end

local function html_file(opened)
  local text, problem = html.page(opened.given.name, opened.model, opened.experiment.data, opened.source.data)
  if not text then fail("usage", "--html: %s", problem) end
  return writes(text), "a page with a draw pad, in which the model answers"
end

-- A program that runs alone has no data, so its config must do without.
local function exe(opened, path)
  local bytes = weights_of(opened)
  local source = sources.decode(path, bytes)
  local experiment, problem = nil, "its data are no bytes, and a picture is made of bytes"
  if source.described then experiment, problem = sources.without_data(source, {}) end
  if not experiment then fail("usage", "--exe: the model cannot be made without its data: %s", tostring(problem)) end
  local ok, why = classify.new(opened.model, source.described)
  if not ok then fail("usage", "--exe: %s", why) end
  return function() return program.write(path, bytes, predict.about) end,
    "a program that runs alone: PNG files in, classes out"
end

local formats = {
  { "safetensors", "weights with PyTorch's names", safetensors },
  { "onnx", "for onnxruntime and others", onnx_file },
  { "c", "one C99 file without dependencies", c_file },
  { "html", "one page with a draw pad, nothing from the network", html_file },
  { "exe", "this program with the model in it, as one file", exe },
}

-- ---- the command ----

function m.options(parser)
  parser:argument("model", "a run (last, its number, its folder's name) or a .safetensors file of mnistlua"):args "?"
  for _, format in ipairs(formats) do
    arguments.option(parser, "--" .. format[1], format[2]):argname "FILE"
  end
  arguments.add(parser, "threads", "data_dir", "out", "quiet")
end

local function check(args)
  if not args.model then
    options.usage "export: expected RUN or MODEL.safetensors; mnistlua runs lists the runs"
  end
  local names, taken = {}, {}
  for i, format in ipairs(formats) do
    local path = args[format[1]]
    names[i] = "--" .. format[1]
    if path and taken[path] then
      options.usage(("export: --%s and --%s both name %s"):format(taken[path], format[1], core.escape(path)))
    end
    if path then taken[path] = format[1] end
  end
  if not next(taken) then
    options.usage(("export: expected a format and a file: %s FILE"):format(table.concat(names, ", ")))
  end
end

-- The model, its source, and what subject.lua wants to know.
local function open(args)
  local source = sources.open(args.out, args.model)
  local experiment, model = sources.classifier(source, args)
  local train = experiment.data.train
  return { source = source, experiment = experiment, model = model, given = {
    name = experiment.name, shape = train:sample_shape(), normalise = train.normalise, class_names = train.class_names,
  } }
end

local function write(jobs, args)
  for _, job in ipairs(jobs) do
    local ok, problem = job.write(job.path)
    if not ok then fail("runtime", "%s", problem) end
    if not args.quiet then print(("%-14s %s"):format(core.escape(job.path), job.what)) end
  end
end

function m.run(args)
  check(args)
  local opened, jobs = open(args), {}
  for _, format in ipairs(formats) do
    local path = args[format[1]]
    for what, taken in pairs { ["the model"] = opened.source.path, ["this program"] = "/proc/self/exe" } do
      if path and core.same_file(path, taken) then
        fail("usage", "--%s %s: this is %s itself; expected another file", format[1], core.escape(path), what)
      end
    end
    if path then
      local job, what = format[3](opened, path)
      jobs[#jobs + 1] = { path = path, write = job, what = what }
    end
  end
  write(jobs, args)
  return outcome.exit.done
end

return m
