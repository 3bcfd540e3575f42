-- What `mnistlua eval` and `mnistlua replay` are given: a run, or a file of weights or a checkpoint that mnistlua
-- wrote. Finds it, reads it and knows what made it: the config's text, the parameters, the seed, the data. Runs the
-- config again on request. It writes nothing.
local arguments = require "mnistlua.cli.arguments"
local checkpoint_file = require "mnistlua.train.checkpoint_file"
local config = require "mnistlua.cli.config"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local described = require "mnistlua.data.described"
local failure = require "mnistlua.failure"
local folder = require "mnistlua.store.folder"
local options = require "mnistlua.options"
local precision = require "mnistlua.precision"
local resume = require "mnistlua.train.resume"

local m = {}

local longest = 1 << 24    -- bytes of a config or of result.json

local function fail(fmt, ...) error(failure.new("runtime", fmt:format(...)), 0) end

local function is_file(path) return core.exists(path) and not core.is_dir(path) end

-- ---- what is in the files ----

local function run_of_file(path)
  local dir = path:match "^(.*)/[^/]+$" or "."
  if dir:find "/checkpoints$" then dir = dir:match "^(.*)/checkpoints$" end
  local out, name = dir:match "^(.*)/([^/]+)$"
  return folder.is_run(out or ".", name or dir) and dir or nil
end

