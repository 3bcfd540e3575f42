-- The data that `mnistlua eval --data` names, in place of the run's own: a data set by its name, a folder of pictures,
-- a CSV file. It is normalised as the training data was, and its samples and classes must be of the same size and
-- number.
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local data = require "mnistlua.data"
local failure = require "mnistlua.failure"
local files = require "mnistlua.data.files"
local options = require "mnistlua.options"
local flow = require "mnistlua.nn.flow"

local m = {}

local function names()
  local list = { "digits" }
  for _, set in ipairs(files.sets) do list[#list + 1] = set.name end
  return list
end

-- Pictures are read as the training pictures are: their size and number of channels.
local function read_folder(dir, train)
  local shape = train:sample_shape()
  if #shape ~= 2 and not (#shape == 3 and (shape[1] == 1 or shape[1] == 3)) then
    options.usage(("--data %s: pictures do not fit samples of %s"):format(core.escape(dir), flow.shape_text(shape)))
  end
  return data.images {
    dir, size = { shape[#shape - 1], shape[#shape] }, channels = #shape == 3 and shape[1] or 1, normalise = "unit",
  }
end

local function read(name, train)
  if core.is_dir(name) then return read_folder(name, train) end
  if core.exists(name) then
    if name:find "%.csv$" or name:find "%.csv%.gz$" then return data.csv { path = name, normalise = "unit" } end
    options.usage(("--data: %s is neither a folder of pictures nor a .csv file"):format(core.escape(name)))
  end
  -- The test pictures that --data digits stands for: as many and from the same seed.
  if name == "digits" then return data.digits { n = 10000, seed = 0x10000, normalise = "unit" } end
  if files.set(name) then return data[name] { from = "t10k", normalise = "unit" } end
  options.usage(("--data: '%s' is neither a data set (%s) nor a folder of pictures or a CSV file%s"):format(
    core.escape(name), table.concat(names(), ", "), files.near(name, names())))
end

local function numel(shape)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  return n
end

-- A CSV file has pictures as rows of numbers, so that the number of values is what counts.
local function check_samples(d, train, name)
  local found, expected = d:sample_shape(), train:sample_shape()
  if numel(found) ~= numel(expected) then
    options.usage(("--data %s: its samples are %s, the model was trained on %s"):format(name, flow.shape_text(found),
      flow.shape_text(expected)))
  elseif d.core:dtype() ~= train.core:dtype() then
    options.usage(("--data %s: its values are %s, the model was trained on %s"):format(name, d.core:dtype(),
      train.core:dtype()))
  end
end

-- A named class is known by its name, others by their numbers.
local function check_classes(d, train, name)
  local named, count = d.class_names, d.classes
  local fits = named and count == train.classes or not named and count <= train.classes
  if not fits then
    options.usage(("--data %s: it has %d classes, the model was trained on %d"):format(name, count, train.classes))
  end
  for i, class in ipairs(named and train.class_names or {}) do
    if class ~= named[i] then
      options.usage(("--data %s: class %d is '%s', of the training data '%s'"):format(name, i - 1,
        core.escape(named[i]), core.escape(class)))
    end
  end
end

--- Reads it. `train` is the training part of the run's data. Raises what is wrong.
function m.read(name, train)
  local before = context.data
  context.data = nil
  local bundle, problem = read(name, train)
  context.data = before
  if not bundle then error(failure.new("runtime", problem), 0) end
  local d, shown = bundle.train, core.escape(name)
  check_samples(d, train, shown)
  check_classes(d, train, shown)
  d.normalise = train.normalise
  return d
end

return m
