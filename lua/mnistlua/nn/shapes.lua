-- Shape inference: what a module makes of samples of a given shape, without data. It builds the layers whose input
-- size was left to be inferred, and finds shapes that do not fit before the first step. Shapes are lists of sizes
-- without the batch dimension.
--
-- A layer says its output's shape in infer(self, shape), where it also creates what depends on the input's size; a
-- module without infer is tried on zeros.
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local flow = require "mnistlua.nn.flow"

-- The sizes in `...`, which is a list or the sizes themselves.
local function as_shape(what, ...)
  local shape = select("#", ...) == 1 and type(...) == "table" and ... or { ... }
  for i = 1, #shape do
    if math.type(shape[i]) ~= "integer" or shape[i] < 1 then
      options.fail(("%s: size %d is %s; expected a whole number of at least 1"):format(what, i, options.show(shape[i])))
    end
  end
  return shape
end

-- Runs f without recording, with module in evaluation mode, and puts both back whatever happens.
local function quietly(module, f)
  local modes, recording = {}, core.recording(false)
  for i, each in ipairs(module:modules()) do modes[i] = { each, each.training } end
  module:eval()
  local ok, result = xpcall(f, options.located)
  for _, mode in ipairs(modes) do rawset(mode[1], "training", mode[2]) end
  core.recording(recording)
  if not ok then error(result, 0) end
  return result
end

return function(Module)
  --- The output's shape for samples of `shape`; nil if forward returns no tensor. A class that knows better than a
  --- trial on two samples of zeros replaces it.
  function Module:infer(shape)
    return flow.shape_of(quietly(self, function()
      local x = core.zeros { 2, table.unpack(shape) }
      flow.stand_in(shape, x)
      return (self:forward(x))
    end))
  end

  --- The shape of one sample's output for samples of the given shape, both without the batch dimension:
  --- model:output_shape { 28, 28 }. Builds layers whose sizes are inferred; raises where shapes do not fit.
  function Module:output_shape(...)
    local class = options.class_hint(self)
    if class then options.fail(class) end
    local shape = as_shape(self.typename .. ":output_shape", ...)
    local handed_on = self.transparent and flow.is_last(shape)
    return (flow.leave(self, handed_on, self:infer(shape)))
  end

  --- Builds every layer whose sizes are inferred, from the shape of one sample: model:build { 28, 28 }. Raises where
  --- shapes do not fit. Returns the module.
  function Module:build(...)
    local shape = as_shape(self.typename .. ":build", ...)
    self:output_shape(shape)
    rawset(self, "sample_shape", shape)
    local left = self:unbuilt()
    if left then
      options.fail(("%s:build: %s was not reached with samples of %s; give its input size"):format(self.typename,
        left:signature(), flow.shape_text(shape)), left.where)
    end
    return self
  end
end
