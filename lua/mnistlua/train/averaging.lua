-- The weights that a run evaluates and saves, where they are not those that it trains: the experiment's average (EMA,
-- SWA), the mean that a schedule-free optimizer keeps, or for saving the best so far (callbacks.BestWeights). They
-- are put in place for an evaluation and taken back after it, to the bit; batch-norm statistics are measured anew for
-- them. Called by Run and the trainer only.
local core = require "mnistlua.core"

local m = {}

-- Batches of 1,000 images for the statistics: in between, and of the run's end.
local some_batches = 10

--- What a run keeps for this: how deep evaluations are nested, whether other weights are in place, and the statistics
--- that were measured at a step.
function m.new()
  return { depth = 0, active = false, buffers = false, kept = false, measured = false, step = -1, full = false }
end

local function buffers_of(model)
  local list = {}
  for _, module in ipairs(model:modules()) do
    for _, name in ipairs(module._order) do
      if module._roles[name] == "buffer" then list[#list + 1] = module._values[name] end
    end
  end
  return list
end

local function copies(tensors)
  local list = {}
  for i, t in ipairs(tensors) do list[i] = t:clone() end
  return list
end

local function copy_back(tensors, values)
  for i, value in ipairs(values or {}) do tensors[i]:copy_(value) end
end

local function measure(run)
  local recompute = rawget(require "mnistlua", "recompute_bn")
  local train = run.data.train
  local batch = math.min(1000, #train)
  if not recompute or batch < 2 then return end
  local loader = train:batches { batch = batch, shuffle = true, drop_last = #train % batch == 1, seed = run.seed }
  recompute(run.model, loader, not run.stopping and { batches = some_batches } or nil)
end

-- The statistics for the weights in place, measured once a step.
local function refresh_statistics(run)
  local a = run.averaging
  if #a.buffers == 0 or run.average and not run.average.recompute_bn then return end
  local full = run.stopping and true or false
  if a.step ~= run.step or a.full ~= full then
    measure(run)
    a.measured, a.step, a.full = copies(a.buffers), run.step, full
  end
  copy_back(a.buffers, a.measured)
end

local function put_in(run)
  local a, average, optimizer = run.averaging, run.average, run.optimizer
  if average and average.count > 0 then
    a.active = average
    a.buffers = a.buffers or buffers_of(run.model)
    a.kept = copies(a.buffers)
    average:swap_in()
  elseif optimizer and optimizer.averages then
    a.active = optimizer
    a.buffers = a.buffers or buffers_of(run.model)
    a.kept = copies(a.buffers)
    optimizer:eval()
  else
    return
  end
  refresh_statistics(run)
end

local function take_out(run)
  local a = run.averaging
  if a.active == run.average and a.active then a.active:swap_out() elseif a.active then a.active:train() end
  if a.active then copy_back(a.buffers, a.kept) end
  a.active, a.kept = false, false
end

local guard_meta = { __close = function(guard)
  local a = guard.run.averaging
  a.depth = a.depth - 1
  if a.depth == 0 then take_out(guard.run) end
end }

--- Puts the weights to evaluate in place until the value that it returns is closed:
--- local _ <close> = averaging.enter(run).
function m.enter(run)
  local a = run.averaging
  a.depth = a.depth + 1
  if a.depth == 1 then
    local recording = core.recording(false)
    put_in(run)
    core.recording(recording)
  end
  return setmetatable({ run = run }, guard_meta)
end

local kept_meta = { __close = function(guard)
  copy_back(guard.tensors, guard.values)
  guard.run.averaging.depth = 0
end }

local function has_kept(run) return run.keeper and run.keeper:has_weights() end

--- The same for saving: puts in place what a callback keeps for the run's end (run.keeper), once it has any.
function m.enter_to_save(run)
  local a = run.averaging
  if a.depth > 0 or not has_kept(run) then return m.enter(run) end
  local tensors, recording = {}, core.recording(false)
  for i, entry in ipairs(run.model:state_dict()) do tensors[i] = entry[2] end
  local guard = setmetatable({ run = run, tensors = tensors, values = copies(tensors) }, kept_meta)
  core.recording(recording)
  a.depth = 1
  run.keeper:fill(run.model)
  return guard
end

--- At the end of a run: puts them in place for good, or what a callback keeps for that.
function m.settle(run)
  if not has_kept(run) then return m.enter(run) end
  run.averaging.depth = run.averaging.depth + 1
  run.keeper:put(run)
end

return m
