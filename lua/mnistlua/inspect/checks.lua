-- The list of checks of an experiment before it is trained, in their order. Each takes the state { experiment, run,
-- seconds } and returns its verdict ("ok", "warning", "wrong", "skipped") and what to say. Called by `mnistlua check`,
-- which shows them; nothing here prints.
local core = require "mnistlua.core"
local events = require "mnistlua.train.events"
local flow = require "mnistlua.nn.flow"
local gradients = require "mnistlua.inspect.gradients"
local options = require "mnistlua.options"
local precision = require "mnistlua.precision"
local progress = require "mnistlua.train.progress"
local trainer = require "mnistlua.trainer"
local trial = require "mnistlua.inspect.trial"

local m = {}

local thousands = progress.thousands

local function bytes_text(n)
  if n < 2 ^ 20 then return ("%.1f KiB"):format(n / 2 ^ 10) end
  if n < 2 ^ 30 then return ("%.1f MiB"):format(n / 2 ^ 20) end
  return ("%.2f GiB"):format(n / 2 ^ 30)
end

-- The parts that the data has, as { name, dataset }.
local function parts_of(bundle)
  local list = {}
  for _, name in ipairs { "train", "val", "test" } do
    local d = rawget(bundle, name)
    if d then list[#list + 1] = { name, d } end
  end
  return list
end

-- ---- the model ----

local function shapes(s)
  local model, shape = s.experiment.model, s.experiment.data:sample_shape()
  model:build(shape)
  local leaves = 0
  for _, module in ipairs(model:modules()) do
    if not module.container then leaves = leaves + 1 end
  end
  return "ok", ("%s to %s in %d layers"):format(flow.shape_text(shape), flow.shape_text(model:output_shape(shape)),
    leaves)
end

-- Batch sizes, the optimizer's parameters and what else can be told before the first step.
local function ready(s)
  local e = s.experiment
  s.schedule, s.own_loop, s.momentum = e.schedule, e.loop, e.momentum
  e.listeners = events.listeners({ diverged = function() return "skip" end }, nil)
  e.schedule, e.momentum, e.average, e.accumulate = nil, nil, nil, 1
  s.run = trainer.prepare(e, { seed = s.seed })
  local run = s.run
  return "ok", ("%s steps: %d epochs of %s batches of %d, %s"):format(thousands(run.total_steps), run.epochs,
    thousands(run.steps_per_epoch), e.batch, run.precision)
end

local function parameters(s)
  local n = s.experiment.model:num_parameters()
  if n == 0 then return "wrong", "the model has no parameters to train" end
  return "ok", ("%s parameters, %s"):format(thousands(n), bytes_text(4 * n))
end

-- ---- the data ----

local function class_range(counts)
  local low, high, empty = math.huge, 0, {}
  for c, n in ipairs(counts) do
    low, high = math.min(low, n), math.max(high, n)
    if n == 0 then empty[#empty + 1] = tostring(c - 1) end
  end
  return low, high, empty
end

-- Labels of other parts that training never sees.
local function unseen(s, counts)
  for _, part in ipairs(parts_of(s.experiment.data)) do
    for c, n in ipairs(part[2]:label_counts()) do
      if n > 0 and (counts[c] or 0) == 0 then
        return ("%s has %s samples of class %d, train none"):format(part[1], thousands(n), c - 1)
      end
    end
  end
end

local function labels(s)
  local data = s.experiment.data
  local outputs = s.experiment.model:output_shape(data:sample_shape())
  local width, counts = outputs[#outputs], data.train:label_counts()
  if #outputs == 1 and data.classes > width then
    return "wrong", ("0 to %d, but the model has %d outputs"):format(data.classes - 1, width)
  end
  local low, high, empty = class_range(counts)
  local text = ("0 to %d, %s to %s training samples each"):format(data.classes - 1, thousands(low), thousands(high))
  local surprise = unseen(s, counts)
  if surprise then return "warning", surprise end
  if #empty > 0 then return "warning", ("no training samples of class %s"):format(table.concat(empty, ", ")) end
  if #outputs == 1 and width > data.classes then
    return "ok", ("%s; the model has %d outputs"):format(text, width)
  end
  return "ok", text
end

local function duplicates_text(found, part)
  local text = ("%s of %s in %s, too, the first as samples %d and %d"):format(thousands(found.count), part, "train",
    found.second, found.first)
  return found.relabelled == 0 and text or ("%s; %s with another label"):format(text, thousands(found.relabelled))
end

local function duplicates(s)
  local list, said = parts_of(s.experiment.data), {}
  local train = list[1][2].core
  for i = 2, #list do
    local found = train:duplicates(list[i][2].core)
    if found.count > 0 then said[#said + 1] = duplicates_text(found, list[i][1]) end
  end
  local within = train:duplicates()
  if within.relabelled > 0 then
    said[#said + 1] = ("%s samples of train are there twice with another label, first %d and %d"):format(
      thousands(within.relabelled), within.first, within.second)
  end
  if #said > 0 then return "warning", table.concat(said, "; ") end
  local text = #list > 1 and "train shares no sample with val or test" or "there is only a training part"
  return "ok", within.count > 0 and ("%s; %s samples of train are there twice"):format(text, thousands(within.count))
    or text
end

-- ---- gradients ----

local function wrong_gradient(r)
  if r.missing then return ("%s gets no gradient, yet the loss changes with it"):format(r.name) end
  return ("%s: its gradient says a slope of %.3g, the loss has %.3g"):format(r.name, r.expected, r.found)
end

local function check_gradients(s)
  local x, y = trial.batch(s.run, 8)
  local list, all = gradients.check(s.run.model, s.run.loss, x, y, 0.35 * s.seconds)
  if not list then return "skipped", all end
  local counts, wrong = { ok = 0, flat = 0, wrong = 0 }, {}
  for _, r in ipairs(list) do
    counts[r.verdict] = counts[r.verdict] + 1
    if r.verdict == "wrong" then wrong[#wrong + 1] = wrong_gradient(r) end
  end
  if #wrong > 0 then
    return "wrong", table.concat(wrong, "; ", 1, math.min(3, #wrong)) .. (#wrong > 3 and (", and %d more"):format(
      #wrong - 3) or "")
  end
  local untried = all - #list
  return counts.ok > 0 and "ok" or "warning", ("%d of %d tensors agree with finite differences%s%s"):format(counts.ok,
    all, counts.flat > 0 and (", %d too flat to tell"):format(counts.flat) or "",
    untried > 0 and (", %d not tried"):format(untried) or "")
end

-- ---- one batch by heart ----

local no_time = "no time for more (--seconds)"

local function course(r)
  local right = r.right and (", %d of %d right"):format(r.right, r.count) or ""
  return ("loss %s to %s in %d steps%s"):format(progress.loss(r.first), progress.loss(r.last), r.steps, right)
end

local function own_name(s, lr)
  return ("%s at %s"):format(tostring(s.run.optimizer):match "^[%w_.]+" or "the optimizer",
    type(lr) == "number" and ("%.3g"):format(lr) or "its rates")
end

local function overfit(s)
  local run = s.run
  if s.own_loop then return "skipped", "the experiment has a loop of its own" end
  local x, y = trial.batch(run, math.min(s.experiment.batch, 32))
  local first, lr = trial.rates(run, s.schedule)
  local r, other = trial.overfit(run, x, y, first, lr, 0.5 * s.seconds)
  local text = ("%d samples, %s: %s"):format(r.count, own_name(s, lr), course(r))
  if r.learned then return "ok", text end
  if r.falls and r.all_steps then return "warning", text .. "; it does not learn them by heart" end
  if r.falls then return r.last <= 0.5 * r.first and "ok" or "warning", ("%s; %s"):format(text, no_time) end
  text = ("%s; Adam at 0.001: %s"):format(text, course(other))
  if r.broken then return "wrong", text .. "; the loss stops being a number" end
  if other.falls then return "warning", text .. "; see mnistlua lrfind" end
  if not other.broken and other.steps < 50 then return "warning", ("%s; %s"):format(text, no_time) end
  return "wrong", text .. "; look at the model and the loss"
end

-- ---- time and memory ----

local function evaluations_seconds(s)
  local run, sum = s.run, 0
  local part = run:watched_part()
  if not part then return 0 end
  local after_epochs = run.epochs // run.experiment.eval_every
  sum = sum + after_epochs * trial.evaluation_seconds(run, run.data[part])
  if part ~= "test" and rawget(run.data, "test") then sum = sum + trial.evaluation_seconds(run, run.data.test) end
  return sum
end

local function speed(s)
  local run = s.run
  if s.own_loop then return "skipped", "the experiment has a loop of its own" end
  local step = trial.step_seconds(run, 0.2 * s.seconds)
  local evaluations = evaluations_seconds(s)
  s.figures = { step_ms = 1000 * step, eta_seconds = run.total_steps * step + evaluations }
  return "ok", ("%.3g ms a step, %s images/s; the run takes about %s"):format(1000 * step,
    thousands(run.experiment.batch / step), progress.duration(s.figures.eta_seconds))
end

local function data_bytes(bundle)
  local sum = 0
  for _, part in ipairs(parts_of(bundle)) do
    local n = part[2].core:dtype() == "f32" and 4 or 1
    for _, size in ipairs(part[2]:sample_shape()) do n = n * size end
    sum = sum + n * #part[2]
  end
  return sum
end

local function memory(s)
  local peak = core.memory().peak
  return "ok", ("%s at most, %s of it data"):format(bytes_text(peak), bytes_text(math.min(peak,
    data_bytes(s.experiment.data))))
end

-- ---- the list ----

-- Those with `vital` end the list where they go wrong.
local list = {
  { "shapes", shapes, vital = true }, { "parameters", parameters }, { "labels", labels, vital = true },
  { "steps", ready, vital = true }, { "duplicates", duplicates }, { "gradients", check_gradients },
  { "one batch", overfit }, { "speed", speed }, { "memory", memory },
}

-- What is raised is what is wrong.
local function run_one(check, s)
  local results = table.pack(xpcall(check, options.located, s))
  core.step_end()
  if results[1] then return results[2], results[3] end
  return "wrong", (tostring(results[2]):gsub("%s*\n%s*", " "))
end

--- Runs the checks on an experiment; given: seed, seconds (for all of them together, roughly). show(row) is called
--- after each with { name, verdict, text }. Returns the rows and the figures { step_ms, eta_seconds } or nil.
function m.run(experiment, given, show)
  local s, rows = { experiment = experiment, seed = given.seed, seconds = given.seconds }, {}
  local before = precision.begin(precision.of(experiment))
  for _, check in ipairs(list) do
    local verdict, text = run_one(check[2], s)
    rows[#rows + 1] = { name = check[1], verdict = verdict, text = text }
    show(rows[#rows])
    if verdict == "wrong" and check.vital then break end
  end
  core.precision(before)
  return rows, s.figures
end

return m
