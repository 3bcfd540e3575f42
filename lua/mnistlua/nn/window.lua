-- What the layers that slide windows over images share: sizes given as a number or { h, w }, the images that they take,
-- and the size that is left over. Used by nn.Conv2d and the poolings; computes no image.
local flow = require "mnistlua.nn.flow"
local options = require "mnistlua.options"

local m = {}

local largest = 65536

-- ---- sizes ----

local function whole(value, least)
  local size = type(value) == "number" and math.tointeger(value)
  return size and size >= least and size <= largest and size or nil
end

-- { h, w } for a whole number or a list of two, nil for anything else.
local function pair_of(value, least)
  if type(value) ~= "table" then
    local size = whole(value, least)
    return size and { size, size }
  end
  local h, w = whole(value[1], least), whole(value[2], least)
  if not (h and w) or options.kind(value) ~= "table" then return nil end
  for key in pairs(value) do
    if key ~= 1 and key ~= 2 then return nil end
  end
  return { h, w }
end

local function shown(value)
  if type(value) ~= "table" or options.kind(value) ~= "table" or #value == 0 then return options.show(value) end
  local parts = {}
  for i, each in ipairs(value) do parts[i] = options.show(each) end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

--- The size `name` of the layer `what` as { h, w }; raises what is not a whole number of at least `least`, nor two.
function m.pair(what, name, value, least)
  local pair = pair_of(value, least)
  if pair then return pair end
  if value == nil then options.fail(("%s: needs %s, a whole number >= %d or { h, w }"):format(what, name, least)) end
  options.fail(("%s: %s is %s; expected a whole number >= %d or { h, w }"):format(what, name, shown(value), least))
end

--- A convolution's padding: "same", "valid" (which is 0), or as pair.
function m.padding(what, value)
  if value == "same" then return value end
  if value == "valid" then return { 0, 0 } end
  local pair = pair_of(value, 0)
  if pair then return pair end
  options.fail(('%s: padding is %s; expected a whole number >= 0, { h, w }, "same" or "valid"%s'):format(what,
    shown(value), options.hint(value, { "same", "valid" })))
end

--- A size as it would be written: "3" or "{ 3, 5 }"; names in quotes.
function m.text(size)
  if type(size) == "string" then return '"' .. size .. '"' end
  return size[1] == size[2] and tostring(size[1]) or ("{ %d, %d }"):format(size[1], size[2])
end

-- ---- images ----

--- Channels, height and width of samples of this shape, one channel where the shape has none; nil if they are no
--- images.
function m.image(shape)
  if #shape == 2 then return 1, shape[1], shape[2] end
  if #shape == 3 then return shape[1], shape[2], shape[3] end
end

--- Raises that `layer` expects images but was given `input`.
function m.refuse_rows(layer, input)
  flow.mismatch(layer, input, "images (channels x height x width, or height x width)",
    flow.shape_text(flow.shape_of(input)), "nn.Flatten() comes after it")
end

-- The padding of one side together with the opposite one.
local function both_paddings(layer, axis)
  if layer.padding == "same" then return layer.kernel_size[axis] - 1 end
  return 2 * layer.padding[axis]
end

local function refuse_small(layer, input, h, w)
  local least = {}
  for axis = 1, 2 do least[axis] = math.max(layer.kernel_size[axis] - both_paddings(layer, axis), 1) end
  flow.mismatch(layer, input, ("images of at least %dx%d"):format(least[1], least[2]), ("%dx%d"):format(h, w),
    "its kernel is larger than its input")
end

--- What is left of an image of h x w, by the layer's kernel_size, stride and padding; raises where the kernel is larger
--- than the padded image.
function m.output(layer, input, h, w)
  local rows = h + both_paddings(layer, 1) - layer.kernel_size[1]
  local cols = w + both_paddings(layer, 2) - layer.kernel_size[2]
  if rows < 0 or cols < 0 then refuse_small(layer, input, h, w) end
  return rows // layer.stride[1] + 1, cols // layer.stride[2] + 1
end

return m
