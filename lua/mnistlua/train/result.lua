-- What a run says before and after: the model and data on stderr at its start, the result on stdout at its end.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local context = require "mnistlua.context"
local json = require "mnistlua.json"
local progress = require "mnistlua.train.progress"

local m = {}

--- Says on stderr what is about to be trained, and from which checkpoint (a source of resume.lua, or nil) it goes on.
function m.opening(run, display, source)
  local experiment = run.experiment
  for _, note in ipairs(context.notes) do display:message(core.escape(note)) end
  if context.stood_in then
    display:message(color.paint("yellow",
      "NOTE: training on SYNTHETIC digits, not on MNIST; results say nothing about MNIST."))
  end
  display:message(("%s: %s parameters, on %s (%d threads, %s%s)"):format(core.escape(experiment.name),
    progress.thousands(experiment.model:num_parameters()), core.escape(tostring(experiment.data)), core.threads(),
    core.isa(), run.precision ~= "f32" and ", " .. run.precision or ""))
  if source then display:message(("goes on from %s"):format(core.escape(source.checkpoint.path))) end
end

local function line(label, fmt, ...)
  print(("%-14s %s"):format(label, fmt:format(...)))
end

--- One more line of what m.show prints.
function m.line(label, text) line(label, "%s", core.escape(text)) end

local function show_part(result, part)
  local acc, loss = result[part .. ".acc"], result[part .. ".loss"]
  if not loss then return end
  local errors = ""
  if part == "test" and acc then
    errors = ("  (%s errors of %s)"):format(progress.thousands(result["test.errors"]),
      progress.thousands(result["test.count"]))
  end
  line(part .. " accuracy", "%s%s   loss %s", progress.percent(acc), errors, progress.loss(loss))
end

-- Beside the test accuracy, never in its place.
local function show_views(result)
  local acc = result["test.views.acc"]
  if not acc then return end
  line(("with %d views"):format(result["test.views"]), "%s  (%s errors of %s)   loss %s", progress.percent(acc),
    progress.thousands(result["test.views.errors"]), progress.thousands(result["test.count"]),
    progress.loss(result["test.views.loss"]))
end

--- Prints the result on stdout: readable lines, or with `as_json` one JSON object.
function m.show(result, run, as_json)
  if as_json then
    print(json.encode(result))
    return
  end
  show_part(result, "train")
  show_part(result, "val")
  show_part(result, "test")
  show_views(result)
  line("trained", "%d steps in %s (%s images/s)%s", result.steps, progress.duration(result.train_seconds),
    progress.thousands(result.images_per_s), result.stopped and "; " .. core.escape(result.stopped) or "")
  line("data", "%s", core.escape(tostring(run.data)))
  if result.weights then line("weights", "%s", core.escape(result.weights)) end
  if result.resume then line("resume", "%s", core.escape(result.resume)) end
end

return m
