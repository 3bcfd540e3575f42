-- Metrics: their closed list of names, the running means of an epoch, and conditions on them ("test.acc>=0.97").
local options = require "mnistlua.options"

local m = {}

m.names = {
  "train.loss", "train.acc", "val.loss", "val.acc", "test.loss", "test.acc", "lr", "grad_norm", "images_per_s",
}

--- Refuses a name that is neither in the list nor one of the experiment's own ("user....").
function m.check_name(what, name, own)
  if type(name) == "string" and name:find "^user%.[%w_.]+$" then
    for _, declared in ipairs(own or {}) do
      if declared == name then return end
    end
    options.fail(("%s: metric '%s' is not declared; add it to the experiment's metrics = { \"%s\" }"):format(what, name,
      name))
  end
  options.check_key(what, name, m.names, "metric")
end

-- ---- means over the samples of an epoch ----

local Means = {}
Means.__index = Means

--- A collector of sums: means:add("train.loss", value, weight); means:get("train.loss"). `last` has the value that was
--- added last, for the recorder.
function m.means() return setmetatable({ sum = {}, weight = {}, last = {} }, Means) end

function Means:add(name, value, weight)
  self.last[name] = value
  self:add_sum(name, value * weight, weight)
end

--- Adds a sum over values whose weights add up to `weight`.
function Means:add_sum(name, sum, weight)
  local sums, weights = self.sum, self.weight
  sums[name], weights[name] = (sums[name] or 0) + sum, (weights[name] or 0) + weight
end

function Means:get(name)
  local weight = self.weight[name]
  if weight and weight > 0 then return self.sum[name] / weight end
end

-- ---- the metrics of a run ----

local Board = {}
Board.__index = Board

--- What a run knows of its metrics: `means` of the epoch under way, and `values`, which were set or are left from
--- earlier epochs. `own` lists the metrics of the experiment.
function m.board(own) return setmetatable({ means = m.means(), values = {}, own = own }, Board) end

--- Keeps the means as values and begins an epoch.
function Board:turn()
  for name in pairs(self.means.sum) do self.values[name] = self.means:get(name) end
  self.means = m.means()
end

--- The metrics as a script sees them: a table that works a mean out when it is asked for it, so that a step that nobody
--- looks at costs nothing, and that refuses a misspelt name.
function Board:view()
  local function get(_, name)
    local value = self.means:get(name) or self.values[name]
    if value == nil then m.check_name("run.metrics", name, self.own) end
    return value
  end
  local function walk()
    local all = {}
    for name, value in pairs(self.values) do all[name] = value end
    for name in pairs(self.means.sum) do all[name] = self.means:get(name) end
    return next, all
  end
  return setmetatable({}, { __index = get, __newindex = self.values, __pairs = walk })
end

-- ---- conditions ----

local compare = {
  [">="] = function(a, b) return a >= b end, ["<="] = function(a, b) return a <= b end,
  [">"] = function(a, b) return a > b end, ["<"] = function(a, b) return a < b end,
  ["=="] = function(a, b) return a == b end, ["~="] = function(a, b) return a ~= b end,
}

--- Parses "name op number" (op: >= <= > < == ~=); `complain` is called with a message if it cannot be.
function m.parse_condition(text, complain)
  local name, op, number = tostring(text):match "^%s*([%w_.]+)%s*([><=~]=?)%s*(%S+)%s*$"
  number = tonumber(number)
  if not name or not compare[op] or not number then
    complain(("'%s': expected a condition such as test.acc>=0.97"):format(tostring(text)))
  end
  local known = name:find "^user%." ~= nil
  for _, metric in ipairs(m.names) do known = known or metric == name end
  if not known then complain(("'%s': unknown metric '%s'%s"):format(text, name, options.hint(name, m.names))) end
  return { text = text, name = name, holds = function(value) return compare[op](value, number) end }
end

--- The conditions that these metrics miss, as lines for the user.
function m.missed(conditions, values)
  local lines = {}
  for _, c in ipairs(conditions) do
    local value = values[c.name]
    if type(value) ~= "number" then
      lines[#lines + 1] = ("%s: there is no %s in the result"):format(c.text, c.name)
    elseif not c.holds(value) then
      lines[#lines + 1] = ("%s: it is %.6g"):format(c.text, value)
    end
  end
  return lines
end

return m
