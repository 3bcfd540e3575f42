-- mnistlua explain RUN|MODEL: what a model does with one picture: forward and backward, layer by layer, the numbers
-- beside the formulas; what it looked at; which training pictures and which mistakes are like it. It writes no file.
local arguments = require "mnistlua.cli.arguments"
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local explain_text = require "mnistlua.explain.text"
local json = require "mnistlua.json"
local neighbours = require "mnistlua.explain.neighbours"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local precision = require "mnistlua.precision"
local progress = require "mnistlua.train.progress"
local sources = require "mnistlua.cli.source"
local trace = require "mnistlua.explain.trace"

local m = { about = "one picture's way through a model, forward and back", usage = "RUN|MODEL [options]" }

function m.options(parser)
  parser:argument("model", "a run (last, its number, its folder's name) or a .safetensors file of mnistlua"):args "?"
  arguments.option(parser, "--sample", "the picture's number, from 1 (default: the worst mistake)")
    :argname("N"):convert(arguments.whole("--sample", 1, 0x7fffffff))
  arguments.part(parser)
  arguments.option(parser, "--neighbours", "how many of the nearest pictures to show; 0: none (default 5)")
    :argname("N"):convert(arguments.whole("--neighbours", 0, 100))
  arguments.add(parser, "threads", "precision", "data_dir", "out", "json")
end

-- ---- what is found out ----

local function check_classifier(model, shape, d)
  local output = model:output_shape(shape)
  if not output or #output ~= 1 or d.core:dtype() == "i32" then
    options.usage(("explain: %s is no classifier of pictures or features: it makes %s"):format(model.typename,
      output and ("samples of " .. table.concat(output, "x")) or "no tensor"))
  end
end

local function take(d, part, index, shape)
  if index > #d then
    options.usage(("--sample: the %s part has samples 1 to %d, got %d"):format(part, #d, index))
  end
  local x, y
  for bx, by in d:subset(index, index):batches { batch = 1 } do x, y = bx:clone(), by:clone() end
  return x:reshape(1, table.unpack(shape)), y
end

local function explain(args)
  local source = sources.open(args.out, args.model)
  local experiment = sources.experiment(source, args)
  local model, bundle = sources.model(source, experiment), experiment.data
  local d, part = sources.part(bundle, args.part)
  local shape = bundle:sample_shape()
  check_classifier(model, shape, d)
  local before = precision.begin(precision.of(experiment))
  model:eval()
  local index = args.sample or neighbours.worst(model, d, shape)
  local x, y = take(d, part, index, shape)
  local e = { index = index, part = part, data = d, bundle = bundle, shape = shape, loss = experiment.loss,
    name = experiment.name, path = source.path, label = y:totable()[1] }
  e.trace = trace.run(model, experiment.loss, x, y)
  e.probabilities = e.trace.output:softmax(-1):totable()[1]
  e.predicted = e.trace.output:argmax(2):item()
  local count = args.neighbours or 5
  if count > 0 then
    local steps = e.trace.steps
    e.nearest = neighbours.nearest(steps, bundle.train, shape, x, count, part == "train" and index or nil)
    e.mistakes, e.mistakes_total = neighbours.mistakes(steps, d, shape, x, count, index)
  end
  core.precision(before)
  return e
end

-- ---- what is shown ----

local function line(label, fmt, ...) print(("%-14s %s"):format(label, fmt:format(...))) end

local function section(title, lines)
  if #lines == 0 then return end
  print ""
  print(color.paint_stdout("bold", title))
  for _, text in ipairs(lines) do print(text) end
end

local function show_neighbours(e, names)
  local train = e.bundle.train
  section("nearest training pictures, by pixels", explain_text.entries(e.nearest.pixels, train, names))
  section("nearest training pictures, by what the last hidden layer makes of them",
    explain_text.entries(e.nearest.features, train, names))
  section(("mistakes most like it, of %s"):format(progress.thousands(e.mistakes_total)),
    explain_text.entries(e.mistakes, e.data, names))
end

local function show(e)
  local names = e.bundle.class_names
  line("model", "%s (%s)", core.escape(e.path), core.escape(e.name))
  line("sample", "%d of %s: %s", e.index, e.part, core.escape(e.data.name))
  line("label", "%s", explain_text.label(e.label, names))
  line("taken for", "%s, probability %.4f", explain_text.label(e.predicted, names), e.probabilities[e.predicted + 1])
  section("picture", explain_text.picture(e.data[e.index].image, e.trace.saliency, e.shape))
  section("forward", explain_text.forward(e.trace.steps))
  section(("loss: %s = %s"):format(core.escape(e.loss:signature()), progress.loss(e.trace.loss)),
    explain_text.classes(e.trace, e.probabilities, e.label, names))
  section("backward (d is the gradient of the loss)", explain_text.backward(e.trace.steps))
  if e.nearest then show_neighbours(e, names) end
end

local function norm(t) return t and (t * t):sum():sqrt():item() or nil end

local function step_as_json(step)
  local parameters = {}
  for i, p in ipairs(step.parameters or {}) do
    parameters[i] = { name = p.name, norm = norm(p.value:detach()), grad_norm = norm(p.grad) }
  end
  return {
    name = step.name, layer = step.module:signature(), input_shape = table.move(step.input.shape, 2, 9, 1, {}),
    output_shape = table.move(step.output.shape, 2, 9, 1, {}), min = step.output:min():item(),
    mean = step.output:mean():item(), max = step.output:max():item(), grad_norm = norm(step.input_grad),
    parameters = parameters,
  }
end

local function print_json(e)
  local steps = {}
  for i, step in ipairs(e.trace.steps) do steps[i] = step_as_json(step) end
  print(json.encode {
    model = e.path, name = e.name, sample = e.index, part = e.part, label = e.label, predicted = e.predicted,
    probabilities = e.probabilities, loss = e.trace.loss, output = e.trace.output:totable()[1],
    output_grad = e.trace.output_grad:totable()[1], steps = steps, nearest = e.nearest, mistakes = e.mistakes,
    saliency = e.trace.saliency and e.trace.saliency:reshape(-1):totable() or nil,
  })
end

-- ---- the command ----

function m.run(args)
  if not args.model then options.usage "explain: expected RUN or MODEL.safetensors; mnistlua runs lists the runs" end
  local e = explain(args)
  if args.json then print_json(e) else show(e) end
  return outcome.exit.done
end

return m
