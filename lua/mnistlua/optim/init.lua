-- ml.optim: the optimizers. A config declares one (optim.SGD { lr = 0.1 }) and the trainer binds it to the model; a
-- loop of one's own gives the parameters (optim.SGD(model:parameters(), { lr = 0.1 })), as in PyTorch.
--
-- Groups give parameters settings of their own. Declared, they are Lua patterns on parameter names, the first that
-- matches wins; with parameters given, they are PyTorch's list of tables:
--
--   optim.AdamW { lr = 4e-3, weight_decay = 1e-4, groups = { { "%.bias$", weight_decay = 0 } } }
--   optim.SGD({ { params = a }, { params = b, lr = 0.01 } }, { lr = 0.1 })
--
-- All but LBFGS also take clip_norm (the greatest norm of all gradients together), clip_value (of an element) and, also
-- by group, max_norm (of the weights that enter a unit, restored after each step).
local average = require "mnistlua.optim.average"
local core = require "mnistlua.core"
local optimizer = require "mnistlua.optim.optimizer"
local options = require "mnistlua.options"

local m = {}

--- Stochastic gradient descent: optim.SGD { lr = 0.1 }, or optim.SGD(model:parameters(), { lr = 0.1 }). Options: lr
--- (required), momentum (0), dampening (0), nesterov (false), weight_decay (0), groups (declared form only).
function m.SGD(...) return optimizer.new("SGD", nil, ...) end

--- Adam (Kingma and Ba 2015). Options: lr (1e-3), betas ({ 0.9, 0.999 }), eps (1e-8), weight_decay (0, added to the
--- gradient), groups.
function m.Adam(...) return optimizer.new("Adam", nil, ...) end

--- Adam with decoupled weight decay (Loshchilov and Hutter 2019). Options as optim.Adam's; weight_decay is 0.01.
function m.AdamW(...) return optimizer.new("AdamW", nil, ...) end

--- Adam with Nesterov momentum (Dozat 2016). Options as optim.Adam's, lr (2e-3), and momentum_decay (4e-3).
function m.NAdam(...) return optimizer.new("NAdam", nil, ...) end

--- RMSprop (Hinton 2012). Options: lr (1e-2), alpha (0.99), eps (1e-8), weight_decay (0), momentum (0), centered
--- (false), groups.
function m.RMSprop(...) return optimizer.new("RMSprop", nil, ...) end

--- Adagrad (Duchi et al. 2011). Options: lr (1e-2), lr_decay (0), weight_decay (0), initial_accumulator_value (0), eps
--- (1e-10), groups.
function m.Adagrad(...) return optimizer.new("Adagrad", nil, ...) end

--- Lion (Chen et al. 2023): steps of one size, by the sign of the momentum. Options: lr (1e-4), betas ({ 0.9, 0.99 }),
--- weight_decay (0, decoupled), groups.
function m.Lion(...) return optimizer.new("Lion", nil, ...) end

--- Schedule-free SGD (Defazio et al. 2024): a mean of the weights takes the place of a schedule. Evaluation, and what
--- is saved, is of that mean: the trainer sees to it, a loop of one's own calls optimizer:eval() before and
--- optimizer:train() after. Options: lr (1), momentum (0.9), weight_decay (0), groups.
function m.SGDScheduleFree(...) return optimizer.new("SGDScheduleFree", nil, ...) end

--- The same for AdamW. Options: lr (2.5e-3), betas ({ 0.9, 0.999 }), eps (1e-8), weight_decay (0), groups.
function m.AdamWScheduleFree(...) return optimizer.new("AdamWScheduleFree", nil, ...) end

--- Muon (Jordan 2024): momentum made orthogonal, for weights of two dimensions or more; `rest` moves all others, and
--- groups with rest = true. Options: lr (0.02), momentum (0.95), nesterov (true), weight_decay (0, decoupled), ns_steps
--- (5), rest (optim.AdamW { lr = 1e-3 }), groups. Setting lr sets that of the rest in proportion.
function m.Muon(...) return optimizer.new("Muon", m.AdamW { weight_decay = 0 }, ...) end

--- L-BFGS, for full batches; its step needs a closure. Options: lr (1), max_iter (20, iterations a step), max_eval (5/4
--- of that), tolerance_grad (1e-7), tolerance_change (1e-9), history_size (100), line_search_fn (none, or
--- "strong_wolfe").
function m.LBFGS(...) return optimizer.new("LBFGS", nil, ...) end

--- Sharpness-aware minimisation around another optimizer: optim.SAM(optim.SGD { lr = 0.1 }, { rho = 0.05 }). Options:
--- rho (0.05), adaptive (false). Its step needs a closure.
m.SAM = require "mnistlua.optim.sam"

--- Averages of the weights, for an experiment's `average` or a loop of one's own: see average.lua.
m.EMA, m.SWA = average.EMA, average.SWA

--- Scales the gradients of parameters so that their norm together is at most `limit`; returns the norm they had.
function m.clip_grad_norm(params, limit) return core.clip_grad_norm(params, limit) end

--- Brings every element of the gradients of parameters into -limit .. limit.
function m.clip_grad_value(params, limit) core.clip_grad_value(params, limit) end

return options.strict("optim", m)
