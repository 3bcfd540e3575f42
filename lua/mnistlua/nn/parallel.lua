-- nn.Parallel and nn.Concat: several branches on the same input, and their results joined.
local core = require "mnistlua.core"
local flow = require "mnistlua.nn.flow"
local ModuleList = require "mnistlua.nn.module_list"
local options = require "mnistlua.options"

local m = {}

local most_joined = 8    -- tensors that core.concat takes at once

local spec = {
  join = { default = "concat", choices = { "concat", "sum", "mean" } },
  dim = { type = "integer", default = 1 },
}

--- Branches side by side: nn.Parallel { a, b, c, join = "concat" }. Each gets the same input; the results are put one
--- after the other along dimension dim of a sample (1, its channels or features; -1 is its last), or are added up
--- (join = "sum", or "mean").
m.Parallel = ModuleList:extend "nn.Parallel"
local Parallel = m.Parallel

--- nn.Concat { a, b, c, dim = 1 }: nn.Parallel that joins its branches' results along dim.
m.Concat = Parallel:extend "nn.Concat"

-- Splits a call into the list of branches and the options.
local function read(...)
  local given = select("#", ...) == 1 and options.kind((...)) == "table" and ... or { ... }
  local list, rest = {}, {}
  for _, key in ipairs(options.sorted_keys(given)) do
    if math.type(key) == "integer" then list[key] = given[key] else rest[key] = given[key] end
  end
  return list, rest
end

function Parallel:init(...)
  local list, rest = read(...)
  local own = self.typename == "nn.Concat" and { dim = spec.dim } or spec
  local o = options.read(self.typename, rest, own)
  if o.dim == 0 or math.abs(o.dim) > 5 then
    options.fail(("%s: dim is %d; expected a dimension of a sample, from 1, or from the end, -1"):format(self.typename,
      o.dim))
  end
  self.join, self.dim = o.join or "concat", o.dim
  ModuleList.init(self, list)
  if #self == 0 then options.fail(("%s: needs at least one branch"):format(self.typename)) end
end

function Parallel:settings()
  local parts = {}
  if self.join ~= "concat" then parts[1] = ('join = "%s"'):format(self.join) end
  if self.dim ~= 1 then parts[#parts + 1] = "dim = " .. self.dim end
  return table.concat(parts, ", ")
end

local function refuse(self, i, input, first, shape)
  flow.mismatch(self, input, ("branch %d to return %s, as branch 1 does%s,"):format(i, flow.shape_text(first),
    self.join == "concat" and " (all but dimension " .. self.dim .. ")" or ""), flow.shape_text(shape))
end

-- The dimension of a sample of this shape that is joined.
local function joined_dim(self, input, shape)
  local dim = self.dim < 0 and #shape + 1 + self.dim or self.dim
  if dim < 1 or dim > #shape then
    flow.mismatch(self, input, ("branches whose samples have a dimension %d"):format(self.dim), flow.shape_text(shape))
  end
  return dim
end

-- Checks that the branches' shapes can be joined; returns the joined shape, and the dimension if they are put together.
local function join_shapes(self, input, shapes)
  local first = shapes[1]
  local out, dim = table.move(first, 1, #first, 1, {}), nil
  if self.join == "concat" then dim = joined_dim(self, input, first) end
  for i = 2, #shapes do
    local shape = shapes[i]
    local fits = #shape == #first
    for d = 1, #first do fits = fits and (d == dim or shape[d] == first[d]) end
    if not fits then refuse(self, i, input, first, shape) end
    if dim then out[dim] = out[dim] + shape[dim] end
  end
  return out, dim
end

function Parallel:infer(shape)
  local shapes = {}
  for i, branch in ipairs(self._list) do
    shapes[i] = branch:output_shape(shape)
    if not shapes[i] then return nil end
  end
  return (join_shapes(self, shape, shapes))
end

-- Along dimension dim of the batch, most_joined at a time.
local function concat(list, dim)
  while #list > 1 do
    local joined = {}
    for at = 1, #list, most_joined do
      joined[#joined + 1] = core.concat(table.move(list, at, math.min(at + most_joined - 1, #list), 1, {}), dim)
    end
    list = joined
  end
  return list[1]
end

function Parallel:forward(x)
  local results, shapes = {}, {}
  for i, branch in ipairs(self._list) do
    results[i] = branch(x)
    shapes[i] = flow.shape_of(results[i])
  end
  local _, dim = join_shapes(self, x, shapes)
  if dim then return concat(results, dim + 1) end
  local total = results[1]
  for i = 2, #results do total = total + results[i] end
  return self.join == "mean" and total / #results or total
end

return m
