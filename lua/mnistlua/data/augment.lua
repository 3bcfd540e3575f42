-- ml.augment: how the training pictures are varied each time they are used. It reads the options, once, at the script's
-- line; the core draws and computes (src/data/augment.h). An augmentation is given to ml.experiment or data:batches.
local core = require "mnistlua.core"
local options = require "mnistlua.options"

local m = {}

local Augment = {}
Augment.__index = Augment
Augment.__name = "Augment"

local what = "ml.augment"

-- ---- reading: a number or a range becomes { low, high } ----

local function is_pair(value) return type(value) == "table" and #value == 2 and getmetatable(value) == nil end

-- A pair of numbers within rule's min and max, in order; nil for anything else.
local function accept_pair(value, rule)
  if not is_pair(value) then return nil end
  local low, high = options.accept(rule, value[1]), options.accept(rule, value[2])
  return low and high and low <= high and { low, high } or nil
end

-- `around` (0 or 1) is what changes nothing; a number d stands for { around - d, around + d }.
local function read_range(name, value, around, low, high)
  local most = math.min(high - around, around - low)
  local rule = { type = "number", min = low, max = high }
  if value == nil then return { around, around } end
  local d = options.accept({ type = "number", min = 0, max = most }, value)
  local range = d and { around - d, around + d } or accept_pair(value, rule)
  if range then return range end
  local found = is_pair(value) and ("{ %s, %s }"):format(options.show(value[1]), options.show(value[2]))
    or options.show(value)
  options.fail(("%s: %s is %s; expected a number from 0 to %g or a range { low, high } within %g to %g"):format(what,
    name, found, most, low, high))
end

local function read_shift(value)
  local limit = 100
  if type(value) ~= "table" then
    local range = read_range("shift", value, 0, -limit, limit)
    return range, range
  end
  local o = options.read("ml.augment: shift", value, { x = {}, y = {} })
  return read_range("shift.x", o.x, 0, -limit, limit), read_range("shift.y", o.y, 0, -limit, limit)
end

local function read_elastic(value)
  if type(value) == "number" then value = { rms = value } end
  return options.read("ml.augment: elastic", value, {
    rms = { type = "number", min = 0, max = 100, default = 0 },
    sigma = { type = "number", min = 1, max = 100, default = 4 },
  })
end

local function read_erase(value)
  local o = options.read("ml.augment: erase", value, {
    p = { type = "number", min = 0, max = 1, default = 0.5 }, size = { default = 8 },
  })
  local rule = { type = "integer", min = 1, max = 8192 }
  local size = options.accept(rule, o.size)
  o.size = size and { size, size } or accept_pair(o.size, rule)
    or options.check("ml.augment: erase", "size", o.size, rule)
  return o
end

local factor = { type = "number", min = 0, max = 10 }

local function read_by_class(value)
  for _, label in ipairs(options.sorted_keys(value)) do
    options.check("ml.augment: by_class", "a key, which is a label,", label, { type = "integer", min = 0 })
    options.check("ml.augment: by_class", ("[%d]"):format(label), value[label], factor)
  end
  return value
end

local alpha = { type = "number", min = 0, max = 100, default = 0 }

local spec = {
  rotate = {}, shear = {}, scale = {}, zoom = {}, shift = {}, elastic = { type = "number|table" },
  erase = { type = "table" }, noise = { type = "number", min = 0, max = 100, default = 0 }, mixup = alpha,
  cutmix = alpha, strength = { type = "number|function", min = 0, max = 1, default = 1 }, by_class = { type = "table" },
}

