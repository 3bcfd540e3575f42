-- Where a value came from: which module computed the input of the module that is running. Only messages about shapes
-- and model:summary() use it; no result depends on it. Module's __call and output_shape report here; layers raise their
-- mismatches through `mismatch`. A value is a tensor, or the shape (without the batch) that shape inference passes on.
local core = require "mnistlua.core"
local options = require "mnistlua.options"

local m = {}

-- output: the last value that a module returned. source and module: the value before transparent modules (activations,
-- Flatten, Dropout), and who computed it. Weak, so that no tensor lives longer for the sake of a message.
local last = setmetatable({}, { __mode = "v" })

-- While a summary is made: module -> its output's shape.
local shapes

--- "32x7x7", "scalar" for no dimensions.
function m.shape_text(shape)
  if #shape == 0 then return "scalar" end
  return table.concat(shape, "x")
end

--- The shape of a tensor without its batch dimension; a shape is returned as it is.
function m.shape_of(value)
  if options.kind(value) == "tensor" then return table.move(value.shape, 2, #value.shape, 1, {}) end
  return type(value) == "table" and value or nil
end

--- The number of elements of one sample of this shape.
function m.count(shape)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  return n
end

--- Whether a value is what the last module returned.
function m.is_last(value) return rawequal(value, last.output) end

--- Notes that `module` returned `output`, and returns all that it is given after the first two. `handed_on`: it is
--- transparent and its input was what the last module returned, so the output comes from where the input came from.
function m.leave(module, handed_on, output, ...)
  if not rawequal(output, last.output) then
    if not handed_on then last.source, last.module = output, module end
    last.output = output
  end
  if shapes then shapes[module] = m.shape_of(output) end
  return output, ...
end

--- Lets the tensor x stand for the shape that is inferred on, in messages too.
function m.stand_in(shape, x)
  if rawequal(shape, last.output) then last.output = x end
end

--- Runs f(...) and returns its first result and a table of the output shape of each module that ran.
function m.record(f, ...)
  local outer, own = shapes, {}
  shapes = own
  local ok, result = xpcall(f, options.located, ...)
  shapes = outer
  if not ok then error(result, 0) end
  return result, own
end

local function split(where)
  if type(where) == "string" then return where:match "^(.*):(%d+): $" end
end

-- "line 12" in the file that `near` names too, "file:12" elsewhere, nil for no place.
local function place(where, near)
  local file, line = split(where)
  if not file then return nil end
  return file == split(near) and "line " .. line or file .. ":" .. line
end
m.place = place

-- " (32x7x7 from nn.MaxPool2d, line 12)", or where the call was made if no module computed the input.
local function origin(module, input, received)
  local from = last.module
  if rawequal(input, last.output) and from and not rawequal(from, module) then
    local shape = m.shape_text(m.shape_of(last.source) or m.shape_of(input))
    local at = place(from.where, module.where)
    return (" (%sfrom %s%s)"):format(shape ~= received and shape .. " " or "", from.typename, at and ", " .. at or "")
  end
  local whole = options.kind(input) == "tensor" and "input " .. m.shape_text(input.shape)
                or "samples of " .. m.shape_text(input)
  local at = place(core.where(), module.where)
  return (" (%s%s)"):format(whole, at and ", " .. at or "")
end

--- Raises, at the line where `module` was made, that it expects something else than `input` (a tensor or a shape):
--- "nn.Linear(784, 128) expects 784 inputs but receives 1568 (32x7x7 from nn.MaxPool2d, line 12); hint".
function m.mismatch(module, input, expected, received, hint)
  options.fail(("%s expects %s but receives %s%s%s"):format(module:signature(), expected, received,
    origin(module, input, received), hint and "; " .. hint or ""), module.where)
end

return m
