-- nn.Residual: what a body of layers adds to its input.
local flow = require "mnistlua.nn.flow"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"
local Sequential = require "mnistlua.nn.sequential"

--- y = x + body(x), or shortcut(x) + body(x): nn.Residual(body [, shortcut]), or nn.Residual { a, b, c, shortcut = s }
--- whose body is a Sequential of the list. In state dicts they are "body" and "shortcut". He et al. 2016, "Deep
--- residual learning for image recognition".
local Residual = Module:extend "nn.Residual"

local module_rule = { type = "module" }

local function body_of(self, list)
  if #list == 0 then options.fail "nn.Residual: needs a body: a module, or a list of them" end
  for i, part in ipairs(list) do options.check(self.typename, "layer " .. i, part, module_rule) end
  return Sequential(list)
end

-- The only argument, if it is a plain table with the body's layers and options.
local function read_table(self, given)
  local list = table.move(given, 1, #given, 1, {})
  local rest = {}
  for _, key in ipairs(options.sorted_keys(given)) do
    if math.type(key) ~= "integer" then rest[key] = given[key] end
  end
  local o = options.read(self.typename, rest, { body = module_rule, shortcut = module_rule })
  if o.body and #list > 0 then options.fail "nn.Residual: the body is given twice, as a list and by name" end
  return o.body or body_of(self, list), o.shortcut
end

function Residual:init(body, shortcut, ...)
  if select("#", ...) > 0 then
    options.fail "nn.Residual: takes a body and a shortcut; write nn.Residual { a, b, c }"
  end
  if type(body) == "table" and getmetatable(body) == nil then
    if shortcut ~= nil then options.fail "nn.Residual: write nn.Residual { a, b, shortcut = s }" end
    body, shortcut = read_table(self, body)
  end
  self.body = options.check(self.typename, "body", body, module_rule)
  if shortcut ~= nil then self.shortcut = options.check(self.typename, "shortcut", shortcut, module_rule) end
end

local function refuse(self, input, kept, added)
  flow.mismatch(self, input, ("its body to return %s, as %s does,"):format(flow.shape_text(kept),
    self.shortcut and "the shortcut" or "the input"), flow.shape_text(added),
    not self.shortcut and "give it a shortcut that returns this shape" or nil)
end

local function same(a, b)
  if #a ~= #b then return false end
  for i, size in ipairs(a) do
    if size ~= b[i] then return false end
  end
  return true
end

function Residual:infer(shape)
  local kept = shape
  if self.shortcut then kept = self.shortcut:output_shape(shape) end
  local added = self.body:output_shape(shape)
  if kept and added and not same(kept, added) then refuse(self, shape, kept, added) end
  return added
end

function Residual:forward(x)
  local kept = x
  if self.shortcut then kept = self.shortcut(x) end
  local added = self.body(x)
  local a, b = flow.shape_of(kept), flow.shape_of(added)
  if not same(a, b) then refuse(self, x, a, b) end
  return kept + added
end

return Residual
