-- nn.RNN, nn.LSTM and nn.GRU: layers that read a sample step by step, as an image row by row. Their number of
-- features may be left out; it is then inferred as nn.Linear's inputs are. Each layer and direction is one operation of
-- the core.
local core = require "mnistlua.core"
local flow = require "mnistlua.nn.flow"
local initializers = require "mnistlua.nn.initializers"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"
local Parameter = require("mnistlua.nn.parameter").mark

-- What the three share. A class has `operation`, `gates` (blocks of rows in its weights) and `spec`.
local Recurrent = Module:extend "nn.Recurrent"

local function spec_with(extra)
  local spec = {
    "input", "hidden",
    input = { type = "integer", min = 1 },
    hidden = { type = "integer", min = 1, required = true },
    layers = { type = "integer", min = 1, default = 1 },
    bidirectional = { type = "boolean", default = false },
    dropout = { type = "number", min = 0, below = 1, default = 0 },
    output = { choices = { "last", "all" }, default = "last" },
    bias = { type = "boolean", default = true },
    init = { type = "string|function" },
  }
  for name, rule in pairs(extra or {}) do spec[name] = rule end
  return spec
end

-- One operation: the names of its parameters, as PyTorch's, and its options.
local function plan_pass(self, layer, reverse)
  local suffix = ("_l%d%s"):format(layer - 1, reverse and "_reverse" or "")
  return {
    w_ih = "weight_ih" .. suffix, w_hh = "weight_hh" .. suffix, b_ih = "bias_ih" .. suffix, b_hh = "bias_hh" .. suffix,
    options = {
      reverse = reverse, last = self.output == "last" and layer == self.layers,
      relu = self.nonlinearity == "relu" or nil,
    },
  }
end

function Recurrent:init(...)
  local given = options.gather(...)
  if given[2] == nil and given.hidden == nil then given[1], given[2] = nil, given[1] end
  local o = options.read(self.typename, given, self.spec)
  for _, name in ipairs { "hidden", "layers", "bidirectional", "dropout", "output", "nonlinearity" } do
    self[name] = o[name]
  end
  self.has_bias, self.init_name = o.bias, o.init
  self.initializer = o.init and initializers.find(self.typename, o.init)
  self.passes, self.built = {}, false
  for layer = 1, self.layers do
    self.passes[layer] = { plan_pass(self, layer, false), self.bidirectional and plan_pass(self, layer, true) or nil }
  end
  if o.input then self:create(o.input) end
end

--- Gives the layers their parameters, for this many features a step.
function Recurrent:create(features)
  self.input = features
  local rows, width = self.gates * self.hidden, features
  for _, passes in ipairs(self.passes) do
    for _, pass in ipairs(passes) do
      self[pass.w_ih] = Parameter(core.zeros(rows, width))
      self[pass.w_hh] = Parameter(core.zeros(rows, self.hidden))
      if self.has_bias then
        self[pass.b_ih] = Parameter(core.zeros(rows))
        self[pass.b_hh] = Parameter(core.zeros(rows))
      end
    end
    width = #passes * self.hidden
  end
  self.built = true
  self:reset_parameters()
end

Recurrent.sizing = "weight_ih_l0"

--- Takes the features from the first weight [gates hidden, features] that is about to be loaded, if it can be this
--- layer's.
function Recurrent:infer_from_weight(weight)
  if weight:dim() == 2 and weight:size(1) == self.gates * self.hidden then self:create(weight:size(2)) end
end

-- PyTorch's start: every parameter U(-1 / sqrt(hidden), 1 / sqrt(hidden)).
local function start(tensor, _, hidden) return initializers.public.pytorch(tensor, hidden) end

--- Draws the parameters anew.
function Recurrent:reset_parameters()
  local init, width = self.initializer or start, self.input
  for _, passes in ipairs(self.passes) do
    for _, pass in ipairs(passes) do
      init(self[pass.w_ih], width, self.hidden)
      init(self[pass.w_hh], self.hidden, self.hidden)
      for _, name in ipairs(self.has_bias and { pass.b_ih, pass.b_hh } or {}) do
        if self.initializer then self[name]:zero_() else start(self[name], width, self.hidden) end
      end
    end
    width = #passes * self.hidden
  end
end

-- ---- shapes ----

