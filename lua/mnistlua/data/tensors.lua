-- ml.data.tensors: samples that a script made itself, as tensors or nested lists of numbers. Every mistake in them is
-- told by name before anything is trained.
local core = require "mnistlua.core"
local dataset = require "mnistlua.data.dataset"
local options = require "mnistlua.options"
local source = require "mnistlua.data.source"

local what = "ml.data.tensors"

local function fail(fmt, ...) options.fail((what .. ": " .. fmt):format(...)) end

local spec = source.spec {
  x = { required = true, type = "tensor|table" }, y = { required = true, type = "tensor|table" },
  test_x = { type = "tensor|table" }, test_y = { type = "tensor|table" },
  classes = { type = "integer", min = 1, max = 1 << 20 }, normalise = {},
}

-- A list as a tensor of this dtype; a mistake in it begins with its name.
local function to_tensor(name, value, dtype)
  if options.kind(value) == "tensor" then return value end
  local ok, tensor = pcall(core.tensor, value, dtype)
  if ok then return tensor end
  fail("%s: %s", name, (tostring(tensor):gsub("^.-:%d+: ", "")))
end

local function shape_text(shape) return "{" .. table.concat(shape, ", ") .. "}" end

-- x - x is 0 for every finite x and nan for every other.
local function check_finite(name, x)
  local zero = core.recording(false)
  local sum = (x - x):sum():item()
  core.recording(zero)
  if sum == 0 then return end
  local values, width = x:reshape(-1):totable(), x:numel() // x.shape[1]
  for i, value in ipairs(values) do
    if value - value ~= 0 then
      fail("%s[%d] holds %s; expected finite numbers", name, (i - 1) // width + 1, value ~= value and "nan" or value)
    end
  end
end

-- Samples: u8 or f32, with a dimension of samples and at least one more.
local function read_samples(name, value)
  local x = to_tensor(name, value, "f32")
  if #x.shape < 2 then
    fail("%s has shape %s; expected {samples, features} or {samples, height, width}", name, shape_text(x.shape))
  end
  if x:numel() == 0 then fail("%s has shape %s; expected samples", name, shape_text(x.shape)) end
  if x.dtype == "u8" then return x end
  x = x.dtype == "f32" and x or x:to "f32"
  check_finite(name, x)
  return x
end

-- Labels as an i32 tensor; each is looked at, and told by its place.
local function read_labels(name, value, samples, samples_name, classes)
  local y = to_tensor(name, value, "f32")
  if #y.shape ~= 1 then
    fail("%s has shape %s; expected one label for each sample, {%d}", name, shape_text(y.shape), samples)
  end
  if y.shape[1] ~= samples then
    fail("%s has %d samples but %s has %d labels", samples_name, samples, name, y.shape[1])
  end
  local labels = y:totable()
  for i, label in ipairs(labels) do
    local whole = math.tointeger(label)
    if not whole or whole < 0 or classes and whole >= classes or whole >= 1 << 20 then
      fail("%s[%d] is %s; expected a whole number %s", name, i, label,
        classes and ("from 0 to %d"):format(classes - 1) or ">= 0")
    end
    labels[i] = whole
  end
  return core.tensor(labels, "i32")
end

local function read_part(x_name, y_name, o, classes)
  local x = read_samples(x_name, o[x_name])
  local y = read_labels(y_name, o[y_name], x.shape[1], x_name, classes)
  local handle, problem = core.dataset(x, y, classes)
  if not handle then fail("%s: %s", x_name, problem) end
  return handle, x
end

local function check_shapes(train, test)
  local same = #train.shape == #test.shape and train.dtype == test.dtype
  for i = 2, #train.shape do same = same and train.shape[i] == test.shape[i] end
  if same then return end
  fail("test_x is %s of %s; expected samples as in x, %s of %s", shape_text(test.shape), test.dtype,
    shape_text(train.shape), train.dtype)
end

--- Samples from tensors or nested lists: `x` {samples, ...}, `y` the labels, whole numbers from 0, and optionally
--- `test_x`, `test_y`, `classes` (the greatest label plus 1), `val`, `n`, `normalise` ("standard" for u8, "none" for
--- anything else). Tensors of f32 and u8 are not copied.
return function(given)
  local o = options.read(what, given, spec)
  if (o.test_x == nil) ~= (o.test_y == nil) then fail("test_x and test_y go together; one is missing") end
  local handle, x = read_part("x", "y", o, o.classes)
  o.normalise = o.normalise or x.dtype == "u8" and "standard" or "none"
  local train, test = dataset.dataset(handle, "tensors", o.normalise), nil
  if o.test_x ~= nil then
    local test_handle, test_x = read_part("test_x", "test_y", o, o.classes or train.classes)
    check_shapes(x, test_x)
    test = dataset.dataset(test_handle, "tensors", train.normalise)
  end
  return source.assemble("tensors", train, test, o)
end
