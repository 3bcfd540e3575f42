-- ml.nn: modules to build models from, and the base class for one's own. This list is all that it has; a name that is
-- not in it is an error with a suggestion.
local options = require "mnistlua.options"

local m = {
  Module     = require "mnistlua.nn.module",
  ModuleList = require "mnistlua.nn.module_list",
  Sequential = require "mnistlua.nn.sequential",
  Parameter  = require("mnistlua.nn.parameter").mark,
  init       = require("mnistlua.nn.initializers").public,

  Linear     = require "mnistlua.nn.linear",
  Conv2d     = require "mnistlua.nn.conv",
  Flatten    = require "mnistlua.nn.flatten",
  Identity   = require "mnistlua.nn.identity",
  Dropout    = require "mnistlua.nn.dropout",
  PReLU      = require "mnistlua.nn.prelu",
  Maxout     = require "mnistlua.nn.maxout",
  Embedding  = require "mnistlua.nn.embedding",
  MultiheadAttention = require "mnistlua.nn.attention",
  Residual   = require "mnistlua.nn.residual",
}

-- Files that define several classes.
for _, file in ipairs {
  "activations", "batch_norm", "group_norm", "losses", "noise", "parallel", "pooling", "recurrent", "reorder",
  "transformer",
} do
  for name, class in pairs(require("mnistlua.nn." .. file)) do m[name] = class end
end

return options.strict("nn", m)
