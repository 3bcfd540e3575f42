-- ml.data.images: a folder of PNG files, one sub-folder for each class. The core reads them (src/data/images.c); here
-- are the options, and the cut into train, val and test.
local core = require "mnistlua.core"
local context = require "mnistlua.context"
local dataset = require "mnistlua.data.dataset"
local options = require "mnistlua.options"
local source = require "mnistlua.data.source"

local what = "ml.data.images"

local spec = source.spec {
  "dir",
  dir = { type = "string", required = true },
  size = {}, channels = { default = 1, choices = { 1, 3 } },
  invert = { default = false, choices = { false, true, "auto" } },
  val = { default = 0, type = "number|string" }, test = { default = 0, type = "number|string" },
  seed = { default = 0, type = "integer", min = 0, max = 0xffffffff },
}

local side = { type = "integer", min = 1, max = 4096 }

-- { height, width } of a number, which stands for a square, or of a pair; nil of nil.
local function read_size(size)
  if size == nil then return {} end
  if options.accept(side, size) then return { size, size } end
  if type(size) == "table" and #size == 2 and options.accept(side, size[1]) and options.accept(side, size[2]) then
    return size
  end
  options.fail(("%s: size is %s; expected { height, width }, whole numbers from 1 to 4096"):format(what,
    options.show(size)))
end

local function read(dir, o, size, invert, classes)
  return core.read_images(dir, {
    channels = o.channels, height = size[1], width = size[2], invert = invert,
  }, classes)
end

-- Another folder as val or test: the same classes, size and polarity as the training pictures.
local function read_part(dir, o, train, info)
  local shape = train:sample_shape()
  local size = { shape[#shape - 1], shape[#shape] }
  local handle, found = read(dir, o, o.size and size or {}, info.inverted, info.classes)
  if not handle then return nil, found end
  local other = handle:sample_shape()
  if other[#other] ~= size[2] or other[#other - 1] ~= size[1] then
    return nil, ("%s: the pictures are %dx%d, expected %dx%d as in %s, or a size to fit all to"):format(dir,
      other[#other], other[#other - 1], size[2], size[1], o.dir)
  end
  return dataset.dataset(handle, dir, train.normalise, info.classes)
end

local function number_or_none(value) return type(value) == "number" and value or 0 end

--- Pictures from a folder with one sub-folder of PNG files for each class; the labels are the sub-folders' places in
--- natural order ("2" before "10"), their names are data.class_names. Hidden files are passed over.
---   dir         the folder, also as the first value: ml.data.images { "digits" }
---   size        { height, width } to which all are stretched; without it all must have one size, and keep it
---   channels    1 (grey) or 3
---   invert      false; true for dark ink on light paper; "auto" to decide by the pictures' outermost pixels
---   val, test   a number of pictures or a share below 1, taken from this folder; or another folder's path
---   seed        0: of the order of the training pictures, from whose end val and test are taken
---   n, normalise  as everywhere
return function(given)
  local o = options.read(what, given, spec)
  local handle, info = read(o.dir, o, read_size(o.size), o.invert)
  if not handle then return context.fault(info) end
  if o.invert == "auto" then
    context.note(("%s: %s background, %s"):format(o.dir, info.inverted and "light" or "dark",
      info.inverted and "inverted" or "kept as it is"))
  end
  local all = dataset.dataset(handle, o.dir, "unit", info.classes):shuffled(o.seed)
  local parts = all:split { val = number_or_none(o.val), test = number_or_none(o.test) }
  parts.train.normalise = dataset.normalisation(parts.train.core, o.dir, o.normalise)
  for _, part in ipairs { "val", "test" } do
    if type(o[part]) == "string" then
      local d, problem = read_part(o[part], o, parts.train, info)
      if not d then return context.fault(problem) end
      parts[part] = d
    end
  end
  return source.first(dataset.bundle(parts), o.n)
end
