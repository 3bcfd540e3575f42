-- ml.tta: test-time augmentation. A model looks at several views of each picture, and its predictions are averaged.
-- Nothing is drawn by chance. A result of this kind is always told apart from that of the single view.
local average = require "mnistlua.average"
local core = require "mnistlua.core"
local options = require "mnistlua.options"

local m = {}

local Views = {}
Views.__index = Views
Views.__name = "Views"

function Views:__len() return #self.views end
function Views:__tostring() return ("mean of %d views, by %s"):format(#self.views, self.mean) end

local scale = { type = "number", min = 0.1, max = 10 }
local pixels = { type = "number", min = -100, max = 100 }

local view_spec = {
  rotate = { type = "number", min = -180, max = 180, default = 0 },
  shear = { type = "number", min = -2, max = 2, default = 0 },
  scale = { type = "number|table", min = scale.min, max = scale.max, default = 1 },
  shift = { type = "table", default = { 0, 0 } },
}

local function read_pair(what, name, value, rule)
  if #value ~= 2 then options.fail(("%s: %s: expected { x, y }, got %d numbers"):format(what, name, #value)) end
  local x = options.check(what, name .. "[1]", value[1], rule)
  return x, options.check(what, name .. "[2]", value[2], rule)
end

local function read_view(i, given)
  local what = ("ml.tta: view %d"):format(i)
  if type(given) ~= "table" then
    options.fail(("%s: expected a table such as { shift = { 1, 0 } }, got %s"):format(what, options.show(given)))
  end
  local o = options.read(what, given, view_spec)
  local view = { rotate = o.rotate, shear = o.shear }
  if type(o.scale) == "number" then o.scale = { o.scale, o.scale } end
  view.scale_x, view.scale_y = read_pair(what, "scale", o.scale, scale)
  view.shift_x, view.shift_y = read_pair(what, "shift", o.shift, pixels)
  return view
end

-- As it is first, then the eight neighbours at this distance.
local function shifted_views(distance)
  local views = { read_view(1, {}) }
  for _, dy in ipairs { -distance, 0, distance } do
    for _, dx in ipairs { -distance, 0, distance } do
      if dx ~= 0 or dy ~= 0 then views[#views + 1] = read_view(#views + 1, { shift = { dx, dy } }) end
    end
  end
  return views
end

--- Views for test-time augmentation: ml.tta { shift = 1 } is the picture itself and its eight shifts by 1 pixel;
--- ml.tta { views = { {}, { rotate = 5 }, { shift = { 0, 1 }, scale = 1.05, shear = 0.1 } } } lists them (shift and a
--- pair of scales are { x, y }; {} is the picture as it is). `mean` is of "probabilities" (the default) or "logits".
---
--- views(model, x [, background]) gives the mean prediction as logits [n, classes], without gradient; background is the
--- value that comes in at the border (x's least, if not given). The model should be in eval mode.
--- run:evaluate(run.data.test, { views = views }) measures a model with them.
function m.new(given)
  local o = options.read("ml.tta", given, {
    shift = { type = "number", above = 0, max = 100 }, views = { type = "table" }, mean = average.rule,
  })
  if (o.shift == nil) == (o.views == nil) then options.fail "ml.tta: needs shift or views, one of them" end
  local views = o.shift and shifted_views(o.shift) or {}
  for i, view in ipairs(o.views or {}) do views[i] = read_view(i, view) end
  if #views == 0 then options.fail "ml.tta: views is empty" end
  return setmetatable({ views = views, mean = o.mean, where = core.where() }, Views)
end

local function predict(self, model, x, background)
  background = background or x:min():item()
  local outputs = {}
  for i, view in ipairs(self.views) do outputs[i] = model(core.augment_batch(x, view, background)) end
  return average.of(outputs, self.mean)
end

function Views:__call(model, x, background)
  if options.kind(x) ~= "tensor" then
    options.fail("ml.tta: views(model, x): x: expected a tensor of pictures, got " .. options.show(x))
  end
  local before = core.recording(false)
  local ok, result = pcall(predict, self, model, x, background)
  core.recording(before)
  if not ok then error(result, 0) end
  return result
end

function m.is_views(x) return getmetatable(x) == Views end

return m
