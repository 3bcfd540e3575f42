-- nn.Embedding: a learned row of numbers for each of a list of symbols.
local core = require "mnistlua.core"
local flow = require "mnistlua.nn.flow"
local initializers = require "mnistlua.nn.initializers"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"
local Parameter = require("mnistlua.nn.parameter").mark

--- nn.Embedding(num_embeddings, embedding_dim): x [b, ...] of i32 or u8 numbers from 0 gives [b, ..., embedding_dim],
--- the rows of weight [num_embeddings, embedding_dim] that x names. The weight begins normal with deviation 1, as
--- PyTorch's; init gives another start (see nn.init).
local Embedding = Module:extend "nn.Embedding"
Embedding.takes_tensor = true

local spec = {
  "num_embeddings", "embedding_dim",
  num_embeddings = { type = "integer", min = 1, required = true },
  embedding_dim = { type = "integer", min = 1, required = true },
  init = { type = "string|function" },
}

function Embedding:init(...)
  local o = options.read(self.typename, options.gather(...), spec)
  self.num_embeddings, self.embedding_dim = o.num_embeddings, o.embedding_dim
  self.initializer = o.init and initializers.find(self.typename, o.init)
  self.weight = Parameter(core.zeros(o.num_embeddings, o.embedding_dim))
  self:reset_parameters()
end

--- Draws the weight anew.
function Embedding:reset_parameters()
  if self.initializer then
    self.initializer(self.weight, self.embedding_dim, self.embedding_dim)
  else
    self.weight:normal_(0, 1)
  end
end

function Embedding:infer(shape)
  local out = table.move(shape, 1, #shape, 1, {})
  out[#out + 1] = self.embedding_dim
  return out
end

function Embedding:forward(x)
  if x.dtype == "f32" then
    flow.mismatch(self, x, "i32 or u8 numbers from 0", "f32", 'write x:to("i32") before it')
  end
  local shape = x.shape
  shape[#shape + 1] = self.embedding_dim
  return core.gather_rows(self.weight, x:to("i32"):reshape(-1)):reshape(shape)
end

function Embedding:settings() return ("%d, %d"):format(self.num_embeddings, self.embedding_dim) end

return Embedding