--- Variations of the training pictures, drawn anew for every use of a picture. A number d means -d to d (around 1 for
--- scale and zoom); a range is { low, high }.
---   rotate      degrees, counter-clockwise; shear: horizontal, pixels per pixel
---   scale       factor, of each axis by itself; zoom: of both at once
---   shift       pixels, not only whole ones; or { x = ..., y = ... }
---   elastic     { rms =, sigma = 4 }: a smooth bend; rms pixels of displacement along each axis, sigma its smoothness
---   erase       { p = 0.5, size = 8 }: the share of pictures that lose a rectangle, and its sides in pixels
---   noise       standard deviation, added after normalisation
---   mixup       alpha: blends two pictures, and their labels, with a share from Beta(alpha, alpha)
---   cutmix      alpha: the same, by exchanging a rectangle; with both, either at even odds
---   by_class    { [1] = 0.5, [7] = 0.5 }: factors on rotate and shear of these labels
---   strength    0 to 1, draws every range towards what changes nothing; or a schedule(step, progress, info)
--- Shift, rotation, scale, shear and bend are one interpolation; what comes in from outside is background.
function m.new(given)
  local o = options.read(what, given, spec)
  local elastic, erase = read_elastic(o.elastic), o.erase and read_erase(o.erase)
  local shift_x, shift_y = read_shift(o.shift)
  return setmetatable({
    where = core.where(), strength = o.strength, by_class = o.by_class and read_by_class(o.by_class),
    values = {
      rotate = read_range("rotate", o.rotate, 0, -180, 180), shear = read_range("shear", o.shear, 0, -2, 2),
      scale = read_range("scale", o.scale, 1, 0.1, 10), zoom = read_range("zoom", o.zoom, 1, 0.1, 10),
      shift_x = shift_x, shift_y = shift_y, elastic_rms = elastic.rms, elastic_sigma = elastic.sigma,
      erase_p = erase and erase.p or 0, erase_size = erase and erase.size or { 1, 1 },
      noise = o.noise, mixup = o.mixup, cutmix = o.cutmix,
    },
  }, Augment)
end

function m.is_augment(x) return getmetatable(x) == Augment end

-- ---- use ----

local function fail(self, fmt, ...) options.fail((what .. ": " .. fmt):format(...), self.where) end

local function differs(range, neutral) return range[1] ~= neutral or range[2] ~= neutral end

-- The first option that needs pictures with rows and columns, or nil.
local function needs_pictures(v)
  for _, name in ipairs { "rotate", "shear", "shift_x", "shift_y" } do
    if differs(v[name], 0) then return name:match "^%a+" end
  end
  for _, name in ipairs { "scale", "zoom" } do
    if differs(v[name], 1) then return name end
  end
  return v.elastic_rms > 0 and "elastic" or v.erase_p > 0 and "erase" or v.cutmix > 0 and "cutmix" or nil
end

local function check_fit(self, d)
  local shape, v = d:sample_shape(), self.values
  local name = needs_pictures(v)
  if name and (#shape < 2 or #shape > 3) then
    fail(self, "%s needs pictures of height x width, but a sample of %s is %s", name, d.name, table.concat(shape, "x"))
  end
  local height, width = shape[#shape - 1], shape[#shape]
  if v.erase_p > 0 and v.erase_size[2] > math.min(height, width) then
    fail(self, "erase: size is %d, but the pictures of %s are %dx%d", v.erase_size[2], d.name, height, width)
  end
end

local function turn_factors(self, d)
  if not self.by_class then return nil end
  local factors = {}
  for label = 0, d.classes - 1 do factors[label + 1] = self.by_class[label] or 1 end
  for _, label in ipairs(options.sorted_keys(self.by_class)) do
    if label >= d.classes then
      fail(self, "by_class: there is no label %d: those of %s are 0 to %d", label, d.name, d.classes - 1)
    end
  end
  return factors
end

--- What core.loader wants for this dataset; raises, at the augmentation's line, what does not fit its pictures.
function Augment:core_options(d)
  check_fit(self, d)
  local values = { turn = turn_factors(self, d) }
  for name, value in pairs(self.values) do values[name] = value end
  return values
end

--- The strength at a step (0 is the first) of a run: its schedule's value, which has to lie in 0..1.
function Augment:strength_at(step, progress, info)
  local strength = self.strength
  if type(strength) ~= "function" then return strength end
  local value = strength(step, progress, info)
  if type(value) == "number" and value >= 0 and value <= 1 then return value end
  fail(self, "the strength's schedule gave %s at step %d; expected a number from 0 to 1", options.show(value), step)
end

--- Whether samples are mixed, so that a batch's targets are probabilities.
function Augment:mixes() return self.values.mixup > 0 or self.values.cutmix > 0 end

return m
