-- ml.data: where samples come from. Every source returns a bundle with a `train` part and, where it has them or is
-- asked for them, `val` and `test`. A file that is missing or damaged gives nil and a message.
local core = require "mnistlua.core"
local context = require "mnistlua.context"
local dataset = require "mnistlua.data.dataset"
local files = require "mnistlua.data.files"
local options = require "mnistlua.options"

local m = {}

-- Mean and standard deviation of MNIST's training pixels as x / 255, the constants that everyone uses.
local mnist_moments = { 0.1307, 0.3081 }

local common = {
  val = { default = 0, type = "number" },
  normalise = { default = "standard" },
  n = { type = "integer", min = 1 },
}

local function spec(own)
  for k, v in pairs(common) do own[k] = own[k] or v end
  return own
end

-- A test set normalised like the training set, the last `val` training samples held out, and of the others the first n.
local function assemble(name, train, test, o)
  local bundle = o.val > 0 and train:split { val = o.val } or dataset.bundle { name = name, train = train }
  if o.n and o.n > #bundle.train then
    options.fail(("%s: n = %d is more than the %d training samples"):format(name, o.n, #bundle.train))
  end
  if o.n then bundle.train = bundle.train:subset(1, o.n) end
  if test then test.normalise = train.normalise end
  bundle.test = test or bundle.test
  return bundle
end

-- A core dataset for every two IDX files of a list { images, labels, images, labels, ... }, which are read at once.
-- Without `classes` the first data set has as many as it needs, and the others have as many.
local function read_pairs(paths, classes)
  local tensors = { core.read_idx(table.unpack(paths)) }
  if not tensors[1] then return nil, tensors[2] end
  local handles = {}
  for i = 1, #paths, 2 do
    local handle, problem = core.dataset(tensors[i], tensors[i + 1], classes)
    if not handle then return nil, ("%s and %s: %s"):format(paths[i], paths[i + 1], problem) end
    handles[#handles + 1] = handle
    classes = classes or handle:classes()
  end
  return handles
end

local function make_digits(name, count, o)
  local train = dataset.dataset(core.make_digits(count, o.seed), name, o.normalise)
  local test = o.test > 0 and dataset.dataset(core.make_digits(o.test, o.seed + 0x10000), name, o.normalise)
  return assemble(name, train, test or nil, o)
end

--- Synthetic handwritten digits, 28x28: `n` for training (60000), `test` (0) from another seed, `val` (0) held out of
--- the n, `seed` (0), `normalise` ("standard"). Needs no files.
function m.digits(given)
  local o = options.read("ml.data.digits", given or {}, spec {
    n = { default = 60000, type = "number", min = 1, integer = true },
    test = { default = 0, type = "number", min = 0, integer = true },
    seed = { default = 0, type = "number", min = 0, integer = true },
  })
  return make_digits("digits", o.n, { val = o.val, test = o.test, seed = o.seed, normalise = o.normalise })
end

local function stand_in(name, o)
  if context.data ~= "digits" then return nil end
  context.stood_in = true
  local t10k = o.from == "t10k"
  local title = "synthetic digits (--data digits, in place of " .. name .. ")"
  return make_digits(title, t10k and 10000 or 60000, {
    n = o.n, val = o.val, test = t10k and 0 or 10000, seed = 0, normalise = o.normalise,
  })
end

-- A data set of MNIST's four files in the folder `name` of the data folder.
local function mnist_like(name, title, given, moments)
  local o = options.read("ml.data." .. name, given or {}, spec {
    from = { default = "train", choices = { "train", "t10k" } },
  })
  local digits = stand_in(title, o)
  if digits then return digits end
  if o.normalise == "standard" and moments then o.normalise = moments end
  local folder, problem = files.find_folder(name, title)
  if not folder then return context.fault(problem) end
  local paths = {}
  for _, part in ipairs(o.from == "t10k" and { "t10k" } or { "train", "t10k" }) do
    paths[#paths + 1], paths[#paths + 2] = files.mnist_pair(folder, part)
  end
  local handles
  handles, problem = read_pairs(paths, 10)
  if not handles then return context.fault(problem) end
  local train = dataset.dataset(handles[1], name, o.normalise)
  return assemble(name, train, handles[2] and dataset.dataset(handles[2], name, o.normalise), o)
end

--- MNIST from the data folder's mnist/ (four IDX files, gzip-compressed or not): 60000 for training, 10000 for test.
--- Options: `val` (0) training images held out at the end, `n` (all) of the others to train on, `from` ("train"; "t10k"
--- for the 10000 alone, as training data), `normalise` ("standard": (x / 255 - 0.1307) / 0.3081).
function m.mnist(given) return mnist_like("mnist", "MNIST", given, mnist_moments) end

--- Samples from two IDX files: `images`, `labels`, and optionally `test_images`, `test_labels`, `val`, `n`,
--- `normalise`.
function m.idx(given)
  local o = options.read("ml.data.idx", given or {}, spec {
    images = { type = "string", required = true }, labels = { type = "string", required = true },
    test_images = { type = "string" }, test_labels = { type = "string" },
  })
  local paths = { o.images, o.labels }
  if o.test_images then paths[3], paths[4] = o.test_images, o.test_labels or "" end
  local handles, problem = read_pairs(paths)
  if not handles then return context.fault(problem) end
  local train = dataset.dataset(handles[1], o.images, o.normalise)
  return assemble(o.images, train, handles[2] and dataset.dataset(handles[2], o.test_images, o.normalise), o)
end

local csv_headers = { auto = "auto", [true] = "yes", [false] = "no" }

local function read_csv(path, o)
  local handle, info = core.read_csv(path, o.label, csv_headers[o.header])
  if not handle then return nil, info end
  context.note(("%s: %d rows of %d columns, %s"):format(path, info.rows, info.columns,
    info.header and "the first line is a header" or "no header"))
  return dataset.dataset(handle, path, o.normalise)
end

--- Samples from a CSV file, one a row: `path`, `label` (1: the column of the label), `header` ("auto", true or false),
--- `test` (the path of a second file), `val`, `n`, `normalise`. What was found of a header is said at the start of a
--- run.
function m.csv(given)
  local o = options.read("ml.data.csv", given or {}, spec {
    path = { type = "string", required = true }, label = { default = 1, type = "number", min = 1, integer = true },
    header = { default = "auto", choices = { "auto", true, false } }, test = { type = "string" },
  })
  local train, problem = read_csv(o.path, o)
  if not train then return context.fault(problem) end
  local test
  if o.test then
    test, problem = read_csv(o.test, o)
    if not test then return context.fault(problem) end
  end
  return assemble(o.path, train, test, o)
end

return options.strict("ml.data", m)
