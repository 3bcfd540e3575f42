-- ReduceLROnPlateau: lowers the rate when a metric has stopped getting better. The trainer shows it the metrics after
-- each evaluation; a loop of one's own gets the same by run:batches().
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local stateful = require "mnistlua.sched.stateful"

local m = {}

local what = "sched.ReduceLROnPlateau"
local names = { "lr", "best", "bad", "wait" }     -- of the state, all numbers

local spec = {
  lr = { type = "number", min = 0, required = true }, metric = { type = "string", default = "val.loss" },
  mode = { choices = { "min", "max" } }, factor = { type = "number", default = 0.1, min = 0, below = 1 },
  patience = { type = "integer", default = 10, min = 0 }, threshold = { type = "number", default = 1e-4, min = 0 },
  threshold_mode = { default = "rel", choices = { "rel", "abs" } },
  cooldown = { type = "integer", default = 0, min = 0 },
  min_lr = { type = "number", default = 0, min = 0 }, eps = { type = "number", default = 1e-8, min = 0 },
}

-- Whether a value is better than the best so far, by more than the threshold.
local function is_better(o, value, best)
  local least = o.mode == "min"
  if o.threshold_mode == "rel" then
    if least then return value < best * (1 - o.threshold) end
    return value > best * (1 + o.threshold)
  end
  if least then return value < best - o.threshold end
  return value > best + o.threshold
end

local function lower(o, state)
  local lr = math.max(state.lr * o.factor, o.min_lr)
  if state.lr - lr > o.eps then state.lr = lr end
end

-- One more value of the metric.
local function follow(o, state, value)
  if state.best == nil or is_better(o, value, state.best) then
    state.best, state.bad = value, 0
  else
    state.bad = state.bad + 1
  end
  if state.wait > 0 then state.wait, state.bad = state.wait - 1, 0 end
  if state.bad > o.patience then
    lower(o, state)
    state.wait, state.bad = o.cooldown, 0
  end
end

local function is_state(given)
  if type(given) ~= "table" then return false end
  for _, name in ipairs(names) do
    if type(given[name]) ~= "number" and not (name == "best" and given.best == nil) then return false end
  end
  return true
end

--- lr, times factor (0.1) whenever `metric` ("val.loss") has not got better, by threshold (1e-4), for more than
--- patience (10) evaluations. Further options: mode ("min", or "max" for an accuracy), threshold_mode ("rel" or "abs"),
--- cooldown (0, evaluations after a change that do not count), min_lr (0), eps (1e-8, a change not worth making).
--- PyTorch's rules.
function m.ReduceLROnPlateau(given)
  local o = options.read(what, given, spec)
  o.mode = o.mode or o.metric:find "acc$" and "max" or "min"
  local state = { lr = o.lr, bad = 0, wait = 0 }
  return stateful.new {
    where = core.where(), parts = {},
    value = function() return state.lr end,
    followed = function() return { o.metric } end,
    observe = function(self, metrics)
      local value = metrics[o.metric]
      if type(value) ~= "number" then
        options.fail(("%s: there is no %s to follow"):format(what, o.metric), self.where)
      end
      follow(o, state, value)
    end,
    state_dict = function() return { lr = state.lr, best = state.best, bad = state.bad, wait = state.wait } end,
    load_state_dict = function(self, saved)
      if not is_state(saved) then
        options.fail(what .. ": the state does not fit: it is not what state_dict returns")
      end
      for _, name in ipairs(names) do state[name] = saved[name] end
      return self
    end,
  }
end

return m
