-- ml.data: where samples come from. Every source returns a bundle with a `train` part and, where it has them or is
-- asked for them, `val` and `test`. A file that is missing or damaged gives nil and a message.
local core = require "mnistlua.core"
local context = require "mnistlua.context"
local dataset = require "mnistlua.data.dataset"
local files = require "mnistlua.data.files"
local options = require "mnistlua.options"

local source = require "mnistlua.data.source"
local spec, assemble = source.spec, source.assemble

local m = {
  images = require "mnistlua.data.images",
  tensors = require "mnistlua.data.tensors",
}

-- A core dataset for every two IDX files of a list { images, labels, images, labels, ... }, which are read at once.
-- Without `classes` the first data set has as many as it needs, and the others have as many.
local function read_pairs(paths, classes, transposed)
  local tensors = { core.read_idx(table.unpack(paths)) }
  if not tensors[1] then return nil, tensors[2] end
  local handles = {}
  for i = 1, #paths, 2 do
    local upright, why = tensors[i], nil
    if transposed then upright, why = core.transpose_pictures(tensors[i]) end
    if not upright then return nil, ("%s: %s"):format(paths[i], why) end
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

-- The named set to read: the one that --data gives in its place, if there is one.
local function chosen(name)
  local set = files.set(context.data or name) or files.set(name)
  if set.name ~= name then
    context.note(("%s in place of %s (--data %s)"):format(set.title, files.set(name).title, set.name))
  end
  return set
end

-- A data set of four files in its folder of the data folder.
local function named(name, given)
  local o = options.read("ml.data." .. name, given or {}, spec {
    from = { default = "train", choices = { "train", "t10k" } },
  })
  local digits = stand_in(files.set(name).title, o)
  if digits then return digits end
  local set = chosen(name)
  if o.normalise == "standard" and set.moments then o.normalise = set.moments end
  local folder, problem = files.find_folder(set.name)
  if not folder then return context.fault(problem) end
  local paths = {}
  for _, part in ipairs(o.from == "t10k" and { "t10k" } or { "train", "t10k" }) do
    paths[#paths + 1], paths[#paths + 2] = files.pair(set.name, folder, part)
  end
  local handles
  handles, problem = read_pairs(paths, 10, set.transposed)
  if not handles then return context.fault(problem) end
  local train = dataset.dataset(handles[1], set.name, o.normalise, set.class_names)
  local test = handles[2] and dataset.dataset(handles[2], set.name, o.normalise, set.class_names)
  return assemble(set.name, train, test, o)
end

--- MNIST from the data folder's mnist/ (four IDX files, gzip-compressed or not): 60000 for training, 10000 for test.
--- Options: `val` (0) training images held out at the end, `n` (all) of the others to train on, `from` ("train"; "t10k"
--- for the 10000 alone, as training data), `normalise` ("standard": (x / 255 - 0.1307) / 0.3081).
function m.mnist(given) return named("mnist", given) end

--- Fashion-MNIST from fashion_mnist/: clothes, the same numbers and options; "standard" is by the training images' own
--- mean and deviation, here and below. data.class_names has the classes' names.
function m.fashion_mnist(given) return named("fashion_mnist", given) end

--- Kuzushiji-MNIST from kmnist/: ten cursive Japanese characters, the same numbers and options.
function m.kmnist(given) return named("kmnist", given) end

--- EMNIST's digits from emnist_digits/: 240000 for training, 40000 for test ("t10k"), upright as MNIST's are.
function m.emnist_digits(given) return named("emnist_digits", given) end

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

-- Where no samples are wanted, every source returns what its data set was like.
for name, source_of in pairs(m) do
  m[name] = function(given)
    if context.described then return require("mnistlua.data.described").bundle(context.described) end
    return source_of(given)
  end
end

return setmetatable(m, {
  __index = function(_, key)
    options.fail(("ml.data has no %s%s"):format(options.show(key), files.near(key, options.sorted_keys(m))))
  end,
})
