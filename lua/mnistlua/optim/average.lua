-- Averages of a model's weights over the steps of a training: they are evaluated and saved in place of the weights.
--
--   EMA   s = d s + (1 - d) w with d = min(decay, (1 + t) / (10 + t)) after t updates
--   SWA   s = (n s + w) / (n + 1) over the last part of a run (Izmailov et al., UAI 2018)
--
-- An experiment's `average = optim.EMA { decay = 0.999 }` is all that the trainer needs. A loop of one's own binds one
-- to a model (optim.EMA(model, { decay = 0.999 })), calls update() after each step, swap_in() before an evaluation and
-- swap_out() after it. Floating-point buffers, such as batch-norm statistics, are averaged with the weights.
local core = require "mnistlua.core"
local options = require "mnistlua.options"

local Average = {}

local function fail(self, fmt, ...) options.fail((self._what .. ": " .. fmt):format(...)) end

local function bound(self)
  if not self._values then fail(self, "has no model yet; give one first, or bind it to a model (:bind(model))") end
end

-- ---- what is averaged ----

--- Takes a model, whose layers have their sizes. Averaging begins anew. Returns the average.
function Average:bind(model)
  local names, values = {}, {}
  for _, entry in ipairs(model:state_dict()) do
    if entry[2].dtype == "f32" then names[#names + 1], values[#values + 1] = entry[1], entry[2] end
  end
  if #values == 0 then options.fail(("%s: %s has no weights"):format(self._what, model:signature()), self.where) end
  self._names, self._values, self._means, self._kept, self._in, self.count = names, values, {}, {}, false, 0
  return self
end

local function begin(self)
  for i, value in ipairs(self._values) do self._means[i] = value:clone() end
end

-- The share of the weights in the mean.
local function share(self)
  local t = self.count
  if self.kind == "SWA" then return 1 / (t + 1) end
  return 1 - math.min(self.decay, (1 + t) / (10 + t))
end

--- Takes the weights as they are into the mean.
function Average:update()
  bound(self)
  if self._in then fail(self, "the averages are in place; call swap_out() before an update") end
  if not self._means[1] then begin(self) end
  core.average_(self._means, self._values, share(self))
  self.count = self.count + 1
end

--- Updates as a run goes on: called by the trainer after each step of the optimizer.
function Average:after_step(run)
  local steps = math.ceil(run.step / run.experiment.accumulate)
  if run.progress < self.start or steps % (self.every or 1) ~= 0 then return end
  if self.every or self.kind == "EMA" then self:update() end
end

--- Updates at the end of an epoch, where nothing else says when.
function Average:after_epoch(run)
  if run.interrupted then return end
  if self.kind == "SWA" and not self.every and run.progress >= self.start then self:update() end
end

-- ---- in place of the weights ----

local function copy(to, from)
  for i, t in ipairs(from) do
    if to[i] then to[i]:copy_(t) else to[i] = t:clone() end
  end
end

--- Puts the averages in place of the weights; nothing before the first update.
function Average:swap_in()
  bound(self)
  if self._in then fail(self, "the averages are in place already") end
  self._in = true
  copy(self._kept, self._values)
  copy(self._values, self._means)
end

--- Puts the weights back, to the bit.
function Average:swap_out()
  bound(self)
  if not self._in then fail(self, "the averages are not in place; call swap_in() first") end
  copy(self._values, self._kept)
  self._in = false
end

-- ---- state ----

--- What continuing needs: { type, count, tensors = list of { name, tensor } }, not copies.
function Average:state_dict()
  bound(self)
  local tensors = {}
  for i, mean in ipairs(self._means) do tensors[i] = { self._names[i], mean } end
  return { type = self.kind, count = self.count, tensors = tensors }
end

local function misfit(self, given)
  if type(given) ~= "table" or type(given.tensors) ~= "table" or not math.tointeger(given.count) then
    return "it is not what state_dict returns"
  elseif given.type ~= self.kind then
    return "it is one of " .. tostring(given.type)
  elseif #given.tensors ~= (given.count > 0 and #self._names or 0) then
    return ("it has %d tensors where the model has %d"):format(#given.tensors, #self._names)
  end
  for i, entry in ipairs(given.tensors) do
    local has, wants = table.concat(entry[2].shape, "x"), table.concat(self._values[i].shape, "x")
    if entry[1] ~= self._names[i] or has ~= wants then
      return ("'%s' of %s is where the model has '%s' of %s"):format(core.escape(entry[1]), has, self._names[i], wants)
    end
  end
end

--- Whether a state fits: true, or nil and what does not.
function Average:check_state_dict(given)
  bound(self)
  local problem = misfit(self, given)
  if problem then return nil, ("%s: the state does not fit: %s"):format(self._what, problem) end
  return true
end

--- Puts a state back. Raises, changing nothing, if it does not fit. Returns the average.
function Average:load_state_dict(given)
  local ok, problem = self:check_state_dict(given)
  if not ok then options.fail(problem) end
  local tensors = {}
  for i, entry in ipairs(given.tensors) do tensors[i] = entry[2] end
  self._means = {}
  copy(self._means, tensors)
  self.count = math.tointeger(given.count)
  return self
end

-- ---- making one ----

local meta = { __name = "Average", __index = Average }

local function new(kind, spec, ...)
  local what, first, second = "optim." .. kind, ...
  local model = options.kind(first) == "module" and first or nil
  local given = first
  if model then given = second end
  local o = options.read(what, given, spec)
  local self = setmetatable({
    kind = kind, decay = o.decay or false, start = o.start, every = o.every or false, recompute_bn = o.recompute_bn,
    _what = what, _values = false, _in = false, count = 0, where = core.where(),
  }, meta)
  if model then self:bind(model) end
  return self
end

local function rules(more)
  more.every = { type = "integer", min = 1 }
  more.recompute_bn = { type = "boolean", default = true }
  return more
end

local function start(default) return { type = "number", default = default, min = 0, below = 1 } end

local m = {}

--- The exponential moving average. Options: decay (0.999), every (1, steps between updates), start (0, the share of the
--- run before the first), recompute_bn (true: batch-norm statistics are measured anew where it is evaluated).
function m.EMA(...)
  return new("EMA", rules { "decay", decay = { type = "number", default = 0.999, min = 0, below = 1 },
    start = start(0) }, ...)
end

--- The mean over the last part of a run. Options: start (0.75, the share of the run before it), every (steps between
--- updates; without it, at the end of each epoch), recompute_bn (true).
function m.SWA(...) return new("SWA", rules { start = start(0.75) }, ...) end

--- Whether a value is one of these.
function m.is(value) return debug.getmetatable(value) == meta end

return m
