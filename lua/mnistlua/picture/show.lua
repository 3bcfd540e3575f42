-- ml.show: looks at a value. Tensors, samples and data sets as pictures, a module as the filters of its first layer.
-- Called by scripts, the prompt and `mnistlua show`; text() returns what show() prints.
--
--   ml.show(data.train[5])      ml.show(model[2].weight)      ml.show(data.test, { n = 12 })
local core = require "mnistlua.core"
local dataset = require "mnistlua.data.dataset"
local options = require "mnistlua.options"
local picture = require "mnistlua.picture"

local m = {}

local most = 32    -- pictures of a grid, where nobody says how many

-- ---- tensors as pictures ----

-- The side of a square picture with so many pixels, if that is what a row of n numbers probably is: 784 is 28x28, but
-- powers of two are the widths of layers.
local function side_of(n)
  local side = math.floor(math.sqrt(n) + 0.5)
  local power_of_two = n & (n - 1) == 0
  return side * side == n and side >= 10 and not power_of_two and side or nil
end

local function row_shape(n, given)
  if given then return given[1] * given[2] == n and given or nil end
  local side = side_of(n)
  return side and { side, side }
end

-- A tensor as [n, h, w] or [n, 3, h, w] and, of kernels, how many belong together; nil where it is no picture. given:
-- the { h, w } that rows of numbers have.
local function as_pictures(t, given)
  local s = t.shape
  local rows = #s <= 2 and #s > 0 and row_shape(s[#s], given)
  if rows then return t:reshape(-1, rows[1], rows[2]) end
  if #s == 1 then return t:reshape(1, 1, s[1]) end
  if #s == 2 then return t:reshape(1, s[1], s[2]) end
  if #s == 3 or #s == 4 and (s[2] == 1 or s[2] == 3) then return t end
  if #s == 4 then return t:reshape(s[1] * s[2], s[3], s[4]), s[2] end
end

-- Small kernels are magnified; many pictures are half as large.
local function scale_for(width, count)
  if width < 8 then return math.ceil(8 / width) end
  return count > 4 and width > 16 and 0.5 or 1
end

-- Weights are on both sides of zero; normalised pixels hardly below it.
local function is_signed(t)
  if t.dtype == "u8" then return false end
  local f = t:to "f32"
  local low, high = f:min():item(), f:max():item()
  return low < 0 and -low > 0.25 * high
end

local function count_text(shown, all) return all > shown and ("and %d more\n"):format(all - shown) or "" end

local function tensor_text(t, o)
  t = t:detach()
  local pictures, together = as_pictures(t, o.shape)
  if not pictures or pictures:numel() == 0 then return nil end
  local all = #pictures
  local n = math.min(o.n or most, all)
  if n < all then pictures = pictures:rows(1, n) end
  local s = pictures.shape
  o.options.scale = o.options.scale or scale_for(s[#s], n)
  if o.options.signed == nil then o.options.signed = is_signed(pictures) end
  if together and together <= n then o.options.columns = o.options.columns or together end
  return picture.text(pictures, o.options) .. count_text(n, all)
end

-- ---- samples ----

--- "7", or the name of that class.
function m.label_text(label, names) return names and names[label + 1] or ("%d"):format(label) end

--- Samples of a dataset (their numbers in it) as one tensor; nil where they are no pictures.
function m.samples(d, numbers)
  local s, list = d:sample_shape(), {}
  for i, number in ipairs(numbers) do list[i] = d[number].image:reshape(1, table.unpack(s)) end
  local stack = core.zeros({ #numbers, table.unpack(s) }, list[1].dtype)
  for i, image in ipairs(list) do stack[i] = image[1] end
  if #s == 1 then
    local side = side_of(s[1])
    return side and stack:reshape(#numbers, side, side) or nil
  end
  return (#s == 2 or s[1] == 1 or s[1] == 3) and stack or nil
end

local function dataset_text(d, o)
  local numbers, titles = {}, {}
  for i = 1, math.min(o.n or most, #d) do
    numbers[i], titles[i] = i, m.label_text(d[i].label, d.class_names)
  end
  local pictures = m.samples(d, numbers)
  if not pictures then return nil end
  o.options.titles = o.options.titles or titles
  o.options.scale = o.options.scale or scale_for(pictures.shape[#pictures.shape], #numbers)
  return picture.text(pictures, o.options) .. count_text(#numbers, #d)
end

local function is_sample(value)
  return type(value) == "table" and options.kind(rawget(value, "image")) == "tensor"
end

local function sample_text(sample, o)
  local s, image = sample.image.shape, sample.image
  if #s == 3 then image = image:reshape(1, s[1], s[2], s[3]) end
  o.options.titles = o.options.titles or { ("label %s"):format(options.show(sample.label)) }
  o.options.signed = o.options.signed or false
  return tensor_text(image, o)
end

-- ---- anything ----

--- The weights that the input meets first: the first parameter with two dimensions or more; nil without one.
function m.first_weight(module)
  for _, parameter in ipairs(module:parameters()) do
    if parameter:dim() >= 2 then return parameter end
  end
end

--- Whether a value is meant to be looked at rather than read: a sample, or a picture of bytes.
function m.is_picture(value)
  if is_sample(value) then return true end
  if options.kind(value) ~= "tensor" or value.dtype ~= "u8" then return false end
  local s = value.shape
  return #s >= 2 and #s <= 4 and s[#s] >= 8 and s[#s - 1] >= 8 and as_pictures(value) ~= nil
end

-- show's own options, and what is left for picture.text.
local function split(given)
  local own, rest = {}, {}
  for key, value in pairs(given or {}) do
    if key == "n" or key == "shape" then own[key] = value else rest[key] = value end
  end
  own = options.read("show", own, { n = { type = "integer", min = 1 }, shape = { type = "table" } })
  if rest.mode == nil then rest.mode = "best" end
  return { n = own.n, shape = own.shape, options = rest }
end

--- A value as pictures, or nil where it has none. The options are those of picture.text (columns, scale, signed, ...),
--- and n: how many pictures at most (32); shape: { h, w } of pictures that are rows of numbers.
function m.text(value, given)
  local o = split(given)
  local kind = options.kind(value)
  if kind == "tensor" then return tensor_text(value, o) end
  if is_sample(value) then return sample_text(value, o) end
  if dataset.is_dataset(value) then return dataset_text(value, o) end
  if dataset.is_bundle(value) then return dataset_text(value.train, o) end
  local weight = kind == "module" and m.first_weight(value)
  return weight and tensor_text(weight, o) or nil
end

--- Prints a value: as pictures where it has some, else as print does.
function m.show(value, given)
  io.write(m.text(value, given) or tostring(value) .. "\n")
end

return m
