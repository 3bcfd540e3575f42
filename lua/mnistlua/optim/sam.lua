-- optim.SAM: sharpness-aware minimisation (Foret et al., ICLR 2021) around any optimizer that moves by single
-- gradients:
--
--   e = rho g / |g|, where g is the gradient at w;  the step is made at w by the gradient at w + e
--
-- adaptive (Kwon et al., ICML 2021) scales by the weights: e = rho w^2 g / | |w| g |. The model is evaluated twice a
-- step, so step wants a closure. Settings, state and all else are those of the optimizer inside; batch-norm statistics
-- and other buffers see the first evaluation only.
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local optimizer = require "mnistlua.optim.optimizer"
local vectors = require "mnistlua.optim.vectors"

local Sam = {}

local what = "optim.SAM"
local rules = {
  rho = { type = "number", default = 0.05, min = 0 }, adaptive = { type = "boolean", default = false },
}

local function fail(fmt, ...) options.fail((what .. ": " .. fmt):format(...)) end

-- The direction of e, and its norm before it is scaled to rho.
local function direction(self, params)
  local g = vectors.gradients(params)
  if not self._settings.adaptive then return g, core.grad_norm(params) end
  local weighted = {}
  for i, p in ipairs(params) do weighted[i] = p:abs() * g[i] end
  for i, p in ipairs(params) do g[i] = (p * p):mul_(g[i]) end
  return g, vectors.dot(weighted, weighted) ^ 0.5
end

local function tensors_to_keep(self, params)
  local list = table.move(params, 1, #params, 1, {})
  return table.move(self._buffers, 1, #self._buffers, #list + 1, list)
end

-- Moves the weights to w + e. Returns what puts everything back but the gradients.
local function climb(self, params)
  local kept = tensors_to_keep(self, params)
  local copies = vectors.clone(kept)
  local e, norm = direction(self, params)
  vectors.add(params, e, self._settings.rho / (norm + 1e-12))
  return function() vectors.copy(kept, copies) end
end

--- One step. The closure drops the gradients, runs the model, calls backward and returns the loss; it is called at w
--- and at w + e. Returns the loss at w.
function Sam:step(closure)
  if not closure then
    fail "step needs a closure: optimizer:step(function() ... return loss end), which drops the gradients, runs the \z
      model, calls backward and returns the loss"
  end
  local loss = closure()
  local params = self._base:parameters()
  local recording = core.recording(false)
  local back = climb(self, params)
  core.recording(recording)
  closure()
  core.recording(false)
  back()
  core.recording(recording)
  self._base:step()
  return loss
end

--- As the optimizer's inside; also notes the model's buffers. Returns the optimizer.
function Sam:bind(model)
  self._base:bind(model)
  for _, module in ipairs(model:modules()) do
    for _, name in ipairs(module._order) do
      if module._roles[name] == "buffer" then self._buffers[#self._buffers + 1] = module._values[name] end
    end
  end
  return self
end

--- The state of the optimizer inside, and SAM's settings.
function Sam:state_dict()
  local state = self._base:state_dict()
  state.sam = { rho = self._settings.rho, adaptive = self._settings.adaptive }
  return state
end

--- Whether a state fits: true, or nil and what does not.
function Sam:check_state_dict(given)
  local ok, problem = self._base:check_state_dict(given)
  if not ok then return nil, problem end
  local sam = given.sam
  if type(sam) ~= "table" or options.accept(rules.rho, sam.rho) == nil or type(sam.adaptive) ~= "boolean" then
    return nil, what .. ": the state does not fit: it is not one of SAM"
  end
  return true
end

--- Puts a state back. Raises, changing nothing, if it does not fit. Returns the optimizer.
function Sam:load_state_dict(given)
  local ok, problem = self:check_state_dict(given)
  if not ok then options.fail(problem) end
  self._base:load_state_dict(given)
  self._settings = { rho = given.sam.rho, adaptive = given.sam.adaptive }
  return self
end

-- What is not SAM's is looked up in the optimizer inside, whose methods find it in place of the wrapper.
local function lookup(self, key)
  if Sam[key] then return Sam[key] end
  if key == "needs_closure" then return true end
  if self._settings[key] ~= nil then return self._settings[key] end
  local value = self._base[key]
  if type(value) ~= "function" then return value end
  return function(_, ...) return value(self._base, ...) end
end

local function assign(self, key, value)
  if rules[key] then
    self._settings[key] = options.check(what, key, value, rules[key])
  else
    self._base[key] = value
  end
end

local meta = {
  __name = "Optimizer", __index = lookup, __newindex = assign,
  __tostring = function(self)
    return ("%s(%s, { rho = %s })"):format(what, tostring(self._base), self._settings.rho)
  end,
}

--- SAM around an optimizer: optim.SAM(optim.SGD { lr = 0.1 }, { rho = 0.05, adaptive = false }).
return function(base, given)
  if not optimizer.is(base) then
    fail("expected an optimizer first, as in optim.SAM(optim.SGD { lr = 0.1 }, { rho = 0.05 }), got %s",
      options.show(base))
  end
  if base.needs_closure or base.averages then fail("%s cannot be wrapped", base._what) end
  return setmetatable({
    _base = base, _settings = options.read(what, given, rules), _buffers = {}, where = core.where(),
  }, meta)
end
