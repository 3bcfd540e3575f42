-- nn.TransformerEncoderLayer and nn.PositionalEmbedding: what a transformer is made of besides attention. Samples are
-- sequences of tokens, x [b, tokens, features].
local core = require "mnistlua.core"
local activations = require "mnistlua.nn.activations"
local Attention = require "mnistlua.nn.attention"
local Dropout = require "mnistlua.nn.dropout"
local flow = require "mnistlua.nn.flow"
local LayerNorm = require("mnistlua.nn.group_norm").LayerNorm
local Linear = require "mnistlua.nn.linear"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"
local Parameter = require("mnistlua.nn.parameter").mark

local m = {}

-- The sizes of a sample, which are tokens and features.
local function tokens_of(self, input)
  local shape = flow.shape_of(input)
  if #shape ~= 2 then
    flow.mismatch(self, input, "samples of tokens x features", flow.shape_text(shape),
      #shape == 3 and "put nn.Reshape(channels, -1) and nn.Permute(2, 1) before it" or nil)
  end
  return shape[1], shape[2]
end

-- ---- PositionalEmbedding ----

--- Adds a learned row to the token at each place: y = x + weight, of x [b, tokens, features] and weight [tokens,
--- features], which begins normal with deviation std (0.02). nn.PositionalEmbedding() infers both sizes,
--- nn.PositionalEmbedding(tokens, features) has them.
m.PositionalEmbedding = Module:extend "nn.PositionalEmbedding"
local PositionalEmbedding = m.PositionalEmbedding
PositionalEmbedding.takes_tensor = true

local position_spec = {
  "num_embeddings", "embedding_dim",
  num_embeddings = { type = "integer", min = 1 }, embedding_dim = { type = "integer", min = 1 },
  std = { type = "number", default = 0.02, min = 0 },
}

function PositionalEmbedding:init(...)
  local o = options.read(self.typename, options.gather(...), position_spec)
  self.std, self.built = o.std, false
  if (o.num_embeddings == nil) ~= (o.embedding_dim == nil) then
    options.fail "nn.PositionalEmbedding: takes the numbers of tokens and of features, or neither"
  end
  if o.num_embeddings then self:create(o.num_embeddings, o.embedding_dim) end
end

--- Gives the layer its weight, for samples of so many tokens and features.
function PositionalEmbedding:create(tokens, features)
  self.num_embeddings, self.embedding_dim = tokens, features
  self.weight = Parameter(core.zeros(tokens, features))
  self.built = true
  self:reset_parameters()
end

function PositionalEmbedding:infer_from_weight(weight)
  if weight:dim() == 2 then self:create(weight:size(1), weight:size(2)) end
end

--- Draws the weight anew.
function PositionalEmbedding:reset_parameters() self.weight:normal_(0, self.std) end

local function check_places(self, input)
  local tokens, features = tokens_of(self, input)
  if not self.built then self:create(tokens, features) end
  if self.num_embeddings ~= tokens or self.embedding_dim ~= features then
    flow.mismatch(self, input, flow.shape_text { self.num_embeddings, self.embedding_dim },
      flow.shape_text { tokens, features }, "write nn.PositionalEmbedding() to infer it")
  end
end

function PositionalEmbedding:infer(shape)
  check_places(self, shape)
  return shape
end

function PositionalEmbedding:forward(x)
  check_places(self, x)
  return x + self.weight
end

function PositionalEmbedding:settings()
  local parts = { self.built and ("%d, %d"):format(self.num_embeddings, self.embedding_dim) or nil }
  if self.std ~= position_spec.std.default then parts[#parts + 1] = ("{ std = %s }"):format(self.std) end
  return table.concat(parts, ", ")
end

-- ---- TransformerEncoderLayer ----

--- One layer of a transformer's encoder: x = x + attention(norm1(x)), then x = x + linear2(gelu(linear1(norm2(x)))),
--- each sum behind a dropout. nn.TransformerEncoderLayer(heads) infers its width, nn.TransformerEncoderLayer(width,
--- heads) has it. Options, with PyTorch's names: d_model, nhead, dim_feedforward (4 d_model), dropout (0.1), activation
--- ("gelu" or "relu"), norm_first (true; false: x = norm1(x + attention(x)) and so on), layer_norm_eps (1e-5), and
--- causal as nn.MultiheadAttention has it. The state is PyTorch's; where PyTorch has 2048, "relu" and norm_first =
--- false, the defaults are what is mostly used today. Vaswani et al. 2017, "Attention is all you need"; Xiong et al.
--- 2020, "On layer normalization in the transformer architecture".
m.TransformerEncoderLayer = Module:extend "nn.TransformerEncoderLayer"
local EncoderLayer = m.TransformerEncoderLayer
EncoderLayer.takes_tensor, EncoderLayer.sizing = true, "linear1.weight"

local layer_spec = {
  "d_model", "nhead",
  d_model = { type = "integer", min = 1 },
  nhead = { type = "integer", min = 1, required = true },
  dim_feedforward = { type = "integer", min = 1 },
  dropout = { type = "number", default = 0.1, min = 0, below = 1 },
  activation = { choices = { "gelu", "relu" }, default = "gelu" },
  norm_first = { type = "boolean", default = true },
  layer_norm_eps = { type = "number", default = 1e-5, above = 0 },
  causal = { type = "boolean", default = false },
}

function EncoderLayer:init(...)
  local given = options.gather(...)
  if given[2] == nil and given.nhead == nil then given[1], given[2] = nil, given[1] end
  local o = options.read(self.typename, given, layer_spec)
  self.options, self.nhead, self.norm_first, self.built = o, o.nhead, o.norm_first, false
  if not o.d_model then return end
  if o.d_model % o.nhead ~= 0 then
    options.fail(("%s: %d heads do not divide a width of %d"):format(self.typename, o.nhead, o.d_model))
  end
  self:create(o.d_model)
end

--- Gives the layer its parts, for tokens of this width.
function EncoderLayer:create(d_model)
  local o = self.options
  local hidden = o.dim_feedforward or 4 * d_model
  self.d_model = d_model
  self.self_attn = Attention(d_model, o.nhead, { dropout = o.dropout, causal = o.causal })
  self.linear1 = Linear(d_model, hidden)
  self.activation = o.activation == "gelu" and activations.GELU() or activations.ReLU()
  self.linear2 = Linear(hidden, d_model)
  self.norm1 = LayerNorm(d_model, { eps = o.layer_norm_eps })
  self.norm2 = LayerNorm(d_model, { eps = o.layer_norm_eps })
  self.dropout = Dropout(o.dropout)
  self.built = true
end

function EncoderLayer:infer_from_weight(weight)
  if weight:dim() == 2 and weight:size(2) % self.nhead == 0 then self:create(weight:size(2)) end
end

local function check_width(self, input)
  local _, width = tokens_of(self, input)
  if self.d_model == width then return end
  if self.built then
    flow.mismatch(self, input, self.d_model .. " features a token", tostring(width),
      ("write nn.TransformerEncoderLayer(%d) to infer them"):format(self.nhead))
  end
  if width % self.nhead ~= 0 then
    flow.mismatch(self, input, ("a number of features that %d heads divide"):format(self.nhead), tostring(width))
  end
  self:create(width)
end

function EncoderLayer:infer(shape)
  check_width(self, shape)
  for _, part in ipairs { self.norm1, self.self_attn, self.norm2 } do part:output_shape(shape) end
  local hidden = self.activation:output_shape(self.linear1:output_shape(shape))
  return self.dropout:output_shape(self.linear2:output_shape(hidden))
end

local function feed_forward(self, x)
  return self.linear2(self.dropout(self.activation(self.linear1(x))))
end

function EncoderLayer:forward(x)
  check_width(self, x)
  if self.norm_first then
    x = x + self.dropout(self.self_attn(self.norm1(x)))
    return x + self.dropout(feed_forward(self, self.norm2(x)))
  end
  x = self.norm1(x + self.dropout(self.self_attn(x)))
  return self.norm2(x + self.dropout(feed_forward(self, x)))
end

function EncoderLayer:settings()
  local parts, extra, o = { tostring(self.nhead) }, {}, self.options
  if self.d_model then table.insert(parts, 1, tostring(self.d_model)) end
  for _, name in ipairs { "dim_feedforward", "dropout", "activation", "norm_first", "layer_norm_eps", "causal" } do
    local value = o[name]
    if value ~= layer_spec[name].default then
      extra[#extra + 1] = ("%s = %s"):format(name, type(value) == "string" and '"' .. value .. '"' or tostring(value))
    end
  end
  if #extra > 0 then parts[#parts + 1] = "{ " .. table.concat(extra, ", ") .. " }" end
  return table.concat(parts, ", ")
end

return m
