-- Schedules that go up and down: one cycle over the run, many cycles, restarts; and what the momentum does meanwhile.
local options = require "mnistlua.options"
local time = require "mnistlua.sched.time"

local m = {}

local rate = { type = "number", min = 0, required = true }
local pct_start = { type = "number", default = 0.3, min = 0, max = 1 }
local strategy = { default = "cos", choices = { "cos", "linear" } }

local function momentum(default) return { type = "number", default = default, min = 0, below = 1 } end

-- ---- one cycle ----

-- From `first` to `top` in the first share of the steps, then to `last`, PyTorch's way: the peak is at a step that need
-- not be whole.
local function one_cycle(curve, share, first, top, last)
  return function(step, progress, info)
    local last_step = time.total_steps(step, progress, info) - 1
    local peak = share * (last_step + 1) - 1
    if step <= peak and peak > 0 then return curve(first, top, step / peak) end
    return curve(top, last, last_step > peak and math.min((step - peak) / (last_step - peak), 1) or 0)
  end
end

--- One cycle (Smith and Topin 2018), PyTorch's values: from max_lr / div_factor (25) up to max_lr in the first
--- pct_start (0.3) of the steps, then down to max_lr / div_factor / final_div_factor (1e4) at the last; by half
--- cosines, or by lines with anneal_strategy = "linear".
function m.OneCycleLR(given)
  local o = options.read("sched.OneCycleLR", given, {
    "max_lr", max_lr = rate, pct_start = pct_start, div_factor = { type = "number", default = 25, above = 0 },
    final_div_factor = { type = "number", default = 1e4, above = 0 }, anneal_strategy = strategy,
  })
  local first = o.max_lr / o.div_factor
  return one_cycle(time.curves[o.anneal_strategy], o.pct_start, first, o.max_lr, first / o.final_div_factor)
end

--- The momentum that goes with it, for an experiment's `momentum`: from max_momentum (0.95) down to base_momentum
--- (0.85) while the rate goes up, and back.
function m.OneCycleMomentum(given)
  local o = options.read("sched.OneCycleMomentum", given, {
    max_momentum = momentum(0.95), base_momentum = momentum(0.85), pct_start = pct_start, anneal_strategy = strategy,
  })
  return one_cycle(time.curves[o.anneal_strategy], o.pct_start, o.max_momentum, o.base_momentum, o.max_momentum)
end

-- ---- many cycles ----

-- By what the height of a cycle is multiplied: the number of cycles done, or of steps, decides.
local modes = {
  triangular = function() return 1 end,
  triangular2 = function(cycle) return 1 / 2 ^ cycle end,
  exp_range = function(_, step, gamma) return gamma ^ step end,
}

local wave_rules = {
  step_size_up = { type = "integer", default = 2000, min = 1 }, step_size_down = { type = "integer", min = 1 },
  mode = { default = "triangular", choices = { "triangular", "triangular2", "exp_range" } },
  gamma = { type = "number", default = 1, above = 0, max = 1 },
}

local function with_wave(rules)
  for name, rule in pairs(wave_rules) do rules[name] = rule end
  return rules
end

-- The height at a step, 0 to 1: up in step_size_up steps, down in step_size_down (as many, if not given).
local function wave(o)
  local up, down, scale = o.step_size_up, o.step_size_down or o.step_size_up, modes[o.mode]
  return function(step)
    local cycle, at = step // (up + down), step % (up + down)
    return (at <= up and at / up or (up + down - at) / down) * scale(cycle, step, o.gamma)
  end
end

--- Cycles of steps (Smith 2017): from base_lr to max_lr in step_size_up (2000) steps and back in step_size_down (as
--- many). mode: "triangular", "triangular2" (each half as high as the one before) or "exp_range" (the height is
--- multiplied by gamma (1) at each step).
function m.CyclicLR(given)
  local o = options.read("sched.CyclicLR", given, with_wave { base_lr = rate, max_lr = rate })
  local height = wave(o)
  return function(step) return o.base_lr + (o.max_lr - o.base_lr) * height(step) end
end

--- The momentum that goes with it, from max_momentum (0.9) to base_momentum (0.8) and back.
function m.CyclicMomentum(given)
  local o = options.read("sched.CyclicMomentum", given,
    with_wave { base_momentum = momentum(0.8), max_momentum = momentum(0.9) })
  local height = wave(o)
  return function(step) return o.max_momentum - (o.max_momentum - o.base_momentum) * height(step) end
end

-- ---- restarts ----

--- Half cosines from lr to min_lr (0), beginning again after T_0 epochs, the next after T_0 * T_mult (1), and so on;
--- Loshchilov and Hutter 2017. Changes at every step.
function m.CosineAnnealingWarmRestarts(given)
  local what = "sched.CosineAnnealingWarmRestarts"
  local o = options.read(what, given, {
    lr = rate, min_lr = { type = "number", default = 0, min = 0 },
    T_0 = { type = "integer", min = 1, required = true }, T_mult = { type = "integer", default = 1, min = 1 },
  })
  return function(_, _, info)
    local at, period = time.exact_epoch(what, info), o.T_0
    if o.T_mult == 1 then
      at = at % period
    else
      while at >= period do at, period = at - period, period * o.T_mult end
    end
    return time.half_cosine(o.lr, o.min_lr, at / period)
  end
end

return m
