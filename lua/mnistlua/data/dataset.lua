-- Dataset: labelled samples in memory, and Bundle: the train, val and test parts of a data source.
--
-- A Dataset wraps the core's; it adds a name, how its pixels are normalised, and batches. A bundle behaves like its
-- training part where it is used as a dataset (#b, b[i], b:batches{}); what cuts or reorders the training part
-- (b:subset(), b:shuffled(), b:split{}) gives a bundle that keeps the other parts.
local core = require "mnistlua.core"
local augment = require "mnistlua.data.augment"
local context = require "mnistlua.context"
local options = require "mnistlua.options"

local m = {}

local Dataset = {}
local Bundle = {}

-- ---- Dataset ----

local function wrap(handle, like, name)
  return setmetatable({
    core = handle,
    name = name or like.name,
    normalise = like.normalise,   -- { mean, std } of the pixels as x / 255
    classes = handle:classes(),
    class_names = like.class_names,   -- a list, the name of label 0 first; nil where there are none
    straightened = like.straightened, -- "centre" or "deskew" where its pictures were; nil
  }, Dataset)
end

local function check_index(d, i)
  local whole = type(i) == "number" and math.tointeger(i)
  if not whole or whole < 1 or whole > #d then
    options.fail(("%s: sample numbers are 1..%d, got %s"):format(d.name, #d, options.show(i)))
  end
  return whole
end

function Dataset:__len() return #self.core end

-- data[i] is { image, label, image = ..., label = ... }: the image as it is stored, the label 0..classes-1.
function Dataset:__index(key)
  if type(key) == "number" then
    if key == #self + 1 then return nil end             -- lets ipairs end
    local image, label = self.core:get(check_index(self, key))
    return { image, label, image = image, label = label }
  end
  return Dataset[key]
end

function Dataset:__tostring()
  local shape = table.concat(self:sample_shape(), "x")
  return ("%s: %d samples of %s, %d classes"):format(self.name, #self, shape, self.classes)
end

--- The shape of one sample, e.g. {28, 28}.
function Dataset:sample_shape() return self.core:sample_shape() end

-- What was computed once, since neither pixels nor labels ever change.
local hashes = setmetatable({}, { __mode = "k" })

--- 16 hex digits that tell data sets apart: shape, bytes, labels and their order go into it.
function Dataset:hash()
  hashes[self.core] = hashes[self.core] or self.core:hash()
  return hashes[self.core]
end

--- How many samples each class has, a list whose first element counts label 0.
function Dataset:label_counts() return self.core:label_counts() end

--- Samples first..last (from 1, both included), or those in a list of sample numbers. No image is copied.
function Dataset:subset(first, last)
  if type(first) == "table" then
    if #first == 0 then options.fail(self.name .. ":subset: the list of sample numbers is empty") end
    return wrap(self.core:subset(first), self)
  end
  first = first == nil and 1 or check_index(self, first)
  last = last == nil and #self or check_index(self, last)
  if last < first then options.fail(("%s:subset: %d..%d is empty"):format(self.name, first, last)) end
  return wrap(self.core:range(first, last), self)
end

--- The same samples in an order drawn from the seed (the run's, if none is given).
function Dataset:shuffled(seed) return wrap(self.core:shuffled(seed or context.seed), self) end

--- The same pictures, each moved so that the centre of mass of its ink is in the middle. A data set of its own.
function Dataset:centre()
  local d = wrap(core.straightened(self.core, false), self)
  d.straightened = d.straightened or "centre"
  return d
end

--- The same pictures centred and with the slant of the writing taken out, by moments. A data set of its own.
function Dataset:deskew()
  local d = wrap(core.straightened(self.core, true), self)
  d.straightened = "deskew"
  return d
end

local function part_size(d, what, given)
  local size = given
  if math.type(size) == "float" and size < 1 then size = math.floor(size * #d + 0.5) end
  size = math.tointeger(size)
  if not size or size < 0 then
    options.fail(("%s:split: %s: expected a number of samples or a share below 1, got %s"):format(d.name, what,
      options.show(given)))
  end
  return size
end

--- Cuts a dataset into { train, val, test }: `val` and `test` are numbers of samples (or shares below 1) taken from its
--- end, after shuffling if `shuffle` is true (with `seed`, the run's by default); train is the rest.
function Dataset:split(given)
  local o = options.read("Dataset:split", given, {
    val = { default = 0, type = "number" }, test = { default = 0, type = "number" },
    shuffle = { default = false, type = "boolean" }, seed = { type = "number" },
  })
  local d = o.shuffle and self:shuffled(o.seed) or self
  local val, test = part_size(d, "val", o.val), part_size(d, "test", o.test)
  local train = #d - val - test
  if train < 1 then
    options.fail(("%s:split: val = %d and test = %d leave no training samples of %d"):format(d.name, val, test, #d))
  end
  return m.bundle {
    name = d.name,
    train = d:subset(1, train),
    val = val > 0 and d:subset(train + 1, train + val) or nil,
    test = test > 0 and d:subset(train + val + 1, #d) or nil,
  }
end

local function check_augment(d, given)
  if given == nil then return nil end
  if not augment.is_augment(given) then
    options.fail(("%s:batches: augment: expected ml.augment { ... }, got %s"):format(d.name, options.show(given)))
  end
  return given:core_options(d)
end

--- A loader over this dataset: `batch` samples at a time ("all" for the whole set), augmented, normalised.
function Dataset:loader(given)
  local o = options.read("Dataset:batches", given or {}, {
    batch = { default = 128 }, shuffle = { default = false, type = "boolean" },
    drop_last = { default = false, type = "boolean" }, seed = { default = context.seed, type = "number" },
    epoch = { default = 1, type = "number" }, augment = {},
  })
  if o.batch == "all" then o.batch = #self end
  local loader = core.loader(self.core, {
    batch = o.batch, shuffle = o.shuffle, drop_last = o.drop_last, seed = o.seed,
    mean = self.normalise[1], std = self.normalise[2], augment = check_augment(self, o.augment),
  })
  if o.augment and type(o.augment.strength) == "number" then loader:strength(o.augment.strength) end
  return loader, o
end

--- Iterates over one pass: `for x, y in data:batches { batch = 128, shuffle = true } do`. x is f32 [b, ...],
--- normalised; y is i32 [b]. Options: batch (128), shuffle (false), drop_last (false), seed (the run's), epoch (1),
--- augment (an ml.augment; where it mixes samples, y is f32 [b, classes], the labels' probabilities).
function Dataset:batches(given)
  local loader, o = self:loader(given)
  if o.augment and type(o.augment.strength) == "function" then
    options.fail(self.name .. ":batches: augment: its strength is a schedule, which only ml.experiment follows")
  end
  loader:start(o.epoch, 1)
  return function() return loader:next() end
end

-- ---- Bundle ----

for _, method in ipairs { "batches", "loader", "sample_shape", "hash", "label_counts" } do
  Bundle[method] = function(self, ...) return self.train[method](self.train, ...) end
end

-- The bundle with another training part.
local function with_train(self, train)
  return m.bundle { name = self.name, train = train, val = rawget(self, "val"), test = rawget(self, "test") }
end

--- The bundle with a part of its training samples, chosen as Dataset:subset does; val and test stay as they are.
function Bundle:subset(...) return with_train(self, self.train:subset(...)) end

-- The bundle with every part changed by a method of Dataset.
local function each_part(method)
  return function(self)
    local parts = { name = self.name }
    for _, part in ipairs { "train", "val", "test" } do
      local d = rawget(self, part)
      parts[part] = d and Dataset[method](d)
    end
    return m.bundle(parts)
  end
end

--- All parts, as Dataset:centre and Dataset:deskew change them.
Bundle.centre, Bundle.deskew = each_part "centre", each_part "deskew"

--- The bundle with its training samples in an order drawn from the seed; val and test stay as they are.
function Bundle:shuffled(seed) return with_train(self, self.train:shuffled(seed)) end

--- Cuts the training part as Dataset:split does. A part that the bundle has is kept, and cannot be made a second time.
function Bundle:split(given)
  local parts = self.train:split(given)
  for _, part in ipairs { "val", "test" } do
    local has = rawget(self, part)
    if has and rawget(parts, part) then
      options.fail(("%s:split: %s: there is a %s part already, of %d samples"):format(self.name, part, part, #has))
    end
    parts[part] = has or rawget(parts, part)
  end
  parts.name = self.name
  return m.bundle(parts)
end

function Bundle:__index(key)
  if type(key) == "number" then return self.train[key] end
  if key == "classes" or key == "class_names" then return self.train[key] end
  return Bundle[key]
end

function Bundle:__len() return #self.train end

--- "mnist: 55000 train, 5000 val, 10000 test".
function Bundle:__tostring()
  local parts = {}
  for _, part in ipairs { "train", "val", "test" } do
    local d = rawget(self, part)
    if d then parts[#parts + 1] = ("%d %s"):format(#d, part) end
  end
  return self.name .. ": " .. table.concat(parts, ", ")
end

--- Puts parts together: { name, train, val, test }; val and test may be missing. All share train's normalisation.
function m.bundle(parts)
  for _, part in ipairs { "val", "test" } do
    if parts[part] then parts[part].normalise = parts.train.normalise end
  end
  return setmetatable(parts, Bundle)
end

--- { mean, std } by which the pixels of a core dataset are normalised, of x / 255 (of the values themselves, if they
--- are floats): "standard" gives mean 0 and deviation 1 over this set, "unit" x / 255, "none" pixels as they are.
function m.normalisation(handle, name, normalise)
  if normalise == "standard" then
    local mean, std = handle:moments()
    return { mean, std > 0 and std or 1 }
  elseif normalise == "unit" or normalise == "none" and handle:dtype() == "f32" then
    return { 0, 1 }
  elseif normalise == "none" then
    return { 0, 1 / 255 }
  elseif type(normalise) == "table" and tonumber(normalise[1]) and (tonumber(normalise[2]) or 0) > 0 then
    return { normalise[1], normalise[2] }
  end
  options.fail(("%s: normalise is \"standard\", \"unit\", \"none\" or { mean, std } with std above 0, got %s"):format(
    name, options.show(normalise)))
end

--- A Dataset around a core dataset; normalise as above, class_names a list or nil.
function m.dataset(handle, name, normalise, class_names)
  return wrap(handle, { normalise = m.normalisation(handle, name, normalise), class_names = class_names }, name)
end

function m.is_dataset(x) return getmetatable(x) == Dataset end
function m.is_bundle(x) return getmetatable(x) == Bundle end

return m