-- input is a tensor or a shape, of samples of steps x features.
local function check(self, input, features)
  if self.input == features then return end
  if self.built then
    flow.mismatch(self, input, self.input .. (self.input == 1 and " feature" or " features") .. " a step",
      tostring(features), ("write %s(%d) to infer them"):format(self.typename, self.hidden))
  end
  self:create(features)
end

local function refuse_shape(self, input)
  flow.mismatch(self, input, "samples of steps x features", flow.shape_text(flow.shape_of(input)),
    "put nn.Reshape(steps, features) before it")
end

function Recurrent:infer(shape)
  local one_channel = #shape == 3 and shape[1] == 1
  if #shape ~= 2 and not one_channel then refuse_shape(self, shape) end
  check(self, shape, shape[#shape])
  local width = #self.passes[1] * self.hidden
  return self.output == "last" and { width } or { shape[#shape - 1], width }
end

-- As [b, steps, features]; images [b, 1, h, w] are their rows.
local function as_steps(self, x)
  local dims = x:dim()
  if dims == 4 and x:size(2) == 1 then x = x:reshape(x:size(1), x:size(3), x:size(4)) end
  if x:dim() ~= 3 then refuse_shape(self, x) end
  check(self, x, x:size(3))
  return x
end

-- ---- forward ----

local function run_pass(self, pass, x)
  local b_ih, b_hh
  if self.has_bias then b_ih, b_hh = self[pass.b_ih], self[pass.b_hh] end
  return self.operation(x, self[pass.w_ih], self[pass.w_hh], b_ih, b_hh, pass.options)
end

function Recurrent:forward(x)
  x = as_steps(self, x)
  for layer, passes in ipairs(self.passes) do
    if layer > 1 and self.training and self.dropout > 0 then x = x:dropout(self.dropout) end
    local y = run_pass(self, passes[1], x)
    if passes[2] then y = core.concat({ y, run_pass(self, passes[2], x) }, y:dim()) end
    x = y
  end
  return x
end

function Recurrent:settings()
  local parts, extra = { tostring(self.hidden) }, {}
  if self.input then table.insert(parts, 1, tostring(self.input)) end
  for _, name in ipairs { "layers", "bidirectional", "dropout", "output", "nonlinearity" } do
    local value = self[name]
    if value ~= nil and value ~= self.spec[name].default then
      extra[#extra + 1] = ("%s = %s"):format(name, type(value) == "string" and '"' .. value .. '"' or value)
    end
  end
  if not self.has_bias then extra[#extra + 1] = "bias = false" end
  if self.init_name then
    extra[#extra + 1] = "init = " .. (type(self.init_name) == "string" and '"' .. self.init_name .. '"' or "function")
  end
  if #extra > 0 then parts[#parts + 1] = "{ " .. table.concat(extra, ", ") .. " }" end
  return table.concat(parts, ", ")
end

-- ---- the classes ----

local m = {}

local function define(name, operation, gates, extra)
  local class = Recurrent:extend("nn." .. name)
  class.takes_tensor, class.operation, class.gates, class.spec = true, operation, gates, spec_with(extra)
  m[name] = class
end

--- A recurrent layer: nn.LSTM(hidden) infers the features of a step, nn.LSTM(input, hidden) has them. x [b, steps,
--- features], or [b, 1, h, w] for the rows of images, gives [b, hidden] after the last step, or with output = "all"
--- [b, steps, hidden]. Options, in a last table or in the only one: layers (1), each on what the one below puts out;
--- bidirectional (false; a second direction reads from the last step to the first, and the outputs of both are put side
--- by side; its last state is the one after the first step); dropout (0) between layers; output ("last"); bias (true);
--- init (PyTorch's, U(-b, b) with b = 1 / sqrt(hidden); see nn.init). Parameters are named as PyTorch's: weight_ih_l0
--- [4 hidden, features], weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_ih_l0_reverse ... The state before the first step
--- is 0. Hochreiter and Schmidhuber 1997, "Long short-term memory".
define("LSTM", core.lstm, 4)

--- The same with a GRU's cells, three gates. Cho et al. 2014, "Learning phrase representations using RNN
--- encoder-decoder".
define("GRU", core.gru, 3)

--- The same with plain cells, h = tanh(W x + U h + b); nonlinearity ("tanh") may be "relu". Elman 1990, "Finding
--- structure in time".
define("RNN", core.rnn, 1, { nonlinearity = { choices = { "tanh", "relu" }, default = "tanh" } })

return m
