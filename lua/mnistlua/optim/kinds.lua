-- The kinds of optimizers: what each can be told (PyTorch's names, meanings and defaults where it has the optimizer)
-- and, where a step is more than one call of src/optim, what it does. A new kind of src/optim gets a row here.
--
-- Members: `rules`, of its settings; `memory`, numbers that it carries from step to step, kept beside the settings and
-- so in the state; `advance(values, hyper, step)`, before each step of a group; `slots(values)` and
-- `step(group, step)`, names of state tensors and the step where both are Lua; `problem(values)`, what is wrong with a
-- state's memory; `run(optimizer, closure)`, the step of one that calls the closure itself; `away(values)`, the share
-- of the first slot by which the weights differ from those to evaluate; `momentum`, the name of the setting that a
-- schedule for momentum sets.
local lbfgs = require "mnistlua.optim.lbfgs"
local muon = require "mnistlua.optim.muon"

local m = {}

local function number(default, min) return { type = "number", default = default, min = min } end

local function below_one(default) return { type = "number", default = default, min = 0, below = 1 } end

local function betas(first, second) return { type = "table", default = { first, second } } end

-- What any kind that moves by single gradients has besides: a limit for the norm of the weights that enter a unit, per
-- group; and limits for gradients, which are the whole optimizer's.
m.common = { max_norm = { type = "number", above = 0 } }
m.whole = { clip_norm = { type = "number", above = 0 }, clip_value = { type = "number", above = 0 } }

local function kind(definition)
  for name, rule in pairs(m.common) do definition.rules[name] = rule end
  return definition
end

-- ---- NAdam ----

-- mu of a step: beta1 (1 - 0.96^(step momentum_decay) / 2).
local function mu(values, step) return values.betas[1] * (1 - 0.5 * 0.96 ^ (step * values.momentum_decay)) end

local function advance_nadam(values, hyper, step)
  hyper.mu, hyper.mu_next = mu(values, step), mu(values, step + 1)
  values.mu_product = values.mu_product * hyper.mu
  hyper.mu_product = values.mu_product
end

-- ---- schedule-free ----

-- The weight of a step's z in the mean x is the square of the greatest learning rate so far, so that a warm-up counts
-- little.
local function advance_schedule_free(values, hyper)
  values.lr_max = math.max(values.lr_max, values.lr)
  local weight = values.lr_max ^ 2
  values.weight_sum = values.weight_sum + weight
  hyper.average_share = weight > 0 and weight / values.weight_sum or 0
end

local function schedule_free_memory() return { lr_max = 0, weight_sum = 0 } end

-- ---- the kinds ----

local function adam(weight_decay)
  return kind {
    rules = {
      lr = number(1e-3, 0), betas = betas(0.9, 0.999), eps = number(1e-8, 0), weight_decay = number(weight_decay, 0),
    },
    momentum = "betas",
  }
end

-- SGD's learning rate has no default: none suits most problems.
m.SGD = kind {
  rules = {
    lr = { type = "number", min = 0, required = true }, momentum = number(0, 0), dampening = number(0),
    weight_decay = number(0, 0), nesterov = { type = "boolean", default = false },
  },
  momentum = "momentum",
}

m.Adam, m.AdamW = adam(0), adam(0.01)

m.NAdam = kind {
  rules = {
    lr = number(2e-3, 0), betas = betas(0.9, 0.999), eps = number(1e-8, 0), weight_decay = number(0, 0),
    momentum_decay = number(4e-3, 0),
  },
  memory = function() return { mu_product = 1 } end, advance = advance_nadam, momentum = "betas",
}

m.RMSprop = kind {
  rules = {
    lr = number(1e-2, 0), alpha = below_one(0.99), eps = number(1e-8, 0), weight_decay = number(0, 0),
    momentum = number(0, 0), centered = { type = "boolean", default = false },
  },
  momentum = "momentum",
}

m.Adagrad = kind { rules = {
  lr = number(1e-2, 0), lr_decay = number(0, 0), weight_decay = number(0, 0), eps = number(1e-10, 0),
  initial_accumulator_value = number(0, 0),
} }

m.Lion = kind {
  rules = { lr = number(1e-4, 0), betas = betas(0.9, 0.99), weight_decay = number(0, 0) }, momentum = "betas",
}

m.SGDScheduleFree = kind {
  rules = { lr = number(1, 0), momentum = { type = "number", default = 0.9, above = 0, max = 1 },
            weight_decay = number(0, 0) },
  memory = schedule_free_memory, advance = advance_schedule_free,
  away = function(values) return 1 - values.momentum end,
}

m.AdamWScheduleFree = kind {
  rules = {
    lr = number(2.5e-3, 0), betas = betas(0.9, 0.999), eps = number(1e-8, 0), weight_decay = number(0, 0),
  },
  memory = schedule_free_memory, advance = advance_schedule_free,
  away = function(values) return 1 - values.betas[1] end,
}

m.Muon = kind {
  rules = {
    lr = number(0.02, 0), momentum = below_one(0.95), nesterov = { type = "boolean", default = true },
    weight_decay = number(0, 0), ns_steps = { type = "integer", default = 5, min = 1, max = 20 },
  },
  slots = muon.slots, step = muon.step, momentum = "momentum",
}

m.LBFGS = {
  rules = {
    lr = number(1, 0), max_iter = { type = "integer", default = 20, min = 1 },
    max_eval = { type = "integer", min = 1 }, tolerance_grad = number(1e-7, 0), tolerance_change = number(1e-9, 0),
    history_size = { type = "integer", default = 100, min = 1 },
    line_search_fn = { choices = { "strong_wolfe" } },
  },
  memory = lbfgs.memory, problem = lbfgs.problem, slots = lbfgs.slots, run = lbfgs.run,
}

return m
