-- The report of a run: one HTML file with its figures, curves, mistakes, model and config, and a draw pad in which the
-- run's own network answers. Called at the end of a training and by `mnistlua report`. At the end of a training it
-- computes no network: it uses what the last evaluation gave. Nothing that it does changes the run.
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local folder = require "mnistlua.store.folder"
local history = require "mnistlua.report.history"
local measured = require "mnistlua.report.measured"
local network = require "mnistlua.web.network"
local params = require "mnistlua.params"
local run_text = require "mnistlua.cli.run_text"
local sections = require "mnistlua.report.sections"
local web = require "mnistlua.web"

local m = {}

local longest = 1 << 24    -- bytes of a config

-- ---- what is known of the run ----

-- The parameters in the order of the config, with what it says of them; of a run whose config is not at hand by name.
local function params_of(record)
  local list, declared, changed = {}, context.params, {}
  for _, name in ipairs(record.changed) do changed[name] = true end
  local names = declared and declared.names or {}
  if not declared then
    for name in pairs(record.params) do names[#names + 1] = name end
    table.sort(names)
  end
  for _, name in ipairs(names) do
    local spec, value = declared and declared.specs[name], record.params[name]
    list[#list + 1] = {
      name = name, value = params.text(value ~= nil and value or declared.values[name]), changed = changed[name],
      default = spec and params.text(spec[1]), about = spec and spec[2],
    }
  end
  return list
end

local function facts_of(record)
  local list = {}
  local function add(name, value, code)
    if value ~= nil and value ~= "" then list[#list + 1] = { name, tostring(value), code = code } end
  end
  add("repeat", run_text.command(record, folder.facts(record.dir)), true)
  add("goes on from", record.parent and ("%s, step %s"):format(record.parent, record.parent_step))
  add("trained", record.epoch and ("%s epochs, %s steps"):format(run_text.epochs(record), record.step))
  add("seed", record.seed)
  add("data", record.data_hash and ("%s (hash %s)"):format(record.data, record.data_hash) or record.data)
  add("precision", record.precision)
  add("machine", record.threads and ("%d threads, %s"):format(record.threads, record.isa))
  add("mnistlua", record.version)
  add("tags", table.concat(record.tags, ", "))
  add("note", record.note)
  return list
end

-- The steps of an epoch, for the axes of the curves.
local function steps_per_epoch(record)
  if record.epoch and record.step and record.epoch > 0 and record.step % record.epoch == 0 then
    return record.step // record.epoch
  end
end

-- Everything that the sections say.
local function gather(given)
  local record, experiment = given.record, given.experiment
  local r = {
    folder = record.folder, name = record.name, status = record.status, started = record.started, data = record.data,
    seconds = record.seconds, notes = given.notes or {}, charts = given.charts or {}, params = params_of(record),
    facts = facts_of(record), config = record.config, measured = given.measured, results = {},
    config_text = core.read_file(record.dir .. "/config.lua", longest), steps_per_epoch = steps_per_epoch(record),
  }
  for name, value in pairs(record.results) do r.results[name] = value end
  r.images_per_s = r.results.images_per_s
  if experiment then
    local model = experiment.model
    r.layers, r.parameters = model:summary_rows()
    r.class_names = experiment.data.class_names
    r.network, r.pad_problem = network.of_data(model, experiment.data)
  end
  return r
end

-- ---- the page ----

-- Mistakes as the script needs them: whose picture, and what it says when one is chosen.
local function mistakes_for_script(r)
  local list = {}
  for i, mistake in ipairs(r.measured and r.measured.picture and r.measured.mistakes or {}) do
    local truth = r.class_names and r.class_names[mistake.truth + 1] or ("%d"):format(mistake.truth)
    local caption = ("%s image %d, in truth %s"):format(r.measured.part, mistake.index, truth)
    list[i] = { pixels = mistake.pixels, caption = caption }
  end
  return list
end

local order = {
  "pad", "curves", "mistakes", "classes", "filters", "model", "parameters", "facts", "config",
}

local scripts = { "network.js", "strokes.js", "pictures.js", "pad.js", "curves.js", "report.js" }

local function page(r)
  local body = { sections.head(r) }
  for i, name in ipairs(order) do body[i + 1] = sections[name](r) end
  local picture = r.measured and r.measured.picture
  return web.page {
    title = r.name, body = web.tag("main", nil, table.concat(body, "\n")),
    data = {
      network = r.network,
      report = {
        charts = r.charts, steps_per_epoch = r.steps_per_epoch, mistakes = mistakes_for_script(r),
        width = picture and picture.width,
      },
    },
    styles = { "page.css", "parts.css", "report.css" }, scripts = scripts,
  }
end

-- ---- what is called ----

--- Lets a run that is about to be trained keep the outputs of its evaluations, so that at_end need not compute them.
function m.listen(run) run.keep_answers = measured.keep end

local function look(answers, dataset, part)
  if not answers or #answers == 0 then return nil end
  local found = measured.of(answers, dataset)
  found.part = part
  return found
end

-- What the run's own last evaluation says, of the weights that it ended with.
local function measured_of_run(run)
  local part = rawget(run.data, "test") and "test" or "val"
  local kept = run.answers and run.answers[part]
  if not kept or kept.step ~= run.step or run.keeper and part == "val" then return nil end
  return look(kept, run.data[part], part)
end

--- Writes report.html into the folder of a run that has just ended (train/store.lua), whose result.json is yet to be
--- written. Returns its path, or nil and why it could not be written.
function m.at_end(run, result, store)
  store:record(result)
  local record = folder.read(store.out, store.name, result)
  record.status = result.status
  local recorder, path = store.recorder, store.dir .. "/report.html"
  local ok, problem = core.write_file(path, page(gather {
    record = record, experiment = run.experiment, measured = measured_of_run(run),
    charts = recorder.db and history.charts(recorder.db, recorder.id),
  }))
  return ok and path, problem
end

--- Writes the report of an earlier run. given: record (store/folder.lua), db (of its OUT, or nil), experiment with the
--- run's weights in its model (or nil, and notes say why), part and dataset to measure it on. Returns true, or nil and
--- why it could not be written.
function m.write(path, given)
  local record, experiment = given.record, given.experiment
  local answers = experiment and measured.answers(experiment.model, given.dataset, experiment.data:sample_shape(),
    experiment.eval_batch)
  return core.write_file(path, page(gather {
    record = record, experiment = experiment, measured = look(answers, given.dataset, given.part), notes = given.notes,
    charts = given.db and record.id and history.charts(given.db, record.id),
  }))
end

return m