-- The weights of a run; without them its checkpoint is named.
local function weights_of(dir)
  local path = dir .. "/model.safetensors"
  if core.exists(path) then return path end
  local checkpoints = checkpoint_file.folder(dir)
  local steps = checkpoint_file.steps(checkpoints)
  local newest = #steps > 0 and ("; its newest checkpoint is %s/%s"):format(core.escape(checkpoints),
    checkpoint_file.name(steps[#steps]))
  fail("%s has no weights (model.safetensors)%s", core.escape(dir), newest or "")
end

local function from_checkpoint(s)
  local read, problem = checkpoint_file.read(s.path)
  if not read then fail("%s", problem) end
  local facts, tensors = read.facts, {}
  for _, entry in ipairs(read.tensors) do
    local name = entry[1]:match "^model%.(.+)$"
    if name then tensors[#tensors + 1] = { name, entry[2] } end
  end
  s.tensors, s.checkpoint = tensors, true
  s.config_text, s.overrides = facts.config, facts.overrides or {}
  s.seed, s.stand_in, s.asked_precision = facts.seed, facts.stand_in, facts.asked_precision
  s.precision, s.isa, s.version = facts.precision, facts.isa, facts.version
end

local function is_precision(text)
  for _, name in ipairs(precision.names) do
    if name == text then return true end
  end
end

local function from_weights(s, metadata)
  s.overrides = {}
  for key, value in pairs(metadata) do
    local name = key:match "^mnistlua%.param%.(.+)$"
    if name then s.overrides[name] = value end
  end
  local function entry(name) return metadata["mnistlua." .. name] end
  s.config_text, s.seed, s.stand_in = entry "config", math.tointeger(tonumber(entry "seed" or 0)), entry "stand_in"
  s.precision, s.isa, s.version = entry "precision", entry "isa", entry "version"
  s.asked_precision = is_precision(s.precision) and s.precision or nil
  s.changes = entry "changes" and core.json_decode(entry "changes") or nil
  s.described = described.read(metadata)
  s.data = entry "data"
  s.data_hash, s.steps = entry "data_hash", math.tointeger(tonumber(entry "steps" or ""))
end

-- What the run's folder says besides; older files know less.
local function from_folder(s)
  local facts, record = folder.facts(s.dir) or {}, folder.read(s.dir:match "^(.*)/" or ".", s.dir:match "[^/]+$")
  s.record = record
  s.config_text = s.config_text or core.read_file(s.dir .. "/config.lua", longest)
  if next(s.overrides) == nil and type(facts.params) == "table" then s.overrides = facts.params end
  local given = type(facts.options) == "table" and facts.options or {}
  if not s.checkpoint then
    s.stand_in, s.asked_precision = s.stand_in or given.data, s.asked_precision or given.precision
  end
  s.seed = s.seed or record.seed
  s.config, s.data_hash = record.config, s.data_hash or record.data_hash
end

-- ---- opening ----

local function path_of(out, text)
  if text:find "%.lua$" and is_file(text) then
    options.usage(("%s is a config; expected a run or a file of weights (mnistlua %s trains one)"):format(
      core.escape(text), core.escape(text)))
  end
  if is_file(text) then return text, run_of_file(text) end
  if text:find "%.safetensors$" then options.usage(core.escape(text) .. ": there is no such file") end
  local dir = resume.find_run(out, text)
  return weights_of(dir), dir
end

local function source_of(path, dir, tensors, metadata)
  local s = { path = path, dir = dir, tensors = tensors, checkpoint = false }
  if metadata["mnistlua.checkpoint"] then from_checkpoint(s) else from_weights(s, metadata) end
  if dir then from_folder(s) end
  if not s.config_text then
    fail("%s: its metadata has no config (mnistlua.config); expected a file that a training of mnistlua wrote",
      core.escape(path))
  end
  return s
end

--- What m.open returns for a file of these bytes; messages call it `path`.
function m.decode(path, bytes)
  local tensors, metadata = core.safetensors_decode(bytes)
  if not tensors then fail("%s: %s", core.escape(path), metadata) end
  return source_of(path, nil, tensors, metadata)
end

--- Opens what `text` names: a run as other commands name it, or a file. Returns a table: path, dir (the run's folder,
--- or nil), tensors (a list of { name, tensor }), config_text, overrides (parameters as texts by name), seed, stand_in,
--- precision, asked_precision, isa, version, data (in words), data_hash, steps, record (of the run's folder). Raises
--- what is wrong. In a program that carries a model it is that one, whatever its name.
function m.open(out, text)
  if core.carried then return m.decode(text, core.carried "model.safetensors") end
  local path, dir = path_of(out, text)
  local tensors, metadata = core.safetensors_read(path)
  if not tensors then fail("%s", metadata) end
  return source_of(path, dir, tensors, metadata)
end

--- result.json of the run, or an empty table.
function m.result(s)
  local path = s.dir and s.dir .. "/result.json"
  local text = path and core.exists(path) and core.read_file(path, longest)
  local value = text and core.json_decode(text)
  return type(value) == "table" and value or {}
end

-- ---- running the config ----

--- Runs the config as it was run then and returns its experiment. `args` may overrule the precision.
function m.experiment(s, args)
  context.seed, context.data, context.params = s.seed or 0, s.stand_in, nil
  context.precision = args.precision or s.asked_precision
  arguments.apply_seed_and_precision()
  config.default_overrides(s.overrides)
  if s.config then config.search_beside(s.config) end
  local here = s.dir and s.dir .. "/config.lua" or s.path
  local experiment = config.run(here, nil, s.config_text)
  if not experiment then options.usage(("%s: its config returns no experiment"):format(core.escape(s.path))) end
  context.config = s.config or here
  return experiment
end

--- The experiment's model with the source's weights in it.
function m.model(s, experiment)
  local model = experiment.model
  model:build(experiment.data:sample_shape())
  local ok, problem = model:check_state_dict(s.tensors)
  if not ok then fail("%s does not fit the model of its config: %s", core.escape(s.path), problem) end
  model:load_state_dict(s.tensors)
  return model
end

--- The experiment and its model by a description of the data in place of the data; nil and the error if that does not
--- do, because the config uses the samples.
function m.without_data(s, args)
  context.described = s.described
  local ok, experiment, model = pcall(function()
    local experiment = m.experiment(s, args)
    return experiment, m.model(s, experiment)
  end)
  context.described = nil
  if ok then return experiment, model end
  context.params, context.pending, context.last_fault = nil, nil, nil
  return nil, experiment
end

--- The experiment, its model with the weights, and what the samples are like (data/described.lua; nil where they are no
--- bytes), for those who want no samples: they are read only where a config, or an older file, needs them.
function m.classifier(s, args)
  local experiment, model
  if s.described then experiment, model = m.without_data(s, args) end
  if not experiment then
    experiment = m.experiment(s, args)
    model, s.described = m.model(s, experiment), described.of(experiment.data)
  end
  return experiment, model, s.described
end

--- The part of a bundle that is asked for ("train", "val", "test"), or by default the one to evaluate; and its name.
function m.part(bundle, wanted)
  if wanted and not rawget(bundle, wanted) then
    options.usage(("--part: the data has no %s part: %s"):format(wanted, core.escape(tostring(bundle))))
  end
  for _, part in ipairs { wanted or "test", "val", "train" } do
    if rawget(bundle, part) then return bundle[part], part end
  end
end

return m
