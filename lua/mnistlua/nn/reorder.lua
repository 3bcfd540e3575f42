-- nn.Reshape and nn.Permute: the same values of each sample under another shape, or in another order. Sizes and
-- dimensions are those of one sample, as model:build takes them: the batch is not counted and stays first.
local core = require "mnistlua.core"
local flow = require "mnistlua.nn.flow"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"

local m = {}

local most = 5    -- dimensions of one sample

-- The whole numbers of a call: its arguments, or one list.
local function read_list(self, what, rule, ...)
  local list = select("#", ...) == 1 and type((...)) == "table" and ... or { ... }
  for _, key in ipairs(options.sorted_keys(list)) do
    if math.type(key) ~= "integer" then options.check_key(self.typename, key, {}) end
  end
  local values = {}
  for i = 1, #list do
    values[i] = options.check(self.typename, ("%s %d"):format(what, i), list[i], rule)
  end
  if #values > most then
    options.fail(("%s: at most %d %ss, got %d"):format(self.typename, most, what, #values))
  end
  return values
end

-- ---- Reshape ----

--- Gives every sample these sizes: nn.Reshape(1, 28, 28) turns x [b, 784] into [b, 1, 28, 28]. One size may be -1.
m.Reshape = Module:extend "nn.Reshape"
local Reshape = m.Reshape
Reshape.takes_tensor, Reshape.transparent = true, true

function Reshape:init(...)
  local sizes, unknown = read_list(self, "size", { type = "integer", min = -1 }, ...), 0
  for i, size in ipairs(sizes) do
    if size == 0 then options.fail(("nn.Reshape: size %d is 0; expected at least 1, or -1"):format(i)) end
    if size == -1 then unknown = unknown + 1 end
  end
  if unknown > 1 then options.fail "nn.Reshape: only one size may be -1" end
  self.sizes = sizes
end

-- The output's shape for samples of this shape; raises if the counts differ.
local function resolve(self, input, shape)
  local known, count, at = 1, flow.count(shape), nil
  local sizes = table.move(self.sizes, 1, #self.sizes, 1, {})
  for i, size in ipairs(sizes) do
    if size == -1 then at = i else known = known * size end
  end
  if at and count % known == 0 then sizes[at] = count // known end
  if flow.count(sizes) ~= count or at and sizes[at] < 1 then
    flow.mismatch(self, input, at and ("a multiple of %d values a sample"):format(known)
      or known .. " values a sample", tostring(count))
  end
  return sizes
end

function Reshape:infer(shape) return resolve(self, shape, shape) end

function Reshape:forward(x)
  return x:reshape(x:size(1), table.unpack(resolve(self, x, flow.shape_of(x))))
end

function Reshape:settings() return table.concat(self.sizes, ", ") end

-- ---- Permute ----

--- Puts the dimensions of every sample in another order: nn.Permute(2, 1) swaps rows and columns of x [b, h, w].
m.Permute = Module:extend "nn.Permute"
local Permute = m.Permute
Permute.takes_tensor, Permute.transparent = true, true

function Permute:init(...)
  local dims, seen = read_list(self, "dimension", { type = "integer", min = 1, max = most }, ...), {}
  for _, dim in ipairs(dims) do
    if seen[dim] then options.fail(("nn.Permute: dimension %d is named twice"):format(dim)) end
    seen[dim] = true
  end
  for dim = 1, #dims do
    if not seen[dim] then options.fail(("nn.Permute: dimension %d is missing"):format(dim)) end
  end
  self.dims = dims
  self.order = { 1 }                             -- of a batch
  for i, dim in ipairs(dims) do self.order[i + 1] = dim + 1 end
end

local function check(self, input, shape)
  if #shape == #self.dims then return end
  flow.mismatch(self, input, ("samples of %d dimensions"):format(#self.dims), flow.shape_text(shape))
end

function Permute:infer(shape)
  check(self, shape, shape)
  local out = {}
  for i, dim in ipairs(self.dims) do out[i] = shape[dim] end
  return out
end

function Permute:forward(x)
  check(self, x, flow.shape_of(x))
  return core.permute(x, self.order)
end

function Permute:settings() return table.concat(self.dims, ", ") end

return m
