-- What the functions of ml.data share: the options that all of them have, and putting the parts together.
local dataset = require "mnistlua.data.dataset"
local options = require "mnistlua.options"

local m = {}

local common = {
  val = { default = 0, type = "number" },
  normalise = { default = "standard" },
  n = { type = "integer", min = 1 },
}

--- The options of a source: its own, and `val`, `normalise`, `n` where it has none of that name.
function m.spec(own)
  for name, rule in pairs(common) do own[name] = own[name] or rule end
  return own
end

--- The bundle with the first n of its training samples; all of them without n.
function m.first(bundle, n)
  if n and n > #bundle.train then
    options.fail(("%s: n = %d is more than the %d training samples"):format(bundle.name, n, #bundle.train))
  end
  if n then bundle.train = bundle.train:subset(1, n) end
  return bundle
end

--- A test set normalised like the training set, the last `val` training samples held out, and of the others the first
--- n.
function m.assemble(name, train, test, o)
  local bundle = o.val > 0 and train:split { val = o.val } or dataset.bundle { name = name, train = train }
  m.first(bundle, o.n)
  if test then test.normalise = train.normalise end
  bundle.test = test or bundle.test
  return bundle
end

return m
