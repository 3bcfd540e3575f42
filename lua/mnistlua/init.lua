-- mnistlua: what `require "mnistlua"` gives a config.
--
-- Tensors and their functions come from the C core; layers, optimizers, schedules, datasets and the trainer are Lua.
local core = require "mnistlua.core"
local options = require "mnistlua.options"

local ml = {
  nn = require "mnistlua.nn",
  optim = require "mnistlua.optim",
  sched = require "mnistlua.sched",
  callbacks = require "mnistlua.callbacks",
  data = require "mnistlua.data",
  params = require("mnistlua.params").declare,
  augment = require("mnistlua.data.augment").new,
  tta = require("mnistlua.tta").new,
  ensemble = require "mnistlua.ensemble",
  predictor = require("mnistlua.predictor").new,
  experiment = require("mnistlua.experiment").new,
  precision = require("mnistlua.precision").use,
  recompute_bn = require "mnistlua.nn.recompute_bn",
  version = core.version,
}

-- Functions of the core that scripts call as they are; src/bind/README.md describes each.
local tensor_functions = {
  "tensor", "zeros", "ones", "full", "arange", "rand", "randn", "concat", "linear", "cross_entropy", "nll", "mse",
  "smooth_l1", "bce_with_logits", "kl_div", "multi_margin", "maximum", "minimum",
}
for _, name in ipairs(tensor_functions) do ml[name] = core[name] end

--- Restarts every random stream from a seed (0..4294967295): ml.randn, initial weights, dropout, math.random.
function ml.manual_seed(seed)
  core.manual_seed(seed)
  math.randomseed(seed)
end

--- Calls f(...) without recording for gradients and returns what it returns.
function ml.no_grad(f, ...)
  local before = core.recording(false)
  local results = table.pack(pcall(f, ...))
  core.recording(before)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- Prints a tensor, a sample, a data set or a module's filters as pictures; what has none as print does. Options are
--- those of picture/show.lua: n, shape, columns, scale, signed, titles, mode and so on.
function ml.show(value, given) require("mnistlua.picture.show").show(value, given) end

--- Seconds on a clock that only goes forward.
ml.clock = core.clock

return options.strict("ml", ml)
