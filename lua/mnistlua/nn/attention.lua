-- nn.MultiheadAttention: every token of a sequence asks all tokens of another, or of the same, what they hold.
local core = require "mnistlua.core"
local flow = require "mnistlua.nn.flow"
local initializers = require "mnistlua.nn.initializers"
local Linear = require "mnistlua.nn.linear"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"
local Parameter = require("mnistlua.nn.parameter").mark

--- nn.MultiheadAttention(heads) infers its width, nn.MultiheadAttention(width, heads) has it. layer(x) is
--- self-attention on x [b, t, width]; layer(q, k, v) asks with q [b, t, width] among k and v [b, s, width] (v may be
--- left out: it is k then). Gives [b, t, width]: each head's share of softmax(q k^T / sqrt(width / heads)) v, of
--- learned projections of q, k and v, side by side and projected once more. Options, with PyTorch's names: embed_dim,
--- num_heads, bias (true), dropout (0; of the softmax, in training), causal (false: with true token i sees tokens 1..i
--- only). The state is PyTorch's, too: in_proj_weight [3 width, width] (q's rows, then k's and v's), in_proj_bias,
--- out_proj.weight and out_proj.bias. Vaswani et al. 2017, "Attention is all you need".
local Attention = Module:extend "nn.MultiheadAttention"
Attention.takes_tensor, Attention.sizing = true, "in_proj_weight"

local spec = {
  "embed_dim", "num_heads",
  embed_dim = { type = "integer", min = 1 },
  num_heads = { type = "integer", min = 1, required = true },
  bias = { type = "boolean", default = true },
  dropout = { type = "number", default = 0, min = 0, below = 1 },
  causal = { type = "boolean", default = false },
}

function Attention:init(...)
  local given = options.gather(...)
  if given[2] == nil and given.num_heads == nil then given[1], given[2] = nil, given[1] end
  local o = options.read(self.typename, given, spec)
  self.num_heads, self.has_bias, self.dropout, self.causal = o.num_heads, o.bias, o.dropout, o.causal
  self.built = false
  if not o.embed_dim then return end
  if o.embed_dim % o.num_heads ~= 0 then
    options.fail(("%s: %d heads do not divide a width of %d"):format(self.typename, o.num_heads, o.embed_dim))
  end
  self:create(o.embed_dim)
end

--- Gives the layer its parameters, for tokens of this width.
function Attention:create(embed_dim)
  self.embed_dim = embed_dim
  self.in_proj_weight = Parameter(core.zeros(3 * embed_dim, embed_dim))
  if self.has_bias then self.in_proj_bias = Parameter(core.zeros(3 * embed_dim)) end
  self.out_proj = Linear(embed_dim, embed_dim, { bias = self.has_bias })
  self.built = true
  self:reset_parameters()
end

--- Takes the width from weights that are about to be loaded.
function Attention:infer_from_weight(weight)
  if weight:dim() == 2 and weight:size(2) % self.num_heads == 0 then self:create(weight:size(2)) end
end

--- Draws the weights anew, as PyTorch does: Glorot's uniform for the three projections, zero biases.
function Attention:reset_parameters()
  local width = self.embed_dim
  initializers.fill(initializers.public.xavier_uniform, self.in_proj_weight, self.in_proj_bias, width, 3 * width)
  self.out_proj:reset_parameters()
  if self.has_bias then self.out_proj.bias:zero_() end
end

function Attention:settings()
  local parts, extra = { tostring(self.num_heads) }, {}
  if self.embed_dim then table.insert(parts, 1, tostring(self.embed_dim)) end
  if not self.has_bias then extra[#extra + 1] = "bias = false" end
  if self.dropout > 0 then extra[#extra + 1] = "dropout = " .. self.dropout end
  if self.causal then extra[#extra + 1] = "causal = true" end
  if #extra > 0 then parts[#parts + 1] = "{ " .. table.concat(extra, ", ") .. " }" end
  return table.concat(parts, ", ")
end

-- input is a tensor or a shape, of samples of tokens x width.
local function check(self, input)
  local shape = flow.shape_of(input)
  if #shape ~= 2 then
    flow.mismatch(self, input, "samples of tokens x features", flow.shape_text(shape),
      #shape == 3 and "put nn.Reshape(channels, -1) and nn.Permute(2, 1) before it" or nil)
  end
  if self.embed_dim == shape[2] then return end
  if self.built then
    flow.mismatch(self, input, self.embed_dim .. " features a token", tostring(shape[2]),
      ("write nn.MultiheadAttention(%d) to infer them"):format(self.num_heads))
  end
  if shape[2] % self.num_heads ~= 0 then
    flow.mismatch(self, input, ("a number of features that %d heads divide"):format(self.num_heads),
      tostring(shape[2]))
  end
  self:create(shape[2])
end

-- k and v against each other and against q.
local function check_keys(self, q, k, v)
  check(self, k)
  check(self, v)
  if k:size(1) ~= q:size(1) then
    flow.mismatch(self, k, ("keys for %d samples, as there are queries,"):format(q:size(1)), tostring(k:size(1)))
  end
  if v:size(1) ~= k:size(1) or v:size(2) ~= k:size(2) then
    flow.mismatch(self, v, ("a value for each of %s keys"):format(flow.shape_text { k:size(1), k:size(2) }),
      flow.shape_text { v:size(1), v:size(2) })
  end
end

function Attention:infer(shape)
  check(self, shape)
  return self.out_proj:output_shape(shape)
end

-- The i-th of the three input projections.
local function project(self, i, x)
  local first, last = (i - 1) * self.embed_dim + 1, i * self.embed_dim
  return core.linear(x, self.in_proj_weight:rows(first, last), self.has_bias and self.in_proj_bias:rows(first, last)
    or nil)
end

function Attention:forward(q, k, v)
  local how = {
    heads = self.num_heads, causal = self.causal, dropout = self.training and self.dropout or 0,
  }
  check(self, q)
  if k == nil then                   -- self-attention: one product for all three projections
    local qkv = core.linear(q, self.in_proj_weight, self.in_proj_bias)
    return self.out_proj(core.attention(qkv, nil, nil, how))
  end
  v = v or k
  check_keys(self, q, k, v)
  return self.out_proj(core.attention(project(self, 1, q), project(self, 2, k), project(self, 3, v), how))
end

return Attention
